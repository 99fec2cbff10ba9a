"""IR-ResNet: the face network of ArcFace (Deng et al., CVPR 2019).

Layers as in the authors' PyTorch code (insightface/recognition/arcface_torch/backbones/iresnet.py): the stem keeps
the image size, a block is BN-conv-BN-PReLU-conv-BN plus its input, and a fully connected layer on the whole last map,
not a mean over it, gives the embedding.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from avsv.errors import InputError

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}
CHANNELS = (64, 128, 256, 512)
SIDE = 112  # pixels, input image


def conv3x3(n_in: int, n_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)


class IRBlock(nn.Module):
    """BN-conv-BN-PReLU-conv-BN, plus the input (through a 1 x 1 convolution where the shape changes)."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(n_in),
            conv3x3(n_in, n_out),
            nn.BatchNorm2d(n_out),
            nn.PReLU(n_out),
            conv3x3(n_out, n_out, stride),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class IResNet(nn.Module):
    """Aligned faces -> embeddings.

    Parameters
    ----------
    blocks : number of blocks per stage
    channels : channels per stage; the stem has as many as the first
    embedding_size : size of the output
    stem_stride : 1 as published; 2: a quarter of the computation, for a laptop
    dropout : before the fully connected layer

    Examples
    --------
    >>> net = IResNet((1, 1, 1, 1), (8, 8, 16, 16), embedding_size=32, stem_stride=2).eval()
    >>> import torch
    >>> net(torch.zeros(2, 3, 112, 112)).shape
    torch.Size([2, 32])
    """

    def __init__(self, blocks: Sequence[int] = BLOCKS[50], channels: Sequence[int] = CHANNELS,
                 embedding_size: int = 512, stem_stride: int = 1, dropout: float = 0.0):  # fmt: skip
        super().__init__()
        self.stem = nn.Sequential(
            conv3x3(3, channels[0], stem_stride), nn.BatchNorm2d(channels[0]), nn.PReLU(channels[0])
        )
        stages: list[nn.Module] = []
        n_in, side = channels[0], -(-SIDE // stem_stride)
        for n_blocks, n_out in zip(blocks, channels, strict=True):
            for index in range(n_blocks):
                stages.append(IRBlock(n_in, n_out, stride=2 if index == 0 else 1))
                n_in = n_out
            side = -(-side // 2)
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            nn.BatchNorm2d(n_in), nn.Dropout(dropout), nn.Flatten(), nn.Linear(n_in * side * side, embedding_size)
        )
        self.norm = nn.BatchNorm1d(embedding_size)
        self.norm.weight.requires_grad_(False)  # stays 1: a learned scale would weight the dimensions differently
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.1)  # as the authors do; batch norm makes the scale irrelevant

    @classmethod
    def from_options(cls, options: Any) -> "IResNet":
        """The network for a training's `FaceEncoderOptions`; InputError if blocks and channels differ in length."""
        if not len(options.blocks) == len(options.channels) > 0:
            raise InputError(f"blocks={list(options.blocks)} channels={list(options.channels)}: expected one of each "
                             "per stage")  # fmt: skip
        return cls(options.blocks, options.channels, options.embedding_size, options.stem_stride, options.dropout)

    def requires_grad_(self, requires_grad: bool = True) -> "IResNet":
        super().requires_grad_(requires_grad)
        self.norm.weight.requires_grad_(False)  # stays 1
        return self

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 3, 112, 112) float, RGB, (x - 127.5) / 127.5 -> (batch, embedding_size), not normalised."""
        return self.norm(self.head(self.stages(self.stem(images))))


def iresnet(depth: int, **options) -> IResNet:
    """IResNet18, 34, 50 or 100 as published; `options` as in `IResNet`."""
    return IResNet(BLOCKS[depth], **options)
