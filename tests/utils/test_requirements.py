"""setup.py and the imports agree: exactly the packages that avsv, the recipes and utils import are installed."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Distributions whose module has another name.
MODULES = {
    "opencv-python": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "scikit-image": "skimage",
    "pytest-xdist": "xdist",
}
# Packages that no file imports, and why they are required.
UNSEEN = {
    "mkdocs": "mkdocs.yml",
    "mkdocs-material": "mkdocs.yml",
    "mkdocstrings": "mkdocs.yml",
    "onnx": "torch.onnx.export",
    "pytest-xdist": "pytest -n",
    "ruff": "utils/test.sh",
    "setuptools": "resemblyzer's webrtcvad imports its pkg_resources",
    "torchaudio": "speechbrain imports it, and each release fits few of torch",
}
SOURCES = sorted([*ROOT.glob("avsv/**/*.py"), *ROOT.glob("egs/*/local/*.py"), *ROOT.glob("utils/*.py")])
TESTS = sorted(ROOT.glob("tests/**/*.py"))
# Modules outside packages: scripts put their own folder on the path.
SCRIPTS = [path for path in SOURCES if not path.is_relative_to(ROOT / "avsv")]
OURS = {"avsv", "tests", *(path.stem for path in [*SCRIPTS, *ROOT.glob("tests/benchmarks/*.py")])}
BY_HAND = {
    "atheris": "tests/fuzz/coverage_guided.py explains how to install it",
    "resemblyzer": "an extra of its own, of an example",
    "sherpa_onnx": "one test of avsv export uses it if it is installed",
    "transformers": "an extra of its own, for encoders on self-supervised models",
}


def requirements() -> dict[str, list[str]]:
    """The lists of setup.py: "" for install_requires, and each extra. The file is read, not run."""
    call = next(
        node for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setup"
    )  # fmt: skip
    words = {word.arg: word.value for word in call.keywords}
    lists = {"": ast.literal_eval(words["install_requires"]), **ast.literal_eval(words["extras_require"])}
    return {
        extra: [re.match(r"[\w-]+(\.[\w-]+)*", line)[0].lower() for line in lines] for extra, lines in lists.items()
    }


def module_of(distribution: str) -> str:
    return MODULES.get(distribution, distribution.replace("-", "_"))


def imports(source: str) -> set[str]:
    """The top-level modules that a file imports, including imports in functions and by importlib."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("import_module", "__import__", "importorskip") and isinstance(node.args[0].value, str):
                found.add(node.args[0].value)
    return {name.partition(".")[0] for name in found}


def foreign(files: list[Path]) -> dict[str, list[str]]:
    """Third-party modules that `files` import -> the files that do."""
    found: dict[str, list[str]] = {}
    for path in files:
        for name in imports(path.read_text(encoding="utf-8")) - OURS - sys.stdlib_module_names:
            found.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return found


@pytest.mark.parametrize(
    "line", ["import a.b", "from a import b", "def f():\n    from a.b import c", "importlib.import_module('a.b')"]
)
def test_every_kind_of_import_is_found(line):
    assert imports(line) == {"a"}


def test_avsv_and_recipes_import_only_packages_of_the_plain_install():
    listed = {module_of(name) for name in requirements()[""]} | set(BY_HAND)
    assert {name: files for name, files in foreign(SOURCES).items() if name not in listed} == {}


def test_the_tests_import_only_packages_of_the_test_extra_besides():
    lists = requirements()
    listed = {module_of(name) for name in lists[""] + lists["test"]} | set(BY_HAND)
    assert {name: files for name, files in foreign(TESTS).items() if name not in listed} == {}


def test_every_required_package_is_imported():
    lists = requirements()
    used = {
        "": foreign(SOURCES),
        "resemblyzer": foreign(SOURCES),
        "ssl": foreign(TESTS),
        "test": foreign(TESTS),
        "docs": {},
    }
    idle = [name for extra, names in lists.items() for name in names
            if module_of(name) not in used[extra] and name not in UNSEEN]  # fmt: skip
    assert idle == []


def test_a_package_is_in_one_list_only():
    lists = requirements()
    assert not set(lists[""]) & set(lists["test"])
