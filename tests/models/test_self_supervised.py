"""Speaker encoders on self-supervised models: tiny random ones, since the published weights are large."""

import json
import os
import shutil

import numpy as np
import pytest
import soundfile
import torch

from avsv.embeddings.voice import load_voice_encoder
from avsv.errors import InputError
from avsv.exporters.voice import export_voice
from avsv.models.self_supervised import configuration, preprocessor
from avsv.models.self_supervised_files import load_pretrained, model_folder, read_texts
from avsv.models.speaker_encoders import SpeakerEncoderOptions, encoder_arguments, make_speaker_encoder
from avsv.models.speechbrain_folder import load_encoder
from avsv.training.config import OptimizerConfig
from avsv.training.task import train
from avsv.training.tasks.voice import VoiceConfig, VoiceTask

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
CONVOLUTIONS = {"conv_dim": [8, 8], "conv_stride": [20, 16], "conv_kernel": [40, 16], "num_feat_extract_layers": 2,
                "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}  # fmt: skip
WAVES = "Wav2Vec2FeatureExtractor"
KINDS = {
    "wavlm": ("WavLMConfig", {**CONVOLUTIONS, "num_buckets": 16, "max_bucket_distance": 32}, WAVES),
    "xls-r": ("Wav2Vec2Config", {**CONVOLUTIONS, "do_stable_layer_norm": True, "feat_extract_norm": "layer"}, WAVES),
    "w2v-bert": (
        "Wav2Vec2BertConfig",
        {"feature_projection_input_dim": 160, "conv_depthwise_kernel_size": 7, "left_max_position_embeddings": 16,
         "right_max_position_embeddings": 4},
        "SeamlessM4TFeatureExtractor",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a tiny model of each kind, in Hugging Face's format."""
    transformers = pytest.importorskip("transformers", reason="needs transformers: pip install '.[ssl]'")
    folder = tmp_path_factory.mktemp("models")
    for name, (config, more, extractor) in KINDS.items():
        torch.manual_seed(0)
        settings = getattr(transformers, config)(**SMALL, **more)
        transformers.AutoModel.from_config(settings).save_pretrained(folder / name)
        getattr(transformers, extractor)().save_pretrained(folder / name)
    return folder


def make(source, head="ecapa"):
    options = SpeakerEncoderOptions("ssl", channels=8, attention_channels=4, ssl=str(source), ssl_head=head,
                                    embedding_size=6)  # fmt: skip
    torch.manual_seed(1)
    encoder = make_speaker_encoder("ssl", encoder_arguments(options))
    load_pretrained(encoder, str(source))
    return encoder.eval()


@pytest.mark.parametrize("name", KINDS)
def test_the_layers_are_those_of_the_published_model(models, name):
    import transformers

    waveform = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(2))
    theirs = transformers.AutoModel.from_pretrained(models / name).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(models / name)
    inputs = extractor(waveform[0].numpy(), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        expected = torch.stack(theirs(**inputs, output_hidden_states=True).hidden_states)
        layers = make(models / name).model(waveform)
    assert layers.shape == expected.shape and len(layers) == 3
    assert torch.allclose(layers, expected, atol=1e-4)


@pytest.mark.parametrize("head", ["ecapa", "mfa"])
def test_the_batch_does_not_change_an_embedding_and_short_waveforms_have_one(models, head):
    encoder = make(models / "wavlm", head)
    waveforms = 0.1 * torch.randn(3, 9000, 1, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        batch, alone = encoder(waveforms), torch.cat([encoder(one.unsqueeze(0)) for one in waveforms])
        assert encoder(waveforms[:, :1600]).shape == (3, 1, 6)
    assert torch.allclose(batch, alone, atol=1e-5)


def test_the_weights_of_the_layers_start_equal_and_are_a_softmax(models):
    encoder = make(models / "wavlm")
    layers = torch.randn(3, 1, 20, 16)
    assert torch.allclose(encoder.head(layers, encoder.layer_weights.softmax(0)), encoder.head.network(layers.mean(0)),
                          atol=1e-5)  # fmt: skip


@pytest.fixture
def data(tmp_path):
    for person in range(3):
        for clip in range(2):
            rng = np.random.default_rng([person, clip])
            waveform = np.convolve(rng.normal(0, 0.1, 16000), np.cos(np.arange(64) * (0.3 + 0.5 * person)), "same")
            soundfile.write(tmp_path / f"p{person}-{clip}.wav", 0.1 * waveform / np.abs(waveform).max(), 16000)
    utts = [f"p{person}-{clip}" for person in range(3) for clip in range(2)]
    (tmp_path / "utt2spk").write_text("".join(f"{utt} {utt[:2]}\n" for utt in utts))
    (tmp_path / "wav.scp").write_text("".join(f"{utt} {tmp_path}/{utt}.wav\n" for utt in utts))
    return tmp_path


def config(data, source, rate):
    return VoiceConfig(task="voice", exp_dir=str(data / "exp"), data_dir=str(data), encoder="ssl", ssl=str(source),
                       ssl_head="mfa", ssl_rate=rate, channels=4, attention_channels=4, embedding_size=6, device="cpu",
                       crop_seconds=(0.5, 0.6), batch_size=6, epochs=1, speeds=(1.0,), workers=0, threads=1,
                       optimizer=OptimizerConfig(lr=0.01))  # fmt: skip


@pytest.mark.parametrize("name, rate", [("wavlm", 0.0), ("xls-r", 0.1), ("w2v-bert", 0.1)])
def test_a_trained_encoder_is_loaded_without_the_model_it_started_from(models, data, name, rate):
    source = shutil.copytree(models / name, data / "source")
    train(VoiceTask(config(data, source, rate)))
    shutil.rmtree(source)
    moved = shutil.move(data / "exp", data / "moved")
    network = load_encoder(str(moved), "cpu").mods["embedding_model"]
    before = make(models / name).model.state_dict()
    changed = {key for key, value in network.model.state_dict().items() if not torch.equal(value, before[key])}
    assert bool(changed) == (rate > 0)
    assert network.layer_weights.abs().max() > 0
    with pytest.raises(InputError, match="speechbrain"):
        export_voice(str(moved), data / "out.onnx")
    waveform = np.random.default_rng(0).normal(0, 0.1, 20000).astype(np.float32)
    vectors = load_voice_encoder(moved)([waveform, waveform[:1600]])
    assert vectors.shape == (2, 6) and np.isfinite(vectors).all()


def test_configurations_that_name_code_or_are_huge_are_refused():
    good = {"model_type": "wavlm", **SMALL}
    assert configuration(json.dumps(good))
    for wrong in ({**good, "auto_map": {"AutoModel": "evil.Model"}}, {**good, "num_hidden_layers": 10**6},
                  {**good, "hidden_size": 2**40}, {**good, "model_type": "bert"}, [good]):  # fmt: skip
        assert not configuration(json.dumps(wrong))
    assert not configuration("{") and not configuration(None)
    assert preprocessor('{"feature_extractor_type": "Wav2Vec2FeatureExtractor"}')
    assert not preprocessor('{"feature_extractor_type": "Other"}')


def write_configurations(folder, **more):
    (folder / "config.json").write_text(json.dumps({"model_type": "wavlm", **SMALL, **more}))
    (folder / "preprocessor_config.json").write_text('{"feature_extractor_type": "Wav2Vec2FeatureExtractor"}')


def test_code_that_a_configuration_names_is_dropped(tmp_path):
    write_configurations(tmp_path, auto_map={"AutoModel": "evil.Model"})
    assert "auto_map" not in json.loads(read_texts(str(tmp_path))[0])


@pytest.mark.parametrize("source, named", [("", "ssl"), ("exp/absent", "exp/absent"), ("absent", "absent")])
def test_a_model_that_is_absent_is_named(source, named):
    with pytest.raises(InputError, match=named):
        model_folder(source)


def test_other_files_than_safetensors_are_not_read(models, tmp_path):
    folder = shutil.copytree(models / "wavlm", tmp_path / "model")
    os.rename(folder / "model.safetensors", folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"model\.safetensors"):
        make(folder)


def test_weights_of_another_model_are_refused(models, tmp_path):
    folder = shutil.copytree(models / "wavlm", tmp_path / "model")
    shutil.copy(models / "w2v-bert/model.safetensors", folder)
    with pytest.raises(InputError, match=r"model\.safetensors"):
        make(folder)


def test_without_the_package_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    write_configurations(tmp_path)
    with pytest.raises(InputError, match="transformers"):
        make_speaker_encoder("ssl", encoder_arguments(SpeakerEncoderOptions("ssl", ssl=str(tmp_path))))
