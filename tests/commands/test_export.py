"""avsv export."""

import numpy as np
import onnx
import onnxruntime
import pytest

from avsv.exporters import face, onnx_file
from avsv.jobs.records import read_record
from avsv.models.avn_e import FUSION, Fusion, FusionOptions
from avsv.models.checkpoint import save
from tests.models.small_encoder import write_encoder


@pytest.fixture(autouse=True)
def few_inputs(monkeypatch):
    """Compares on 5 random inputs in place of 100, which takes seconds."""
    monkeypatch.setattr(onnx_file, "N_INPUTS", 5)
    monkeypatch.setattr(face, "N_INPUTS", 5)


@pytest.fixture(scope="module")
def joint(pack, tmp_path_factory):
    """The folder of a jointly trained pair."""
    folder = tmp_path_factory.mktemp("models") / "avn_j"
    write_encoder(folder / "voice")
    (folder / "face").mkdir()
    for file in pack.iterdir():
        (folder / "face" / file.name).write_bytes(file.read_bytes())
    net = Fusion(6, 16, FusionOptions(fusion="gated", size=12))
    save(folder, FUSION, net, net.description)
    return folder


def test_a_joint_pair_becomes_three_files_with_a_record_and_is_not_exported_twice(avsv, joint, tmp_path):
    out = tmp_path / "out"
    status, output = avsv("export", joint, out, "--license", "MIT")
    assert status == 0 and output.count("differs from the original by at most") == 3, output
    assert {path.name for path in out.glob("*.onnx")} == {"voice.onnx", "face.onnx", "pair.onnx"}
    record = read_record(out)
    assert record.command == "export" and record.options["license"] == "MIT"
    names = {source.path.rpartition("/")[2] for source in record.inputs}
    assert {"fusion.safetensors", "embedding_model.ckpt", "recognition.onnx"} <= names
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.onnx")}
    assert "made already" in avsv("export", joint, out, "--license", "MIT")[1]
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("*.onnx")}
    sessions = {name: onnxruntime.InferenceSession(str(out / f"{name}.onnx")) for name in ("voice", "face", "pair")}
    voice = sessions["voice"].run(None, {"waveform": np.full((1, 8000), 0.01, np.float32)})[0]
    face = sessions["face"].run(None, {"input": np.zeros((1, 3, 112, 112), np.float32)})[0]
    fused = sessions["pair"].run(None, {"voice": voice, "face": face, "present": np.ones((1, 2), bool)})[0]
    assert fused.shape == (1, 12)


def test_another_licence_makes_the_file_again(avsv, joint, tmp_path):
    for licence in ("MIT", "CC0-1.0"):
        assert avsv("export", joint / "face", tmp_path / "face.onnx", "--license", licence)[0] == 0
        found = {entry.key: entry.value for entry in onnx.load(str(tmp_path / "face.onnx")).metadata_props}
        assert found["license"] == licence


@pytest.mark.parametrize("model, wanted, named", [
    ("avn_j/face", "speechbrain", "insightface"), ("avn_j/voice", "insightface", "speechbrain"),
    ("avn_j", "speechbrain", "avn_j/voice"), ("avn_j/voice", "sherpa-onnx", "Kaldi"), ("nothing", "onnx", "nothing"),
    ("avn_j/face/recognition.onnx", "onnx", "already"), ("encoder.py:MyEncoder", "onnx", "program"),
    ("absent.json", "onnx", "absent.json"),
])  # fmt: skip
def test_a_format_that_does_not_fit_is_one_message_that_names_the_model(avsv, joint, tmp_path, model, wanted, named):
    status, output = avsv("export", joint.parent / model, tmp_path / "out", "--format", wanted)
    assert status == 1 and "Traceback" not in output
    assert str(joint.parent / model) in output and named in output
    assert not (tmp_path / "out").exists()


def test_the_folder_of_the_model_and_folders_of_others_are_left_alone(avsv, joint, tmp_path):
    status, output = avsv("export", joint / "face", joint / "face", "--format", "insightface")
    assert status == 1 and str(joint / "face") in output
    (tmp_path / "README.md").write_text("mine")
    status, output = avsv("export", joint / "face", tmp_path, "--format", "insightface")
    assert status == 1 and (tmp_path / "README.md").read_text() == "mine"
    assert avsv("export", joint, tmp_path / "three.onnx")[0] == 1


@pytest.mark.parametrize("model, wanted", [("face", "onnx"), ("voice", "speechbrain")])
def test_an_input_that_the_format_does_not_have_is_refused(avsv, joint, tmp_path, model, wanted):
    status, output = avsv("export", joint / model, tmp_path / "out", "--format", wanted, "--input", "features")
    assert status == 1 and "features" in output and not (tmp_path / "out").exists()
