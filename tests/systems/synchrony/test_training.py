"""Training the synchrony networks on a few synthetic talkers."""

import numpy as np
import pytest
import torch

from avsv.errors import InputError
from avsv.kaldi.data_dir import read_data_dir
from avsv.media.waveforms import read_waveform
from avsv.models.checkpoint import load
from avsv.systems.synchrony.embedding import NETWORKS, SYNCHRONY, make_synchrony_embedder
from avsv.systems.synchrony.mouths import read_mouths
from avsv.systems.synchrony.training import (
    Segments,
    SynchronyConfig,
    SynchronyTask,
    draw_impostors,
    frames_of,
    list_clips,
    pairs_of,
)
from avsv.training.checkpoints import load_weights
from avsv.training.config import OptimizerConfig
from avsv.training.task import train
from tests.systems.synchrony.small_talk import make_talk


def config(folder, task="syncnet", **more):
    options = {"size": 8, "width": 0.06, "segment": 1.2, "stride": 3, "shift": (0.12, 0.6), "margin": 4.0, "epochs": 2,
               "batch_size": 4, "workers": 0, "threads": 1, "device": "cpu",
               "optimizer": OptimizerConfig(name="adamw", lr=0.003)}  # fmt: skip
    if task == "coupled_cnn":
        options |= {"stride": 1, "shift": (0.3, 0.3), "selection": "adaptive", "selection_margin": 0.4}
    options |= {"exp_dir": str(folder / "exp"), "data_dir": str(folder / "data")}
    return SynchronyConfig(task=task, **{**options, **more})


@pytest.fixture(scope="module")
def talkers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("talkers")
    make_talk(folder / "data")
    make_talk(folder / "dev", "q", people=2)
    return folder


@pytest.mark.parametrize("task", ["syncnet", "coupled_cnn"])
def test_training_writes_a_network_with_a_threshold_and_curves(talkers, tmp_path, task):
    train(SynchronyTask(config(talkers, task, exp_dir=str(tmp_path / "exp"), valid_dir=str(talkers / "dev"))))
    net = load(tmp_path / "exp", SYNCHRONY)[0]
    assert type(net) is NETWORKS[task] and np.isfinite(net.threshold)
    head, *lines = (tmp_path / "exp/curves.tsv").read_text().splitlines()
    assert {"loss", "eer_percent", "kept_impostors", "pair_accuracy"} <= set(head.split("\t")) and len(lines) == 2
    data = read_data_dir(talkers / "dev")
    utt, entry = next(iter(data.table("mouths.scp").items()))
    vectors = make_synchrony_embedder(tmp_path / "exp").embed(read_mouths(entry), read_waveform(data.wav[utt]))
    n_cubes = int((2.4 - net.seconds) * net.fps / net.mouth_stride + 1e-6) + 1
    assert vectors.mouths.shape == (n_cubes, 8) and vectors.first == 0


def test_an_interrupted_training_resumes_to_the_same_weights(talkers, tmp_path):
    weights = []
    for name in ("whole", "stopped"):
        if name == "stopped":
            with pytest.raises(InterruptedError), pytest.MonkeyPatch.context() as patch:
                patch.setattr("avsv.training.trainer.Trainer.save", stop_after_first(patch))
                train(SynchronyTask(config(talkers, exp_dir=str(tmp_path / name))))
        train(SynchronyTask(config(talkers, exp_dir=str(tmp_path / name))))
        weights.append(load_weights(tmp_path / name))
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def stop_after_first(patch):
    from avsv.training.trainer import Trainer

    save = Trainer.save

    def save_and_stop(self):
        save(self)
        raise InterruptedError

    return save_and_stop


@pytest.mark.parametrize("task, stride", [("syncnet", 1), ("syncnet", 2), ("coupled_cnn", 1)])
def test_the_pairs_of_a_segment_are_synchronous(talkers, task, stride):
    settings = config(talkers, task, stride=stride, flip=False, move=0, light=0.0)
    segments, net = Segments(settings, list_clips(read_data_dir(settings.data_dir))), NETWORKS[task]
    segments.keep()
    images, audio = segments[0, 5]
    model = net(8, 0.06).eval()
    with torch.no_grad():
        mouths = model.embed_mouths(images.unsqueeze(0), stride * net.mouth_stride)
        audios = model.embed_audio(audio.unsqueeze(0), stride * net.audio_stride)
    assert mouths.shape[1] == audios.shape[1] == pairs_of(net, settings)
    assert (len(images), len(audio)) == frames_of(net, settings)
    # the loudness of the audio follows the darkness of the mouth, at the slower of the two rates
    dark = -images[:, 28:54, 30:70].mean((1, 2)).numpy()
    loud = (audio[..., 0].mean(1) if task == "coupled_cnn" else audio[:, 0]).numpy()
    at = np.minimum((np.arange(len(dark)) * net.audio_rate / net.fps).round().astype(int), len(loud) - 1)
    assert np.corrcoef(dark, loud[at])[0, 1] > 0.5


def test_impostors_keep_the_requested_distance():
    for _ in range(20):
        away = (draw_impostors(13, 2, 4) - torch.arange(13)).abs()
        assert away.min() >= 2 and away.max() <= 4


@pytest.mark.parametrize("change, setting", [
    ({"selection": "hard"}, "selection=hard"),
    ({"shift": (2.0, 2.0)}, r"shift=\[2\.0, 2\.0\]"),
    ({"shift": (0.6, 0.12)}, r"shift=\[0\.6, 0\.12\]"),
    ({"segment": 9.0}, "segment=9 s"),
])  # fmt: skip
def test_invalid_settings_are_named(talkers, tmp_path, change, setting):
    with pytest.raises(InputError, match=setting):
        train(SynchronyTask(config(talkers, exp_dir=str(tmp_path / "exp"), **change)))


def test_data_without_mouths_is_refused(talkers, tmp_path):
    make_talk(tmp_path / "data")
    (tmp_path / "data/mouths.scp").unlink()
    with pytest.raises(InputError, match=r"mouths\.scp"):
        train(SynchronyTask(config(tmp_path)))


def test_a_dry_run_makes_batches_as_training_does(talkers):
    for task in NETWORKS:
        settings = config(talkers, task)
        batch = SynchronyTask(settings).random_data(4, 12).make_batch(2)
        segments = Segments(settings, list_clips(read_data_dir(settings.data_dir)))
        segments.keep()
        assert [tuple(part.shape[1:]) for part in batch] == [tuple(part.shape) for part in segments[0, 0]]
