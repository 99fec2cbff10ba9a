"""Messages of a recipe for user errors, from the repository's root and from its own folder."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ["mini", "voxceleb", "nsc", "own"]
SCRIPTS = sorted(path for path in ROOT.glob("egs/*/**/*.sh") if "parse_options.sh" in path.read_text())
RECIPES += [
    f"{recipe}/run_{what}.sh"
    for recipe in RECIPES[:2]
    for what in ("association", "synchrony", "voice_to_face", "voices")
]


def script_of(recipe):
    """run.sh of a recipe, or the named script."""
    return ROOT / "egs" / (recipe if recipe.endswith(".sh") else f"{recipe}/run.sh")


def run(recipe, *options, cwd=ROOT):
    environment = {
        **os.environ,
        "AVSV_VENV": "none",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(["bash", script_of(recipe), *options], cwd=cwd, env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_unknown_option_is_refused_in_one_line(recipe):
    status, output = run(recipe, "--voxcelb", "x")
    assert status == 2 and "invalid option --voxcelb" in output and len(output.splitlines()) == 1


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_help_and_wrong_options_need_no_environment(script, tmp_path):
    """PATH has only the tools of a bare system, and no folder for an environment exists."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "awk", "sed", "sort", "tr"):
        (tools / name).symlink_to(shutil.which(name))
    environment = {"PATH": str(tools), "AVSV_VENV": "/dev/null/venv"}
    folder = script.parents[1] if script.parent.name == "local" else tmp_path
    for options, status in (["--help", 0], ["--stage five", 2], ["--stage 99", 2], ["--no-such-option 1", 2]):
        done = subprocess.run([tools / "bash", script, *options.split()], cwd=folder, env=environment,
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == status, done.stderr
        assert ("Usage: " in done.stdout) == (status == 0)
        assert len(done.stderr.splitlines()) == (status > 0)
    assert not Path("/dev/null/venv").exists() and list(tmp_path.iterdir()) == [tools]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_option_is_in_the_help_with_a_comment(recipe):
    status, output = run(recipe, "--help")
    assert status == 0
    script = script_of(recipe)
    paths = [script, script.parent / "conf" / f"{script.stem.replace('run', 'recipe')}.conf"]
    if f"voxceleb/{script.name}" in script.read_text():
        paths.append(ROOT / "egs/voxceleb" / script.name)
    options = set()
    for path in filter(Path.exists, paths):
        options |= set(re.findall(r"^([a-z]\w*)=", path.read_text().split("parse_options.sh")[0], re.MULTILINE))
    for option in options - {"options", "caller", "reference"}:
        assert re.search(rf"--{option.replace('_', '-')} +\S", output), option


def test_a_wrong_or_absent_corpus_is_refused_in_one_line(tmp_path):
    status, output = run("voxceleb", "--stop-stage", "0")
    assert status == 2 and "--voxceleb1 must be given" in output
    options = []
    for name in ("voxceleb1", "voxceleb2", "musan", "rirs"):
        options += [f"--{name}", str(tmp_path)]
    status, output = run("voxceleb", "--stop-stage", "0", *options, cwd=tmp_path)
    assert status == 1 and "expected wav/ID/VIDEO/CLIP.wav" in output.splitlines()[-1]


def test_association_without_a_split_of_people_is_refused_in_one_line():
    status, output = run("voxceleb/run_association.sh", "--stop-stage", "0")
    assert status == 2 and "--split must be given" in output.splitlines()[-1]


@pytest.mark.parametrize("recipe", ["mini", "voxceleb"])
def test_a_stage_names_its_missing_input(recipe):
    folder = ROOT / "egs" / recipe
    status, output = run(recipe, "--stage", "3", "--stop-stage", "3", "--test-set", "absent-set", cwd=folder)
    shutil.rmtree(folder / "exp" / "voice" / "absent-set", ignore_errors=True)
    assert status == 1 and "data/absent-set: no such data directory" in output
