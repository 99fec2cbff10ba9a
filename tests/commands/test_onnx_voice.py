"""ONNX voice encoders wherever a voice model is given: embed-voice, verify, enroll, identify."""

import json

import kaldiio
import numpy as np
import pytest
import soundfile

from avsv.embeddings.voice import load_voice_encoder
from avsv.kaldi.origin import voice_model
from avsv.kaldi.tables import read_table, write_table
from tests.models.onnx_encoders import speechlike, write_network, write_settings


@pytest.fixture
def net(tmp_path):
    return write_settings(write_network(tmp_path / "model/net.onnx", "redimnet2"), "front_end: redimnet2\n")


@pytest.fixture
def data(tmp_path):
    """Three clips, one of them shorter than the second that ReDimNet2 needs."""
    for name, n in (("a-1", 32000), ("a-2", 24000), ("b-1", 12000)):
        soundfile.write(tmp_path / f"{name}.wav", speechlike(n, n), 16000)
    folder = tmp_path / "data"
    write_table(folder / "wav.scp", {name: str(tmp_path / f"{name}.wav") for name in ("a-1", "a-2", "b-1")})
    write_table(folder / "utt2spk", {"a-1": "a", "a-2": "a", "b-1": "b"})
    return folder


@pytest.mark.parametrize("given", ["file", "folder"])
def test_embed_voice_takes_the_file_or_its_folder(avsv, net, data, tmp_path, given):
    out = tmp_path / "out"
    status, output = avsv(
        "embed-voice", "--model", net if given == "file" else net.parent, "--max-skipped", 0.5, data, out
    )
    assert status == 0, output
    vectors = kaldiio.load_scp(str(out / "embedding.scp"))
    waveform, _ = soundfile.read(tmp_path / "a-1.wav", dtype="float32")
    assert set(vectors) == {"a-1", "a-2"}
    assert vectors["a-1"] == pytest.approx(load_voice_encoder(net)([waveform])[0], rel=1e-6)
    assert "1 s" in read_table(out / "skipped")["b-1"]
    assert json.loads((out / "done.json").read_text())["model"] == voice_model(net)


def test_embeddings_are_redone_when_settings_change_on_which_they_depend(avsv, net, data, tmp_path):
    call = ["embed-voice", "--model", net, "--max-skipped", 0.5, data, tmp_path / "out"]
    assert avsv(*call)[0] == 0
    before = (tmp_path / "out/embedding.ark").stat().st_mtime_ns
    write_settings(net, "front_end: redimnet2\nlicence: MIT\n")
    assert avsv(*call)[0] == 0 and (tmp_path / "out/embedding.ark").stat().st_mtime_ns == before
    np.save(net.parent / "mean.npy", np.full(5, 3.0))
    raw = dict(kaldiio.load_scp(str(tmp_path / "out/embedding.scp")))
    write_settings(net, "front_end: redimnet2\nmean: mean.npy\n")
    assert avsv(*call)[0] == 0
    centred = kaldiio.load_scp(str(tmp_path / "out/embedding.scp"))
    assert centred["a-1"] == pytest.approx(raw["a-1"] - 3, rel=1e-5)


@pytest.mark.parametrize("given", ["waveform", "features"])
def test_an_exported_encoder_gives_the_embeddings_of_the_original(avsv, encoder, data, tmp_path, given):
    exported = tmp_path / "exported.onnx"
    status, output = avsv("export", encoder, exported, "--input", given)
    assert status == 0, output
    waveforms = [speechlike(n, n) for n in (16000, 32000, 40321)]
    ours, original = (load_voice_encoder(model)(waveforms) for model in (exported, encoder))
    assert np.abs(ours - original).max() < 1e-5 * np.linalg.norm(original, axis=1).min()
    assert avsv("embed-voice", "--model", exported, data, tmp_path / "out")[0] == 0


@pytest.mark.parametrize("text", [b"", b"not a network"])
def test_a_broken_file_ends_embed_voice_with_its_name(avsv, net, data, tmp_path, text):
    net.write_bytes(text)
    status, output = avsv("embed-voice", "--model", net, data, tmp_path / "out")
    assert status == 1 and "net.onnx" in output and "Traceback" not in output
    assert not (tmp_path / "out/embedding.scp").exists()


def test_a_restricted_licence_is_told_by_the_command(avsv, net, data, tmp_path):
    write_settings(net, "front_end: redimnet2\nlicence: CC-BY-NC-4.0\n")
    status, output = avsv("embed-voice", "--model", net, "--max-skipped", 0.5, data, tmp_path / "out")
    assert status == 0 and "CC-BY-NC-4.0" in output and "net.onnx" in output


def test_people_are_enrolled_identified_and_verified_by_an_onnx_encoder(avsv, net, data, tmp_path):
    one, other = tmp_path / "a-1.wav", tmp_path / "a-2.wav"
    maps = [{"present": [True], "weights": [5.0], "offset": 0.0}]
    calibration = tmp_path / "calibration.json"
    calibration.write_text(json.dumps({"systems": ["v"], "target_prior": 0.5, "measures": [], "maps": maps,
                                       "trained_on": [f"{voice_model(net)} cosine"]}))  # fmt: skip
    vectors = load_voice_encoder(net)([soundfile.read(path, dtype="float32")[0] for path in (one, other)])
    cosine = vectors[0] @ vectors[1] / np.prod(np.linalg.norm(vectors, axis=1))
    models = ["--voice", net, "--calibration", calibration]
    status, output = avsv("verify", "--json", *models, one, other)
    assert status == 0, output
    assert json.loads(output)["llr"] == pytest.approx(5 * cosine, rel=1e-4)
    gallery = tmp_path / "people.gallery"
    status, output = avsv("enroll", "--force", *models, gallery, "Ann", one)
    assert status == 0, output
    status, output = avsv("identify", "--json", gallery, one)
    assert "Ann" in output, output
