"""Ctrl-C and kill -9 while a decoder hangs in a library: the command and its decoders end at once."""

import os
import signal
import subprocess
import sys
import time

import pytest
import soundfile

from tests.face_packs import draw_clip
from tests.media.hostile import speech

# loaded first by each Python process of the test; makes the decoder process hang while it holds the interpreter lock
HOOK = """
import os, re, sys
if "avsv.media.decoder_child" in " ".join(sys.orig_argv):
    import avsv.media.images, avsv.media.waveforms

    def hang(*arguments):
        open(os.environ["MARK"], "w").close()
        re.match(r"(a+)+$", "a" * 60 + "b")

    avsv.media.waveforms.read_waveform = avsv.media.waveforms.read_part = avsv.media.images.each_frame = hang
"""
CONF = """task: voice
data_dir: {data}
exp_dir: {exp}
channels: 16
attention_channels: 8
embedding_size: 12
crop_seconds: [0.5, 0.6]
batch_size: 6
epochs: 1
workers: 2
cache_mib: 0
device: cpu
"""


def heed_interrupts():
    """Runs in the command: a shell that runs the tests in the background would make it ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def data(tmp_path):
    """Six clips of three speakers, audio and video."""
    folder = tmp_path / "data"
    folder.mkdir()
    tables = {"utt2spk": "", "wav.scp": "", "video.scp": ""}
    for number in range(6):
        soundfile.write(folder / f"{number}.wav", speech(1.0, number), 16000)
        utt = f"p{number // 2}-{number}"
        tables["utt2spk"] += f"{utt} p{number // 2}\n"
        tables["wav.scp"] += f"{utt} {folder}/{number}.wav\n"
        tables["video.scp"] += f"{utt} {draw_clip(folder / f'{number}', number, 2)}\n"
    for name, text in tables.items():
        (folder / name).write_text(text)
    return folder


def children_of(pid):
    """All descendants of a process, the deepest last."""
    children = []
    for stat in os.listdir("/proc"):
        if stat.isdigit():
            try:
                with open(f"/proc/{stat}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                children += [int(stat), *children_of(int(stat))]
    return children


def are_gone(processes, seconds=5):
    """Whether all processes end within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(os.path.exists(f"/proc/{pid}") and not is_zombie(pid) for pid in processes):
            return True
        time.sleep(0.05)
    return False


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("how", ["interrupt", "kill"])
@pytest.mark.parametrize("verb", ["features", "embed-face", "train"])
def test_a_command_and_its_hanging_decoder_end_at_once(tmp_path, data, pack, verb, how):
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    (tmp_path / "conf.yaml").write_text(CONF.format(data=data, exp=tmp_path / "exp"))
    arguments = {"features": [data, tmp_path / "out"], "embed-face": ["--model", pack, data, tmp_path / "out"],
                 "train": [tmp_path / "conf.yaml"]}[verb]  # fmt: skip
    mark = tmp_path / "mark"
    places = os.pathsep.join(filter(None, [str(tmp_path / "hook"), os.environ.get("PYTHONPATH")]))
    # two threads decode images
    variables = os.environ | {"PYTHONPATH": places, "MARK": str(mark), "OMP_NUM_THREADS": "2"}
    command = subprocess.Popen([sys.executable, "-m", "avsv.cli", verb, *map(str, arguments)], env=variables,
                               stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)  # fmt: skip
    deadline = time.monotonic() + 120
    while not mark.exists() and command.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert mark.exists(), command.communicate()[1]
    time.sleep(0.3)
    children = children_of(command.pid)
    assert children
    begin = time.monotonic()
    command.send_signal(signal.SIGINT if how == "interrupt" else signal.SIGKILL)
    _, output = command.communicate(timeout=30)
    assert time.monotonic() - begin < 2.0 + 1.0  # one second of tolerance for a busy machine
    assert command.returncode == (130 if how == "interrupt" else -signal.SIGKILL)
    assert "Traceback" not in output
    assert are_gone(children)
