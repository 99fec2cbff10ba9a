import contextlib
import os
import resource
import signal
import subprocess
import sys

import pytest

from avsv.errors import InputError
from avsv.jobs.files import one_at_a_time, own_folder, replaced_together, whole_file

SLOW = """
import sys, time
from avsv.jobs.files import one_at_a_time, whole_file
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
    monkeypatch.setattr("avsv.jobs.files.PATIENCE", 0.1)
    writer = begin(tmp_path / "f")
    with pytest.raises(InputError, match="another process is writing it"), whole_file(tmp_path / "f"):
        pass
    writer.kill()
    writer.wait()
    with whole_file(tmp_path / "f") as out:
        out.write("x")


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True)
    with whole_file(tmp_path / "pipe") as out:
        out.write("through\n")
    assert reader.communicate(timeout=10)[0] == "through\n"
    assert (tmp_path / "pipe").is_fifo()


def test_a_full_disk_is_reported(avsv, tmp_path):
    (tmp_path / "trials").write_text("a b target\n")
    (tmp_path / "e.txt").write_text("a b 1.0\n")
    status, output = avsv("fuse", "--method", "mean", "--trials", tmp_path / "trials", "--scores", tmp_path / "e.txt",
                        tmp_path / "e.txt", "/dev/full")  # fmt: skip
    assert status == 1 and "No space left on device" in output


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


HOLD = """
import sys, time
from avsv.jobs.files import one_at_a_time
with one_at_a_time(sys.argv[1]):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def hold(path, seconds):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_run_waits_for_the_first_and_names_its_process(tmp_path, caplog):
    caplog.set_level("INFO", logger="avsv")
    holder = hold(tmp_path / "exp" / ".lock", 1)
    with one_at_a_time(tmp_path / "exp" / ".lock", every=0.02):
        assert holder.wait(timeout=5) == 0
    assert f"{tmp_path}/exp: another run is working here, process {holder.pid} on " in caplog.text
    assert os.listdir(tmp_path / "exp") == []


def test_a_killed_run_releases_its_lock(tmp_path, caplog):
    holder = hold(tmp_path / ".lock", 60)
    holder.kill()
    holder.wait()
    caplog.set_level("INFO", logger="avsv")
    with one_at_a_time(tmp_path / ".lock"):
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
    assert "another run" not in caplog.text


def test_a_write_error_that_a_library_drops_does_not_complete_the_file(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    code = """
import contextlib, sys
from avsv.jobs.files import one_at_a_time, whole_file
with whole_file(sys.argv[1], "wb") as out, contextlib.suppress(OSError):
    out.raw.write(b"x" * 1000)
    out.raw.write(b"y")
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "f")], preexec_fn=limit, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert f"File too large: '{tmp_path}/f'" in done.stderr and os.listdir(tmp_path) == []


@pytest.mark.parametrize("make", [os.symlink, os.link])
@pytest.mark.parametrize("write", ["part", "lock"])
def test_a_link_under_a_name_that_avsv_chooses_is_refused_and_its_target_untouched(tmp_path, make, write):
    (tmp_path / "exp").mkdir()
    (tmp_path / "precious").write_text("precious")
    make(tmp_path / "precious", tmp_path / "exp" / (".f.part" if write == "part" else ".lock"))
    with pytest.raises(InputError, match=f"{tmp_path}/exp/\\..*delete it"):
        if write == "part":
            with whole_file(tmp_path / "exp" / "f") as out:
                out.write("theirs")
        else:
            with one_at_a_time(tmp_path / "exp" / ".lock"):
                pass
    assert (tmp_path / "precious").read_text() == "precious" and not (tmp_path / "exp" / "f").exists()


def test_a_dangling_link_does_not_create_its_target(tmp_path):
    (tmp_path / ".f.part").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError), whole_file(tmp_path / "f"):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("target", ["precious", "/dev/full", "absent"])
def test_a_link_under_a_results_name_is_replaced_and_not_followed(tmp_path, target):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "f").symlink_to(target)
    with whole_file(tmp_path / "f") as out:
        out.write("new")
    assert (tmp_path / "f").read_text() == "new" and not (tmp_path / "f").is_symlink()
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_folder_that_the_user_names_may_be_a_link(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "exp").symlink_to("scratch")
    with whole_file(tmp_path / "exp" / "a" / "f") as out:
        out.write("x")
    assert (tmp_path / "scratch" / "a" / "f").read_text() == "x"
    with pytest.raises(InputError, match=f"{tmp_path}/exp: is a link"):
        own_folder(tmp_path / "exp")


NAMES = ("gate", "a", "b", "c")


def write_set(folder, text):
    with replaced_together(folder / "gate", folder / "old"):
        for name in NAMES:
            with whole_file(folder / name) as out:
                out.write(text)


def read_set(folder):
    """Old or new, or None if the set cannot be read; fails if it is a mixture."""
    if not (folder / "gate").exists():
        return None
    texts = {(folder / name).read_text() for name in NAMES}
    assert len(texts) == 1
    return texts.pop()


class Killed(BaseException):
    pass


@pytest.mark.parametrize("function", ["replace", "fsync", "open", "Path.unlink"])
def test_a_set_is_old_new_or_unreadable_whenever_its_writer_dies(tmp_path, monkeypatch, function):
    """The writer dies in turn before and after each call of a system function."""
    from avsv.jobs import files

    owner, name = (files.Path, "unlink") if function == "Path.unlink" else (files.os, function)
    real, seen = getattr(owner, name), set()
    for after in (False, True):
        for step in range(100):
            folder, calls = tmp_path / f"{after}{step}", []
            write_set(folder, "old")

            def dies(*args, real=real, calls=calls, step=step, after=after, **kwargs):
                calls.append(args)
                if len(calls) <= step:
                    return real(*args, **kwargs)
                if after:
                    real(*args, **kwargs)
                raise Killed  # on every later call too: nothing is cleaned up

            with monkeypatch.context() as patch, contextlib.suppress(Killed):
                patch.setattr(owner, name, dies)
                write_set(folder, "new")
            seen.add(read_set(folder))
            if len(calls) <= step:
                break
            write_set(folder, "again")
            assert read_set(folder) == "again"
    assert "new" in seen and step < 99


def test_a_full_disk_leaves_the_old_set(tmp_path):
    write_set(tmp_path, "old")
    with pytest.raises(OSError), replaced_together(tmp_path / "gate"):
        for name in NAMES[:-1]:
            with whole_file(tmp_path / name) as out:
                out.write("new")
        raise OSError
    assert read_set(tmp_path) == "old" and sorted(os.listdir(tmp_path)) == sorted(NAMES)


def test_of_a_file_written_twice_in_a_set_the_later_version_counts(tmp_path):
    with replaced_together(tmp_path / "f"):
        for text in ("first", "second"):
            with whole_file(tmp_path / "f") as out:
                out.write(text)
    assert (tmp_path / "f").read_text() == "second" and os.listdir(tmp_path) == ["f"]
