"""Importing torchaudio and speechbrain in a separate Python process, as in a notebook that uses avsv."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from avsv.torchaudio_library import absent_where_broken

ROOT = Path(__file__).resolve().parent.parent
START = "from avsv.torchaudio_library import make_optional; make_optional()\n"


def python(code, *, path=(), site=()):
    """Run code in a new Python process; it reads the .pth files of the folders `site` like those of site-packages."""
    code = "import site, sys\n" + "".join(f"site.addsitedir({str(folder)!r})\n" for folder in site) + code
    environment = {"PYTHONPATH": ":".join(map(str, [*path, ROOT]))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def broken(tmp_path):
    """A copy of torchaudio with invalid compiled libraries."""
    import importlib.util

    source = Path(importlib.util.find_spec("torchaudio").origin).parent
    shutil.copytree(source, tmp_path / "torchaudio", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (tmp_path / "torchaudio/lib").mkdir(exist_ok=True)
    for name in ("_torchaudio", "libtorchaudio"):
        (tmp_path / f"torchaudio/lib/{name}.abi3.so").write_bytes(b"built for another machine")
    return tmp_path


def test_the_pth_file_makes_torchaudio_and_speechbrain_importable_with_a_broken_library(broken):
    (broken / "site").mkdir()
    shutil.copy(ROOT / "avsv/avsv-torchaudio.pth", broken / "site")
    code = "import torchaudio, speechbrain, torch\nwaveform = torch.ones(1, 8000)\n"
    code += "print(torchaudio.functional.resample(waveform, 8000, 16000).shape)"
    assert python(code, path=[broken], site=[broken / "site"]).strip() == "torch.Size([1, 16000])"


def test_a_second_call_changes_nothing():
    assert python(START * 3 + "print(sum(type(f).__name__ == 'Finder' for f in sys.meta_path))").strip() == "1"


def test_it_imports_nothing_heavy():
    code = "import sys\nbefore = set(sys.modules)\n" + START + "print(*sorted(set(sys.modules) - before))"
    assert set(python(code).split()) <= {
        "avsv", "avsv.torchaudio_library", "importlib.machinery", "types", "collections.abc"}  # fmt: skip


def test_only_a_library_that_fails_to_load_counts_as_absent():
    def load(name):
        if name == "intact":
            return True
        raise OSError("Could not load this library")

    assert absent_where_broken(load)("intact") is True
    assert absent_where_broken(load)("broken") is False
    with pytest.raises(ImportError):
        absent_where_broken(lambda name: (_ for _ in ()).throw(ImportError()))("x")
