"""The face encoders: networks from aligned faces to an embedding, by their names in training configurations.

To add one, write a module with a class method `from_options` and add a line to `FACE_ENCODERS`. It takes RGB images
(batch, 3, 112, 112), (x - 127.5) / 127.5, and returns (batch, size), not normalised. If it needs another option, add a
field to `FaceEncoderOptions`.
"""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from avsv.models.iresnet import SIDE, IResNet
from avsv.models.onnx import export_onnx
from avsv.models.ranges import choice, within

FACE_ENCODERS: dict[str, type[nn.Module]] = {
    "iresnet": IResNet,
}


@dataclass
class FaceEncoderOptions:
    """The sizes of a face encoder in a training configuration."""

    encoder: str = choice("iresnet", *FACE_ENCODERS)
    blocks: tuple[int, ...] = within((3, 4, 14, 3), 1, 200)  # in each stage; IResNet50
    channels: tuple[int, ...] = within((64, 128, 256, 512), 1, 16384)
    embedding_size: int = within(512, 1, 16384)
    stem_stride: int = within(1, 1, 8)  # 2: a quarter of the work, for a laptop
    dropout: float = within(0.0, 0, below=1)


def make_face_encoder(options: FaceEncoderOptions) -> nn.Module:
    """A face encoder with random weights.

    Raises
    ------
    InputError : sizes that contradict each other

    Examples
    --------
    >>> small = FaceEncoderOptions(blocks=(1, 1), channels=(8, 16), embedding_size=32, stem_stride=2)
    >>> make_face_encoder(small).norm.num_features
    32
    """
    return FACE_ENCODERS[options.encoder].from_options(options)


def save_onnx(net: nn.Module, path: Path | str) -> None:
    """Export a face encoder to a file that InsightFace's model zoo loads as ArcFace.

    It does so for one output and a square input of 112 pixels. It feeds RGB, (x - 127.5) / 127.5, unless the first
    nodes of the graph are named Sub... and Mul...: the network therefore expects scaled images.
    """
    axes = {"input": {0: "batch"}, "embedding": {0: "batch"}}
    export_onnx(net, (1, 3, SIDE, SIDE), ["embedding"], axes, path)
