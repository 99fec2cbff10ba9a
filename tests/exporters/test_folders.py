"""Folders for SpeechBrain and InsightFace: their own loaders read them after a move, and embed as avsv does."""

import re
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from avsv.errors import InputError
from avsv.exporters import face, onnx_file
from avsv.exporters.face import export_face, export_insightface
from avsv.exporters.speechbrain import export_speechbrain
from avsv.features.face_pack import load_pack
from avsv.models.speechbrain_folder import load_encoder, portable_settings
from tests.models.small_encoder import write_encoder

ELSEWHERE = """pretrained_path: /somebody/else
{text}    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        classifier: !ref <pretrained_path>/classifier.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""


@pytest.fixture(autouse=True)
def few_inputs(monkeypatch):
    """Compares on 5 random inputs in place of 100, which takes seconds."""
    monkeypatch.setattr(onnx_file, "N_INPUTS", 5)
    monkeypatch.setattr(face, "N_INPUTS", 5)


@pytest.fixture
def encoder(tmp_path):
    return write_encoder(tmp_path / "encoder")


def speechbrain(folder):
    from speechbrain.inference.speaker import EncoderClassifier

    return EncoderClassifier.from_hparams(source=str(folder), savedir=str(folder))


def test_speechbrain_loads_a_moved_export_of_a_folder_that_named_another_place(encoder, tmp_path):
    settings = encoder / "hyperparams.yaml"
    settings.write_text(ELSEWHERE.format(text=settings.read_text()))  # as published folders are, and earlier trainings
    (encoder / "label_encoder.ckpt").rename(encoder / "label_encoder.txt")
    done = export_speechbrain(str(encoder), tmp_path / "out", "Apache-2.0")
    assert done.difference <= done.bound
    waveform = torch.randn(1, 16000)
    expected = load_encoder(str(encoder), "cpu").encode_batch(waveform)
    shutil.rmtree(encoder)
    moved = shutil.move(tmp_path / "out", tmp_path / "moved")
    assert torch.equal(speechbrain(moved).encode_batch(waveform), expected)
    assert "license: Apache-2.0" in (moved / "README.md").read_text()
    assert "else" not in (moved / "hyperparams.yaml").read_text()


def test_portable_settings_keep_a_path_that_other_keys_use(encoder):
    settings = encoder / "hyperparams.yaml"
    settings.write_text("pretrained_path: a/b\nother: !ref <pretrained_path>\n" + settings.read_text())
    assert "pretrained_path: a/b\n" in portable_settings(encoder)[0]


def test_a_folder_without_its_classifier_is_refused(encoder, tmp_path):
    (encoder / "classifier.ckpt").unlink()
    with pytest.raises(InputError, match=r"classifier\.ckpt"):
        export_speechbrain(str(encoder), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_metadata_of_a_face_network_are_enough_to_run_it(pack, tmp_path):
    done = export_face(str(pack), tmp_path / "face.onnx", "MIT")
    found = {entry.key: entry.value for entry in onnx.load(str(done.path)).metadata_props}
    assert found["avsv.channels"] == "RGB" and found["license"] == "MIT" and found["avsv.size"] == "16"
    faces = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), np.uint8)  # BGR, as OpenCV reads them
    inputs = (faces[..., ::-1].transpose(0, 3, 1, 2) - float(found["avsv.mean"])) / float(found["avsv.std"])
    session = onnxruntime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
    ours = session.run(None, {session.get_inputs()[0].name: inputs.astype(np.float32)})[0]
    expected = load_pack(pack, tasks=("recognition",)).recognition.get_feat(list(faces))
    assert np.abs(ours - expected).max() <= 1e-5 * np.linalg.norm(expected, axis=1).min()


@pytest.mark.parametrize("made", ["trained", "exported"])
def test_insightface_loads_a_face_folder_after_a_move(pack, tmp_path, made):
    from insightface.app import FaceAnalysis

    folder = tmp_path / "models" / "mine"
    if made == "exported":
        assert export_insightface(str(pack), folder).difference < 1e-5
    else:
        shutil.copytree(pack, folder)
    app = FaceAnalysis(name="mine", root=str(tmp_path), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1, det_size=(160, 160))
    image = np.zeros((160, 160, 3), np.uint8)
    image[32:96, 32:96] = 255
    faces = app.get(image)
    assert faces and all(face.embedding.shape == (16,) for face in faces)


def test_a_pack_without_a_detector_is_no_pack_for_insightface(pack, tmp_path):
    shutil.copy(pack / "recognition.onnx", tmp_path / "recognition.onnx")
    with pytest.raises(InputError, match="detection"):
        export_insightface(str(tmp_path), tmp_path / "out")


def test_a_network_with_weights_in_other_files_is_refused(pack, tmp_path):
    shutil.copytree(pack, tmp_path / "pack")
    model = onnx.load(str(pack / "recognition.onnx"))
    path = tmp_path / "pack/recognition.onnx"
    onnx.save_model(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(InputError, match=re.escape(str(path))):
        export_face(str(tmp_path / "pack"), tmp_path / "face.onnx")
