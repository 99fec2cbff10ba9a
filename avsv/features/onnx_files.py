"""Checks on ONNX files of unknown origin, before a runtime opens them.

A runtime trusts the file: "external" weights may be any file of this machine, and a few bytes may request huge arrays
or an endless loop.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from avsv.errors import InputError
from avsv.importers.model_files import require_model_file

LARGEST_FILE = 1 << 31  # bytes; the limit of protobuf
LARGEST_ARRAY = 1 << 28  # numbers in one array of an encoder or a detector
LOOPS = ("Loop", "Scan", "SequenceMap")
KNOWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")  # of operators that onnxruntime has


def check_onnx(path: Path) -> Any:
    """Refuse a file that cannot be an encoder or a detector, before it is loaded.

    Returns
    -------
    onnx.ModelProto without its large weights

    Raises
    ------
    InputError : not ONNX, weights outside the folder, tensors larger than their data, huge arrays, nested functions,
        loops, or operators that need a library of their own
    """
    import onnx

    require_model_file(path)
    if path.stat().st_size >= LARGEST_FILE:
        raise InputError(f"{path}: exceeds 2 GiB, the limit for ONNX files")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # from protobuf
        raise InputError(f"{path}: cannot be loaded as an ONNX network: {type(error).__name__}. It is another kind of "
                        "file, or only part of one; if you downloaded it, download it again") from None  # fmt: skip
    if not model.graph.node:
        raise InputError(f"{path}: cannot be loaded as an ONNX network: it has no nodes; it is another kind "
                        "of file, or only part of one")  # fmt: skip
    for graph in graphs_of(model):
        for tensor in tensors_of(graph):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                refuse_elsewhere(path, tensor)
            else:
                refuse_larger_than_its_data(path, tensor)
        for node in graph.node:
            if node.op_type in LOOPS:
                raise InputError(f"{path}: has a {node.op_type} node; encoders have no loops, and this one might never "
                                "end")  # fmt: skip
    refuse_custom_operators(path, model)
    refuse_nested_functions(path, model)
    refuse_huge_arrays(path, model)
    return model


def refuse_custom_operators(path: Path, model) -> None:
    """Raise InputError if a node is neither one of onnxruntime's operators nor a function of the model."""
    functions = {(function.domain, function.name) for function in model.functions}
    for graph in graphs_of(model):
        for node in graph.node:
            if node.domain not in KNOWN_DOMAINS and (node.domain, node.op_type) not in functions:
                raise InputError(f"{path}: needs the custom operator {node.domain}.{node.op_type}, a library that avsv "
                                "does not load; export the network with standard operators")  # fmt: skip


def refuse_nested_functions(path: Path, model) -> None:
    """Raise InputError if a function calls a function: each level may double the nodes and hang any reader."""
    names = {(function.domain, function.name) for function in model.functions}
    for graph in graphs_of(model, whole=False):
        for node in graph.node:
            if (node.domain, node.op_type) in names:
                raise InputError(f"{path}: has a function that calls the function {node.op_type}; encoders need none, "
                                "and nested functions can grow without bound")  # fmt: skip


def graphs_of(model, whole: bool = True) -> Iterator:
    """Yield all graphs and functions of a model, including those inside nodes; only functions unless `whole`."""
    waiting = [*([model.graph] if whole else []), *model.functions]
    for graph in waiting:
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [attribute.g] if attribute.HasField("g") else []
                waiting += attribute.graphs


def tensors_of(graph) -> Iterator:
    """Yield all tensors stored in a graph."""
    yield from getattr(graph, "initializer", ())
    for sparse in getattr(graph, "sparse_initializer", ()):
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            for sparse in (*attribute.sparse_tensors, *([attribute.sparse_tensor] if attribute.HasField("sparse_tensor")
                                                        else [])):  # fmt: skip
                yield from (sparse.values, sparse.indices)


def refuse_elsewhere(path: Path, tensor) -> None:
    """Raise InputError unless a tensor's external data is an ordinary file in the same folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    file, folder = path.parent / location, path.parent.resolve()
    inside = location and not Path(location).is_absolute() and ".." not in Path(location).parts
    links = [p for p in (file, *file.parents) if p != path.parent and path.parent in p.parents and p.is_symlink()]
    if not inside or links or not file.resolve().is_relative_to(folder):
        raise InputError(f"{path}: takes the weights {tensor.name} from {location or 'nowhere'}, outside its folder; "
                        "copy the weights into the folder, without links")  # fmt: skip
    require_model_file(file)
    if not file.is_file():
        raise InputError(f"{file}: no such file; {path} takes weights from it")
    if file.stat().st_nlink > 1:
        raise InputError(f"{file}: is a hard link, and might be any file of this machine; copy it instead")
    try:
        end = int(entries.get("offset", 0)) + int(entries.get("length", 0))
    except ValueError:
        end = -1
    if not 0 <= end <= file.stat().st_size:
        raise InputError(f"{path}: the weights {tensor.name} lie beyond the end of {file}, which is damaged or "
                        "truncated")  # fmt: skip


def refuse_larger_than_its_data(path: Path, tensor) -> None:
    """Raise InputError if a tensor's dimensions do not match the amount of its data."""
    size = math.prod(tensor.dims) if all(d >= 0 for d in tensor.dims) else -1
    bits = {2: 8, 3: 8, 4: 16, 5: 16, 9: 8, 10: 16, 1: 32, 6: 32, 7: 64, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128,
            16: 16}.get(tensor.data_type, 8)  # fmt: skip
    if tensor.HasField("raw_data"):
        fits = size * bits == 8 * len(tensor.raw_data) or (tensor.data_type > 16 and size <= 4 * len(tensor.raw_data))
    else:
        held = max(len(values) for values in (tensor.float_data, tensor.int32_data, tensor.int64_data,
                                              tensor.double_data, tensor.uint64_data, tensor.string_data))  # fmt: skip
        fits = size <= max(held, 0) * (2 if tensor.data_type > 16 else 1) and size >= 0
    if not fits:
        raise InputError(f"{path}: the tensor {tensor.name} declares dimensions {list(tensor.dims)} that do not match "
                        "its data; the file is damaged")  # fmt: skip


def refuse_huge_arrays(path: Path, model) -> None:
    """Raise InputError if an intermediate array of known size would not fit into memory."""
    import onnx

    for graph in graphs_of(model):
        for tensor in tensors_of(graph):
            if len(tensor.raw_data) > 4096:  # shape inference does not need large weights
                tensor.ClearField("raw_data")
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception:  # it does not know some operator; leave the decision to the runtime
        return
    for value in (*inferred.value_info, *inferred.output, *inferred.input):
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim if d.HasField("dim_value")]
        if math.prod(max(d, 1) for d in dims) > LARGEST_ARRAY:
            raise InputError(f"{path}: the array {value.name} would have the size {dims}, too large for an "
                            "encoder")  # fmt: skip
