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
from avsv.models.front_ends import FrameNormalization, KaldiFbank, Spectrogram
from avsv.models.onnx_frontend import front_end_in_onnx
from avsv.models.speaker_encoders import (
    SpeakerEncoderOptions,
    encoder_arguments,
    front_end_of,
    make_speaker_encoder,
)
from avsv.models.speechbrain_folder import load_encoder, save_speechbrain_folder
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


@pytest.fixture(scope="module")
def kaldi(tmp_path_factory):
    """An untrained encoder on the features of sherpa-onnx, and its export for sherpa-onnx."""
    folder = tmp_path_factory.mktemp("kaldi") / "encoder"
    options = SpeakerEncoderOptions("resnet", features="kaldi", channels=4, blocks=(1, 1), embedding_size=6)
    torch.manual_seed(0)
    arguments = encoder_arguments(options)
    net = make_speaker_encoder("resnet", arguments)
    save_speechbrain_folder(folder, net, torch.zeros(1, 6), ["nobody"], arguments, "resnet", "kaldi")
    return folder, voice.export_sherpa(str(folder), folder.parent / "sherpa.onnx", "MIT").path


def sherpa_features(waveform):
    """The features of sherpa-onnx, by the library and the options that it uses: (t, 80)."""
    knf = pytest.importorskip("kaldi_native_fbank")
    options = knf.FbankOptions()
    frames, mels = options.frame_opts, options.mel_opts
    frames.samp_freq, frames.dither, frames.snip_edges, frames.window_type = 16000, 0, False, "povey"
    mels.num_bins, mels.low_freq, mels.high_freq = 80, 20, -400
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(16000, (waveform * 32768).tolist())
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


@pytest.mark.parametrize("n", [400, 1600, 16079, 16080, 50123])
def test_kaldi_filter_banks_equal_those_of_sherpa_onnx_in_torch_and_in_onnx(n):
    waveform = np.random.default_rng(n).normal(0, 0.05, n).astype(np.float32)
    expected, given = sherpa_features(waveform), torch.from_numpy(waveform[None])
    _, normalization = make_frontend()
    centred = front_end_in_onnx(KaldiFbank(), normalization)(given)[0].numpy()
    assert np.abs(KaldiFbank()(given)[0].numpy() - expected).max() < 1e-3
    assert np.abs(centred - (expected - expected.mean(0))).max() < 1e-3


def test_a_file_for_sherpa_onnx_embeds_as_the_original_on_the_features_that_its_metadata_choose(kaldi):
    folder, path = kaldi
    found = metadata(path)
    # the keys that sherpa-onnx's csrc/speaker-embedding-extractor-model.cc requires
    assert found["framework"] == "wespeaker" and found["sample_rate"] == "16000" and found["output_dim"] == "6"
    assert found["normalize_samples"] == "0" and found["feature_normalize_type"] == "global-mean" and found["language"]
    assert found["license"] == "MIT"
    waveform = np.random.default_rng(7).normal(0, 0.1, 31234).astype(np.float32)
    features = sherpa_features(waveform)
    expected = load_encoder(str(folder), "cpu").encode_batch(torch.from_numpy(waveform[None]))[0, 0].numpy()
    embedding = run(path, features=(features - features.mean(0))[None])[0]
    assert np.abs(embedding - expected).max() <= 1e-5 * np.linalg.norm(expected)


def test_sherpa_onnx_itself_embeds_as_the_original(kaldi):
    sherpa_onnx = pytest.importorskip("sherpa_onnx", reason="needs sherpa-onnx, which no part of avsv installs")
    folder, path = kaldi
    extractor = sherpa_onnx.SpeakerEmbeddingExtractor(sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(path)))
    waveform = np.random.default_rng(8).normal(0, 0.1, 48123).astype(np.float32)
    stream = extractor.create_stream()
    stream.accept_waveform(16000, waveform)
    stream.input_finished()
    expected = load_encoder(str(folder), "cpu").encode_batch(torch.from_numpy(waveform[None]))[0, 0].numpy()
    assert np.abs(np.array(extractor.compute(stream)) - expected).max() <= 1e-5 * np.linalg.norm(expected)


def test_other_features_are_refused_for_sherpa_onnx_and_for_encoders_with_their_own(encoder, kaldi, tmp_path):
    with pytest.raises(InputError, match="features: kaldi"):
        voice.export_sherpa(str(encoder), tmp_path / "out.onnx")
    with pytest.raises(InputError, match="KaldiFbank"):  # avsv does not take them for WeSpeaker's
        load_voice_encoder(kaldi[1])
    with pytest.raises(InputError, match="vggm"):
        front_end_of("vggm", "kaldi")
