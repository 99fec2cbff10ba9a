"""Every encoder of the registry: written, moved and read again, in avsv, in SpeechBrain and in ONNX Runtime."""

import numpy as np
import pytest
import torch

from avsv.errors import InputError
from avsv.models.onnx_encoder import in_onnxruntime, in_torch
from avsv.models.speaker_encoders import (
    SPEAKER_ENCODERS,
    SpeakerEncoderOptions,
    encoder_arguments,
    make_front_end,
    make_speaker_encoder,
)
from avsv.models.speechbrain_folder import load_encoder, save_speechbrain_folder
from avsv.models.speechbrain_library import import_speechbrain

NAMES = [name for name in SPEAKER_ENCODERS if name != "ssl"]  # which has test_self_supervised.py
OPTIONS = {
    name: SpeakerEncoderOptions(name, channels=9 if name == "vggm" else 8, attention_channels=4, blocks=(1, 1),
                                gru_units=6, fc8=True, embedding_size=6)
    for name in NAMES
}  # fmt: skip


@pytest.fixture(scope="module", params=NAMES)
def written(request, tmp_path_factory):
    """Name, network and folder of an encoder; the folder has been moved after it was written."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    options = encoder_arguments(OPTIONS[name])
    net = make_speaker_encoder(name, options).eval()
    save_speechbrain_folder(folder / "first", net, torch.zeros(1, 6), ["nobody"], options, name)
    return name, net, (folder / "first").rename(folder / "moved")


def waveforms(n=16000):
    return torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (2, n)).astype(np.float32))


def test_a_moved_folder_gives_the_embeddings_of_the_network_on_its_features(written):
    name, net, folder = written
    features, normalize = make_front_end(name)
    lengths = torch.ones(2)
    expected = net(normalize(features(waveforms()), lengths), lengths)
    found = load_encoder(str(folder), "cpu").encode_batch(waveforms())
    assert found.shape == (2, 1, 6) and torch.allclose(found, expected, atol=1e-4)


def test_speechbrain_loads_it_with_the_same_embeddings(written, tmp_path):
    _, _, folder = written
    import_speechbrain()
    from speechbrain.inference.speaker import EncoderClassifier

    theirs = EncoderClassifier.from_hparams(source=str(folder), savedir=str(tmp_path))
    assert torch.allclose(theirs.encode_batch(waveforms()), load_encoder(str(folder), "cpu").encode_batch(waveforms()),
                          atol=1e-4)  # fmt: skip


def test_onnx_runtime_computes_the_same_from_clips_of_any_length(written, caplog):
    _, _, folder = written
    encoder = load_encoder(str(folder), "cpu")
    net = encoder.mods["embedding_model"]
    network = in_onnxruntime(net, encoder.mods["compute_features"](waveforms()).shape[2])
    assert "torch" not in caplog.text  # it did not fall back
    for n in (1600, 16000, 50000):
        with torch.inference_mode():
            features = encoder.mods["mean_var_norm"](encoder.mods["compute_features"](waveforms(n)), torch.ones(2))[0]
            expected = in_torch(net)(features)
        assert np.abs(network(features) - expected).max() < 1e-4 * np.linalg.norm(expected)


def test_an_unknown_encoder_is_refused():
    with pytest.raises(InputError, match="encoder=nothing"):
        make_speaker_encoder("nothing", {})


@pytest.mark.parametrize("line", [
    "compute_features: !new:speechbrain.processing.features.InputNormalization",
    "mean_var_norm: !new:avsv.models.front_ends.Spectrogram",
    "embedding_model: !new:avsv.models.front_ends.Spectrogram",
])  # fmt: skip
def test_a_part_in_the_wrong_place_is_refused(tmp_path, line):
    options = encoder_arguments(OPTIONS["vggm"])
    net = make_speaker_encoder("vggm", options)
    save_speechbrain_folder(tmp_path, net, torch.zeros(1, 6), ["nobody"], options, "vggm")
    settings = tmp_path / "hyperparams.yaml"
    lines = settings.read_text().splitlines()
    place = next(i for i, old in enumerate(lines) if old.startswith(line.partition(":")[0] + ":"))
    settings.write_text("\n".join([*lines[:place], line, *lines[place + 1 :]]))
    with pytest.raises(InputError, match=f"line {place + 1}"):
        load_encoder(str(tmp_path), "cpu")


def test_the_xvector_has_speechbrains_published_size_and_a_context_of_seven_frames():
    with torch.device("meta"):
        options = SpeakerEncoderOptions("xvector", channels=512, embedding_size=512)
        net = make_speaker_encoder("xvector", encoder_arguments(options))
    assert sum(p.numel() for p in net.parameters()) == 4_211_604
    net = make_speaker_encoder("xvector", encoder_arguments(OPTIONS["xvector"])).eval()

    def layer5(features):
        for block in net.blocks[:15]:  # five of convolution, activation and batch norm
            features = block(features)
        return features[0]

    features = torch.randn(1, 60, 24)
    changed = features.clone()
    changed[0, 38] += 1
    moved = (layer5(features) != layer5(changed)).any(1).nonzero()[:, 0]
    assert moved.min() == 38 - 7 and moved.max() == 38 + 7
