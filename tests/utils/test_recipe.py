"""utils/recipe.sh: two runs of a recipe in one folder, and runs that are killed."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

UTILS = Path(__file__).parents[2] / "utils"
RECIPE = """#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
name=$1 stage=0 stop_stage=1
. recipe.sh
if stage 0 "first"; then
  echo "$name begins" >>events
  sleep "$2"
  if [ "$name" = outer ]; then bash run.sh inner 0; fi
  echo "$name ends" >>events
fi
if stage 1 "second"; then echo "$name is at its second stage" >>events; fi
"""


@pytest.fixture
def start(tmp_path):
    """Start the recipe: start(name, seconds) -> process; its stages write to `events` in its folder."""
    (tmp_path / "run.sh").write_text(RECIPE)

    def run(name, seconds):
        environment = {**os.environ, "PATH": f"{UTILS}:{os.environ['PATH']}"}
        environment.pop("AVSV_RUN", None)
        return subprocess.Popen(["bash", tmp_path / "run.sh", name, str(seconds)], env=environment,
                                stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)  # fmt: skip

    return run


def wait_for(path, text):
    deadline = time.monotonic() + 20
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_second_run_waits_until_the_first_ends_and_logs_it(start, tmp_path):
    first = start("first", 1)
    wait_for(tmp_path / "events", "first begins")
    second = start("second", 0)
    _, stderr = second.communicate(timeout=20)
    assert first.wait() == second.returncode == 0
    assert f"run.sh: another run is active in {tmp_path}/exp: process {first.pid} on " in stderr
    assert (tmp_path / "events").read_text().splitlines() == [
        f"{name} {what}" for name in ("first", "second") for what in ("begins", "ends", "is at its second stage")
    ]


def test_a_nested_run_does_not_wait_for_its_caller(start, tmp_path):
    assert start("outer", 0).wait(timeout=20) == 0
    assert "inner is at its second stage\nouter ends" in (tmp_path / "events").read_text()


def test_after_a_kill_the_next_run_waits_for_the_killed_runs_processes(start, tmp_path):
    first = start("first", 1.5)
    wait_for(tmp_path / "events", "first begins")
    first.send_signal(signal.SIGKILL)
    first.wait()
    begin = time.monotonic()
    assert start("second", 0).wait(timeout=20) == 0
    assert time.monotonic() - begin > 0.5  # the first one's sleep
    assert "first ends" not in (tmp_path / "events").read_text()


def test_a_nested_run_ends_before_its_next_stage_if_its_caller_was_killed(start, tmp_path):
    text = (tmp_path / "run.sh").read_text()
    (tmp_path / "run.sh").write_text(text.replace("run.sh inner 0", "run.sh inner 1"))
    outer = start("outer", 0)
    wait_for(tmp_path / "events", "inner begins")
    outer.send_signal(signal.SIGKILL)
    outer.wait()
    assert start("second", 0).wait(timeout=20) == 0
    events = (tmp_path / "events").read_text()
    assert "inner ends\nsecond begins" in events and "inner is at its second stage" not in events
