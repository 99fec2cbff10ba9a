"""What a face network expects: read from YAML or metadata, known by the name, otherwise asked for."""

import onnx
import pytest

from avsv.errors import InputError
from avsv.features.face_inputs import FaceInput, face_input, takes_arcface_input
from avsv.features.face_pack import load_pack
from tests.face_networks import write_graph

YAML = "task: recognition\nchannels: bgr\nmean: [104, 117, 123]\nstd: 2\n"


def read(path):
    return face_input(path, onnx.load(path))


@pytest.mark.parametrize("name", ["net.onnx", "face_recognition_sface_2021dec.onnx", "w600k_r50.onnx"])
def test_the_yaml_file_beside_a_network_comes_first(tmp_path, name):
    path = write_graph(tmp_path / name)
    path.with_suffix(".yaml").write_text(YAML)
    assert read(path) == FaceInput("recognition", "bgr", (104.0, 117.0, 123.0), (2.0, 2.0, 2.0))


def test_metadata_describe_a_network(tmp_path):
    path = write_graph(tmp_path / "net.onnx")
    model = onnx.load(path)
    texts = {"task": "quality", "channels": "rgb", "mean": "[1, 2, 3]", "std": "4", "output": "out"}
    onnx.helper.set_model_props(model, {f"avsv.face.{key}": text for key, text in texts.items()} | {"author": "a"})
    onnx.save(model, path)
    assert read(path) == FaceInput("quality", "rgb", (1.0, 2.0, 3.0), (4.0, 4.0, 4.0), "out")


@pytest.mark.parametrize(("name", "task", "channels", "grey"), [
    ("face_recognition_sface_2021dec", "recognition", "rgb", 127.5),
    ("edgeface_s_gamma_05", "recognition", "rgb", 0), ("AdaFace_ir101_webface12m", "recognition", "bgr", 0),
    ("ediffiqa_tiny_jun2024", "quality", "rgb", 0),
])  # fmt: skip
def test_published_files_are_known_by_name(tmp_path, name, task, channels, grey):
    """`grey` is what the middle grey of 127.5 becomes."""
    given = read(write_graph(tmp_path / f"{name}.onnx"))
    assert (given.task, given.channels) == (task, channels)
    assert {(127.5 - mean) / std for mean, std in zip(given.mean, given.std, strict=True)} == {grey}


@pytest.mark.parametrize(("name", "known"), [
    ("w600k_r50", True), ("w600k_mbf", True), ("glintr100", True), ("recognition", False), ("arcface", False),
])  # fmt: skip
def test_networks_of_insightface_are_known_by_name(tmp_path, name, known):
    path = write_graph(tmp_path / f"{name}.onnx")
    assert takes_arcface_input(path, onnx.load(path)) == known and read(path) is None


def test_networks_that_avsv_trained_are_known(pack):
    path = pack / "recognition.onnx"
    assert takes_arcface_input(path, onnx.load(path))


def test_networks_that_scale_their_pixels_are_known(real_data):
    path = real_data / "models" / "mobileface" / "mobilefacenet.onnx"
    assert takes_arcface_input(path, onnx.load(path))


def test_an_unknown_network_is_refused_with_what_to_write(tmp_path):
    path = write_graph(tmp_path / "p" / "net.onnx")
    with pytest.raises(InputError, match=r"net\.onnx.*net\.yaml.*channels.*mean.*std"):
        load_pack(path.parent, tasks=("recognition",))
    path.with_suffix(".yaml").write_text(YAML)
    assert load_pack(path.parent, tasks=("recognition",)).recognition.model_file == str(path)


def test_an_unknown_network_beside_a_known_one_is_named(tmp_path, caplog):
    write_graph(tmp_path / "p" / "net.onnx")
    path = write_graph(tmp_path / "p" / "w600k_r50.onnx")
    assert load_pack(path.parent, tasks=("recognition",)).recognition.model_file == str(path)
    assert any("net.onnx" in message and "net.yaml" in message for message in caplog.messages)


@pytest.mark.parametrize(("old", "new", "named"), [
    ("std: 2\n", "", "std"), ("std: 2", "std: 0", "std"), ("std: 2", "std: -1", "std"), ("std: 2", "std: two", "std"),
    ("[104, 117, 123]", "[104, 117]", "mean"), ("[104, 117, 123]", ".nan", "mean"), ("bgr", "rbg", "channels"),
    ("recognition", "detection", "task"), ("channels", "chanels", "chanels|channels"), ("task:", "- task:", ""),
    ("std: 2", "std: 2\nstd: 3", "std"), (YAML, "", ""), ("bgr", "!!python/object:os.system x", ""),
])  # fmt: skip
def test_a_malformed_description_is_named(tmp_path, old, new, named):
    path = write_graph(tmp_path / "net.onnx")
    path.with_suffix(".yaml").write_text(YAML.replace(old, new))
    with pytest.raises(InputError, match=rf"net\.yaml.*({named})"):
        read(path)


def test_malformed_metadata_are_named(tmp_path):
    path = write_graph(tmp_path / "net.onnx")
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"avsv.face.channels": "rgb", "avsv.face.mean": "[1"})
    onnx.save(model, path)
    with pytest.raises(InputError, match=r"net\.onnx"):
        read(path)
