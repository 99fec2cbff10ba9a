"""Training voice to face on three synthetic people (bands of noise, shades of colour), and the trainer's players."""

import dataclasses

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from torch import nn

import avsv.training.trainer as trainer_module
from avsv.errors import InputError
from avsv.kaldi.data_dir import read_data_dir
from avsv.systems.voice_to_face.speech_store import SpeechStore, read_speech
from avsv.systems.voice_to_face.training import (
    VoicesAndFaces,
    VoiceToFace,
    VoiceToFaceConfig,
    VoiceToFaceTask,
    embedder_of,
    make_steps,
)
from avsv.systems.voice_to_face.voice_embedder_training import SpeechCrops, VoiceEmbedderConfig, VoiceEmbedderTask
from avsv.training.checkpoints import load_state, load_weights
from avsv.training.config import OptimizerConfig, TrainingConfig
from avsv.training.curves import EVENTS
from avsv.training.task import train
from avsv.training.trainer import Trainer
from tests.training.small_clips import make_data
from tests.training.test_curves import read_message, read_messages, read_values


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return speak(make_data(tmp_path_factory.mktemp("voices and faces")))


def speak(folder):
    """Modulate each person's noise at its own rate, because normalisation removes everything constant in time."""
    for utt, path in read_data_dir(folder).wav.items():
        sound, rate = soundfile.read(path)
        swell = 1.1 + np.sin(2 * np.pi * (3, 8, 20)[int(utt[1])] * np.arange(len(sound)) / rate)
        soundfile.write(path, 0.4 * sound * swell, rate)
    return folder


def embedder_config(data, exp_dir, **more):
    options = {"channels": (8, 8, 8, 8), "embedding_size": 6, "crop_frames": (40, 60), "epochs": 12, "batch_size": 6,
               "workers": 0, "threads": 1, "device": "cpu", "optimizer": OptimizerConfig(lr=0.02)}  # fmt: skip
    return VoiceEmbedderConfig(task="voice_embedder", exp_dir=str(exp_dir), data_dir=str(data), **{**options, **more})


def gan_config(data, voice, exp_dir, **more):
    options = {"channels": (16,) * 5, "critic_channels": (16,) * 5, "critic_size": 8, "crop_frames": (40, 60),
               "epochs": 2, "steps_per_epoch": 3, "batch_size": 4, "workers": 0, "threads": 1,
               "average_decay": 0.5, "device": "cpu"}  # fmt: skip
    return VoiceToFaceConfig(task="voice_to_face", exp_dir=str(exp_dir), data_dir=str(data), voice=str(voice),
                             **{**options, **more})  # fmt: skip


@pytest.fixture(scope="module")
def voice(data, tmp_path_factory):
    exp_dir = tmp_path_factory.mktemp("exp") / "voice"
    held_out = speak(make_data(exp_dir.parent / "held out", prefix="q"))
    train(VoiceEmbedderTask(embedder_config(data, exp_dir, valid_dir=str(held_out))))
    return exp_dir


@pytest.fixture(scope="module")
def trained(data, voice, tmp_path_factory):
    exp_dir = tmp_path_factory.mktemp("exp") / "gan"
    train(VoiceToFaceTask(gan_config(data, voice, exp_dir)))
    return exp_dir


def history(exp_dir):
    return load_state(exp_dir / "checkpoint.pt")["history"]


def test_the_embedder_is_trained_to_classify_speakers(voice):
    records = history(voice)
    assert records[-1]["loss"] < 0.7 * records[0]["loss"] and 0 <= records[-1]["eer_percent"] <= 100


def test_a_batch_of_crops_has_one_length_and_is_reproducible(data):
    clips = read_data_dir(data)
    paths = [clips.wav[utt] for utt in sorted(clips.wav)]
    crops = SpeechCrops(embedder_config(data, "x", crops_per_clip=2), paths, np.arange(12) // 4)
    plan = crops.plan(3)
    assert plan == crops.plan(3) != crops.plan(4) and len(plan) == 4
    for batch in plan:
        (n_frames,) = {frames for _, frames, _ in batch}
        assert 40 <= n_frames <= 60 and {crops[item][0].shape for item in batch} == {(64, n_frames)}
    assert torch.equal(crops[plan[0][0]][0], crops[plan[0][0]][0])


def test_a_recording_without_speech_is_replaced_by_another_of_the_person(data, tmp_path, tone, caplog):
    store = SpeechStore([], 0)
    good, bad = read_data_dir(data).wav["p0-0"], str(tone("short.wav", seconds=0.1))
    assert np.array_equal(store.crop_of_any([bad, good], 0.5, 40), store.crop(good, 0.5, 40))
    assert "short.wav" in caplog.text
    with pytest.raises(InputError, match=r"2 of 3 recordings .*nothing\.wav"):
        SpeechStore([str(tmp_path / "nothing.wav"), bad, good], 100)


def test_frames_beyond_the_cache_are_read_on_demand(data):
    paths = list(read_data_dir(data).wav.values())[:3]
    small, large = SpeechStore(paths, 0.01), SpeechStore(paths, 10)
    assert len(small.kept) == 1 and len(large.kept) == 3
    assert np.allclose(small.crop(paths[2], 0.5, 40), large.crop(paths[2], 0.5, 40), atol=0.05)


def test_the_embedder_stays_frozen_in_gan_training(voice, trained):
    before, after = load_weights(voice), load_weights(trained)
    names = [name for name in before if name.startswith("embedder.")]
    assert names and all(torch.equal(before[name], after[name]) for name in names)


def test_figures_of_both_players_are_recorded(trained):
    records = history(trained)
    assert len(records) == 2
    names = ("loss", "real_accuracy", "drawn_accuracy", "person_accuracy", "generator_loss", "speaker_accuracy")
    assert all(np.isfinite(record[name]) for record in records for name in names)
    assert all(record["lr"] == pytest.approx(2e-4) for record in records)


def test_samples_show_real_faces_above_generated_ones(trained):
    for epoch in (1, 2):
        assert Image.open(trained / "samples" / f"{epoch:04d}.png").size == (3 * 64, 2 * 64)
    real = np.asarray(Image.open(trained / "samples/0001.png"))[:64]
    colours = real[20:50, 20:40].mean((0, 1)), real[20:50, 148:168].mean((0, 1))
    # draw_face of small_clips: blue, green, red of persons 0 and 2
    assert np.allclose(colours[0], (60, 90, 200), atol=12) and np.allclose(colours[1], (180, 90, 100), atol=12)


def test_the_tensorboard_event_file_contains_the_samples(trained):
    events = [(event[2][0], read_values(event)) for event in read_messages(trained / EVENTS)]
    pictures = [(step, read_message(v[4][0])) for step, values in events for v in values if v[1] == [b"samples"]]
    assert [step for step, _ in pictures] == [3, 6]
    png = (trained / "samples/0002.png").read_bytes()
    assert pictures[1][1] == {1: [128], 2: [192], 3: [3], 4: [png]}  # height, width, colours


def test_an_interrupted_gan_training_resumes_to_the_same_weights(data, voice, trained, tmp_path, monkeypatch):
    save = Trainer.save

    def stop_after_one(self):
        save(self)
        if self.epoch == 1:
            raise KeyboardInterrupt

    config = gan_config(data, voice, tmp_path / "gan")
    monkeypatch.setattr(Trainer, "save", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        train(VoiceToFaceTask(config))
    monkeypatch.setattr(Trainer, "save", save)
    train(VoiceToFaceTask(config))
    once, twice = load_weights(trained), load_weights(tmp_path / "gan")
    assert all(torch.equal(once[name], twice[name]) for name in once)
    for name in ("0001.png", "0002.png"):
        assert (tmp_path / "gan/samples" / name).read_bytes() == (trained / "samples" / name).read_bytes()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_starts_with_nearly_the_same_loss(data, voice, trained, tmp_path, precision):
    train(VoiceToFaceTask(gan_config(data, voice, tmp_path / "gan", precision=precision, epochs=1)))
    assert history(tmp_path / "gan")[0]["loss"] == pytest.approx(history(trained)[0]["loss"], rel=0.05)


def test_voices_and_faces_have_the_right_labels(data, voice):
    clips = read_data_dir(data)
    pairs = VoicesAndFaces(gan_config(data, voice, "x"), clips, clips.table("faces.scp"), ["p0", "p1", "p2"])
    plan = pairs.plan(0)
    assert plan == pairs.plan(0) != pairs.plan(1) and len(plan) == 3 and {len(batch) for batch in plan} == {4}
    for speaker, person in ((0, 2), (1, 1), (2, 0)):
        mels, spoken, face, shown = pairs[4 * speaker + 1, 50, 4 * person + 2, 9]  # four clips each
        assert (spoken, shown) == (speaker, person) and mels.shape == (64, 50)
        assert face.shape == (3, 64, 64) and face.dtype == torch.uint8
        middle = face[:, 20:50, 22:40].float().mean((1, 2)).tolist()
        assert middle == pytest.approx([60 + 60 * person, 90, 200 - 50 * person], abs=15)


def test_clips_rather_than_people_are_drawn_uniformly(data, voice):
    clips = read_data_dir(data)
    wav = {utt: path for utt, path in clips.wav.items() if utt[:2] != "p1" or utt == "p1-0"}
    few = dataclasses.replace(clips, wav=wav)
    faces = {utt: entry for utt, entry in clips.table("faces.scp").items() if utt[:2] != "p2" or utt == "p2-0"}
    config = gan_config(data, voice, "x", steps_per_epoch=100, batch_size=36)
    pairs = VoicesAndFaces(config, few, faces, ["p0", "p1", "p2"])
    items = [item for batch in pairs.plan(0) for item in batch]
    for place, of, counts in ((0, pairs.voices, (4, 1, 4)), (2, pairs.faces, (4, 4, 1))):
        drawn = np.bincount([of[item[place]][1] for item in items], minlength=3) / len(items)
        assert drawn == pytest.approx(np.array(counts) / 9, abs=0.03)  # 3,600 draws: 0.025 is three sigma


def test_bands_are_normalised_over_the_whole_recording_before_cropping(data):
    path = read_data_dir(data).wav["p0-0"]
    frames = read_speech(path)
    whole = (frames - frames.mean(0)) / frames.std(0)
    n = len(frames) // 3
    for store in (SpeechStore([], 0), SpeechStore([path], 10)):
        assert np.allclose(store.crop(path, 1.0, n), whole[-n:].T, atol=2e-2)
    assert abs(whole[-n:].mean(0)).max() > 0.1  # a crop normalised by itself would differ


def test_the_running_mean_of_the_generator_generates_faces(voice):
    config = VoiceToFaceConfig(task="t", exp_dir="x", data_dir="d", channels=(8,) * 5, critic_channels=(8,) * 5,
                               average_decay=0.75, batch_norm=True)  # fmt: skip
    torch.manual_seed(0)
    model = VoiceToFace(config, embedder_of(load_weights(voice)), 3)
    expected, mels = None, torch.randn(2, 64, 50)
    for _ in range(3):
        for weights in model.generator.state_dict().values():
            weights.copy_(weights + torch.rand(weights.shape) if weights.is_floating_point() else weights)
        model.average()
        now = {name: w.clone() for name, w in model.generator.state_dict().items() if w.is_floating_point()}
        expected = {n: 0.75 * expected[n] + 0.25 * now[n] for n in now} if expected else now
    model.eval()
    found = model.mean.module.state_dict()
    assert all(torch.allclose(found[name], weights, atol=1e-6) for name, weights in expected.items())
    assert torch.equal(model(mels), model.mean(model.listen(mels)))
    assert not torch.equal(model(mels), model.generator(model.listen(mels)))


@pytest.mark.parametrize("idle", [0, 1])
def test_each_player_is_trained_only_in_its_own_turn(data, voice, tmp_path, idle):
    config = gan_config(data, voice, tmp_path, optimizer=OptimizerConfig(name="sgd", lr=0.1))
    torch.manual_seed(0)
    model = VoiceToFace(config, embedder_of(load_weights(voice)), 3)
    players = (model.critic, model.generator)
    trainer = Trainer(model, config, players=players)
    model.train()
    batch = (torch.randn(4, 64, 50), torch.arange(4) % 3, torch.randint(256, (4, 3, 64, 64), dtype=torch.uint8),
             torch.arange(4) % 3)  # fmt: skip
    steps = make_steps(model, trainer)
    step = steps[idle]
    steps[idle] = lambda batch: (0 * step(batch)[0] + sum(0 * p.sum() for p in players[idle].parameters()), {})
    before = [[p.clone() for p in part.parameters()] for part in players]
    trainer.update(steps, batch)
    moved = [any(not torch.equal(a, b) for a, b in zip(old, part.parameters())) for old, part in zip(before, players)]
    assert not moved[idle] and moved[1 - idle]


def test_players_take_turns_and_frozen_parameters_stay_frozen(tmp_path):
    config = TrainingConfig(task="t", exp_dir=str(tmp_path), data_dir="d", device="cpu")
    model = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
    model[0].weight.requires_grad_(False)
    seen = []

    def turn(number):
        def step(_batch):
            seen.append((number, [part.bias.requires_grad for part in model]))
            return model[number].bias.sum(), {}

        return step

    Trainer(model, config).update(turn(1), None)
    assert not model[0].weight.requires_grad
    Trainer(model, config, players=list(model)).update([turn(0), turn(1)], None)
    assert seen == [(1, [True, True]), (0, [True, False]), (1, [False, True])]


def test_missing_inputs_and_invalid_options_are_named(data, voice, trained, tmp_path):
    for name in ("utt2spk", "wav.scp"):
        (tmp_path / name).write_text((data / name).read_text())
    with pytest.raises(InputError, match=r"faces\.scp"):
        train(VoiceToFaceTask(gan_config(tmp_path, voice, tmp_path / "exp")))
    lines = [line for line in (data / "faces.scp").read_text().splitlines() if line.startswith("p0")]
    (tmp_path / "faces.scp").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="at least 2 people"):
        train(VoiceToFaceTask(gan_config(tmp_path, voice, tmp_path / "exp")))
    with pytest.raises(InputError, match=str(tmp_path)):
        train(VoiceToFaceTask(gan_config(data, tmp_path, tmp_path / "exp")))
    with pytest.raises(InputError, match="channels"):
        train(VoiceToFaceTask(gan_config(data, voice, tmp_path / "exp", channels=(16, 16))))
    with pytest.raises(InputError, match=r"crop_frames=\[60, 40\]"):
        train(VoiceEmbedderTask(embedder_config(data, tmp_path / "exp", crop_frames=(60, 40))))
    with pytest.raises(InputError, match="voice_embedder"):
        embedder_of({"net.weight": torch.zeros(1, 1, 1)})
    assert trainer_module.turns_of(max) == [max]
