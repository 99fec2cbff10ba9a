"""The VoxCeleb CNN: VGG-M on spectrograms (Nagrani, Chung, Zisserman, Interspeech 2017), as in the authors' code.

For 3 s, 512 bins x 300 frames, with the published 96 channels. Every convolution and fc6, fc7 are followed by batch
norm and ReLU; apool6 is the mean over time, so clips of any length give one vector. Convolutions have biases.

    layer    channels  kernel, stride, padding  output (bins x frames)   parameters
    conv1          96  7 x 7, 2, 1              254 x 148                     4,992
    pool1          96  3 x 3, 2                 126 x 73
    conv2         256  5 x 5, 2, 1              62 x 36                     615,168
    pool2         256  3 x 3, 2                 30 x 17
    conv3         384  3 x 3, 1, 1              30 x 17                     885,888
    conv4         256  3 x 3, 1, 1              30 x 17                     885,504
    conv5         256  3 x 3, 1, 1              30 x 17                     590,592
    pool5         256  5 x 3, 3 x 2             9 x 8
    fc6          4096  9 x 1                    1 x 8                     9,449,472
    apool6       4096  mean over time           1 x 1
    fc7          1024                           1                         4,197,376

For identification, fc7 is followed by the classifier fc8. For verification, fc8 becomes a Linear layer on fc7 scaled to
length 1, whose output is the embedding (as in the authors' verification network).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from avsv.errors import InputError
from avsv.losses.heads import NewLinear
from avsv.models.front_ends import SPECTROGRAM, FrontEnd
from avsv.models.limits import Check, boolean, natural
from avsv.models.resnet import frame_weights

N_BINS = 512


def conv_block(
    n_in: int, n_out: int, kernel: int | tuple[int, int], stride: int = 1, padding: int = 0
) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, kernel, stride, padding), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True))


class VoxCelebCnn(nn.Module):
    """Spectrogram -> speaker embedding, called as SpeechBrain calls its ECAPA-TDNN.

    Parameters
    ----------
    channels : of conv1, a multiple of 3; the other layers keep their published proportions to it
    fc8 : add fc8, for verification; otherwise the embedding is fc7, of 32 channels / 3 values
    lin_neurons : size of the embedding

    Raises
    ------
    InputError : channels or size do not fit

    Examples
    --------
    >>> import torch
    >>> net = VoxCelebCnn(3, fc8=True, lin_neurons=16).eval()
    >>> net(torch.zeros(2, 100, 512), torch.tensor([1.0, 0.9])).shape
    torch.Size([2, 1, 16])
    """

    network = "avsv.models.vggm.VoxCelebCnn"
    front_end: ClassVar[FrontEnd] = SPECTROGRAM
    limits: ClassVar[Mapping[str, Check]] = {"channels": natural, "fc8": boolean, "lin_neurons": natural}

    @staticmethod
    def arguments(options: Any) -> dict[str, Any]:
        """Arguments of this class for a training's `SpeakerEncoderOptions`."""
        return {"channels": options.channels, "fc8": options.fc8, "lin_neurons": options.embedding_size}

    def __init__(self, channels: int = 96, fc8: bool = False, lin_neurons: int = 1024):
        super().__init__()
        third, rest = divmod(channels, 3)
        if rest:
            raise InputError(f"channels={channels}: expected a multiple of 3; the published network has 96")
        if not fc8 and lin_neurons != 32 * third:
            raise InputError(f"embedding_size={lin_neurons}: without fc8 the embedding is fc7; expected {32 * third}")
        self.maps = nn.Sequential(
            conv_block(1, channels, 7, 2, 1),
            nn.MaxPool2d(3, 2),
            conv_block(channels, 8 * third, 5, 2, 1),
            nn.MaxPool2d(3, 2),
            conv_block(8 * third, 12 * third, 3, 1, 1),
            conv_block(12 * third, 8 * third, 3, 1, 1),
            conv_block(8 * third, 8 * third, 3, 1, 1),
            nn.MaxPool2d((5, 3), (3, 2)),
            conv_block(8 * third, 128 * third, (9, 1)),
        )
        self.fc7 = nn.Sequential(nn.Linear(128 * third, 32 * third), nn.BatchNorm1d(32 * third), nn.ReLU(inplace=True))
        self.fc8 = NewLinear(32 * third, lin_neurons) if fc8 else None

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, t, 512), (batch,) relative lengths -> (batch, 1, size); t is 65 frames or more."""
        maps = self.maps(features.transpose(1, 2).unsqueeze(1)).squeeze(2)
        vectors = self.fc7((maps * frame_weights(maps, lengths)).sum(2))
        if self.fc8 is not None:
            vectors = self.fc8(F.normalize(vectors))
        return vectors.unsqueeze(1)
