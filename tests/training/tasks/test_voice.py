"""A tiny speaker encoder, from audio files to a folder that SpeechBrain itself loads."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import soundfile
import torch

from avsv.models.speechbrain_folder import load_encoder
from avsv.models.speechbrain_library import import_speechbrain
from avsv.training.config import OptimizerConfig
from avsv.training.task import train
from avsv.training.tasks.voice import Crops, VoiceConfig, VoiceTask, mask


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three people with bands of noise as voices."""
    folder = tmp_path_factory.mktemp("voice data")
    utt2spk, wav = [], []
    for person in range(3):
        for clip in range(2):
            rng = np.random.default_rng([person, clip])
            waveform = np.convolve(rng.normal(0, 0.1, 24000), np.cos(np.arange(64) * (0.3 + 0.5 * person)), "same")
            soundfile.write(folder / f"p{person}-{clip}.wav", 0.1 * waveform / np.abs(waveform).max(), 16000)
            utt2spk.append(f"p{person}-{clip} p{person}\n")
            wav.append(f"p{person}-{clip} {folder}/p{person}-{clip}.wav\n")
    (folder / "utt2spk").write_text("".join(utt2spk))
    (folder / "wav.scp").write_text("".join(wav))
    return folder


def tiny(data, exp_dir, **more):
    return VoiceConfig(task="voice", exp_dir=str(exp_dir), data_dir=str(data), channels=16, attention_channels=8,
                       embedding_size=12, crop_seconds=(0.5, 0.6), batch_size=6, epochs=2, workers=0, device="cpu",
                       mask_frames=3, mask_bands=3, optimizer=OptimizerConfig(lr=0.003), **more)  # fmt: skip


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    exp_dir = tmp_path_factory.mktemp("exp") / "voice"
    train(VoiceTask(tiny(data, exp_dir)))
    return exp_dir


def test_an_epoch_has_every_clip_at_every_speed_once_and_is_repeatable(data):
    crops = Crops(tiny(data, "x"), [f"{data}/p{i // 2}-{i % 2}.wav" for i in range(6)], np.arange(6) // 2, 3)
    plan = crops.plan(0)
    assert sorted((clip, speed) for batch in plan for clip, speed, *_ in batch) == [
        (c, s) for c in range(6) for s in range(3)
    ]
    assert plan == crops.plan(0) != crops.plan(1)
    assert all(len({seconds for *_, seconds, _ in batch}) == 1 for batch in plan)
    waveform, label = crops[plan[0][0]]
    assert torch.equal(waveform, crops[plan[0][0]][0]) and 0 <= label < 9
    assert len(waveform) == int(plan[0][0][2] * 16000)


def test_speechbrain_loads_the_folder_even_after_it_was_moved_and_gives_the_same_embeddings(trained, tmp_path):
    import_speechbrain()
    from speechbrain.inference.speaker import EncoderClassifier

    moved = shutil.copytree(trained, tmp_path / "elsewhere")
    theirs = EncoderClassifier.from_hparams(source=str(moved), savedir=str(tmp_path / "cache"))
    waveform = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 16000)).astype(np.float32))
    ours = load_encoder(str(trained), "cpu")
    assert torch.equal(theirs.encode_batch(waveform), ours.encode_batch(waveform))
    assert theirs.encode_batch(waveform).shape == (1, 1, 12)
    assert theirs.classify_batch(waveform)[0].shape == (1, 9)
    assert theirs.hparams.label_encoder.decode_torch(torch.tensor([0])) == ["p0@0.9"]


def test_a_finished_training_is_left_alone(data, trained):
    before = (trained / "embedding_model.ckpt").stat().st_mtime_ns
    train(VoiceTask(tiny(data, trained)))
    assert (trained / "embedding_model.ckpt").stat().st_mtime_ns == before


def test_the_same_seed_gives_the_same_encoder(data, trained, tmp_path):
    train(VoiceTask(tiny(data, tmp_path / "again")))
    states = [
        torch.load(folder / "embedding_model.ckpt", weights_only=True) for folder in (trained, tmp_path / "again")
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.fixture(scope="module")
def held_out(data):
    """Two other people with the recordings of two people of `data`."""
    folder = data / "held out"
    folder.mkdir()
    for name in ("utt2spk", "wav.scp"):
        lines = [line.replace("p0", "q0").replace("p1", "q1") for line in (data / name).read_text().splitlines(True)]
        kept = [line.replace("/q", "/p") for line in lines if line.startswith("q")]
        (folder / name).write_text("".join(kept))
    return folder


def test_the_eer_of_held_out_people_is_measured_and_the_best_epoch_kept(data, held_out, trained, tmp_path):
    train(VoiceTask(tiny(data, tmp_path / "exp", valid_dir=str(held_out), weights="best")))
    errors = [json.loads(line)["eer_percent"] for line in (tmp_path / "exp/history.jsonl").read_text().splitlines()]
    assert len(errors) == 2 and all(0 <= error <= 100 for error in errors)
    # validation on held-out people changes nothing else
    losses = [[json.loads(line)["loss"] for line in (d / "history.jsonl").read_text().splitlines()]
              for d in (trained, tmp_path / "exp")]  # fmt: skip
    assert losses[0] == losses[1]
    encoder = torch.load(tmp_path / "exp/embedding_model.ckpt", weights_only=True)
    best = torch.load(tmp_path / "exp/best.pt", weights_only=True)["model"]
    assert all(torch.equal(value, best[f"encoder.{name}"]) for name, value in encoder.items())


def test_large_margin_fine_tuning_starts_from_a_trained_encoder(data, trained, tmp_path):
    more = {"margin": 0.5, "margin_warmup": 0.0, "init": str(trained)}
    config = tiny(data, tmp_path / "exp", **more)
    config.optimizer.lr = config.optimizer.final_lr = 1e-9
    train(VoiceTask(config))
    tuned, first = (torch.load(d / "classifier.ckpt", weights_only=True)["weight"] for d in (tmp_path / "exp", trained))
    assert torch.allclose(tuned, first, atol=1e-6)  # the centres of the people, too


@pytest.mark.parametrize(("encoder", "loss"), [("vggm", "contrastive"), ("rescnn", "triplet"), ("gru", "triplet")])
def test_two_phases_softmax_then_metric(data, tmp_path, encoder, loss):
    sizes = {"encoder": encoder, "speeds": (1.0,), "gru_units": 4}
    first = dataclasses.replace(tiny(data, tmp_path / "softmax", loss="softmax"), **sizes)
    first.channels, first.embedding_size = (3, 32) if encoder == "vggm" else (2, 12)
    train(VoiceTask(first))
    second = dataclasses.replace(first, exp_dir=str(tmp_path / loss), loss=loss, clips_per_person=2, margin=0.5,
                                 fc8=encoder == "vggm", init=str(tmp_path / "softmax"), epochs=1)  # fmt: skip
    second.optimizer = OptimizerConfig(lr=1e-9, final_lr=1e-9)
    train(VoiceTask(second))
    states = [torch.load(tmp_path / phase / "embedding_model.ckpt", weights_only=True) for phase in ("softmax", loss)]
    new = states[1].keys() - states[0].keys()
    assert new == ({"fc8.weight", "fc8.bias"} if encoder == "vggm" else set())
    trained = [name for name in states[0] if states[0][name].ndim > 1]
    assert all(torch.allclose(states[0][name], states[1][name], atol=1e-6) for name in trained)
    assert (
        load_encoder(str(tmp_path / loss), "cpu").encode_batch(torch.randn(1, 16000)).shape[2] == second.embedding_size
    )
    history = [json.loads(line) for line in (tmp_path / loss / "history.jsonl").read_text().splitlines()]
    assert history[0]["loss"] > 0 and -1 <= history[0]["different"] <= 1


def test_a_batch_of_a_metric_loss_has_several_clips_of_each_person(data):
    config = tiny(data, "x", loss="triplet", clips_per_person=2)
    crops = Crops(config, [f"{data}/p{i // 2}-{i % 2}.wav" for i in range(6)], np.arange(6) // 2, 3)
    for batch in crops.plan(0):
        classes = [clip // 2 + 3 * speed for clip, speed, *_ in batch]  # other speeds are other people
        assert sorted(classes.count(one) for one in set(classes)) == [2, 2, 2]


def test_a_metric_loss_without_clips_of_the_same_person_is_refused(data, avsv, tmp_path):
    (tmp_path / "voice.yaml").write_text(f"task: voice\ndata_dir: {data}\nloss: triplet\n")
    status, output = avsv("train", tmp_path / "voice.yaml")
    assert status == 1 and "clips_per_person" in output and "Traceback" not in output


def test_an_xvector_with_softmax_is_trained_on_24_bands(data, tmp_path):
    config = tiny(data, tmp_path / "exp", encoder="xvector", loss="softmax", classifier_size=5)
    train(VoiceTask(config))
    encoder = load_encoder(str(tmp_path / "exp"), "cpu")
    assert encoder.mods["compute_features"](torch.randn(1, 16000)).shape[2] == 24
    assert encoder.encode_batch(torch.randn(1, 16000)).shape == (1, 1, 12)


def test_masks_are_single_runs_within_bounds():
    features = torch.ones(50, 40, 20)
    mask(features, 7, dim=1)
    lengths = (features[:, :, 0] == 0).sum(1)
    assert lengths.max() <= 7 and lengths.float().mean() > 1
    edges = features[:, 1:, 0] - features[:, :-1, 0]
    assert (edges == -1).sum(1).max() <= 1  # one run each


def test_embed_voice_skips_unreadable_clips_and_does_not_depend_on_batches(data, trained, tmp_path, avsv):
    import kaldiio

    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    soundfile.write(tmp_path / "short.wav", np.ones(100) * 0.1, 16000)
    folder = tmp_path / "data"
    folder.mkdir()
    extra = {"q-1": tmp_path / "silent.wav", "q-2": tmp_path / "short.wav", "q-3": tmp_path / "absent.m4a"}
    (folder / "utt2spk").write_text((data / "utt2spk").read_text() + "".join(f"{utt} q\n" for utt in extra))
    (folder / "wav.scp").write_text((data / "wav.scp").read_text() + "".join(f"{u} {p}\n" for u, p in extra.items()))
    status, output = avsv("embed-voice", "--model", trained, folder, tmp_path / "out")
    assert status == 1 and "3 of 9 clips" in output
    status, output = avsv("embed-voice", "--model", trained, "--max-skipped", "0.5", folder, tmp_path / "out")
    assert status == 0, output
    skipped = (tmp_path / "out/skipped").read_text()
    assert "q-1" in skipped and "silent" in skipped and "less than 0.1 s" in skipped and "no such file" in skipped
    status, _ = avsv(
        "embed-voice", "--model", trained, "--max-skipped", "0.5", "--batch-seconds", "1", folder, tmp_path / "one"
    )
    assert status == 0
    together, alone = (kaldiio.load_scp(str(tmp_path / d / "embedding.scp")) for d in ("out", "one"))
    assert sorted(together) == [f"p{p}-{c}" for p in range(3) for c in range(2)]
    for utt in together:
        cosine = together[utt] @ alone[utt] / np.linalg.norm(together[utt]) / np.linalg.norm(alone[utt])
        assert cosine > 0.9999


def test_a_folder_without_a_model_is_refused(tmp_path, data, avsv):
    status, output = avsv("embed-voice", "--model", tmp_path, data, tmp_path / "out")
    assert status == 1 and "no hyperparams.yaml" in output
    status, output = avsv("embed-voice", "--model", tmp_path / "gone", data, tmp_path / "out")
    assert status == 1 and "no such folder" in output
