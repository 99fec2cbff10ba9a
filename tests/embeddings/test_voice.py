"""Voice embeddings equal SpeechBrain's own and depend on their clip alone."""

import logging

import numpy as np
import pytest
import torch

from avsv.embeddings import voice
from avsv.embeddings.voice import load_voice_encoder
from avsv.models import onnx_encoder
from avsv.models.onnx_encoder import WholeClipPooling, in_onnxruntime
from avsv.models.speaker_encoders import ecapa_arguments, make_speaker_encoder
from avsv.models.speechbrain_folder import load_encoder, save_speechbrain_folder

SECONDS = (0.4, 1.0, 1.03, 2.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    options = (80, 16, 8, 12)
    net = make_speaker_encoder("ecapa", ecapa_arguments(*options))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
    save_speechbrain_folder(folder, net, torch.zeros(2, 12), ["a", "b"], ecapa_arguments(*options))
    return folder


@pytest.fixture(scope="module")
def embed(folder):
    return load_voice_encoder(str(folder))


@pytest.fixture(scope="module")
def waveforms():
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, int(16000 * s)).astype(np.float32) for s in SECONDS]


def cosines(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_embeddings_equal_speechbrains_for_each_clip_alone(folder, embed, waveforms):
    encoder = load_encoder(str(folder), "cpu")
    alone = np.stack(
        [encoder.encode_batch(torch.from_numpy(waveform)[None]).reshape(-1).numpy() for waveform in waveforms]
    )
    assert cosines(embed(waveforms), alone).min() > 0.999999


def test_other_clips_in_the_call_do_not_change_a_bit_of_an_embedding(embed, waveforms):
    together = embed(waveforms)
    assert all(np.array_equal(embed([w])[0], vector) for w, vector in zip(waveforms, together, strict=True))


def test_a_gpu_batches_clips_of_equal_length_and_keeps_their_order(embed, waveforms, monkeypatch):
    """Runs the GPU's code path on the CPU, since only the batching differs."""
    monkeypatch.setattr(embed, "alone", False)
    shapes, encode = [], embed.encoder.encode_batch
    monkeypatch.setattr(embed.encoder, "encode_batch", lambda batch: shapes.append(len(batch)) or encode(batch))
    given = [waveforms[2], waveforms[0], waveforms[2][::-1].copy(), waveforms[3]]
    result = embed(given)
    monkeypatch.undo()
    assert sorted(shapes) == [1, 1, 2]
    assert cosines(result, embed(given)).min() > 0.999999


def test_pooling_without_masks_equals_speechbrains(folder):
    pooling = load_encoder(str(folder), "cpu").mods["embedding_model"].asp
    x = torch.randn(2, 48, 30, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(WholeClipPooling(pooling)(x), pooling(x), atol=1e-5)


def test_a_resnet_runs_in_onnxruntime_as_well():
    torch.manual_seed(0)
    net = make_speaker_encoder("resnet", {"input_size": 80, "channels": 8, "blocks": [1, 1], "lin_neurons": 6}).eval()
    network = in_onnxruntime(net, 80)
    features = torch.randn(77, 80)
    with torch.no_grad():
        assert network(features) == pytest.approx(net(features[None]).reshape(-1).numpy(), abs=1e-5)


def test_an_encoder_that_cannot_be_exported_runs_in_torch_with_a_warning(folder, monkeypatch, caplog):
    def refuse(*_):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(onnx_encoder, "as_onnx", refuse)
    net = load_encoder(str(folder), "cpu").mods["embedding_model"]
    with caplog.at_level(logging.WARNING, "avsv"), torch.no_grad():
        result = in_onnxruntime(net, 80)(torch.ones(50, 80))
        assert result == pytest.approx(net(torch.ones(1, 50, 80)).reshape(-1).numpy(), abs=1e-6)
    assert "no such operator" in caplog.text


def test_a_session_that_disagrees_with_torch_is_not_used(folder, monkeypatch, caplog):
    wrong = make_speaker_encoder("ecapa", ecapa_arguments(80, 16, 8, 12)).eval()
    export = onnx_encoder.as_onnx
    monkeypatch.setattr(onnx_encoder, "as_onnx", lambda _, n_mels: export(wrong, n_mels))
    net = load_encoder(str(folder), "cpu").mods["embedding_model"]
    with caplog.at_level(logging.WARNING, "avsv"), torch.no_grad():
        result = in_onnxruntime(net, 80)(torch.ones(50, 80))
        assert result == pytest.approx(net(torch.ones(1, 50, 80)).reshape(-1).numpy(), abs=1e-6)
    assert "onnxruntime" in caplog.text


def test_a_clip_of_unknown_duration_is_skipped_before_batching(tmp_path):
    class Out(dict):
        skip = dict.__setitem__

    out = Out()
    lengths = voice.known_lengths({"a": str(tmp_path / "none.wav"), "b": "cat x |", "c": "x"}, {"c": 2.5}, out)
    assert lengths == {"b": float("inf"), "c": 2.5} and list(out) == ["a"]


@pytest.mark.parametrize("alone", [True, False])
def test_the_embedding_of_a_long_clip_is_the_weighted_mean_of_its_windows(embed, monkeypatch, alone):
    monkeypatch.setattr(voice, "WINDOW", 1.0)
    monkeypatch.setattr(embed, "alone", alone)
    waveform = np.random.default_rng(1).normal(0, 0.1, 40001).astype(np.float32)  # 2.5 s and a sample: three windows
    short, exact = waveform[:9000], waveform[:16000]
    windows = [waveform[:13334], waveform[13334:26668], waveform[26668:]]
    vectors = np.stack([embed([window])[0] for window in windows]).astype(float)
    lengths = np.array([13334, 13334, 13333])
    result = embed([short, waveform, exact])
    np.testing.assert_allclose(result[1], lengths @ vectors / lengths.sum(), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(result[[0, 2]], [embed([short])[0], embed([exact])[0]])
    monkeypatch.setattr(voice, "WINDOW", 300.0)
    np.testing.assert_array_equal(embed([short, exact]), result[[0, 2]])


def test_no_window_is_longer_than_five_minutes(embed, monkeypatch):
    lengths = []
    monkeypatch.setattr(
        embed, "embed_short", lambda waveforms: [lengths.append(len(s)) or np.ones(12) for s in waveforms]
    )
    for seconds in (300, 300.02, 900, 3600):
        lengths.clear()
        embed([np.zeros(round(seconds * 16000), np.float32)])
        assert sum(lengths) == round(seconds * 16000) and max(lengths) <= 300 * 16000
        assert max(lengths) - min(lengths) <= 1 and len(lengths) == -(-round(seconds * 16000) // (300 * 16000))
