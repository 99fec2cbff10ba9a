"""A recipe called in a copy of the checkout, with a fake `avsv` and a fake check of its results."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recipe(tmp_path):
    """Call a recipe in a copy of the checkout with a fake `avsv` that only records its arguments."""
    for name in ("egs", "utils", "conf"):
        shutil.copytree(ROOT / name, tmp_path / name,
                        ignore=shutil.ignore_patterns("exp", "data", "corpus*", "__pycache__"))  # fmt: skip
    fake = tmp_path / "bin" / "avsv"
    fake.parent.mkdir()
    reads_results = tmp_path / "egs/voxceleb/local/check_claim.py"
    for script, name in ((fake, ""), (reads_results, '"${0##*/}" ')):
        # one write per call, because jobs run concurrently
        script.write_text(f'#!/bin/bash\necho "$(printf "%q " {name}"$@")" >>{tmp_path}/calls\n')
        script.chmod(0o755)

    def call(script, *options):
        (tmp_path / "calls").unlink(missing_ok=True)
        path = f"{fake.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "AVSV_VENV": "none", "PATH": path}
        environment.pop("AVSV_RUN", None)
        done = subprocess.run(["bash", tmp_path / "egs" / script, *options], cwd=tmp_path, env=environment,
                              capture_output=True, text=True, check=False)  # fmt: skip
        lines = (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []
        return done.returncode, done.stdout + done.stderr, [shlex.split(line) for line in lines]

    call.folder = tmp_path
    return call
