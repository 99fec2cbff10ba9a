import re

import pytest
import torch
from torch import nn

from avsv.training import dry_run as dry_run_module
from avsv.training.config import TrainingConfig
from avsv.training.dry_run import count_data, dry_run
from avsv.training.task import RandomData, Task

VOICE = """
task: voice
exp_dir: {folder}/exp
data_dir: {folder}/data
channels: 16
attention_channels: 8
embedding_size: 12
crop_seconds: [0.4, 0.5]
batch_size: 4
device: cpu
epochs: 3
"""


def test_a_dry_run_needs_no_data_and_writes_nothing(tmp_path, avsv):
    (tmp_path / "voice.yaml").write_text(VOICE.format(folder=tmp_path))
    status, output = avsv("train", tmp_path / "voice.yaml", "--dry-run", "--people", "5", "--clips", "100")
    assert status == 0
    assert "data: 100 clips of 5 people, as given" in output
    assert re.search(r"parameters: 0\.\d\d M \(encoder 0\.\d\d M, loss 0\.00 M\)", output)
    assert re.search(r"a step: 4 x 0\.5 s of audio, [\d.]+ \w+ on cpu \(\d+ threads, float32\), [\d.]+ GiB", output)
    assert "an epoch: 75 steps" in output and "all 3 epochs: 225 steps" in output  # three speeds
    assert sorted(path.name for path in tmp_path.iterdir()) == ["voice.yaml"]


def test_people_and_clips_need_dry_run(tmp_path, avsv):
    (tmp_path / "voice.yaml").write_text(VOICE.format(folder=tmp_path))
    status, output = avsv("train", tmp_path / "voice.yaml", "--people", "5")
    assert status == 1 and "--people and --clips need --dry-run" in output


def test_a_task_without_a_dry_run_is_refused(tmp_path, avsv):
    (tmp_path / "pool.yaml").write_text("task: face_pool\ndata_dir: d\nfaces: f\ndamaged_faces: g\n")
    status, text = avsv("train", tmp_path / "pool.yaml", "--dry-run")
    assert status == 1 and "task face_pool does not support --dry-run" in text


def test_numbers_are_given_or_counted_or_those_of_voxceleb2(tmp_path):
    config = TrainingConfig(task="t", exp_dir="e", data_dir=str(tmp_path))
    assert count_data(config, 3, 4) == (3, 4, "as given")
    assert count_data(config, None, 4)[:2] == (5994, 4)
    (tmp_path / "utt2spk").write_text("a-1 a\na-2 a\nb-1 b\n")
    assert count_data(config, None, None) == (2, 3, f"counted in {tmp_path}/utt2spk")


@pytest.fixture
def rehearsed(monkeypatch):
    """Run a dry run with steps of 1 + 0.5 x batch seconds and 10 + batch GiB; returns its batch sizes and output."""
    sizes = []

    def time_step(trainer, step, batch):
        sizes.append(len(batch))
        trainer.update(step, batch)
        return 1 + 0.5 * len(batch), (10 + len(batch)) * 2**30

    class Pairs(Task):
        read = plan = save = None

        def random_data(self, n_people, n_clips):
            return RandomData(lambda n: torch.ones(n, 2), n_clips, "a pair")

        def make_model(self):
            return nn.Linear(2, 1)

        def make_step(self, trainer):
            return lambda batch: (self.model(batch).mean(), {})

    def run(free_gib, batch_size):
        monkeypatch.setattr(dry_run_module, "time_step", time_step)
        monkeypatch.setattr(dry_run_module, "memory_free", lambda device: free_gib * 2**30)
        config = TrainingConfig(task="t", exp_dir="e", data_dir="d", device="cpu", threads=1, batch_size=batch_size)
        return sizes, "\n".join(dry_run(Pairs(config), 3, 6400))

    return run


def test_a_batch_that_fits_is_measured(rehearsed):
    sizes, output = rehearsed(free_gib=100, batch_size=64)
    assert sizes == [4, 8, 64] and "33 s on cpu" in output and "74.00 GiB at its peak; measured" in output
    assert "an epoch: 100 steps, 55.0 min" in output


def test_a_batch_that_does_not_fit_is_extrapolated_linearly(rehearsed):
    sizes, output = rehearsed(free_gib=20, batch_size=64)
    assert sizes == [4, 8] and "33 s on cpu" in output and "74.00 GiB at its peak; estimated from 4 and 8" in output
    assert "more than the free memory" in output


def test_a_batch_that_takes_minutes_is_estimated(rehearsed):
    sizes, output = rehearsed(free_gib=1000, batch_size=320)
    assert sizes == [20, 40] and "2.7 min on cpu" in output and "estimated from 20 and 40" in output
