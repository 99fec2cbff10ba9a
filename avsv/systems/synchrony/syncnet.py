"""SyncNet (Chung and Zisserman, "Out of time: automated lip sync in the wild", ACCV 2016).

Two networks embed 0.2 s of mouth images and of audio; the vectors are close if both belong together. Layers follow the
authors' published code, with one difference: their input is a 224 x 224 colour face, ours is the 60 x 100 grey mouth
that the coupled CNN takes too. The first convolution therefore has 1 input channel per frame, and the last one spans
1 x 2 positions instead of 6 x 6. Batch norm and ReLU follow every convolution.

    mouth, 5 frames of 60 x 100, 25 per second               audio, 13 MFCC x 20 frames of 10 ms
    conv1   96  5,7,7 / 1,2,2            27 x 47             conv1   64  3,3, padding 1            13 x 20
            pool 3,3 / 2,2               13 x 23             conv2  192  3,3, padding 1            13 x 20
    conv2  256  5,5 / 2,2, padding 1      6 x 11                     pool 3,3 / 1,2                11 x 9
            pool 3,3 / 2,2, padding 1     3 x 6              conv3  384  3,3, padding 1            11 x 9
    conv3  256  3,3, padding 1            3 x 6              conv4  256  3,3, padding 1            11 x 9
    conv4  256  3,3, padding 1            3 x 6              conv5  256  3,3, padding 1            11 x 9
    conv5  256  3,3, padding 1            3 x 6                      pool 3,3 / 2,2                 5 x 4
            pool 3,3 / 2,2                1 x 2              conv6  512  5,4                        1 x 1
    conv6  512  1,2                       1 x 1
    both: Linear 512 -> 512, batch norm, ReLU, Linear 512 -> 1024
"""

import torch
from torch import Tensor, nn

from avsv.systems.synchrony.audio_features import N_MFCC
from avsv.systems.synchrony.mouths import HEIGHT, WIDTH
from avsv.systems.synchrony.network import SynchronyNetwork

HOP = 4  # MFCC frames per video frame


def conv(n_in: int, n_out: int, kernel: int | tuple, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, kernel, stride, padding), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]


class SyncNet(SynchronyNetwork):
    """Embeds cubes of 0.2 s; consecutive pairs are one video frame (0.04 s) apart.

    Examples
    --------
    >>> net = SyncNet(size=32, width=0.125).eval()
    >>> net.embed_mouths(torch.zeros(2, 7, 60, 100)).shape, net.embed_audio(torch.zeros(2, 29, 13)).shape
    (torch.Size([2, 3, 32]), torch.Size([2, 3, 32]))
    """

    fps, mouth_frames = 25, 5
    audio_features, audio_rate, audio_frames = "mfcc", 100, 20
    mouth_stride, audio_stride = 1, 1
    audio_step = 0.04
    seconds = 0.2

    def __init__(self, size: int = 1024, width: float = 1.0):
        super().__init__()
        c64, c96, c192, c256, c384, c512 = (max(1, round(width * n)) for n in (64, 96, 192, 256, 384, 512))
        layers = [*conv(self.mouth_frames, c96, 7, 2), nn.MaxPool2d(3, 2),
                  *conv(c96, c256, 5, 2, 1), nn.MaxPool2d(3, 2, 1),
                  *conv(c256, c256, 3, 1, 1), *conv(c256, c256, 3, 1, 1), *conv(c256, c256, 3, 1, 1),
                  nn.MaxPool2d(3, 2)]  # fmt: skip
        with torch.no_grad():
            left = nn.Sequential(*layers).eval()(torch.zeros(1, self.mouth_frames, HEIGHT, WIDTH)).shape[2:]
        self.mouth_net = nn.Sequential(*layers, *conv(c256, c512, tuple(left)))
        self.sound_net = nn.Sequential(
            *conv(1, c64, 3, 1, 1), *conv(c64, c192, 3, 1, 1), nn.MaxPool2d(3, (1, 2)),
            *conv(c192, c384, 3, 1, 1), *conv(c384, c256, 3, 1, 1), *conv(c256, c256, 3, 1, 1), nn.MaxPool2d(3, 2),
            *conv(c256, c512, (5, 4)),
        )  # fmt: skip
        self.mouth_out, self.sound_out = (
            nn.Sequential(nn.Linear(c512, c512), nn.BatchNorm1d(c512), nn.ReLU(inplace=True), nn.Linear(c512, size))
            for _ in range(2)
        )
        for net in (self.mouth_net, self.sound_net):
            net.to(memory_format=torch.channels_last)

    def embed_mouths(self, images: Tensor, stride: int = 1) -> Tensor:
        """(batch, t, 60, 100) -> (batch, (t - 5) // stride + 1, size).

        The 5 frames of a cube are the channels of the first convolution.
        """
        cubes = images.unfold(1, self.mouth_frames, stride).permute(0, 1, 4, 2, 3)
        out = self.mouth_net(cubes.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        return self.mouth_out(out.flatten(1)).unflatten(0, cubes.shape[:2])

    def embed_audio(self, features: Tensor, stride: int = 1) -> Tensor:
        """MFCC, (batch, t, 13) -> (batch, (t - 20) // (4 stride) + 1, size): cubes that start with a video frame."""
        cubes = features.unfold(1, self.audio_frames, HOP * stride)
        out = self.sound_net(cubes.reshape(-1, 1, N_MFCC, self.audio_frames))
        return self.sound_out(out.flatten(1)).unflatten(0, cubes.shape[:2])
