"""Joint training by two processes gives the result of a single process."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
import torch

from avsv.errors import InputError
from avsv.training import distributed
from avsv.training.checkpoints import load_state
from avsv.training.distributed import WholeBatchNorm, share

# In double precision, to keep rounding small: ECAPA with all layers that draw random numbers or use the whole batch.
SCRIPT = """
import sys
import torch
from torch import nn
from torch.utils.data import TensorDataset
from avsv.losses.pairs import VerificationLoss
from avsv.models.speaker_encoders import ecapa_arguments, make_speaker_encoder
from avsv.training.config import OptimizerConfig, TrainingConfig
from avsv.training.distributed import from_all
from avsv.training.batches import load_batches
from avsv.training.experiment import finish_experiment, start_experiment
from avsv.training.trainer import Trainer
from avsv.training.tasks.voice import mask

config = TrainingConfig(task="t", exp_dir=sys.argv[1], data_dir="d", epochs=3, device="cpu", threads=1, workers=0,
                        optimizer=OptimizerConfig(name="adam", lr=0.003))
assert start_experiment(config, {})
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
encoder = make_speaker_encoder("ecapa", ecapa_arguments(10, 16, 8, 12))
model = nn.ModuleList([encoder, nn.Dropout(0.2), nn.Linear(12, 5), VerificationLoss()])
trainer = Trainer(model, config)
x, speakers = torch.randn(40, 24, 10, generator=torch.Generator().manual_seed(1)), torch.arange(40) % 5
data = TensorDataset(x + speakers[:, None, None] / 5, speakers, torch.arange(40))

def batches(epoch):
    encoder.blocks[0].requires_grad_(epoch > 0)     # frozen at first
    rows = torch.randperm(40, generator=torch.Generator().manual_seed(epoch)).tolist()
    return load_batches(data, [rows[i : i + 10] for i in range(0, 40, 10)], config)

def step(batch):
    features, speaker, number = batch[0].clone(), batch[1], batch[2]
    mask(features, 6, dim=1)
    embeddings = encoder(features, torch.ones(len(features))).squeeze(1)
    loss = nn.functional.cross_entropy(model[2](model[1](embeddings)), speaker)
    loss = loss + model[3](from_all(embeddings), from_all(speaker))
    figures = {"seen": number.double().mean()} if 0 in number else {}     # a figure that only some batches have
    order = (from_all(number) * from_all(number < 30) * torch.arange(10)).double().sum()
    return loss, {**figures, "order": order}

trainer.fit(step, batches, 4, lambda model: {"eer_percent": encoder(x, torch.ones(40)).mean().item()})
finish_experiment(config)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folders of one training by 1 and by 2 processes, and the output of both runs."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "script.py").write_text(textwrap.dedent(SCRIPT))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    together = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, launcher in (("one", []), ("two", together)):
        done = subprocess.run([sys.executable, *launcher, folder / "script.py", folder / name], env=environment,
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
    return folder / "one", folder / "two"


def test_losses_and_figures_agree_with_one_process(trained):
    one, two = ([json.loads(line) for line in (d / "history.jsonl").read_text().splitlines()] for d in trained)
    assert len(one) == len(two) == 3
    for alone, together in zip(one, two, strict=True):
        for name in ("loss", "eer_percent", "lr", "order"):
            assert together[name] == pytest.approx(alone[name], rel=1e-9), name
    assert one[-1]["loss"] < 0.95 * one[0]["loss"]


def test_weights_and_running_statistics_agree_with_one_process(trained):
    one, two = (load_state(folder / "checkpoint.pt")["model"] for folder in trained)
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.allclose(value.double(), two[name].double(), rtol=1e-7, atol=1e-9), name


def test_only_the_first_process_writes_and_the_folder_is_complete(trained):
    assert json.loads((trained[1] / "run.json").read_text())["processes"] == 2
    assert (trained[1] / "done").exists() and (trained[1] / "curves.svg").exists()
    assert not list(trained[1].glob(".*.part"))


def test_shares_make_up_the_whole_batch(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    parts = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        parts += share([4, 5, 6, 7, 8, 9])
    assert sorted(parts) == [4, 5, 6, 7, 8, 9]
    with pytest.raises(InputError, match="a batch of 7 cannot be shared equally by 3"):
        share(list(range(7)))


def test_batch_norm_of_one_process_agrees_with_torch(monkeypatch):
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda tensor: None)
    for shape, kind in (((6, 4), torch.nn.BatchNorm1d), ((6, 4, 5), torch.nn.BatchNorm1d),
                        ((6, 4, 3, 2), torch.nn.BatchNorm2d)):  # fmt: skip
        theirs, ours = kind(4), WholeBatchNorm(4)
        outs = []
        for norm in (theirs, ours):
            x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
            out = norm(x)
            (out**3).sum().backward()
            outs.append((out, x.grad, norm.weight.grad, norm.running_mean, norm.running_var, norm.eval()(x)))
        for a, b in zip(*outs, strict=True):
            assert torch.allclose(a, b, atol=1e-4), shape
