"""What ONNX voice encoders expect: metadata, settings beside them, the registry; and files that are refused."""

import os

import numpy as np
import pytest
from onnx import TensorProto, helper

from avsv.embeddings.voice import load_voice_encoder
from avsv.errors import InputError
from avsv.features.voice_inputs import FRONT_ENDS
from avsv.kaldi.origin import onnx_voice, voice_model, voice_model_files
from avsv.models.onnx_settings import read_settings
from avsv.models.speechbrain_folder import load_encoder
from tests.models.onnx_encoders import SIZE, external, node, speechlike, write_network, write_settings

SHERPA = {"sample_rate": "16000", "output_dim": str(SIZE), "language": "English", "url": "https://example.org",
          "comment": ""}  # fmt: skip
WESPEAKER = {**SHERPA, "framework": "wespeaker", "normalize_samples": "0"}
THREE_D = {**SHERPA, "framework": "3d-speaker", "normalize_samples": "1", "feature_normalize_type": "global-mean"}
NEMO = {**SHERPA, "framework": "nemo", "feature_normalize_type": "per_feature", "window_size_ms": "25",
        "window_stride_ms": "10", "window_type": "hann", "feat_dim": "80"}  # fmt: skip
EXPORTED = {"avsv.kind": "voice encoder", "avsv.sample_rate": "16000", "avsv.size": str(SIZE), "license": "MIT"}
FEATURES = """{"type": "speechbrain fbank", "n_mels": 80, "n_fft": 400, "win_length": 400, "hop_length": 160,
"window": "hamming", "centred": true, "low_freq": 0, "high_freq": 8000.0, "filters": "triangular", "log": "dB",
"top_db": 80.0, "deltas": false, "context": false, "mean": "utterance", "deviation": "none"}"""


@pytest.mark.parametrize(("metadata", "name"), [
    (WESPEAKER, "wespeaker"), ({**WESPEAKER, "feature_normalize_type": "global-mean"}, "wespeaker"),
    (THREE_D, "3d-speaker"), (NEMO, "nemo"), ({**EXPORTED, "avsv.input": "waveform"}, "waveform"),
    ({**EXPORTED, "avsv.input": "features", "avsv.features": FEATURES}, "speechbrain"),
])  # fmt: skip
def test_metadata_say_the_front_end(tmp_path, metadata, name):
    encoder = load_voice_encoder(write_network(tmp_path / "net.onnx", name, metadata=metadata))
    assert encoder.settings.name == name and encoder.settings.size == encoder.size == SIZE
    assert encoder.front_end == FRONT_ENDS[name] or name in ("wespeaker", "3d-speaker")
    stated = load_voice_encoder(write_settings(write_network(tmp_path / "own.onnx", name), f"front_end: {name}"))
    assert (encoder([speechlike(20000)]) == stated([speechlike(20000)])).all()


@pytest.mark.parametrize(("metadata", "scale"), [
    ({**WESPEAKER, "normalize_samples": "1"}, 1), ({**THREE_D, "normalize_samples": "0"}, 32768),
    ({**SHERPA, "framework": "wespeaker", "normalize_features": "1"}, 1),
])  # fmt: skip
def test_the_scale_of_the_metadata_is_used(tmp_path, metadata, scale):
    encoder = load_voice_encoder(write_network(tmp_path / "net.onnx", metadata=metadata))
    faint = np.float32(1e-6) * speechlike(16000)  # below the floor of float32 unless it is scaled
    assert (np.ptp(encoder.front_end.compute(faint)) == 0) == (scale == 1)


@pytest.mark.parametrize(("metadata", "named"), [
    ({**WESPEAKER, "sample_rate": "8000"}, "8000"), ({**NEMO, "window_size_ms": "20"}, "window_size_ms"),
    ({**NEMO, "feat_dim": "64"}, "feat_dim"), ({**THREE_D, "feature_normalize_type": "per_feature"}, "per_feature"),
    ({**NEMO, "window_type": "hamming"}, "hamming"), ({**WESPEAKER, "output_dim": "256"}, "256"),
    ({**EXPORTED, "avsv.input": "features", "avsv.features": FEATURES.replace("80,", "40,")}, "n_mels"),
    ({**EXPORTED, "avsv.input": "features", "avsv.features": FEATURES.replace("none", "utterance")}, "deviation"),
    ({**EXPORTED, "avsv.input": "features", "avsv.features": '{"type": "KaldiFbank"}'}, "type: KaldiFbank"),
    ({**EXPORTED, "avsv.input": "features", "avsv.features": "[" * 9999}, "avsv.features"),
    ({**EXPORTED, "avsv.input": "features", "avsv.features": "[]"}, "avsv.features"),
    ({**EXPORTED, "avsv.sample_rate": "8000", "avsv.input": "waveform"}, "8000"),
])  # fmt: skip
def test_metadata_that_avsv_cannot_satisfy_are_named(tmp_path, metadata, named):
    front_end = "nemo" if metadata.get("framework") == "nemo" else "wespeaker"
    with pytest.raises(InputError, match=rf"net\.onnx.*{named}"):
        load_voice_encoder(write_network(tmp_path / "net.onnx", front_end, metadata=metadata))


def test_the_settings_say_what_the_metadata_leave_open_and_may_not_contradict_them(tmp_path):
    path = write_network(tmp_path / "net.onnx", metadata=WESPEAKER)
    np.save(tmp_path / "m.npy", np.zeros(SIZE))
    settings = read_settings(write_settings(path, "mean: m.npy\nlicence: CC0\nfront_end: wespeaker"), WESPEAKER)
    assert settings.name == "wespeaker" and settings.licence == "CC0" and settings.mean.shape == (SIZE,)
    for text in ("front_end: 3d-speaker", "size: 256", "model: 3d-speaker-eres2netv2"):
        with pytest.raises(InputError, match=r"net\.yaml|registry"):
            read_settings(write_settings(path, text), WESPEAKER)


def test_a_model_of_the_registry_says_front_end_size_and_licence(tmp_path, caplog):
    path = write_network(tmp_path / "net.onnx", "redimnet2", size=192)
    encoder = load_voice_encoder(write_settings(path, "model: redimnet2-b6-voxblink2"))
    assert encoder.settings.name == "redimnet2" and encoder.settings.size == 192
    assert any("net.onnx" in text and "non-commercial" in text for text in caplog.messages)


@pytest.mark.parametrize(("metadata", "text", "told"), [
    ({}, "licence: CC-BY-NC-4.0", "CC-BY-NC-4.0"), ({"license": "research only"}, "", "research only"),
    ({"license": "MIT"}, "licence: cc-by-nc-sa-4.0", "cc-by-nc-sa-4.0"), ({}, "licence: CC-BY-4.0", None),
])  # fmt: skip
def test_a_licence_that_forbids_commercial_use_is_told_when_the_file_is_loaded(tmp_path, caplog, metadata, text, told):
    path = write_network(tmp_path / "net.onnx", metadata=metadata)
    load_voice_encoder(write_settings(path, f"front_end: wespeaker\n{text}"))
    assert [told in message and str(path) in message for message in caplog.messages] == ([True] if told else [])


@pytest.mark.parametrize("text", [
    "front_end: kaldi", "frontend: wespeaker", "size: many", "size: 0", "model: nobody", "model: insightface-buffalo_l",
    "- wespeaker", "front_end: [a", "front_end: wespeaker\nfront_end: wespeaker", "mean: 3", "output: none",
])  # fmt: skip
def test_wrong_settings_are_named(tmp_path, text):
    with pytest.raises(InputError, match=r"net\.yaml|net\.onnx: has no output"):
        load_voice_encoder(write_settings(write_network(tmp_path / "net.onnx"), text))


@pytest.mark.parametrize("text", [None, "", "licence: MIT"])
def test_without_a_front_end_the_message_names_the_file_to_write_and_those_that_fit(tmp_path, text):
    path = write_network(tmp_path / "net.onnx", "nemo")
    if text is not None:
        write_settings(path, text)
    with pytest.raises(InputError, match=r"net\.yaml.*front_end.*B x 80 x T.*nemo"):
        load_voice_encoder(path)


@pytest.mark.parametrize(("shape_of", "said", "fitting"), [
    ("nemo", "wespeaker", "nemo"), ("wespeaker", "redimnet2", "wespeaker"), ("redimnet2", "waveform", "redimnet2"),
    ("waveform", "3d-speaker", "waveform"),
])  # fmt: skip
def test_a_front_end_of_another_shape_is_refused_and_the_fitting_ones_are_named(tmp_path, shape_of, said, fitting):
    path = write_settings(write_network(tmp_path / "net.onnx", shape_of), f"front_end: {said}")
    with pytest.raises(InputError, match=rf"net\.onnx.*{said}.*this shape: .*{fitting}"):
        load_voice_encoder(path)


@pytest.mark.parametrize("shape", [["B", 200, 80], [4, "T", 80], ["B", "T", 64], ["B", 3, 112, 112]])
def test_fixed_lengths_batches_other_bands_and_images_are_refused(tmp_path, shape):
    identity = [node("Identity", ["x"], ["embedding"])]
    path = write_network(tmp_path / "net.onnx", nodes=identity, shape=shape)
    with pytest.raises(InputError, match=r"net\.onnx.*no front end"):
        load_voice_encoder(write_settings(path, "front_end: wespeaker"))


def without_pooling():
    return [node("Identity", ["x"], ["embedding"])]


def grows():
    return [node("ReduceMean", ["x"], ["embedding"], axes=[2], keepdims=0)]


def random():
    return [node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=0), node("RandomNormalLike", ["m"], ["r"]),
            node("Add", ["m", "r"], ["embedding"])]  # fmt: skip


def nan():
    return [node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=0), node("Sub", ["m", "m"], ["z"]),
            node("Div", ["z", "z"], ["embedding"])]  # fmt: skip


def custom():
    return [node("Pool", ["x"], ["embedding"], domain="com.example")]


def fails():
    return [node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=0), node("Reshape", ["m", "row"], ["r"]),
            node("Reshape", ["r", "bad"], ["embedding"]),
            node("Constant", [], ["bad"], value=helper.make_tensor("t", TensorProto.INT64, [1], [7]))]  # fmt: skip


@pytest.mark.parametrize("nodes", [without_pooling, grows, random, nan, custom, fails])
def test_networks_that_do_not_give_one_embedding_are_refused(tmp_path, nodes):
    made = nodes()
    made.sort(key=lambda one: one.op_type != "Constant")
    path = write_network(tmp_path / "net.onnx", nodes=made)
    with pytest.raises(InputError, match=r"net\.onnx"):
        load_voice_encoder(write_settings(path, "front_end: wespeaker"))


def test_one_of_several_outputs_is_chosen_by_its_usual_name_or_by_the_settings(tmp_path):
    nodes = [node("ReduceMean", ["x"], ["embs"], axes=[1], keepdims=0), node("Neg", ["embs"], ["logits"])]
    path = write_network(tmp_path / "net.onnx", nodes=nodes, outputs=("logits", "embs"))
    usual = load_voice_encoder(write_settings(path, "front_end: wespeaker"))([speechlike(16000)])
    named = load_voice_encoder(write_settings(path, "front_end: wespeaker\noutput: logits"))([speechlike(16000)])
    assert np.abs(usual).max() > 0 and (usual == -named).all()
    other = write_network(tmp_path / "two.onnx", outputs=("a", "b"), nodes=[
        node("ReduceMean", ["x"], ["a"], axes=[1], keepdims=0), node("Neg", ["a"], ["b"])])  # fmt: skip
    with pytest.raises(InputError, match=r"two\.onnx.*a, b.*output"):
        load_voice_encoder(write_settings(other, "front_end: wespeaker"))


def test_other_inputs_are_refused(tmp_path):
    length = helper.make_tensor_value_info("length", TensorProto.INT64, ["B"])
    extra = helper.make_tensor_value_info("speaker", TensorProto.FLOAT, ["B", 3])
    used = [node("ReduceMean", ["x"], ["embedding"], axes=[1], keepdims=0)]
    for number, (inputs, kind) in enumerate([([length], 1), ([extra], 1), ([], TensorProto.DOUBLE)]):
        path = write_network(tmp_path / f"net{number}.onnx", nodes=used, inputs=inputs, kind=kind)
        with pytest.raises(InputError, match=rf"net{number}\.onnx.*input"):
            load_voice_encoder(write_settings(path, "front_end: wespeaker"))


@pytest.mark.parametrize("damage", ["text", "half", "empty", "pointer", "page", "pickle", "folder", "absent"])
def test_files_that_are_no_onnx_network_are_refused(tmp_path, damage):
    path = write_settings(write_network(tmp_path / "net.onnx"), "front_end: wespeaker")
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "absent":
        path.write_bytes({"text": b"hello", "half": whole[: len(whole) // 2], "empty": b"", "pickle": b"\x80\x04N.",
                          "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
                          "page": b"<!DOCTYPE html><html>Sign in</html>"}[damage])  # fmt: skip
    with pytest.raises(InputError, match=r"net\.onnx"):
        load_voice_encoder(path)


@pytest.mark.parametrize("where", ["../secret.bin", "link.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path, where):
    (tmp_path / "secret.bin").write_bytes(bytes(4 * 80 * SIZE))
    path = write_network(tmp_path / "p" / "net.onnx", weights=external(where, (80, SIZE)))
    if where == "link.bin":
        os.symlink(tmp_path / "secret.bin", tmp_path / "p" / where)
    with pytest.raises(InputError, match=r"net\.onnx.*outside"):
        load_voice_encoder(write_settings(path, "front_end: wespeaker"))


def test_a_folder_has_one_file_and_a_speechbrain_folder_stays_one(tmp_path):
    path = write_network(tmp_path / "p" / "net.onnx")
    assert onnx_voice(tmp_path / "p") == onnx_voice(path) == path
    write_network(tmp_path / "p" / "small.onnx")
    with pytest.raises(InputError, match=r"net\.onnx, small\.onnx"):
        onnx_voice(tmp_path / "p")
    (tmp_path / "p" / "hyperparams.yaml").write_text("")
    assert onnx_voice(tmp_path / "p") is None and onnx_voice("buffalo_l") is None


def test_the_name_of_the_model_follows_from_what_embeddings_depend_on(tmp_path):
    path = write_network(tmp_path / "p" / "net.onnx", weights=external("w.bin", (80, SIZE)))
    (tmp_path / "p" / "w.bin").write_bytes(bytes(4 * 80 * SIZE))
    np.save(tmp_path / "p" / "m.npy", np.zeros(SIZE))
    write_settings(path, "front_end: wespeaker\nmean: m.npy\n")
    first = voice_model(path)
    assert first.startswith("voice:") and str(path) not in first
    write_settings(path, "# a note\nlicence: MIT\nmean: 'm.npy'   # ours\nfront_end:  wespeaker\n")
    names = {path.name for path in voice_model_files(path)}
    assert names == {"net.onnx", "w.bin", "m.npy", "net.yaml"}
    (tmp_path / "p").rename(tmp_path / "q")
    path = tmp_path / "q" / "net.onnx"
    write_settings(path, "licence: MIT\nmean: m.npy   # ours\nfront_end:  wespeaker\n")
    assert voice_model(path) == voice_model(tmp_path / "q") == first
    write_settings(path, "mean: m.npy\nfront_end: 3d-speaker\n")
    changed = {first, voice_model(path)}
    np.save(tmp_path / "q" / "m.npy", np.ones(SIZE))
    changed.add(voice_model(path))
    (tmp_path / "q" / "w.bin").write_bytes(bytes(4 * 80 * SIZE - 1) + b"1")
    changed.add(voice_model(path))
    assert len(changed) == 4


def test_an_onnx_file_is_no_encoder_to_train(tmp_path):
    with pytest.raises(InputError, match=r"net\.onnx"):
        load_encoder(str(write_network(tmp_path / "net.onnx")), "cpu")
