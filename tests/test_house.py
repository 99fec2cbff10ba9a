"""The project's rules that can be checked automatically."""

import argparse
import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from avsv import cli

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "avsv").rglob("*.py"))
LAYERS = ["errors", "jobs", "kaldi", "media importers", "features losses", "models", "scoring evaluation", "embeddings",
          "exporters training people", "systems", "commands", "cli"]  # fmt: skip
HEIGHT = {package: height for height, packages in enumerate(LAYERS) for package in packages.split()}
ABOVE_ALL = {"__init__", "torchaudio_library"}  # the public API imports anything, lazily; torchaudio_library nothing
BUILT_ON: dict[str, set[str]] = {}  # system -> the other systems that it is built on
WITHOUT_TORCH = ["jobs", "kaldi", "media", "scoring", "evaluation", "people"]


def imported(path: Path) -> set[str]:
    """All imports of a file, including those inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return names


def place(path: Path) -> tuple[str, str]:
    """The package of a file, or its name if it lies at the top, and the system that it belongs to."""
    parts = path.relative_to(ROOT / "avsv").with_suffix("").parts
    if parts[0] == "systems" and "commands" in parts:
        return "commands", parts[1]  # a system's verbs share the options of all verbs
    return parts[0], parts[1] if parts[0] == "systems" and len(parts) > 2 else ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    package, system = place(path)
    if package in ABOVE_ALL:
        return
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != "avsv" or len(parts) == 1:
            continue
        if parts[1] != package and parts[1] not in ABOVE_ALL:
            assert HEIGHT[parts[1]] < HEIGHT[package], f"{path} imports {name}"
        if parts[1] == "systems" and len(parts) > 2 and system:
            assert parts[2] in {system, *BUILT_ON.get(system, ())}, f"{path} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_layers_of_a_scoring_job_do_not_import_torch(path):
    if path.relative_to(ROOT / "avsv").parts[0] in WITHOUT_TORCH:
        assert not {"torch", "speechbrain", "torchaudio"} & {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_begins_with_a_sentence_on_its_purpose(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_help_of_every_verb_needs_neither_numpy_nor_torch():
    folders = [ROOT / "avsv/commands", *(ROOT / "avsv/systems").glob("*/commands")]
    verbs = [".".join(path.relative_to(ROOT).with_suffix("").parts)
             for folder in folders for path in folder.glob("[a-z]*.py")]  # fmt: skip
    code = f"""
import importlib, argparse, sys
for verb in {verbs!r}:
    importlib.import_module(verb).add_arguments(argparse.ArgumentParser())
heavy = ("numpy", "torch", "scipy", "matplotlib", "speechbrain", "cv2", "onnxruntime")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def parser_of(module: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    importlib.import_module(module).add_arguments(parser)
    return parser


def test_below_the_commands_no_code_names_an_option_or_argparse():
    modules = [*cli.main_verbs().values(), *(name for verbs in cli.systems().values() for name in verbs.values())]
    options = {text for name in modules for action in parser_of(name)._actions for text in action.option_strings}
    named = re.compile("|".join(rf"{option}\b" for option in sorted(options) if option.startswith("--")))
    for path in SOURCES:
        if place(path)[0] in ("commands", "cli"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert "argparse" not in imported(path), path
        prose = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        wrong = [node.lineno for node in texts if node not in prose and named.search(node.value)]
        assert not wrong, f"{path}, lines {wrong}: an option of the command line"


def test_every_verb_is_listed_under_one_heading():
    listed = [verb for verbs in cli.GROUPS.values() for verb in verbs.split()]
    assert sorted(listed) == sorted(cli.main_verbs())


def test_no_file_is_long():
    files = [path for folder in ("avsv", "egs", "utils", "tests") for path in (ROOT / folder).rglob("*.*")
             if path.suffix in (".py", ".sh") and not {"exp", "data", "corpus"} & set(path.parts)]  # fmt: skip
    assert not [path for path in files if path.read_text(encoding="utf-8").count("\n") > 400]
