"""Voice embeddings are SpeechBrain's own, and depend on nothing but their clip."""

import logging

import numpy as np
import pytest
import torch

from avsv.embeddings import voice
from avsv.embeddings.voice import load_voice_encoder
from avsv.models import onnx_encoder
from avsv.models.ecapa import ecapa_options, load_encoder, make_ecapa, make_speaker_encoder, save_speechbrain_folder
from avsv.models.onnx_encoder import WholeClipPooling, in_onnxruntime

SECONDS = (0.4, 1.0, 1.03, 2.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    options = (80, 16, 8, 12)
    net = make_ecapa(*options)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
    save_speechbrain_folder(folder, net, torch.zeros(2, 12), ["a", "b"], ecapa_options(*options))
    return folder


@pytest.fixture(scope="module")
def embed(folder):
    return load_voice_encoder(str(folder))


@pytest.fixture(scope="module")
def sounds():
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, int(16000 * s)).astype(np.float32) for s in SECONDS]


def cosines(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_embeddings_are_those_of_speechbrains_encoder_on_each_clip_alone(folder, embed, sounds):
    encoder = load_encoder(str(folder), "cpu")
    alone = np.stack([encoder.encode_batch(torch.from_numpy(sound)[None]).reshape(-1).numpy() for sound in sounds])
    assert cosines(embed(sounds), alone).min() > 0.999999


def test_an_embedding_is_the_same_to_the_bit_whatever_clips_are_beside_it(embed, sounds):
    together = embed(sounds)
    assert all(np.array_equal(embed([sound])[0], vector) for sound, vector in zip(sounds, together, strict=True))


def test_on_a_gpu_clips_of_one_length_go_together_and_come_back_in_order(embed, sounds, monkeypatch):
    """The path of a GPU, on the CPU: which clips share a batch is what differs."""
    monkeypatch.setattr(embed, "alone", False)
    shapes, encode = [], embed.encoder.encode_batch
    monkeypatch.setattr(embed.encoder, "encode_batch", lambda batch: shapes.append(len(batch)) or encode(batch))
    given = [sounds[2], sounds[0], sounds[2][::-1].copy(), sounds[3]]
    found = embed(given)
    monkeypatch.undo()
    assert sorted(shapes) == [1, 1, 2]
    assert cosines(found, embed(given)).min() > 0.999999


def test_pooling_without_masks_is_speechbrains(folder):
    pooling = load_encoder(str(folder), "cpu").mods["embedding_model"].asp
    x = torch.randn(2, 48, 30, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(WholeClipPooling(pooling)(x), pooling(x), atol=1e-5)


def test_a_resnet_goes_the_same_way():
    torch.manual_seed(0)
    net = make_speaker_encoder("resnet", {"input_size": 80, "channels": 8, "blocks": [1, 1], "lin_neurons": 6}).eval()
    network = in_onnxruntime(net, 80)
    features = torch.randn(77, 80)
    with torch.no_grad():
        assert network(features) == pytest.approx(net(features[None]).reshape(-1).numpy(), abs=1e-5)


def test_an_encoder_that_cannot_be_exported_runs_in_torch_and_the_log_says_so(folder, monkeypatch, caplog):
    def refuse(*_):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(onnx_encoder, "as_onnx", refuse)
    net = load_encoder(str(folder), "cpu").mods["embedding_model"]
    with caplog.at_level(logging.WARNING, "avsv"), torch.no_grad():
        found = in_onnxruntime(net, 80)(torch.ones(50, 80))
        assert found == pytest.approx(net(torch.ones(1, 50, 80)).reshape(-1).numpy(), abs=1e-6)
    assert "no such operator" in caplog.text


def test_a_session_that_answers_otherwise_is_not_used(folder, monkeypatch, caplog):
    wrong = make_ecapa(80, 16, 8, 12).eval()
    export = onnx_encoder.as_onnx
    monkeypatch.setattr(onnx_encoder, "as_onnx", lambda _, n_mels: export(wrong, n_mels))
    net = load_encoder(str(folder), "cpu").mods["embedding_model"]
    with caplog.at_level(logging.WARNING, "avsv"), torch.no_grad():
        found = in_onnxruntime(net, 80)(torch.ones(50, 80))
        assert found == pytest.approx(net(torch.ones(1, 50, 80)).reshape(-1).numpy(), abs=1e-6)
    assert "onnxruntime's answer is off by" in caplog.text


def test_a_clip_without_a_length_is_skipped_before_any_batch(tmp_path):
    class Out(dict):
        skip = dict.__setitem__

    out = Out()
    lengths = voice.known_lengths({"a": str(tmp_path / "none.wav"), "b": "cat x |", "c": "x"}, {"c": 2.5}, out)
    assert lengths == {"b": float("inf"), "c": 2.5} and list(out) == ["a"]


@pytest.mark.parametrize("alone", [True, False])
def test_a_longer_clip_is_the_mean_of_its_windows_weighted_by_their_lengths(embed, monkeypatch, alone):
    monkeypatch.setattr(voice, "WINDOW", 1.0)
    monkeypatch.setattr(embed, "alone", alone)
    sound = np.random.default_rng(1).normal(0, 0.1, 40001).astype(np.float32)  # 2.5 s and a sample: three windows
    short, exact = sound[:9000], sound[:16000]
    windows = [sound[:13334], sound[13334:26668], sound[26668:]]
    vectors = np.stack([embed([window])[0] for window in windows]).astype(float)
    lengths = np.array([13334, 13334, 13333])
    found = embed([short, sound, exact])
    np.testing.assert_allclose(found[1], lengths @ vectors / lengths.sum(), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found[[0, 2]], [embed([short])[0], embed([exact])[0]])
    monkeypatch.setattr(voice, "WINDOW", 300.0)
    np.testing.assert_array_equal(embed([short, exact]), found[[0, 2]])


def test_no_window_is_longer_than_five_minutes(embed, monkeypatch):
    lengths = []
    monkeypatch.setattr(embed, "embed_short", lambda sounds: [lengths.append(len(s)) or np.ones(12) for s in sounds])
    for seconds in (300, 300.02, 900, 3600):
        lengths.clear()
        embed([np.zeros(round(seconds * 16000), np.float32)])
        assert sum(lengths) == round(seconds * 16000) and max(lengths) <= 300 * 16000
        assert max(lengths) - min(lengths) <= 1 and len(lengths) == -(-round(seconds * 16000) // (300 * 16000))
