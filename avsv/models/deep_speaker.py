"""Deep Speaker (Li et al., 2017): a residual CNN, or convolution and GRU, on 64 filter banks; mean over time, affine.

cReLU is min(max(x, 0), 20). Sizes for 160 frames, with the published 64 channels.

ResCNN:

    layer    channels  kernel, stride            output (frames x bands)   parameters
    conv1          64  5 x 5, 2                  80 x 32                        1,728
    blocks1        64  3 x 3, 1, three blocks    80 x 32                      221,952
    conv2         128  5 x 5, 2                  40 x 16                      205,056
    blocks2       128  3 x 3, 1, three blocks    40 x 16                      886,272
    conv3         256  5 x 5, 2                  20 x 8                       819,712
    blocks3       256  3 x 3, 1, three blocks    20 x 8                     3,542,016
    conv4         512  5 x 5, 2                  10 x 4                     3,277,824
    blocks4       512  3 x 3, 1, three blocks    10 x 4                    14,161,920
    mean         2048  over time                 1
    affine        512                            1                          1,049,088

GRU: conv1, then three GRUs of 1024 units over 80 frames of 64 x 32 values, mean over time, affine of 512.

The block is conv, BN, cReLU, conv, BN, plus the input, cReLU. Batch norm after the GRU variant's convolution is our
choice. The paper scales embeddings to length 1; cosine scores and losses do that.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from avsv.models.front_ends import FBANK_64_BY_FRAME, FrontEnd
from avsv.models.limits import Check, few, natural, number
from avsv.models.resnet import frame_weights

N_BANDS, N_STAGES, N_BLOCKS = 64, 4, 3


class ClippedReLU(nn.Hardtanh):
    """min(max(x, 0), 20)."""

    def __init__(self):
        super().__init__(0.0, 20.0)


def conv_block(n_in: int, n_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution without bias, which batch norm makes superfluous, and batch norm."""
    return [nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(n_out)]


class ClippedBlock(nn.Module):
    """conv-BN-cReLU-conv-BN plus the input, cReLU."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(*conv_block(channels, channels, 3), ClippedReLU(), *conv_block(channels, channels, 3))
        self.activation = ClippedReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + x)


def pool_and_project(frames: Tensor, lengths: Tensor | None, dropout: nn.Module, affine: nn.Module) -> Tensor:
    """(batch, t, n) -> mean over time, dropout and affine: (batch, 1, size)."""
    maps = frames.transpose(1, 2)
    return affine(dropout((maps * frame_weights(maps, lengths)).sum(2))).unsqueeze(1)


class DeepSpeakerResCnn(nn.Module):
    """Filter banks -> speaker embedding, called as SpeechBrain calls its ECAPA-TDNN.

    Parameters
    ----------
    channels : of the first stage; they double at each of the three others
    lin_neurons : size of the embedding
    dropout : before the affine layer, in softmax training (0.5 in a public implementation)

    Examples
    --------
    >>> import torch
    >>> net = DeepSpeakerResCnn(4, 16).eval()
    >>> net(torch.zeros(2, 100, 64), torch.tensor([1.0, 0.9])).shape
    torch.Size([2, 1, 16])
    """

    network = "avsv.models.deep_speaker.DeepSpeakerResCnn"
    front_end: ClassVar[FrontEnd] = FBANK_64_BY_FRAME
    limits: ClassVar[Mapping[str, Check]] = {"channels": natural, "lin_neurons": natural, "dropout": number}

    @staticmethod
    def arguments(options: Any) -> dict[str, Any]:
        """Arguments of this class for a training's `SpeakerEncoderOptions`."""
        return {"channels": options.channels, "lin_neurons": options.embedding_size, "dropout": options.dropout}

    def __init__(self, channels: int = 64, lin_neurons: int = 512, dropout: float = 0.0):
        super().__init__()
        widths = [channels * 2**stage for stage in range(N_STAGES)]
        self.stages = nn.Sequential()
        for n_in, n_out in zip([1, *widths], widths, strict=False):
            blocks = (ClippedBlock(n_out) for _ in range(N_BLOCKS))
            self.stages.append(nn.Sequential(*conv_block(n_in, n_out, 5, 2), ClippedReLU(), *blocks))
        self.dropout = nn.Dropout(dropout)
        self.affine = nn.Linear(widths[-1] * N_BANDS // 2**N_STAGES, lin_neurons)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, t, 64), (batch,) relative lengths -> (batch, 1, size)."""
        maps = self.stages(features.unsqueeze(1))
        return pool_and_project(maps.transpose(1, 2).flatten(2), lengths, self.dropout, self.affine)


class DeepSpeakerGru(nn.Module):
    """Filter banks -> speaker embedding by one convolution and GRUs.

    Parameters
    ----------
    channels : of the convolution
    units, layers : of the GRUs
    lin_neurons : size of the embedding
    dropout : before the affine layer, in softmax training

    Examples
    --------
    >>> import torch
    >>> DeepSpeakerGru(2, 8, 1, 16).eval()(torch.zeros(2, 100, 64)).shape
    torch.Size([2, 1, 16])
    """

    network = "avsv.models.deep_speaker.DeepSpeakerGru"
    front_end: ClassVar[FrontEnd] = FBANK_64_BY_FRAME
    limits: ClassVar[Mapping[str, Check]] = {
        "channels": natural, "units": natural, "layers": few, "lin_neurons": natural, "dropout": number}  # fmt: skip

    @staticmethod
    def arguments(options: Any) -> dict[str, Any]:
        """Arguments of this class for a training's `SpeakerEncoderOptions`."""
        return {"channels": options.channels, "units": options.gru_units, "layers": 3,
                "lin_neurons": options.embedding_size, "dropout": options.dropout}  # fmt: skip

    def __init__(self, channels: int = 64, units: int = 1024, layers: int = 3, lin_neurons: int = 512,
                 dropout: float = 0.0):  # fmt: skip
        super().__init__()
        self.conv = nn.Sequential(*conv_block(1, channels, 5, 2), ClippedReLU())
        self.gru = nn.GRU(channels * N_BANDS // 2, units, layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.affine = nn.Linear(units, lin_neurons)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, t, 64), (batch,) relative lengths -> (batch, 1, size)."""
        frames = self.gru(self.conv(features.unsqueeze(1)).transpose(1, 2).flatten(2))[0]
        return pool_and_project(frames, lengths, self.dropout, self.affine)
