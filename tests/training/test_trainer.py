import json
import re
import subprocess

import pytest
import torch
from torch import nn

import avsv.training.trainer as trainer_module
from avsv.errors import InputError, OptionError
from avsv.training.checkpoints import FILES, load_state
from avsv.training.config import OptimizerConfig, TrainingConfig
from avsv.training.curves import EVENTS
from avsv.training.experiment import finish_experiment, git_state, start_experiment
from avsv.training.schedule import learning_rate
from avsv.training.trainer import Trainer, choose_precision


def config(tmp_path, **more):
    return TrainingConfig(task="t", exp_dir=str(tmp_path / "exp"), data_dir="d", epochs=4, device="cpu", **more)


def train(tmp_path, stop_after=None, **more):
    """Fit a line with noise from dropout; killed after `stop_after` epochs."""
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


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_gives_the_same_fit_and_resumes_after_a_kill(tmp_path, precision):
    more = {"optimizer": OptimizerConfig(lr=0.02), "precision": precision}
    whole, history = train(tmp_path / "whole", **more)
    _, single = train(tmp_path / "float32", optimizer=OptimizerConfig(lr=0.02))
    assert [r["loss"] for r in history] == pytest.approx([r["loss"] for r in single], rel=0.25)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", stop_after=2, **more)
    resumed, _ = train(tmp_path / "killed", **more)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_float16_scales_the_loss_and_keeps_the_scale(tmp_path):
    train(tmp_path, precision="float16")
    assert load_state(tmp_path / "exp/checkpoint.pt")["scalers"][0]["scale"] > 1


def test_an_unknown_precision_is_refused(tmp_path):
    with pytest.raises(OptionError, match="float8"):
        train(tmp_path, precision="float8")


def test_a_step_can_read_the_finished_share_of_the_training(tmp_path):
    seen = []
    model = nn.Linear(1, 1)
    trainer = Trainer(model, config(tmp_path))

    def step(batch):
        seen.append(trainer.done)
        return model(batch).mean(), {}

    trainer.fit(step, lambda epoch: [torch.ones(1, 1)] * 2, 2)
    assert seen == [i / 8 for i in range(8)]


def test_long_epochs_log_their_progress(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(trainer_module, "LINE_EVERY", -1.0)
    with caplog.at_level("INFO", logger="avsv"):
        train(tmp_path)
    line = next(r.getMessage() for r in caplog.records if "batch 2/5" in r.getMessage())
    assert re.fullmatch(r"epoch 1/4, batch 2/5: loss [\d.]+, error [\d.]+, [\d.e+]+ batches/s, [\d.]+ \w+ left", line)


def test_a_killed_training_ends_with_the_same_curves(tmp_path):
    train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", stop_after=2)
    train(tmp_path / "killed")
    whole, killed = ((tmp_path / name / "exp").joinpath(EVENTS).stat().st_size for name in ("whole", "killed"))
    assert whole == killed
    tables = [(tmp_path / name / "exp/curves.tsv").read_text().splitlines() for name in ("whole", "killed")]
    assert [line.split("\t")[:4] for line in tables[0]] == [line.split("\t")[:4] for line in tables[1]]


def test_a_loss_that_is_not_finite_stops_with_a_message(tmp_path):
    model = nn.Linear(1, 1)
    trainer = Trainer(model, config(tmp_path))
    with pytest.raises(InputError, match="the loss is nan in epoch 1"):
        trainer.fit(lambda batch: (model(batch).mean() * float("nan"), {}), lambda epoch: [torch.ones(1, 1)], 1)


@pytest.mark.parametrize("schedule", ["cosine", "exponential", "cyclic"])
def test_schedules_stay_between_their_ends_after_the_warm_up(schedule):
    settings = OptimizerConfig(lr=1.0, final_lr=0.01, schedule=schedule, warmup=0.1, cycles=2)
    rates = [learning_rate(settings, step, 100) for step in range(100)]
    assert rates[0] < rates[9] < 1.0
    assert all(0.01 - 1e-9 <= rate <= 1.0 + 1e-9 for rate in rates[10:])
    assert rates[-1] == pytest.approx(0.01, abs=1e-6)


def test_an_experiment_is_neither_repeated_nor_mixed_with_another(tmp_path):
    first = config(tmp_path)
    assert start_experiment(first, {"data": 1})
    assert start_experiment(first, {"data": 1})  # not finished: continues
    finish_experiment(first)
    assert not start_experiment(first, {"data": 1})
    with pytest.raises(InputError, match="another configuration; new: seed: 5"):
        start_experiment(config(tmp_path, seed=5), {"data": 1})
    with pytest.raises(InputError, match="other data"):
        start_experiment(first, {"data": 2})
    run = json.loads((tmp_path / "exp/run.json").read_text())
    assert run["versions"]["torch"] == torch.__version__ and run["seed"] == 0 and "git" in run


def test_options_without_effect_may_differ_and_absent_keys_have_defaults(tmp_path):
    assert start_experiment(config(tmp_path), {})
    (tmp_path / "exp" / FILES["last"]).touch()  # before the first checkpoint another training may begin here
    path = tmp_path / "exp/config.yaml"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("valid_clips")))
    assert start_experiment(config(tmp_path, threads=3, workers=0), {})
    with pytest.raises(InputError, match=r"new: optimizer\.lr: 0\.5; optimizer\.cycles: 2"):
        start_experiment(config(tmp_path, optimizer=OptimizerConfig(lr=0.5, cycles=2)), {})


def test_the_git_state_is_the_commit_and_the_changed_files(tmp_path):
    def git(*argv):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *who, *argv], check=True, capture_output=True)

    assert git_state(tmp_path) is None
    git("init", "-q")
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    git("commit", "-qm", "first")
    clean = git_state(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", clean["commit"]) and clean["changed"] == []
    (tmp_path / "a.py").write_text("2")
    assert git_state(tmp_path)["changed"] == ["a.py"]


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_if_the_processor_supports_it(monkeypatch, native, expected):
    monkeypatch.setattr("avsv.training.trainer.has_bfloat16", lambda device: native)
    assert choose_precision("auto", torch.device("cpu")) == expected


def test_emulated_bfloat16_gives_a_warning(monkeypatch, caplog):
    monkeypatch.setattr("avsv.training.trainer.has_bfloat16", lambda device: False)
    assert choose_precision("bfloat16", torch.device("cpu")) == torch.bfloat16
    assert "many times slower" in caplog.text
