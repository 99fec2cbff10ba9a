"""Inception-ResNet-V1 (Szegedy et al., AAAI 2017, figures 10 to 15) in the common FaceNet form: images -> 512-d.

Convolutions have no bias and are followed by BN and ReLU. Only the last convolution of a residual block has a bias, and
its output is scaled before the addition (0.17, 0.10, 0.20). Spatial mean, Dropout, Linear and BN give the vector. For
256 x 256 pixels:

    layer            output           parameters
    stem             256 x 29 x 29       615,552
    5 x block A      256 x 29 x 29       387,200
    reduction A      896 x 14 x 14     1,710,080
    10 x block B     896 x 14 x 14     6,900,480
    reduction B     1792 x 6 x 6       3,346,176
    5 x block C     1792 x 6 x 6       8,003,840
    block C         1792 x 6 x 6       1,600,768     last block, not scaled, no ReLU
    mean, Linear     512                 917,504
    BN               512                   1,024
                                      23,482,624
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avsv.models.ranges import within


@dataclass
class TrunkOptions:
    """Size of an Inception-ResNet-V1."""

    side: int = within(256, 75, 4096)  # height and width of the images in pixels
    width: float = within(1.0, above=0, high=16)  # factor of all channel counts
    blocks: tuple[int, ...] = within((5, 10, 5), 1, 200)  # numbers of blocks A, B and C
    trunk_size: int = within(512, 1, 16384)  # dimension of the output
    trunk_dropout: float = within(0.2, 0, below=1)  # on the pooled features


class Conv(nn.Sequential):
    """Convolution without bias, BN, ReLU."""

    def __init__(self, n_in: int, n_out: int, kernel, stride: int = 1, padding=0):
        super().__init__(nn.Conv2d(n_in, n_out, kernel, stride, padding, bias=False),
                         nn.BatchNorm2d(n_out, eps=1e-3), nn.ReLU(inplace=True))  # fmt: skip


class Residual(nn.Module):
    """x + scale * conv1x1([branches of x]), ReLU."""

    def __init__(self, n: int, branches: Sequence[nn.Module], n_joined: int, scale: float, relu: bool = True):
        super().__init__()
        self.branches, self.join = nn.ModuleList(branches), nn.Conv2d(n_joined, n, 1)
        self.scale, self.relu = scale, relu

    def forward(self, x: Tensor) -> Tensor:
        out = x + self.scale * self.join(torch.cat([branch(x) for branch in self.branches], 1))
        return torch.relu(out) if self.relu else out


class Reduction(nn.Module):
    """Parallel branches that halve height and width, and a max pooling."""

    def __init__(self, branches: Sequence[nn.Module]):
        super().__init__()
        self.branches = nn.ModuleList([*branches, nn.MaxPool2d(3, 2)])

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def block_a(c) -> Residual:
    """35 x 35 block: branches 1x1; 1x1-3x3; 1x1-3x3-3x3, 32 channels each."""
    n, b = c(256), c(32)
    return Residual(n, [Conv(n, b, 1), nn.Sequential(Conv(n, b, 1), Conv(b, b, 3, padding=1)),
                        nn.Sequential(Conv(n, b, 1), Conv(b, b, 3, padding=1), Conv(b, b, 3, padding=1))],
                    3 * b, 0.17)  # fmt: skip


def block_b(c) -> Residual:
    """17 x 17 block: branches 1x1; 1x1-1x7-7x1, 128 channels each."""
    n, b = c(256) + c(384) + c(256), c(128)
    long = nn.Sequential(Conv(n, b, 1), Conv(b, b, (1, 7), padding=(0, 3)), Conv(b, b, (7, 1), padding=(3, 0)))
    return Residual(n, [Conv(n, b, 1), long], 2 * b, 0.10)


def block_c(c, scale: float = 0.20, relu: bool = True) -> Residual:
    """8 x 8 block: branches 1x1; 1x1-1x3-3x1, 192 channels each."""
    n, b = n_out(c), c(192)
    long = nn.Sequential(Conv(n, b, 1), Conv(b, b, (1, 3), padding=(0, 1)), Conv(b, b, (3, 1), padding=(1, 0)))
    return Residual(n, [Conv(n, b, 1), long], 2 * b, scale, relu)


def n_out(c) -> int:
    return c(256) + c(384) + c(256) + c(384) + c(256) + c(256)


class InceptionResNetV1(nn.Module):
    """Image encoder.

    Parameters
    ----------
    options : see TrunkOptions; images have at least 75 x 75 pixels

    Examples
    --------
    >>> net = InceptionResNetV1(TrunkOptions(side=80, width=0.125, blocks=(1, 1, 1), trunk_size=64)).eval()
    >>> net(torch.zeros(2, 3, 80, 80)).shape
    torch.Size([2, 64])
    """

    def __init__(self, options: TrunkOptions):
        super().__init__()
        n_a, n_b, n_c = options.blocks

        def c(channels: int) -> int:
            return max(8, round(channels * options.width / 8) * 8)  # multiples of 8 suit processors

        mixed = c(256) + c(384) + c(256)
        self.stem = nn.Sequential(
            Conv(3, c(32), 3, 2), Conv(c(32), c(32), 3), Conv(c(32), c(64), 3, padding=1), nn.MaxPool2d(3, 2),
            Conv(c(64), c(80), 1), Conv(c(80), c(192), 3), Conv(c(192), c(256), 3, 2),
        )  # fmt: skip
        self.blocks_a = nn.Sequential(*(block_a(c) for _ in range(n_a)))
        self.reduction_a = Reduction([
            Conv(c(256), c(384), 3, 2),
            nn.Sequential(Conv(c(256), c(192), 1), Conv(c(192), c(192), 3, padding=1), Conv(c(192), c(256), 3, 2)),
        ])  # fmt: skip
        self.blocks_b = nn.Sequential(*(block_b(c) for _ in range(n_b)))
        self.reduction_b = Reduction([
            nn.Sequential(Conv(mixed, c(256), 1), Conv(c(256), c(384), 3, 2)),
            nn.Sequential(Conv(mixed, c(256), 1), Conv(c(256), c(256), 3, 2)),
            nn.Sequential(Conv(mixed, c(256), 1), Conv(c(256), c(256), 3, padding=1), Conv(c(256), c(256), 3, 2)),
        ])  # fmt: skip
        self.blocks_c = nn.Sequential(*(block_c(c) for _ in range(n_c)))
        self.last = block_c(c, scale=1.0, relu=False)
        self.dropout = nn.Dropout(options.trunk_dropout)
        self.linear = nn.Linear(n_out(c), options.trunk_size, bias=False)
        self.norm = nn.BatchNorm1d(options.trunk_size, eps=1e-3)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 3, side, side) -> (batch, trunk size)."""
        maps = self.reduction_a(self.blocks_a(self.stem(images)))
        maps = self.last(self.blocks_c(self.reduction_b(self.blocks_b(maps))))
        return self.norm(self.linear(self.dropout(maps.mean((2, 3)))))
