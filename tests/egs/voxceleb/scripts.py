"""The scripts of egs/voxceleb/local, called as a recipe calls them."""

import subprocess
import sys
from pathlib import Path

LOCAL = Path(__file__).resolve().parents[3] / "egs" / "voxceleb" / "local"


def prepare(script, *argv):
    """Run a script; returns its exit code and its output."""
    command = [sys.executable, LOCAL / script, *map(str, argv)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr
