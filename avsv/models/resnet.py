"""ResNet34 as a speaker encoder: an image network on filter banks, statistics pooling over time, one Linear.

The basic block is that of He et al., CVPR 2016. Channels, strides and pooling follow
voxceleb_trainer and WeSpeaker: a stem that keeps the size, 32 channels that double at each stage, no max pooling.
For 80 mel bands and t frames:

    layer     channels  kernel, stride   blocks  output (bands x frames)   parameters
    stem            32  3 x 3, 1              -  80 x t                           352
    stage 1         32  3 x 3, 1              3  80 x t                        55,680
    stage 2         64  3 x 3, 2              4  40 x t/2                     279,680
    stage 3        128  3 x 3, 2              6  20 x t/4                   1,707,264
    stage 4        256  3 x 3, 2              3  10 x t/8                   3,280,384
    pooling       5120  mean and deviation       1
    Linear         256                           1                         1,310,976
                                                                            6,634,336
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from avsv.models.front_ends import FBANK_80, FrontEnd
from avsv.models.limits import Check, natural, numbers_of_blocks

BLOCKS = (3, 4, 6, 3)  # of ResNet34


class BasicBlock(nn.Module):
    """conv-BN-ReLU-conv-BN plus the input (through a 1 x 1 convolution where the shape changes), ReLU."""

    def __init__(self, n_in: int, n_out: int, stride: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def make_stages(n_in: int, channels: Sequence[int], blocks: Sequence[int]) -> list[nn.Sequential]:
    """One Sequential of basic blocks per stage; every stage except the first halves both sides of the map."""
    stages = []
    for stage, (n_blocks, n_out) in enumerate(zip(blocks, channels, strict=True)):
        strides = [1 if stage == 0 else 2] + [1] * (n_blocks - 1)
        stages.append(nn.Sequential(*(BasicBlock(n_in if i == 0 else n_out, n_out, s) for i, s in enumerate(strides))))
        n_in = n_out
    return stages


def frame_weights(rows: Tensor, lengths: Tensor | None) -> Tensor:
    """Weights of the frames in a mean over time: equal without padding, 0 in padding; their sum is 1.

    Parameters
    ----------
    rows : (batch, n, t)
    lengths : (batch,) fraction of t without padding; None if nothing is padded

    Returns
    -------
    (batch or 1, 1, t)

    Examples
    --------
    >>> frame_weights(torch.zeros(1, 5, 4), torch.tensor([0.5])).tolist()
    [[[0.5, 0.5, 0.0, 0.0]]]
    """
    t = rows.shape[2]
    if lengths is None:
        return torch.ones(1, 1, t, device=rows.device) / t
    n_frames = (lengths * t).round().clamp(min=1)
    weights = (torch.arange(t, device=rows.device) < n_frames[:, None]).float().unsqueeze(1)
    return weights / weights.sum(2, keepdim=True)


def pool_statistics(maps: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Mean and standard deviation over the last axis; channels and rows keep their places.

    Parameters
    ----------
    maps : (batch, channels, rows, t)
    lengths : (batch,) fraction of t without padding; None if nothing is padded

    Returns
    -------
    (batch, 2 channels rows)

    Examples
    --------
    >>> pool_statistics(torch.tensor([[[[1.0, 3.0, 9.0]]]]), torch.tensor([2 / 3])).tolist()
    [[2.0, 1.0]]
    """
    rows = maps.flatten(1, 2).float()
    weights = frame_weights(rows, lengths)
    mean = (rows * weights).sum(2)
    variance = ((rows - mean[:, :, None]).square() * weights).sum(2)
    # the square root has an infinite slope at 0, and ReLU produces rows of zeros
    deviation = torch.where(variance > 1e-8, variance.clamp(min=1e-8).sqrt(), 0.0)
    return torch.cat([mean, deviation], 1)


class SpeakerResNet(nn.Module):
    """Filter banks -> speaker embedding, called as SpeechBrain calls its ECAPA-TDNN.

    Parameters
    ----------
    input_size : mel bands
    channels : channels of the first stage; they double at each further stage
    blocks : number of blocks per stage
    lin_neurons : size of the embedding

    Examples
    --------
    >>> net = SpeakerResNet(80, 8, (1, 1), 16).eval()
    >>> net(torch.zeros(2, 100, 80), torch.tensor([1.0, 0.9])).shape
    torch.Size([2, 1, 16])
    """

    network = "avsv.models.resnet.SpeakerResNet"
    front_end: ClassVar[FrontEnd] = FBANK_80
    limits: ClassVar[Mapping[str, Check]] = {
        "input_size": natural, "channels": natural, "blocks": numbers_of_blocks, "lin_neurons": natural}  # fmt: skip

    @staticmethod
    def arguments(options: Any) -> dict[str, Any]:
        """Arguments of this class for a training's `SpeakerEncoderOptions`."""
        return {"input_size": 80, "channels": options.channels, "blocks": list(options.blocks),
                "lin_neurons": options.embedding_size}  # fmt: skip

    def __init__(self, input_size: int = 80, channels: int = 32, blocks: Sequence[int] = BLOCKS,
                 lin_neurons: int = 256):  # fmt: skip
        super().__init__()
        widths = [channels * 2**stage for stage in range(len(blocks))]
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )
        self.stages = nn.Sequential(*make_stages(channels, widths, blocks))
        rows = -(-input_size // 2 ** (len(blocks) - 1))
        self.embedding = nn.Linear(2 * widths[-1] * rows, lin_neurons)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, t, mel bands), (batch,) relative lengths -> (batch, 1, size)."""
        maps = self.stages(self.stem(features.transpose(1, 2).unsqueeze(1)))
        return self.embedding(pool_statistics(maps, lengths)).unsqueeze(1)
