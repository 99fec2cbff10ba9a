"""Coupled 3D CNN for audio-visual matching (Torfi, Iranmanesh, Nasrabadi, Dawson, IEEE Access 2017).

Two networks map 0.3 s of mouth images and 0.3 s of audio to 64-dimensional vectors; their distance is small if both
belong together. Layers follow the authors' code. Kernels are (time, height, width) for the mouth and (time, frequency,
channel) for the audio; batch norm and PReLU follow every convolution except the last.

    mouth, 9 x 60 x 100, grey, 30 frames per second    parameters (with batch norm and PReLU)
    conv1   16   1,3,3, pool 1,3,3 / 1,2,2    29 x 49           192
    conv2   32   1,3,3, pool                  14 x 24         4,704
    conv31  64   1,3,3                        14 x 24        18,624
    conv32  64   1,3,3, pool                   6 x 11        37,056
    conv4  128   1,3,3, pool                   2 x 5         74,112
    fc5    256   1,2,5                         1 x 1        328,448
    out     64   9,1,1                         1 x 1        147,520
    all                                                     610,656

    audio, 15 x 40 x 3, MFEC in 20 ms windows
    conv1   16   1,5,1, pool 1,2,1               18              288
    conv21  32   1,4,1                           15            2,144
    conv22  32   1,4,1, pool 1,2,1                6            4,192
    conv31  64   1,3,1                            4            6,336
    conv32  64   1,3,1                            2           12,480
    fc4    128   1,2,1                            1           16,768
    out     64   15,1,1                           1          122,944
    all                                                      165,152

Every kernel except the last spans one frame, so each frame is computed once even if many cubes contain it: the last
layer slides over time, and a segment of T frames gives the vectors of all its T - 8 cubes. The authors' batch norm has
no scale; ours has one, as is usual in torch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.systems.synchrony.mouths import HEIGHT, WIDTH
from avsv.systems.synchrony.network import SynchronyNetwork

MOUTH = ((16, True), (32, True), (64, False), (64, True), (128, True))  # channels, followed by pooling
SOUND = (
    (16, 5, True),
    (32, 4, False),
    (32, 4, True),
    (64, 3, False),
    (64, 3, False),
    (128, 2, False),
)  # with kernel sizes


def norm_prelu(channels: int, norm: type[nn.Module]) -> list[nn.Module]:
    """Batch norm, then PReLU initialised as ReLU, as in the authors' code."""
    return [norm(channels), nn.PReLU(channels, init=0.0)]


class CoupledCNN(SynchronyNetwork):
    """Embeds cubes of 0.3 s; consecutive pairs are 0.1 s apart.

    Examples
    --------
    >>> net = CoupledCNN().eval()
    >>> net.embed_mouths(torch.zeros(2, 12, 60, 100)).shape, net.embed_audio(torch.zeros(2, 20, 40, 3)).shape
    (torch.Size([2, 4, 64]), torch.Size([2, 6, 64]))
    """

    fps, mouth_frames = 30, 9
    audio_features, audio_rate, audio_frames = "mfec", 50, 15
    mouth_stride, audio_stride = 3, 5
    audio_step = 0.02
    seconds = 0.3

    def __init__(self, size: int = 64, width: float = 1.0):
        super().__init__()
        layers: list[nn.Module] = []
        before, sides = 1, (HEIGHT, WIDTH)
        for channels, pool in MOUTH:
            channels = max(1, round(channels * width))
            layers += [nn.Conv2d(before, channels, 3, padding=1, bias=False), *norm_prelu(channels, nn.BatchNorm2d)]
            if pool:
                layers.append(nn.MaxPool2d(3, 2))
                sides = tuple((side - 3) // 2 + 1 for side in sides)
            before = channels
        top = max(1, round(256 * width))
        layers += [nn.Conv2d(before, top, sides, bias=False), *norm_prelu(top, nn.BatchNorm2d)]
        self.mouth_net = nn.Sequential(*layers)
        self.mouth_out = nn.Conv1d(top, size, self.mouth_frames)
        layers, before = [], 3
        for channels, kernel, pool in SOUND:
            channels = max(1, round(channels * width))
            layers += [nn.Conv1d(before, channels, kernel, bias=False), *norm_prelu(channels, nn.BatchNorm1d)]
            if pool:
                layers.append(nn.MaxPool1d(2))
            before = channels
        self.sound_net = nn.Sequential(*layers)
        self.sound_out = nn.Conv1d(before, size, self.audio_frames)
        self.mouth_net.to(memory_format=torch.channels_last)  # twice as fast on a CPU

    def embed_mouths(self, images: Tensor, stride: int = 1) -> Tensor:
        """(batch, t, 60, 100) -> (batch, (t - 9) // stride + 1, size)."""
        batch, n_frames = images.shape[:2]
        frames = images.flatten(0, 1).unsqueeze(1).contiguous(memory_format=torch.channels_last)
        frames = self.mouth_net(frames).flatten(1).unflatten(0, (batch, n_frames))
        return slide(self.mouth_out, frames, stride)

    def embed_audio(self, features: Tensor, stride: int = 1) -> Tensor:
        """MFEC with derivatives, (batch, t, 40, 3) -> (batch, (t - 15) // stride + 1, size)."""
        batch, n_frames = features.shape[:2]
        frames = self.sound_net(features.flatten(0, 1).transpose(1, 2)).flatten(1).unflatten(0, (batch, n_frames))
        return slide(self.sound_out, frames, stride)


def slide(layer: nn.Conv1d, frames: Tensor, stride: int) -> Tensor:
    """Apply a convolution over time with a stride; (batch, t, n) -> (batch, positions, size)."""
    return F.conv1d(frames.transpose(1, 2), layer.weight, layer.bias, stride).transpose(1, 2)
