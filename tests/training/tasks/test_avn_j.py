"""A tiny AVN-J, from pretrained encoders to a voice encoder, a face pack and a head in the usual formats."""

import json
from dataclasses import replace
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch

from avsv.embeddings.pair import load_fusion
from avsv.errors import InputError
from avsv.features.face_pack import load_pack
from avsv.kaldi.data_dir import read_data_dir
from avsv.models.avn_e import FUSION, Fusion, FusionOptions
from avsv.models.checkpoint import save
from avsv.models.speechbrain_folder import load_encoder
from avsv.training.clips import Clips, list_clips, random_clips
from avsv.training.config import OptimizerConfig, apply_schema, read_config
from avsv.training.encoders import read_face_encoder, read_voice_encoder
from avsv.training.task import train
from avsv.training.tasks.avn_j import AvnJConfig, AvnJTask
from avsv.training.tasks.face import FaceConfig, FaceTask
from avsv.training.tasks.voice import VoiceConfig, VoiceTask
from avsv.training.trainer import Trainer
from tests.training.small_clips import draw_face, make_data, tiny

ROOT = Path(__file__).resolve().parents[3]
NEW_VOICE = "task: voice\nencoder: resnet\nchannels: 4\nblocks: [1, 1]\nembedding_size: 6\nexp_dir: x\ndata_dir: x\n"


@pytest.fixture(scope="module")
def encoders(data, tmp_path_factory):
    """Folders of a finished ResNet for voices and a finished face network."""
    folder = tmp_path_factory.mktemp("encoders")
    common = {"data_dir": str(data), "epochs": 1, "batch_size": 6, "workers": 0, "threads": 1, "device": "cpu",
              "optimizer": OptimizerConfig(lr=0.005)}  # fmt: skip
    voice = VoiceConfig(task="voice", exp_dir=str(folder / "voice"), encoder="resnet", channels=4, blocks=(1, 1),
                        embedding_size=6, speeds=(1.0,), crop_seconds=(0.5, 0.5), **common)  # fmt: skip
    train(VoiceTask(voice))
    face = FaceConfig(task="face", exp_dir=str(folder / "face"), blocks=(1, 1), channels=(16, 16), stem_stride=4,
                      embedding_size=8, **common)  # fmt: skip
    train(FaceTask(face))
    return folder


def config(data, noises, encoders, exp_dir, **more):
    options = {"voice": str(encoders / "voice"), "face": str(encoders / "face"), "size": 16, "fusion": "gated",
               "freeze_epochs": 1, "epochs": 2}  # fmt: skip
    return tiny(AvnJConfig, "avn_j", data, noises, exp_dir, **{**options, **more})


def make_model(settings, n_people):
    task = AvnJTask(settings)
    task.random_data(n_people, 12)
    return task.make_model()


@pytest.fixture(scope="module")
def trained(data, noises, encoders, tmp_path_factory):
    exp_dir = tmp_path_factory.mktemp("exp") / "avn_j"
    held_out = make_data(tmp_path_factory.mktemp("held out") / "d", prefix="q")
    train(AvnJTask(config(data, noises, encoders, exp_dir, valid_dir=str(held_out))))
    return exp_dir


def voice_weights(folder):
    return load_encoder(str(folder), "cpu").mods["embedding_model"].state_dict()


def test_all_three_losses_and_the_validation_eer_are_shown(trained):
    history = [json.loads(line) for line in (trained / "history.jsonl").read_text().splitlines()]
    assert len(history) == 2
    assert all(record[name] > 0 for record in history for name in ("loss", "voice_aam", "face_aam"))
    assert 0 <= history[-1]["eer_percent"] <= 100


def test_the_encoders_are_trained(trained, encoders):
    before, after = voice_weights(encoders / "voice"), voice_weights(trained / "voice")
    assert before.keys() == after.keys()
    assert not torch.equal(before["embedding.weight"], after["embedding.weight"])
    faces = [np.zeros((112, 112, 3), np.uint8)]
    before, after = (load_pack(d, tasks=("recognition",)).recognition.get_feat(faces)
                     for d in (encoders / "face", trained / "face"))  # fmt: skip
    assert before.shape == after.shape == (1, 8) and not np.allclose(before, after)


def test_the_saved_voice_folder_loads_its_own_weights(trained):
    assert str(trained.parent) not in (trained / "voice/hyperparams.yaml").read_text()
    weights = torch.load(trained / "voice/embedding_model.ckpt", weights_only=True)
    assert all(torch.equal(value, weights[name]) for name, value in voice_weights(trained / "voice").items())


def test_a_head_starts_from_a_trained_avn_e(data, noises, encoders, tmp_path):
    torch.manual_seed(5)
    trained = Fusion(6, 8, FusionOptions(fusion="gated", size=16))
    trained.voice_mean += 0.25
    save(tmp_path, FUSION, trained, trained.description)
    model = make_model(config(data, noises, encoders, "unused", head=str(tmp_path)), 3)
    assert all(torch.equal(a, b) for a, b in zip(model.head.fusion.parameters(), trained.parameters()))
    assert (model.head.fusion.voice_mean == 0.25).all()
    with pytest.raises(InputError, match=r"head: .*: size: 16, expected 12"):
        make_model(config(data, noises, encoders, "unused", head=str(tmp_path), size=12), 3)


def test_frozen_encoders_do_not_change(data, noises, encoders, tmp_path):
    train(AvnJTask(config(data, noises, encoders, tmp_path / "exp", epochs=1, freeze_epochs=1)))
    before, after = voice_weights(encoders / "voice"), voice_weights(tmp_path / "exp/voice")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_encoders_are_trained_at_their_share_of_the_rate(data, noises, encoders, tmp_path):
    settings = config(data, noises, encoders, tmp_path / "exp", encoder_rate=0.1, damage="none")
    settings.optimizer = OptimizerConfig(name="sgd", lr=0.01)
    model = make_model(settings, 3)
    trainer = Trainer(model, settings)
    share = {id(p): group["rate_share"] for group in trainer.optimizers[0].param_groups for p in group["params"]}
    assert {share[id(p)] for p in model.encoders.parameters()} == {0.1}
    assert {share[id(p)] for p in [*model.head.parameters(), *model.single.parameters()]} == {1.0}
    trainer.fit(lambda batch: (torch.zeros((), requires_grad=True), {}), lambda epoch: [None], 1)
    rates = {group["rate_share"]: group["lr"] for group in trainer.optimizers[0].param_groups}
    assert rates[0.1] == pytest.approx(rates[1.0] / 10)


def test_the_parts_work_with_the_embedding_commands(trained, data, tmp_path, avsv):
    for verb, part in (("embed-voice", "voice"), ("embed-face", "face")):
        status, output = avsv(verb, "--model", trained / part, "--max-skipped", "0.5", data, tmp_path / part)
        assert status == 0, output
    status, output = avsv("embed-pair", "--model", trained, "--voice", tmp_path / "voice/embedding.scp",
                        "--face", tmp_path / "face/embedding.scp", tmp_path / "out")  # fmt: skip
    assert status == 0, output
    assert len(kaldiio.load_scp(str(tmp_path / "out/embedding.scp"))) == 12


def test_training_and_embedding_commands_compute_the_same(data, noises, encoders, tmp_path):
    """The model's embedding of a crop equals that of embed-voice's encoder, embed-face's network and the head."""
    settings = config(data, noises, encoders, tmp_path / "exp")
    train(AvnJTask(settings))
    model = make_model(settings, 3)
    model.load_state_dict(torch.load(tmp_path / "exp/checkpoint.pt", weights_only=True)["model"])
    model.eval()
    clip = random_clips(settings, 4, 3)
    with torch.no_grad():
        ours = model.embed(clip)
        voice = load_encoder(str(tmp_path / "exp/voice"), "cpu").encode_batch(clip.waveform).squeeze(1)
        bgr = clip.image.permute(0, 2, 3, 1).numpy()[..., ::-1]
        face = load_pack(tmp_path / "exp/face", tasks=("recognition",)).recognition.get_feat(list(bgr))
        face = torch.nn.functional.normalize(torch.from_numpy(face))
        theirs = load_fusion(tmp_path / "exp")(voice, face, clip.present).out
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_magnitudes_agree_with_those_that_the_commands_write(data, noises, encoders, tmp_path, avsv):
    options = {"reliability": True, "damage": "none", "feature_damage": "none", "drop_share": 0.0, "epochs": 1,
               "voice_quality": ["log:utt2magnitude"], "face_quality": ["utt2magnitude"]}  # fmt: skip
    settings = config(data, noises, encoders, tmp_path / "exp", **options)
    train(AvnJTask(settings))
    fusion = load_fusion(tmp_path / "exp")
    assert fusion.quality_std.min() > 0 and fusion.quality_mean.abs().min() > 0
    model = make_model(settings, 3)
    rng = np.random.default_rng(0)
    image = draw_face(1, rng)
    clip = random_clips(settings, 1, 3)._replace(
        image=torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)))[None]
    )
    quality = model.eval().embed_apart(clip)[2][0]
    voice = load_encoder(str(encoders / "voice"), "cpu").encode_batch(clip.waveform)
    face = load_pack(encoders / "face", tasks=("recognition",)).recognition.get_feat(image)
    assert quality.tolist() == pytest.approx([float(voice.norm().log()), float(np.linalg.norm(face))], rel=1e-4)
    for verb, part in (("embed-voice", "voice"), ("embed-face", "face")):
        assert avsv(verb, "--model", tmp_path / "exp" / part, "--max-skipped", "0.5", data, tmp_path / part)[0] == 0
    status, output = avsv("embed-pair", "--model", tmp_path / "exp", "--voice", tmp_path / "voice/embedding.scp",
                        "--face", tmp_path / "face/embedding.scp", tmp_path / "out")  # fmt: skip
    assert status == 0, output


def test_an_interrupted_training_ends_with_the_same_networks(data, noises, encoders, tmp_path, monkeypatch):
    save = Trainer.save

    def stop_after_one(self, *rest):
        save(self, *rest)
        if self.epoch == 1:
            raise KeyboardInterrupt

    train(AvnJTask(config(data, noises, encoders, tmp_path / "whole")))
    monkeypatch.setattr(Trainer, "save", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        train(AvnJTask(config(data, noises, encoders, tmp_path / "cut")))
    monkeypatch.setattr(Trainer, "save", save)
    train(AvnJTask(config(data, noises, encoders, tmp_path / "cut")))
    for name in ("fusion.safetensors", "face/recognition.onnx"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("fusion", ["concat", "sum", "soft_attention", "soft_attention_concat", "gated",
                                    "compact_bilinear"])  # fmt: skip
def test_gradients_reach_both_encoders_through_every_head(data, noises, encoders, fusion):
    settings = config(data, noises, encoders, "unused", fusion=fusion, voice_loss=0.0, face_loss=0.0, damage="none")
    torch.manual_seed(0)
    model = make_model(settings, 3)
    model.train()
    loss, _ = model(random_clips(settings, 8, 3), 0.5)
    loss.backward()
    for encoder in (model.encoders.voice, model.encoders.face):
        assert sum(p.grad.abs().sum() for p in encoder.parameters() if p.grad is not None) > 0


@pytest.mark.parametrize("feature, embedding", [("none", "none"), ("one", "none"), ("none", "v1"), ("both", "v1")])
def test_damage_to_features_and_embeddings_alone_and_together(data, noises, encoders, feature, embedding):
    settings = config(data, noises, encoders, "unused", feature_damage=feature, damage=embedding,
                      feature_damage_share=1.0, damage_share=1.0, drop_share=0.0, reliability=True)  # fmt: skip
    model = make_model(settings, 3)
    crops = Clips(settings, list_clips(read_data_dir(data)))
    batch = torch.utils.data.default_collate([crops[item] for item in crops.plan(0)[0]])
    assert bool(batch.damaged.any()) == (feature != "none")
    loss, _ = model.train()(batch, 0.5)
    assert torch.isfinite(loss)


def test_a_clip_without_a_voice_gives_the_voice_encoder_no_gradient(data, noises, encoders):
    settings = config(data, noises, encoders, "unused", damage="none", voice_loss=1.0, face_loss=0.0)
    model = make_model(settings, 3)
    clip = random_clips(settings, 6, 3)
    clip = clip._replace(present=torch.tensor([[False, True]]).expand(6, 2))
    loss, figures = model.train()(clip, 0.5)
    loss.backward()
    assert figures["voice_aam"] == 0
    assert all(p.grad is None or not p.grad.any() for p in model.encoders.voice.parameters())


def test_encoders_that_cannot_be_trained_are_refused(data, noises, encoders, tmp_path):
    given = config(data, noises, encoders, tmp_path / "exp")
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "recognition.onnx").write_bytes((encoders / "face/recognition.onnx").read_bytes())
    for source, message in ((str(pack), "ONNX pack.* cannot be trained"),
                            ("buffalo_l", "cannot be trained"), (str(tmp_path / "no/such"), "no such file"),
                            (str(encoders / "voice"), "config.yaml: expected task face")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            train(AvnJTask(replace(given, face=source)))
    with pytest.raises(InputError, match="no such folder"):
        train(AvnJTask(replace(given, voice=str(tmp_path / "none"))))
    with pytest.raises(InputError, match="use v1 or none"):
        train(AvnJTask(replace(given, damage="real")))
    with pytest.raises(InputError, match="face_quality: utt2snr"):
        train(AvnJTask(replace(given, voice_quality=["utt2snr"], reliability=True)))


def test_new_encoders_come_from_configurations_and_a_dry_run_needs_no_data(tmp_path, avsv):
    (tmp_path / "voice.yaml").write_text(NEW_VOICE)
    (tmp_path / "face.yaml").write_text("task: face\nblocks: [1, 1]\nchannels: [16, 16]\nembedding_size: 8\n"
                                        "stem_stride: 4\nexp_dir: x\ndata_dir: x\n")  # fmt: skip
    assert read_voice_encoder(str(tmp_path / "voice.yaml")).size == 6
    assert read_face_encoder(str(tmp_path / "face.yaml")).size == 8
    (tmp_path / "c.yaml").write_text(
        f"task: avn_j\nexp_dir: {tmp_path}/exp\ndata_dir: {tmp_path}/none\nvoice: {tmp_path}/voice.yaml\n"
        f"face: {tmp_path}/face.yaml\nsize: 16\nbatch_size: 4\nthreads: 1\ndevice: cpu\ncrop_seconds: 0.5\n"
    )
    status, output = avsv("train", tmp_path / "c.yaml", "--people", "10", "--clips", "40", "--dry-run")
    assert status == 0 and "parameters: " in output, output


@pytest.mark.parametrize("path", sorted(ROOT.glob("egs/*/conf/avn_j*.yaml")), ids=lambda p: f"{p.parts[-3]}-{p.stem}")
def test_every_configuration_of_the_recipes_is_valid(path, encoders):
    settings = apply_schema(read_config(path, []), AvnJConfig, path)
    settings.voice, settings.face = str(encoders / "voice"), str(encoders / "face")
    make_model(settings, 10)


def test_new_encoders_are_saved_as_folders_too(data, noises, encoders, tmp_path):
    (tmp_path / "voice.yaml").write_text(NEW_VOICE)
    train(AvnJTask(config(data, noises, encoders, tmp_path / "exp", voice=str(tmp_path / "voice.yaml"), epochs=1)))
    assert load_encoder(str(tmp_path / "exp/voice"), "cpu").encode_batch(torch.randn(1, 8000)).shape == (1, 1, 6)
