"""Networks of Wen, Raj and Singh, "Face Reconstruction from Voice using Generative Adversarial Networks", NeurIPS 2019.

A generator g produces a face from the embedding of a voice embedder e, which is trained beforehand as a speaker
classifier. A trunk f takes real and generated faces; on top of it a discriminator d decides whether a face is real, and
a classifier c identifies the person. For a log mel spectrogram of 64 x T and a face of 64 x 64, with N people:

    layer    channels, kernel / stride, padding   output               parameters

    e 1      64 -> 256, 3 / 2, 1, BN, ReLU        256 x T/2                49,664
    e 2      256 -> 384, 3 / 2, 1, BN, ReLU       384 x T/4               295,680
    e 3      384 -> 576, 3 / 2, 1, BN, ReLU       576 x T/8               664,704
    e 4      576 -> 864, 3 / 2, 1, BN, ReLU       864 x T/16            1,494,720
    e 5      864 -> 64, 3 / 2, 1                  64 x T/32               165,952
    e mean   over time                            64                            -
    e all                                                               2,670,720

    g 1      64 -> 1024, 4 / 1, 0, ReLU           1024 x 4 x 4          1,049,600
    g 2      1024 -> 512, 4 / 2, 1, ReLU          512 x 8 x 8           8,389,120
    g 3      512 -> 256, 4 / 2, 1, ReLU           256 x 16 x 16         2,097,408
    g 4      256 -> 128, 4 / 2, 1, ReLU           128 x 32 x 32           524,416
    g 5      128 -> 64, 4 / 2, 1, ReLU            64 x 64 x 64            131,136
    g 6      64 -> 3, 1 / 1, 0                    3 x 64 x 64                 195
    g all                                                              12,191,875

    f 1      3 -> 32, 1 / 1, 0, LeakyReLU 0.2     32 x 64 x 64                128
    f 2      32 -> 64, 4 / 2, 1, LeakyReLU 0.2    64 x 32 x 32             32,832
    f 3      64 -> 128, 4 / 2, 1, LeakyReLU 0.2   128 x 16 x 16           131,200
    f 4      128 -> 256, 4 / 2, 1, LeakyReLU 0.2  256 x 8 x 8             524,544
    f 5      256 -> 512, 4 / 2, 1, LeakyReLU 0.2  512 x 4 x 4           2,097,664
    f 6      512 -> 64, 4 / 1, 0, no activation   64                      524,352
    f all                                                               3,310,720
    d        Linear 64 -> 1, no bias              1                            64
    c        Linear 64 -> N, no bias              N                        64 * N

Our sources do not state which convolutions have a bias, or the activation after g's last layer. OURS: convolutions
before batch norm have no bias, all others have one; g 6 has no activation.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

FACE_SIDE = 64  # pixels
N_MELS = 64


def normalise_embeddings(embeddings: Tensor, noise: Tensor | None = None) -> Tensor:
    """Scale voice embeddings to length 1 for the generator; with noise, add it and scale again.

    Parameters
    ----------
    embeddings : (batch, d) of any length
    noise : (batch, d), added to the unit vectors; 0.05 N(0, 1) in the paper's training

    Examples
    --------
    >>> import torch
    >>> normalise_embeddings(torch.tensor([[3.0, 4.0]])).tolist()[0]
    [0.6..., 0.8...]
    """
    unit = F.normalize(embeddings.float(), dim=1)
    return unit if noise is None else F.normalize(unit + noise, dim=1)


class VoiceEmbedder(nn.Module):
    """e: log mel spectrogram -> voice embedding.

    Parameters
    ----------
    channels : output channels of all layers but the last
    size : dimension of the embedding
    n_mels : mel bands of the spectrogram

    Examples
    --------
    >>> import torch
    >>> VoiceEmbedder((8, 8, 8, 8), size=4)(torch.zeros(2, 64, 100)).shape
    torch.Size([2, 4])
    """

    def __init__(self, channels: Sequence[int] = (256, 384, 576, 864), size: int = 64, n_mels: int = N_MELS):
        super().__init__()
        layers = []
        for n_in, n_out in zip((n_mels, *channels[:-1]), channels, strict=True):
            conv = nn.Conv1d(n_in, n_out, 3, 2, 1, bias=False)
            layers.append(nn.Sequential(conv, nn.BatchNorm1d(n_out), nn.ReLU(inplace=True)))
        self.layers = nn.Sequential(*layers, nn.Conv1d(channels[-1], size, 3, 2, 1))

    def forward(self, mels: Tensor) -> Tensor:
        """(batch, n_mels, frames) -> (batch, size); frames >= 1."""
        return self.layers(mels).mean(2)


class Generator(nn.Module):
    """g: voice embedding -> face; all layers but the first and last double height and width.

    Parameters
    ----------
    channels : output channels of all layers but the last; five for a face of 64 x 64
    size : dimension of the embedding
    batch_norm : batch norm before each ReLU (ours, for short trainings; the published generator has none)

    Examples
    --------
    >>> import torch
    >>> Generator((8, 8, 8, 8, 8), size=4)(torch.zeros(2, 4)).shape
    torch.Size([2, 3, 64, 64])
    """

    def __init__(self, channels: Sequence[int] = (1024, 512, 256, 128, 64), size: int = 64, batch_norm: bool = False):
        super().__init__()
        layers = []
        for number, (n_in, n_out) in enumerate(zip((size, *channels[:-1]), channels, strict=True)):
            shape = (4, 2, 1) if number else (4, 1, 0)
            conv = nn.ConvTranspose2d(n_in, n_out, *shape, bias=not batch_norm)
            norm = [nn.BatchNorm2d(n_out)] if batch_norm else []
            layers.append(nn.Sequential(conv, *norm, nn.ReLU(inplace=True)))
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], 3, 1))

    def forward(self, voices: Tensor) -> Tensor:
        """(batch, size) unit vectors -> (batch, 3, 64, 64) RGB, -1 for black, 1 for white, unbounded."""
        return self.layers(voices[:, :, None, None])


class FaceTrunk(nn.Module):
    """f: face -> features for the discriminator and the classifier.

    Examples
    --------
    >>> import torch
    >>> FaceTrunk((8, 8, 8, 8, 8), size=4)(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 4])
    """

    def __init__(self, channels: Sequence[int] = (32, 64, 128, 256, 512), size: int = 64):
        super().__init__()
        layers = []
        for number, (n_in, n_out) in enumerate(zip((3, *channels), (*channels, size), strict=True)):
            shape = (1, 1, 0) if number == 0 else (4, 1, 0) if number == len(channels) else (4, 2, 1)
            activation = [nn.LeakyReLU(0.2, inplace=True)] if number < len(channels) else []
            layers.append(nn.Sequential(nn.Conv2d(n_in, n_out, *shape), *activation))
        self.layers = nn.Sequential(*layers)

    def forward(self, faces: Tensor) -> Tensor:
        """(batch, 3, 64, 64) RGB, -1 to 1 -> (batch, size)."""
        return self.layers(faces).flatten(1)


class FaceCritic(nn.Module):
    """f with d and c on top: is the face real, and who is it?

    Examples
    --------
    >>> import torch
    >>> real, person = FaceCritic(5, (8, 8, 8, 8, 8), size=4)(torch.zeros(2, 3, 64, 64))
    >>> real.shape, person.shape
    (torch.Size([2]), torch.Size([2, 5]))
    """

    def __init__(self, n_people: int, channels: Sequence[int] = (32, 64, 128, 256, 512), size: int = 64):
        super().__init__()
        self.trunk = FaceTrunk(channels, size)
        self.discriminator = nn.Linear(size, 1, bias=False)
        self.classifier = nn.Linear(size, n_people, bias=False)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 3, 64, 64) -> logits of being real, (batch,), and of each person, (batch, people)."""
        features = self.trunk(faces)
        return self.discriminator(features)[:, 0], self.classifier(features)
