"""egs/mini through real clusters: the bytes of a single machine, and the same training on two nodes as on one."""

import json
import os
import shutil
import subprocess

import pytest

from tests.schedulers.cluster import ROOT, on

AWAY = shutil.ignore_patterns(".*", "exp", "data", "corpus", "__pycache__")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """egs/mini in a copy of the checkout, with a corpus of a few people."""
    root = tmp_path_factory.mktemp("checkout") / "avsv"
    for name in ("egs", "utils", "avsv", "conf"):
        shutil.copytree(ROOT / name, root / name, ignore=AWAY)
    call(root / "egs/mini", "0", "run.py")
    return root / "egs/mini"


def call(folder, stage, cmd):
    """Run one stage."""
    words = ["--people", "6", "--clips", "4", "--held-out", "2", "--adapt-folds", "1", "--features", "fbank",
             "--stage", stage, "--stop-stage", stage, "--cmd", cmd]  # fmt: skip
    environment = os.environ | {"AVSV_VENV": "none", "PYTHONPATH": str(folder.parents[1])}
    done = subprocess.run(
        ["bash", folder / "run.sh", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def content(folder):
    """Name -> bytes of a stage's outputs, without logs and the times at which tables were written."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name not in ("log", "q")]
    made = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {name: record(data) if name.endswith(".made_from.json") else data for name, data in made.items()}


def record(data):
    """The provenance of a table, which also notes when the table was last modified."""
    return {name: value for name, value in json.loads(data).items() if name != "mtime_ns"}


@on("slurm.py", "sge.py")
def test_a_stage_through_a_cluster_makes_the_same_bytes(program, recipe):
    for cmd in ("run.py", program):
        shutil.rmtree(recipe / "exp", ignore_errors=True)
        call(recipe, "1", cmd)
        if cmd == "run.py":
            here = content(recipe / "exp/fbank")
        else:
            assert "# Running on" in (recipe / "exp/fbank/train/log/fbank.2.log").read_text()
    assert {"train/feats.scp", "train/vad.scp", "test/feats.scp"} <= here.keys()
    there = content(recipe / "exp/fbank")
    assert there.keys() == here.keys()
    assert [name for name in here if there[name] != here[name]] == []


@on("slurm.py")
def test_training_on_two_nodes_gives_the_result_of_one(program, recipe):
    losses = []
    for cmd in ("run.py", f"{program} --nodes 2"):
        words = f"exp/log/train.log avsv train conf/voice.yaml exp_dir=exp/{cmd[:3]} epochs=1 channels=32 workers=0 "
        words += "attention_channels=16 batch_size=24 precision=float32 speeds=[1.0] crop_seconds=[1.0,1.0]"
        command = f". ../voxceleb/path.sh && {cmd} {words}"
        subprocess.run(command, shell=True, executable="/bin/bash", cwd=recipe, check=True,
                       env=os.environ | {"AVSV_VENV": "none", "PYTHONPATH": str(recipe.parents[1])})  # fmt: skip
        losses.append(json.loads((recipe / f"exp/{cmd[:3]}/history.jsonl").read_text())["loss"])
    assert json.loads((recipe / "exp/slu/run.json").read_text())["processes"] == 2
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
