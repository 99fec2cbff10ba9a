"""Small face networks as ONNX files: the mean of each input channel, and a YuNet that detects white squares."""

import torch
from onnx import TensorProto, helper
from torch import nn

from avsv.features.faces import TEMPLATE
from avsv.models.onnx import export_onnx

STRIDES = (8, 16, 32)


class ChannelMeans(nn.Module):
    """Images -> the mean of each input channel in its order, which shows what a network is given."""

    def __init__(self, size=3):
        super().__init__()
        self.take = nn.Parameter(torch.eye(3)[:size])

    def forward(self, images):
        return images.mean((2, 3)) @ self.take.T


def write_means(path, size=3, side=112, batch="batch"):
    """Write ChannelMeans, or its first `size` values, with an input of `side` pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    axes = {"input": {0: batch}, "out": {0: batch}} if batch != 1 else {}
    export_onnx(ChannelMeans(size), (1, 3, side, side), ["out"], axes, path)
    return path


def write_graph(path, outputs=("out",), kind=TensorProto.FLOAT, inputs=("input",)):
    """Write a network whose outputs are all the mean of each channel of its first input."""
    nodes = [helper.make_node("ReduceMean", [inputs[0]], [name], axes=[2, 3], keepdims=0) for name in outputs]
    graph = helper.make_graph(nodes, "g",
                              [helper.make_tensor_value_info(name, kind, ["b", 3, 112, 112]) for name in inputs],
                              [helper.make_tensor_value_info(name, kind, ["b", 3]) for name in outputs])  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


class WhiteSquares(nn.Module):
    """YuNet's twelve outputs: a face of 96 pixels, with key points, around every white cell of 32 pixels."""

    def __init__(self):
        super().__init__()
        self.grey = nn.Parameter(torch.full((1, 3, 1, 1), 1 / 765))
        # centre and logarithm of the size, in cells, from the cell's upper left corner
        self.box = nn.Parameter(torch.tensor([0.5, 0.5, 1.0986123, 1.0986123]))
        self.points = nn.Parameter(((torch.from_numpy(TEMPLATE) - 56) * 80 / 112 / 32 + 0.5).ravel())

    def forward(self, image):
        outputs = []
        for what in ("cls", "obj", "bbox", "kps"):
            for stride in STRIDES:
                light = nn.functional.avg_pool2d((image * self.grey).sum(1, keepdim=True), stride)
                light = light.permute(0, 2, 3, 1).reshape(1, -1, 1)
                if what in ("cls", "obj"):
                    score = torch.sigmoid(40 * (light - 0.9))
                    outputs.append(score if stride == 32 else score * 0)
                else:
                    outputs.append(light * 0 + (self.box if what == "bbox" else self.points))
        return tuple(outputs)


def write_yunet(path):
    """Write a YuNet that detects white squares, with an input of any size."""
    names = [f"{what}_{stride}" for what in ("cls", "obj", "bbox", "kps") for stride in STRIDES]
    axes = {"input": {2: "height", 3: "width"}, **{name: {1: f"n_{name}"} for name in names}}
    path.parent.mkdir(parents=True, exist_ok=True)
    export_onnx(WhiteSquares(), (1, 3, 64, 64), names, axes, path)
    return path
