"""The rules of the house that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "avsv").rglob("*.py"))
LAYERS = [{"kaldi", "media"}, {"features"}, {"models", "losses"}, {"training", "embeddings", "scoring", "evaluation"},
          {"commands"}]  # fmt: skip
HEIGHT = {package: height for height, packages in enumerate(LAYERS) for package in packages}
WITHOUT_TORCH = ["kaldi", "media", "scoring", "evaluation"]


def imported(path: Path) -> set[str]:
    """Everything a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    package = path.relative_to(ROOT / "avsv").parts[0]
    for name in imported(path):
        parts = name.split(".")
        if package in HEIGHT and parts[0] == "avsv" and len(parts) > 1 and parts[1] in HEIGHT:
            assert HEIGHT[parts[1]] <= HEIGHT[package], f"{path} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_layers_of_a_scoring_job_do_not_import_torch(path):
    if path.relative_to(ROOT / "avsv").parts[0] in WITHOUT_TORCH:
        assert not {"torch", "speechbrain", "torchaudio"} & {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_says_first_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_help_of_every_verb_needs_neither_torch_nor_scipy():
    verbs = [path.stem for path in (ROOT / "avsv/commands").glob("[a-z]*.py")]
    code = f"""
import importlib, argparse, sys
for verb in {verbs!r}:
    importlib.import_module(f"avsv.commands.{{verb}}").add_arguments(argparse.ArgumentParser())
print([name for name in ("torch", "scipy", "matplotlib", "speechbrain", "cv2", "onnxruntime") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
