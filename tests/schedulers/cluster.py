"""Shared by the tests on real clusters: call slurm.py and sge.py, and query the scheduler."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASK = {"slurm.py": ["sinfo"], "sge.py": ["qhost"]}
MISSING = "{} is not running; bash tests/schedulers/run.sh starts it if Debian's packages are installed"


def runs(program: str) -> bool:
    """Return True if our own scheduler answers. A user's scheduler is left alone, because tests break nodes."""
    setting = os.environ.get({"slurm.py": "SLURM_CONF", "sge.py": "SGE_ROOT"}[program], "")
    if not setting.startswith(("/tmp", os.environ.get("TMPDIR", "/tmp"))) or not shutil.which(ASK[program][0]):
        return False
    return subprocess.run(ASK[program], capture_output=True, check=False).returncode == 0


HERE = {program: runs(program) for program in ASK}
NAMES = {"slurm.py": "Slurm", "sge.py": "Grid Engine"}


def on(*programs: str):
    """Run a test once for each of these programs if its scheduler is running."""
    cases = [
        pytest.param(p, marks=pytest.mark.skipif(not HERE[p], reason=MISSING.format(NAMES[p])), id=p.split(".")[0])
        for p in programs
    ]
    return pytest.mark.parametrize("program", cases)


def command(program, *words):
    return [sys.executable, str(ROOT / "utils" / program), *map(str, words)]


def run(program, *words, cwd):
    return subprocess.run(command(program, *words), cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def queued(program) -> str:
    """All queued and running jobs of any user."""
    listing = ["squeue", "--noheader"] if program == "slurm.py" else ["qstat", "-u", "*"]
    return subprocess.run(listing, capture_output=True, text=True, check=True).stdout


def listed(program, number) -> bool:
    return number in queued(program).replace("_", " ").split()


def wait_for(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def started(cwd, name, log="log/a.1.log") -> str:
    """Wait until a job's command runs; the scheduler's number of the job."""
    wait_for(lambda: (cwd / log).exists() and "\n#\n" in (cwd / log).read_text())
    return (cwd / f"q/{name}.submitted").read_text().strip()
