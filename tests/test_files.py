import os
import signal
import subprocess
import sys

import pytest

from avsv.errors import UserError
from avsv.files import whole_file

SLOW = """
import sys, time
from avsv.files import whole_file
with whole_file(sys.argv[1]) as out:
    out.write("half")
    out.flush()
    print("begun", flush=True)
    time.sleep(60)
"""


def begin(path):
    """A process in the middle of writing `path`."""
    writer = subprocess.Popen([sys.executable, "-c", SLOW, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "begun\n"
    return writer


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "f").write_text("old")
    with pytest.raises(ValueError), whole_file(tmp_path / "f") as out:
        out.write("new")
        raise ValueError
    assert (tmp_path / "f").read_text() == "old" and os.listdir(tmp_path) == ["f"]


def test_a_killed_writer_is_taken_over(tmp_path):
    writer = begin(tmp_path / "f")
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert not (tmp_path / "f").exists()
    with whole_file(tmp_path / "f") as out:
        out.write("x")
    assert (tmp_path / "f").read_text() == "x" and os.listdir(tmp_path) == ["f"]


def test_a_second_writer_at_the_same_time_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("avsv.files.PATIENCE", 0.1)
    writer = begin(tmp_path / "f")
    with pytest.raises(UserError, match="another process is writing it"), whole_file(tmp_path / "f"):
        pass
    writer.kill()
    writer.wait()
    with whole_file(tmp_path / "f") as out:
        out.write("x")


def test_a_device_is_written_to_and_stays_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True)
    with whole_file(tmp_path / "pipe") as out:
        out.write("through\n")
    assert reader.communicate(timeout=10)[0] == "through\n"
    assert (tmp_path / "pipe").is_fifo()


def test_a_full_disk_is_told(avsv, tmp_path):
    (tmp_path / "trials").write_text("a b target\n")
    (tmp_path / "e.txt").write_text("a b 1.0\n")
    status, said = avsv("fuse", "--method", "mean", "--trials", tmp_path / "trials", "--scores", tmp_path / "e.txt",
                        tmp_path / "e.txt", "/dev/full")  # fmt: skip
    assert status == 1 and "No space left on device" in said


def test_offsets_begin_at_zero_after_a_take_over(tmp_path):
    (tmp_path / ".f.part").write_bytes(b"rubbish")
    with whole_file(tmp_path / "f", "wb") as out:
        assert out.tell() == 0
        out.write(b"abc")
        assert out.tell() == 3
    assert (tmp_path / "f").read_bytes() == b"abc"


def test_many_writers_of_the_same_table_take_turns(tmp_path):
    code = "import sys; from avsv.kaldi.tables import write_table; write_table(sys.argv[1], {'a': '1', 'b': '2'})"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "t")]) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert (tmp_path / "t").read_text() == "a 1\nb 2\n" and os.listdir(tmp_path) == ["t"]
