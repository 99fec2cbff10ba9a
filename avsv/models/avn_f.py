"""AVN-F: feature maps of voice and face, weighted by attention, share one trunk (Qian, Chen, Wang, TASLP 2021).

From the paper: a few convolutions compute the maps M_a of filter banks and M_v of a face image, 64 channels each; one
of the attention modules weights them; the maps are concatenated to 128 channels; a trunk like ResNet34, shared by both,
pooling and a Linear give the embedding. No source available to us has its layer tables: every kernel, stride, map size
and pooling below is OUR choice, and so are these: the face's map is resized to the voice's, a sigmoid bounds the
coefficients (attention 1, 2), the convolution of attention 2 is followed by BN and ReLU, and attention 3 has it too.

For a waveform of 2 s (80 mel bands x 200 frames) and a face image of 112 x 112:

    layer           kernel, stride   output                    parameters (attention 1 / 2 / 3)
    voice conv 1    3 x 3, 1         32 x  80 x 200                 352  (with BN, as all below)
    voice conv 2    3 x 3, 2         64 x  40 x 100              18,560
    face conv 1     3 x 3, 1         32 x 112 x 112                 928
    face conv 2     3 x 3, 2         64 x  56 x  56              18,560
    face resize     bilinear         64 x  40 x 100                   -
    attention       128 -> 8 -> 128 (3: -> 2)            2,184 / 76,168 / 75,034
    concatenation                   128 x  40 x 100                   -
    stage 1         3 blocks, 1      64 x  40 x 100             267,136
    stage 2         4 blocks, 2     128 x  20 x  50           1,116,416
    stage 3         6 blocks, 2     256 x  10 x  25           6,822,400
    stage 4         3 blocks, 2     512 x   5 x  13          13,114,368
    pooling         mean, deviation  2 x 512 x 5                      -
    Linear                           512                      2,621,952
    all             without attention                        23,980,672

A missing modality has a map of 0; the attention sees 0 for it and gives it no weight.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.errors import InputError
from avsv.models.checkpoint import NetworkFile
from avsv.models.ranges import choice, within
from avsv.models.resnet import BLOCKS, make_stages, pool_statistics
from avsv.models.speechbrain_library import make_frontend

LONGEST_CROP = 600.0  # seconds; a file that claims to be trained on longer crops is refused
BOTTLENECK = 8  # as in the paper: Linear 128 -> 8 -> 128 or 2


def conv_bn_relu(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)
    )


def where_present(net: Callable[[Tensor], Tensor], inputs: Tensor, present: Tensor) -> Tensor:
    """Apply `net` to the present examples only; the others give 0 and do not enter batch norm's statistics.

    Parameters
    ----------
    inputs : (batch, ...) ; present : (batch,) bool
    """
    if present.all() or present.sum() < 2:  # batch norm needs two
        out = net(inputs)
        return out * present.view(-1, *[1] * (out.ndim - 1))
    some = net(inputs[present])
    return some.new_zeros(len(inputs), *some.shape[1:]).index_put((present.nonzero()[:, 0],), some)


class NoAttention(nn.Module):
    """Both maps unchanged."""

    def __init__(self, channels: int):
        super().__init__()

    def forward(self, voice: Tensor, face: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        return present[:, :1].to(voice.dtype), present[:, 1:].to(face.dtype)


class ChannelAttention(nn.Module):
    """Attention 1: a coefficient for each channel of each map, computed from the means of all channels of both.

        [alpha_a; alpha_v] = sigmoid(W_2 relu(W_1 [GAP(M_a); GAP(M_v)]))

    Parameters
    ----------
    channels : of one map

    Examples
    --------
    >>> both = torch.tensor([[True, True], [True, False]])
    >>> voice_weights, face_weights = ChannelAttention(4)(torch.ones(2, 4, 5, 6), torch.ones(2, 4, 5, 6), both)
    >>> voice_weights.shape, face_weights[1].tolist()
    (torch.Size([2, 4]), [0.0, 0.0, 0.0, 0.0])
    """

    def __init__(self, channels: int):
        super().__init__()
        self.squeeze = nn.Linear(2 * channels, BOTTLENECK)
        self.excite = nn.Linear(BOTTLENECK, self.n_coefficients(channels))

    def n_coefficients(self, channels: int) -> int:
        return 2 * channels

    def means(self, voice: Tensor, face: Tensor, present: Tensor) -> Tensor:
        """Means of the channels of both maps, (batch, 2 channels); 0 for a missing one."""
        return torch.cat([maps.mean((2, 3)) * present[:, i : i + 1] for i, maps in enumerate((voice, face))], 1)

    def scores(self, voice: Tensor, face: Tensor, present: Tensor) -> Tensor:
        return self.excite(torch.relu(self.squeeze(self.means(voice, face, present))))

    def forward(self, voice: Tensor, face: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients of the maps' channels.

        Parameters
        ----------
        voice, face : (batch, channels, rows, columns)
        present : (batch, 2) bool

        Returns
        -------
        (batch, channels) each, or (batch, 1) if all channels share one coefficient
        """
        voice_weights, face_weights = torch.sigmoid(self.scores(voice, face, present)).chunk(2, 1)
        return voice_weights * present[:, :1], face_weights * present[:, 1:]


class ConvolvedAttention(ChannelAttention):
    """Attention 2: attention 1 on convolved maps, as the plain mean of a map loses information."""

    def __init__(self, channels: int):
        super().__init__(channels)
        self.sound, self.face = conv_bn_relu(channels, channels), conv_bn_relu(channels, channels)

    def means(self, voice: Tensor, face: Tensor, present: Tensor) -> Tensor:
        return super().means(self.sound(voice), self.face(face), present)


class ModalityAttention(ConvolvedAttention):
    """Attention 3: one softmax weight per modality, as a poor recording or image affects all channels."""

    def n_coefficients(self, channels: int) -> int:
        return 2

    def forward(self, voice: Tensor, face: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.scores(voice, face, present).float().masked_fill(~present, float("-inf"))
        voice_weights, face_weights = scores.softmax(1).chunk(2, 1)
        return voice_weights, face_weights


ATTENTION = {"none": NoAttention, "1": ChannelAttention, "2": ConvolvedAttention, "3": ModalityAttention}


@dataclass
class AVNFOptions:
    """The options that define the network."""

    attention: str = choice("3", "none", "1", "2", "3")  # none | 1 | 2 | 3, the paper's numbers
    channels: int = within(64, 1, 16384)  # of each modality's map
    trunk_channels: tuple[int, ...] = within((64, 128, 256, 512), 1, 16384)  # of each stage
    blocks: tuple[int, ...] = within(BLOCKS, 1, 200)  # in each stage
    embedding_size: int = within(512, 1, 16384)
    stem_stride: int = within(1, 1, 8)  # as in the table above; 2: a quarter of the positions, for a laptop


class AVNF(nn.Module):
    """Filter banks and a face image -> one embedding.

    Parameters
    ----------
    options : attention and sizes
    n_mels : rows of the filter banks

    Raises
    ------
    InputError : an unknown attention, or `blocks` and `trunk_channels` of different lengths

    Examples
    --------
    >>> options = AVNFOptions("3", channels=8, trunk_channels=(8, 16), blocks=(1, 1), embedding_size=32, stem_stride=2)
    >>> net = AVNF(options).eval()
    >>> both = torch.tensor([[True, True], [False, True]])
    >>> out, weights = net(torch.zeros(2, 200, 80), torch.zeros(2, 3, 112, 112), both)
    >>> out.shape, weights[1].tolist()
    (torch.Size([2, 32]), [0.0, 1.0])
    """

    def __init__(self, options: AVNFOptions, n_mels: int = 80):
        super().__init__()
        if options.attention not in ATTENTION:
            raise InputError(f"attention: {options.attention}: expected one of {', '.join(ATTENTION)}")
        blocks, widths = options.blocks, options.trunk_channels
        if not len(widths) == len(blocks) > 0:
            raise InputError(f"blocks={list(blocks)} trunk_channels={list(widths)}: expected one of each per stage")
        self.options, channels, stride = options, options.channels, options.stem_stride
        stem = max(1, channels // 2)
        self.sound = nn.Sequential(conv_bn_relu(1, stem, stride), conv_bn_relu(stem, channels, 2))
        self.face = nn.Sequential(conv_bn_relu(3, stem, stride), conv_bn_relu(stem, channels, 2))
        self.attention = ATTENTION[options.attention](channels)
        self.trunk = nn.Sequential(*make_stages(2 * channels, widths, blocks))
        rows = n_mels
        for step in (stride, 2, *[2] * (len(blocks) - 1)):
            rows = -(-rows // step)
        self.embedding = nn.Linear(2 * widths[-1] * rows, options.embedding_size)

    def maps(self, features: Tensor, images: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """M_a and M_v on one grid, (batch, channels, rows, columns) each; 0 for a missing modality."""
        voice = where_present(self.sound, features.transpose(1, 2).unsqueeze(1), present[:, 0])
        face = where_present(self.face, images, present[:, 1])
        return voice, F.interpolate(face, voice.shape[2:], mode="bilinear", align_corners=False)

    def forward(self, features: Tensor, images: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Embed pairs.

        Parameters
        ----------
        features : (batch, t, n_mels) float, minus each band's mean over time
        images : (batch, 3, 112, 112) float, RGB, (x - 127.5) / 127.5
        present : (batch, 2) bool, whether the voice and the face are present; at least one is

        Returns
        -------
        (batch, embedding_size), not normalised ; (batch, 2) shares of voice and face in the coefficients, sum 1
        """
        voice, face = self.maps(features, images, present)
        voice_weights, face_weights = self.attention(voice, face, present)
        both = torch.cat([voice * voice_weights[:, :, None, None], face * face_weights[:, :, None, None]], 1)
        shares = torch.stack([voice_weights.float().mean(1), face_weights.float().mean(1)], 1)
        return self.embedding(pool_statistics(self.trunk(both))), shares / shares.sum(1, keepdim=True).clamp(min=1e-12)


class AVNFWithFrontend(nn.Module):
    """AVN-F behind its filter banks: takes waveforms and 8-bit images as read from files."""

    def __init__(self, net: AVNF):
        super().__init__()
        self.net = net
        self.fbank, self.normalize = make_frontend()

    def forward(self, waveforms: Tensor, images: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Embed pairs; see `AVNF.forward`.

        Parameters
        ----------
        waveforms : (batch, n) float at 16 kHz ; images : (batch, 3, 112, 112) uint8 RGB ; present : (batch, 2) bool
        """
        with torch.no_grad(), torch.autocast(waveforms.device.type, enabled=False):
            features = self.normalize(self.fbank(waveforms), torch.ones(len(waveforms), device=waveforms.device))
        return self.net(features, (images.float() - 127.5) / 127.5, present)


def build_avn_f(description: dict) -> AVNF:
    seconds = description["crop_seconds"]  # length of the training's crops; test recordings are cut to it too
    if not (isinstance(seconds, int | float) and 0 < seconds <= LONGEST_CROP):
        raise ValueError(f"crop_seconds {seconds}")
    return AVNF(AVNFOptions(**description["options"]))


AVN_F = NetworkFile("avn_f.safetensors", "avn_f (AVN-J is embedded by embed-voice, embed-face and embed-pair)",
                    build_avn_f)  # fmt: skip
