"""Small voice encoders in ONNX files, and a waveform for them."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SIZE = 5
SHAPES = {
    "wespeaker": ["B", "T", 80], "3d-speaker": ["B", "T", 80], "speechbrain": ["B", "T", 80],
    "redimnet2": [1, 1, 72, "T"], "nemo": ["B", 80, "T"], "waveform": ["B", "N"],
}  # fmt: skip
TIME = {"wespeaker": 1, "3d-speaker": 1, "speechbrain": 1, "redimnet2": 3, "nemo": 2, "waveform": 1}


def speechlike(n, seed=0):
    times = np.arange(n) / 16000
    waveform = np.random.default_rng(seed).normal(0, 0.05, n) * (1 + np.sin(2 * np.pi * 3 * times)) + 0.01
    return waveform.astype(np.float32)


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs, outputs, **attributes)


def write_network(path: Path, front_end="wespeaker", nodes=None, shape=None, outputs=("embedding",), size=SIZE,
                  metadata=None, weights=None, inputs=(), kind=TensorProto.FLOAT) -> Path:  # fmt: skip
    """Write a network: the mean square over time, times a matrix of random numbers, in the shape of a front end."""
    shape = shape or SHAPES[front_end]
    bands = next((axis for axis in reversed(shape) if isinstance(axis, int) and axis > 1), 1)
    matrix = np.random.default_rng(0).normal(0, 1, (bands, size)).astype(np.float32)
    nodes = nodes or [
        node("Mul", ["x", "x"], ["squares"]),
        node("ReduceMean", ["squares"], ["mean"], axes=[TIME[front_end]], keepdims=0),
        node("Reshape", ["mean", "row"], ["rows"]),
        node("MatMul", ["rows", "w"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, shape), *inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [weights or numpy_helper.from_array(matrix, "w"), numpy_helper.from_array(np.array([-1, bands]), "row")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    helper.set_model_props(model, metadata or {})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def write_settings(path: Path, text: str) -> Path:
    """Write the settings beside an ONNX file; returns that file."""
    path.with_suffix(".yaml").write_text(text)
    return path


def external(location: str, shape: tuple[int, ...]) -> TensorProto:
    """Weights in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", 0), ("length", 4 * int(np.prod(shape)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    return tensor
