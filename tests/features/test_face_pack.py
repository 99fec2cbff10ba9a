"""Face packs of unknown origin: nested, duplicated, incomplete, with external weights, or malicious."""

import os
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from avsv.errors import InputError
from avsv.features.face_pack import find_pack, load_pack
from avsv.features.onnx_files import check_onnx

SIZE = 8


def network(path, extra=(), weights=None, outputs=(("out", ["b", SIZE]),), side=112, nodes=None, inputs=("input",)):
    """A recognition network: the mean of the image added to some weights."""
    weights = weights if weights is not None else numpy_helper.from_array(np.arange(SIZE, dtype=np.float32), "w")
    nodes = nodes or [
        helper.make_node("ReduceMean", ["input"], ["m"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["m", "axis"], ["u"]),
        helper.make_node("Add", ["u", "w"], ["out"]),
    ]
    graph = helper.make_graph(
        [*extra, *nodes], "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 3, side, side]) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [weights, helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def external(location, length=4 * SIZE, offset=0):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[SIZE], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    return tensor


def load(path):
    return load_pack(path.parent, tasks=("recognition",)).recognition


def test_external_weights_in_the_same_folder_are_read(tmp_path):
    path = network(tmp_path / "p" / "w600k_r50.onnx", weights=external("w.bin"))
    (path.parent / "w.bin").write_bytes(np.arange(SIZE, dtype=np.float32).tobytes())
    inside = load(network(tmp_path / "q" / "w600k_r50.onnx"))
    image = [np.full((112, 112, 3), 200, np.uint8)]
    assert np.array_equal(load(path).get_feat(image), inside.get_feat(image))


@pytest.mark.parametrize("how", ["absolute", "above", "link", "linked folder", "hard link", "short", "fifo", "absent",
                                 "negative", "huge", "nowhere"])  # fmt: skip
def test_weights_outside_the_folder_are_refused(tmp_path, how):
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(4096))
    folder = tmp_path / "p"
    folder.mkdir()
    tensor = external({"absolute": str(secret), "above": "../secret", "linked folder": "s/secret", "nowhere": ""}.get(
        how, "w.bin"), length={"huge": 1 << 60, "negative": -4}.get(how, 4 * SIZE))  # fmt: skip
    {"link": lambda: os.symlink(secret, folder / "w.bin"), "linked folder": lambda: os.symlink(tmp_path, folder / "s"),
     "hard link": lambda: os.link(secret, folder / "w.bin"), "short": lambda: (folder / "w.bin").write_bytes(b"123"),
     "huge": lambda: (folder / "w.bin").write_bytes(bytes(99)), "fifo": lambda: os.mkfifo(folder / "w.bin"),
     "negative": lambda: (folder / "w.bin").write_bytes(bytes(99))}.get(how, lambda: None)()  # fmt: skip
    path = network(folder / "w600k_r50.onnx", weights=tensor)
    with pytest.raises(InputError, match=str(folder)):
        load(path)


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs, outputs, **attributes)


def constant(name, values):
    return node("Constant", [], [name], value=helper.make_tensor(name, TensorProto.INT64, [len(values)], values))


def loop():
    body = helper.make_graph([node("Identity", ["c"], ["c2"])], "b", [
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
    ], [helper.make_tensor_value_info("c2", TensorProto.BOOL, [])])  # fmt: skip
    return [node("Loop", ["", "yes"], [], body=body)]


@pytest.mark.parametrize("nodes", [
    [constant("s", [1 << 20, 1 << 20]), node("ConstantOfShape", ["s"], ["x"])],
    [constant("s", [1 << 40]), node("Expand", ["w", "s"], ["x"])],
    loop(),
    [node("Mystery", ["input"], ["x"], domain="some.where")],
    [node("NoSuchOperator", ["input"], ["x"])],
], ids=["fill", "expand", "loop", "custom", "unknown"])  # fmt: skip
def test_small_files_that_would_exhaust_the_machine_are_refused(tmp_path, nodes):
    path = network(tmp_path / "p" / "w600k_r50.onnx", nodes)
    with pytest.raises(InputError, match=str(path)):
        load(path)


def test_functions_that_call_functions_are_refused(tmp_path):
    path = tmp_path / "network.onnx"
    network(path)
    model = onnx.load(path)
    opset = helper.make_opsetid("", 13)
    for level in range(30):  # the first calls the second twice, and so on: 2^30 nodes
        inner = [node("Relu", ["x"], ["y"])] if level == 29 else [
            helper.make_node(f"f{level + 1}", ["x"], ["z"], domain="ours"),
            helper.make_node(f"f{level + 1}", ["z"], ["y"], domain="ours")]  # fmt: skip
        model.functions.append(helper.make_function("ours", f"f{level}", ["x"], ["y"], inner, [opset]))
    onnx.save(model, path)
    with pytest.raises(InputError, match=r"network\.onnx"):
        check_onnx(path)


@pytest.mark.parametrize("dims", [[1 << 40], [1 << 20, 1 << 20], [-1], [4], [SIZE, 2]])
def test_a_tensor_whose_dimensions_do_not_match_its_data_is_refused(tmp_path, dims):
    for raw in (True, False):
        weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims)
        if raw:
            weights.raw_data = bytes(4 * SIZE)
        elif dims == [4]:
            continue
        else:
            weights.float_data.extend([0.0] * SIZE)
        with pytest.raises(InputError, match="w600k_r50\\.onnx"):
            check_onnx(network(tmp_path / "p" / "w600k_r50.onnx", weights=weights))


@pytest.mark.parametrize("change", [
    {"outputs": [("out", ["b", SIZE]), ("m", ["b"])]},
    {"nodes": [node("ReduceMean", ["input"], ["out"], keepdims=0)], "outputs": [("out", [])]},
    {"nodes": [node("ReduceMean", ["input"], ["out"], axes=[0, 1, 2], keepdims=0)], "outputs": [("out", [112])]},
    {"nodes": [node("Sqrt", ["input"], ["s"]), node("ReduceMean", ["s"], ["out"], axes=[2, 3], keepdims=0)],
     "outputs": [("out", ["b", 3])]},  # of negative numbers: not a number
    {"nodes": [node("Identity", ["input"], ["out"])], "outputs": [("out", ["b", 3, 112, 112])]},
    {"side": 64}, {"side": "height"},
    {"inputs": ("input", "other")},
], ids=["two outputs", "one number", "no batch", "not finite", "an image", "other side", "any side",
        "two inputs"])  # fmt: skip
def test_networks_of_other_shapes_are_refused_on_loading(tmp_path, change):
    path = network(tmp_path / "p" / "w600k_r50.onnx", **change)
    with pytest.raises(InputError, match=str(path.parent)):
        load(path)


def test_a_nested_pack_is_found(pack, tmp_path, monkeypatch):
    """antelopev2.zip unpacks to antelopev2/antelopev2/*.onnx."""
    monkeypatch.setenv("HOME", str(tmp_path))
    inner = tmp_path / ".insightface" / "models" / "antelopev2" / "antelopev2"
    shutil.copytree(pack, inner)
    for name in ("antelopev2", inner.parent, inner, "~/.insightface/models/antelopev2"):
        assert find_pack(name) == inner
    assert load_pack("antelopev2").recognition.model_file == str(inner / "recognition.onnx")
    shutil.copytree(pack, inner.parent / "another")
    with pytest.raises(InputError, match=str(inner.parent)):
        find_pack("antelopev2")


def test_the_log_names_the_used_one_of_two_networks_of_a_kind(pack, tmp_path, caplog):
    folder = shutil.copytree(pack, tmp_path / "p")
    shutil.copyfile(folder / "recognition.onnx", folder / "w600k_r50.onnx")
    with caplog.at_level("WARNING", "avsv"):
        assert load_pack(folder).recognition.model_file == str(folder / "recognition.onnx")
    assert "recognition.onnx" in caplog.text and "w600k_r50.onnx" in caplog.text


@pytest.mark.parametrize("missing", ["recognition", "detector"])
def test_a_pack_without_a_network_is_refused(pack, tmp_path, missing):
    folder = shutil.copytree(pack, tmp_path / "p")
    (folder / f"{missing}.onnx").unlink()
    with pytest.raises(InputError, match=str(folder)):
        load_pack(folder)


@pytest.mark.parametrize("data", [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", b"<html>",
                                  b"\x08\x08", None])  # fmt: skip
def test_files_that_are_not_networks_are_refused_at_once(pack, tmp_path, data):
    folder = shutil.copytree(pack, tmp_path / "p")
    path = folder / "detector.onnx"
    path.unlink()
    path.write_bytes(data) if data is not None else os.mkfifo(path)
    with pytest.raises(InputError, match=str(path)):
        load_pack(folder)


def test_a_truncated_network_is_refused(pack, tmp_path):
    folder = shutil.copytree(pack, tmp_path / "p")
    data = (folder / "recognition.onnx").read_bytes()
    for n in (len(data) // 3, len(data) // 2, len(data) - 9):
        (folder / "recognition.onnx").write_bytes(data[:n])
        with pytest.raises(InputError, match=r"recognition\.onnx"):
            load_pack(folder)


def test_the_error_for_a_user_without_a_home_folder_names_the_variable(monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    with pytest.raises(InputError, match="HOME"):
        find_pack("buffalo_l")


def test_networks_exported_by_avsv_are_valid(pack):
    for path in sorted(pack.glob("*.onnx")):
        check_onnx(path)
        onnx.checker.check_model(str(path))
