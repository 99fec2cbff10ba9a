"""Shared fixtures: the command line, small audio files, and the folder of real data."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import settings

from avsv.cli import main
from avsv.jobs import threads
from tests.kept_threads import KeptThreads

# Every run uses the same examples, without a deadline, so only a change of the code changes the outcome. AVSV_FUZZ
# draws new examples.
settings.register_profile("same", derandomize="AVSV_FUZZ" not in os.environ, database=None, deadline=None)
settings.load_profile("same")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, scope="session")
def commands_share_threads():
    """The commands of a test process use the same threads, and with them the decoder process of each thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "ThreadPoolExecutor", KeptThreads)
        yield


@pytest.fixture
def avsv(capfd):
    """Call `avsv VERB ...`; returns the exit status and the text on stdout and stderr."""

    def call(*argv):
        try:
            status = main([str(a) for a in argv])
        except SystemExit as stop:
            status = stop.code
        out, err = capfd.readouterr()
        return status, out + err

    return call


@pytest.fixture
def real_data():
    """The folder of real voices and faces; the test is skipped if it is absent."""
    folder = Path(os.environ.get("AVSV_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "minivox").is_dir():
        pytest.skip("real data are absent: set AVSV_REAL_DATA to their folder")
    return folder


@pytest.fixture
def tone(tmp_path):
    """Write an audio file with a tone: tone(name, seconds=1, rate=16000, channels=1) -> path."""

    def write(name, seconds=1.0, rate=16000, channels=1, hertz=440.0):
        times = np.arange(int(seconds * rate)) / rate
        waveform = 0.5 * np.sin(2 * np.pi * hertz * times)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.repeat(waveform[:, None], channels, 1), rate)
        return path

    return write


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """An untrained face pack; its detector detects white squares as faces."""
    from tests.face_packs import write_pack  # imports torch, which few tests need

    return write_pack(tmp_path_factory.mktemp("pack"))
