"""ResNet34 with SimAM, an attention without parameters, in every block.

SimAM weighs each position of a map by how far it stands out from its channel (Yang et al., ICML 2021). It acts on the
output of a block's second batch normalisation, before the input is added, as in WeSpeaker's SimAM-ResNet34, which has
64 channels and pools by attentive statistics. The layers are otherwise those of avsv/models/resnet.py, with 32 channels
and statistics pooling.

    layer     channels  parameters
    stem            32         352
    stage 1         32      55,680
    stage 2         64     279,680
    stage 3        128   1,707,264
    stage 4        256   3,280,384
    Linear         256   1,310,976
                         6,634,336
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from avsv.models.resnet import BLOCKS, SpeakerResNet

REGULARIZER = 1e-4  # lambda of the paper


class SimAm(nn.Module):
    """x sigmoid(1/e) with 1/e = (x - m)^2 / (4 (v + lambda)) + 1/2: Yang et al., ICML 2021.

    m and v are the mean and the variance of the channel's map, e is the position's energy.

    Examples
    --------
    >>> import torch
    >>> SimAm()(torch.ones(1, 1, 2, 2)).unique()  # all alike: 1 sigmoid(1/2)
    tensor([0.6225])
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, rows, columns) -> the same shape."""
        squares = (x - x.mean((2, 3), keepdim=True)).square()
        variance = squares.sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3] - 1)
        return x * (squares / (4 * (variance + REGULARIZER)) + 0.5).sigmoid()


class SimAmResNet(SpeakerResNet):
    """ResNet34 whose blocks end in SimAM; arguments, calls, front end and limits are those of `SpeakerResNet`.

    Examples
    --------
    >>> import torch
    >>> net = SimAmResNet(80, 8, (1, 1), 16).eval()
    >>> net(torch.zeros(2, 100, 80), torch.tensor([1.0, 0.9])).shape
    torch.Size([2, 1, 16])
    """

    network: ClassVar[str] = "avsv.models.simam.SimAmResNet"

    def __init__(self, input_size: int = 80, channels: int = 32, blocks: Sequence[int] = BLOCKS,
                 lin_neurons: int = 256):  # fmt: skip
        super().__init__(input_size, channels, blocks, lin_neurons)
        for stage in self.stages:
            for block in stage:
                block.body.append(SimAm())
