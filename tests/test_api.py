"""The public Python API: its names, the modules that importing them loads, and agreement with the commands."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import avsv
from avsv import cli

ROOT = Path(__file__).resolve().parent.parent
WITH_TORCH = {"load_voice_encoder", "load_face_encoder", "load_fusion", "embed"}
HEAVY = ("torch", "numpy", "scipy", "matplotlib", "onnxruntime", "cv2")


def loaded_after(code: str) -> list[str]:
    """The modules of HEAVY that a new Python has imported after `code`."""
    test = f"{code}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", test], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()


def test_import_avsv_imports_nothing_heavy():
    assert loaded_after("import avsv; dir(avsv)") == []


def test_only_functions_that_embed_import_torch():
    names = [name for name in avsv.PLACES if name not in WITH_TORCH]
    assert "torch" not in loaded_after(f"import avsv\nfor name in {names}: getattr(avsv, name)")


@pytest.mark.parametrize("name", sorted(avsv.PLACES))
def test_every_public_name_is_documented_and_typed(name):
    value = getattr(avsv, name)
    assert inspect.getdoc(value)
    if inspect.isfunction(value):
        assert ">>>" in value.__doc__
        signature = inspect.signature(value)
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "avsv/__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == avsv.PLACES
    assert (ROOT / "avsv/py.typed").exists()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        avsv.nonsense  # noqa: B018


def test_help_names_no_file_that_pip_install_leaves_out():
    for verb, module in cli.main_verbs().items():
        text = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")
        shown = " ".join(ast.get_docstring(ast.parse(text)).split()) + " ".join(re.findall(r'help="[^"]*"', text))
        assert not re.search(r"\b(conf|local|egs|utils)/\w", shown), verb
