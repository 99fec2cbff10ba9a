"""Verbs, options and files that the documentation names exist, and its commands are marked for blocks.py to run."""

import os
import re
import subprocess
import sys
from functools import cache

import pytest

from avsv import cli
from tests.docs.blocks import ROOT, blocks, notebook_code

DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*DOCS, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("egs/*/*.md")),
         ROOT / "docs/tour.ipynb"]  # fmt: skip
COMMAND = re.compile(r"\bavsv ((?:association|speech|synchrony|voice-to-face) )?([a-z][a-z-]+)\b")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
FILE = re.compile(r"`((?:avsv|egs|tests|utils|docs|conf|local)/(?![\w./-]*(?:[A-Z]{4}|exp/|corpus/))[\w./-]+\.\w+)`")


@cache
def verbs() -> set[str]:
    return {
        *cli.main_verbs(),
        *(f"{system} {verb}" for system, of_system in cli.systems().items() for verb in of_system),
    }


@cache
def options_of(verb: str) -> set[str]:
    done = subprocess.run([sys.executable, "-m", "avsv.cli", *verb.split(), "--help"], capture_output=True, text=True,
                          check=True, cwd=ROOT)  # fmt: skip
    return set(OPTION.findall(done.stdout))


@cache
def options_of_recipe(path: str) -> set[str]:
    done = subprocess.run(["bash", str(ROOT / path), "--help"], capture_output=True, text=True, check=True,
                          env={**os.environ, "AVSV_VENV": "none"})  # fmt: skip
    return set(OPTION.findall(done.stdout)) | {"--help"}


def commands(page: str):
    """Lines of code in a page that begin with a command, continuation lines joined: (verb or recipe, its options)."""
    joined = re.sub(r"\\\n\s*", " ", page)
    for line in re.findall(r"(?:^|`)\s*((?:avsv|bash egs/)[^`\n]*)", joined, re.MULTILINE):
        line = line.split("#")[0].split(" | ")[0]
        if line.startswith("bash"):
            yield line.split()[1], OPTION.findall(re.sub('"[^"]*"', "", line))
        elif found := COMMAND.match(line):
            yield (found[1] or "") + found[2], OPTION.findall(line)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_and_option_that_a_page_names_exists(path):
    for command, options in commands(path.read_text(encoding="utf-8")):
        if command.startswith("egs/"):
            assert (ROOT / command).exists(), command
            known = options_of_recipe(command) if options else set()
        else:
            if command not in verbs():
                assert command in cli.systems() or command == "VERB", f"{path}: avsv {command}"
                continue
            known = options_of(command) if options else set()
        assert set(options) <= known | {"--help"}, f"{path}: {command}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(path):
    for name in FILE.findall(path.read_text(encoding="utf-8")):
        places = [ROOT, path.parent, ROOT / "egs/voxceleb", ROOT / "egs/mini"]
        assert any((place / name).exists() for place in places), f"{path}: {name}"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_block_of_commands_has_a_test_marker(path):
    for block in blocks(path):
        assert block.kind in ("mini", "recipe", "skip"), f"{path}, line {block.line}"
        assert subprocess.run(["bash", "-n", "-c", block.text], check=False).returncode == 0, (
            f"{path}, line {block.line}"
        )


def test_some_commands_run():
    assert sum(block.kind == "mini" for path in DOCS for block in blocks(path)) > 10


def test_the_notebook_has_ten_lines_of_code():
    lines = [
        line
        for cell in notebook_code()
        for line in cell.splitlines()
        if line and not line.startswith(("import", "from"))
    ]
    assert len(lines) <= 10
