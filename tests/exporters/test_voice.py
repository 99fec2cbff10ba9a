"""Speaker encoders as ONNX files: metadata, independence of batch and length, and the front end inside."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from avsv.embeddings.voice import load_voice_encoder
from avsv.errors import InputError
from avsv.exporters import onnx_file, voice
from avsv.models.front_ends import FrameNormalization, Spectrogram
from avsv.models.onnx_frontend import front_end_in_onnx
from avsv.models.speechbrain_folder import load_encoder
from avsv.models.speechbrain_library import make_frontend
from tests.models.small_encoder import write_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def exported(encoder):
    out = encoder.parent / "voice.onnx"
    return voice.export_voice(str(encoder), out, licence="CC-BY-4.0")


def run(path, **inputs):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, inputs)[0]


def metadata(path):
    return {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}


def test_the_difference_from_the_original_is_below_a_hundred_thousandth_and_in_the_file(exported):
    assert exported.difference <= exported.bound == 1e-5
    assert float(metadata(exported.path)["avsv.difference"]) == pytest.approx(exported.difference, rel=0.01)
    onnx.checker.check_model(str(exported.path))


def test_a_waveform_gets_the_embedding_of_the_direct_encoder_whatever_else_is_in_the_batch(encoder, exported):
    rng, direct = np.random.default_rng(1), load_encoder(str(encoder), "cpu")
    for n in (1700, 16000, 53123):
        waveforms = rng.normal(0, 0.1, (3, n)).astype(np.float32)
        batch = run(exported.path, waveform=waveforms)
        for waveform, embedding in zip(waveforms, batch, strict=True):
            expected = direct.encode_batch(torch.from_numpy(waveform[None]))[0, 0].numpy()
            alone = run(exported.path, waveform=waveform[None])[0]
            assert np.abs(np.stack([embedding, alone]) - expected).max() <= 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("given", ["waveform", "features"])
def test_run_back_in_as_an_encoder_the_file_equals_the_original(encoder, exported, tmp_path, monkeypatch, given):
    monkeypatch.setattr(onnx_file, "N_INPUTS", 3)
    path = exported.path
    if given == "features":
        path = voice.export_voice(str(encoder), tmp_path / "features.onnx", given, "CC-BY-4.0").path
    direct, again = load_voice_encoder(encoder), load_voice_encoder(path)
    rng = np.random.default_rng(5)
    waveforms = [rng.normal(0, 0.1, n).astype(np.float32) for n in (1600, 16000, 50123)]
    expected = direct(waveforms)
    assert (np.abs(again(waveforms) - expected).max(1) <= 1e-5 * np.linalg.norm(expected, axis=1)).all()


def test_metadata_name_the_input_the_licence_and_the_model(encoder, exported):
    found = metadata(exported.path)
    assert found["avsv.kind"] == "voice encoder" and found["avsv.input"] == "waveform"
    assert found["avsv.sample_rate"] == "16000" and found["avsv.size"] == "6" and found["license"] == "CC-BY-4.0"
    assert found["avsv.source"] == "small" and found["avsv.model"].startswith("voice:")
    features = json.loads(found["avsv.features"])
    assert features["type"] == "speechbrain fbank" and features["n_mels"] == 80
    assert features["mean"] == "utterance" and features["deviation"] == "none"
    assert str(encoder.parent) not in exported.path.read_bytes().decode("latin-1")


def test_the_licence_of_a_model_card_goes_into_the_file(encoder, tmp_path):
    assert voice.licence_of(encoder).startswith("unknown")
    (tmp_path / "README.md").write_text("---\ntags: [speaker]\nlicense: MIT\n---\n# A model\n")
    assert voice.licence_of(tmp_path) == "MIT"
    assert voice.licence_of(tmp_path, "CC0-1.0") == "CC0-1.0"
    (tmp_path / "README.md").write_text("no header\nlicense: MIT\n")
    assert voice.licence_of(tmp_path).startswith("unknown")


def test_with_features_as_input_the_file_holds_the_network_alone(encoder, exported, tmp_path):
    out = voice.export_voice(str(encoder), tmp_path / "features.onnx", "features").path
    direct, waveform = load_encoder(str(encoder), "cpu"), torch.randn(1, 20000)
    features = direct.mods["mean_var_norm"](direct.mods["compute_features"](waveform), torch.ones(1))
    assert np.allclose(run(out, features=features.numpy()), direct.encode_batch(waveform)[0].numpy(), atol=1e-5)
    assert out.stat().st_size < (encoder.parent / "voice.onnx").stat().st_size


def test_an_export_that_differs_is_refused_and_leaves_nothing(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(voice, "BOUND", 1e-12)
    monkeypatch.setattr(onnx_file, "N_INPUTS", 3)
    with pytest.raises(InputError, match="limit"):
        voice.export_voice(str(encoder), tmp_path / "voice.onnx")
    assert list(tmp_path.iterdir()) == []


def test_values_that_are_not_finite_count_as_disagreement():
    assert onnx_file.agreement([(np.array([[np.nan, 1.0]]), np.array([[1.0, 1.0]]))]) == float("inf")
    assert onnx_file.agreement([(np.ones((1, 2)), np.ones((1, 3)))]) == float("inf")


def dft_fbank(waveform):
    """SpeechBrain's 80 log mel energies minus their mean, in float64 from their definition: (t, 80)."""
    n = 400
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(n) / n)
    padded = np.pad(waveform.astype(np.float64), n // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n)[::160] * window
    power = np.abs(np.fft.rfft(frames)) ** 2
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82) / 2595) - 1)
    band = np.diff(corners)[:-1]
    slopes = (np.linspace(0, 8000, 201)[:, None] - corners[1:-1]) / band
    decibels = 10 * np.log10(np.maximum(power @ np.maximum(np.minimum(slopes + 1, 1 - slopes), 0), 1e-10))
    decibels = np.maximum(decibels, decibels.max() - 80)
    return decibels - decibels.mean(0)


def test_filter_banks_in_onnx_equal_their_definition():
    fbank, normalization = make_frontend()
    waveform = np.random.default_rng(2).normal(0, 0.1, 24321).astype(np.float32)
    features = front_end_in_onnx(fbank, normalization)(torch.from_numpy(waveform[None]))[0]
    assert features.shape == (153, 80)
    assert np.abs(features.numpy() - dft_fbank(waveform)).max() < 1e-3  # dB; SpeechBrain's filters are float32


def test_the_spectrogram_in_onnx_equals_the_one_of_training():
    _, normalization = make_frontend()
    for n in (4000, 30000):  # the shorter one is repeated
        waveforms = 0.1 * torch.randn(2, n, generator=torch.Generator().manual_seed(n))
        spectrogram = Spectrogram()
        expected = FrameNormalization()(spectrogram(waveforms))
        found = front_end_in_onnx(spectrogram, FrameNormalization())(waveforms)
        assert torch.allclose(found, expected, atol=1e-3)
    with pytest.raises(InputError, match="Identity"):
        front_end_in_onnx(torch.nn.Identity(), normalization)
    fbank, _ = make_frontend()
    fbank.deltas = True
    with pytest.raises(InputError, match="Fbank"):
        front_end_in_onnx(fbank, normalization)
