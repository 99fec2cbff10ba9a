import json

import pytest
import torch
from torch import nn

from avsv.errors import UserError
from avsv.training.config import OptimizerConfig, TrainingConfig
from avsv.training.trainer import Trainer, finish_experiment, learning_rate, start_experiment


def config(tmp_path, **more):
    return TrainingConfig(task="t", exp_dir=str(tmp_path / "exp"), data_dir="d", epochs=4, device="cpu", **more)


def train(tmp_path, stop_after=None, **more):
    """Fit a line with noise from dropout; `stop_after` epochs it is killed."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    trainer = Trainer(model, config(tmp_path, **more))

    def batches(epoch):
        if epoch == stop_after:
            raise KeyboardInterrupt
        generator = torch.Generator().manual_seed(epoch)
        x = torch.randn(5, 16, 3, generator=generator)
        return [(b, b.sum(1, keepdim=True)) for b in x]

    def step(batch):
        loss = (model(batch[0]) - batch[1]).pow(2).mean()
        return loss, {"error": loss.item()}

    history = trainer.fit(step, batches, 5)
    return model.state_dict(), history


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_killed_training_ends_with_the_same_weights(tmp_path, optimizer):
    more = {"optimizer": OptimizerConfig(name=optimizer, lr=0.01)}
    whole, _ = train(tmp_path / "whole", **more)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", stop_after=2, **more)
    resumed, history = train(tmp_path / "killed", **more)
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_loss_falls_and_is_recorded(tmp_path):
    _, history = train(tmp_path, optimizer=OptimizerConfig(lr=0.02))
    lines = [json.loads(line) for line in (tmp_path / "exp/history.jsonl").read_text().splitlines()]
    assert lines == history and history[-1]["loss"] < history[0]["loss"]


def test_a_loss_that_is_not_finite_stops_with_a_message(tmp_path):
    model = nn.Linear(1, 1)
    trainer = Trainer(model, config(tmp_path))
    with pytest.raises(UserError, match="the loss is nan in epoch 1"):
        trainer.fit(lambda batch: (model(batch).mean() * float("nan"), {}), lambda epoch: [torch.ones(1, 1)], 1)


@pytest.mark.parametrize("schedule", ["cosine", "exponential", "cyclic"])
def test_schedules_stay_between_their_ends_after_the_warm_up(schedule):
    settings = OptimizerConfig(lr=1.0, final_lr=0.01, schedule=schedule, warmup=0.1, cycles=2)
    rates = [learning_rate(settings, step, 100) for step in range(100)]
    assert rates[0] < rates[9] < 1.0
    assert all(0.01 - 1e-9 <= rate <= 1.0 + 1e-9 for rate in rates[10:])
    assert rates[-1] == pytest.approx(0.01, abs=1e-6)


def test_an_experiment_is_not_done_twice_nor_mixed_with_another(tmp_path):
    first = config(tmp_path)
    assert start_experiment(first, {"data": 1})
    assert start_experiment(first, {"data": 1})  # not finished: goes on
    finish_experiment(first)
    assert not start_experiment(first, {"data": 1})
    with pytest.raises(UserError, match="another configuration; new: seed: 5"):
        start_experiment(config(tmp_path, seed=5), {"data": 1})
    with pytest.raises(UserError, match="other data"):
        start_experiment(first, {"data": 2})
    assert json.loads((tmp_path / "exp/run.json").read_text())["versions"]["torch"] == torch.__version__
