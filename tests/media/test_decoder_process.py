"""Decoders that die, hang and eat memory, for real: the functions below run in the guard's child."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.media.decoder_process import Guard, guarded
from avsv.media.waveforms import read_waveform
from tests.media import decoders


@pytest.fixture(scope="module")
def guard():
    """A guard with little patience; its child finds the decoders of decoders.py."""
    guard = Guard(seconds=3, mib=300)
    yield guard
    guard.stop()


def test_what_comes_back_is_what_the_function_gives(tone):
    path = str(tone("a.wav", seconds=2))
    assert np.array_equal(guarded(read_waveform, path), read_waveform(path))


def test_arrays_of_any_shape_lists_and_numbers_come_back(guard):
    assert guard.call(decoders.number, "x", 7) == 7.0
    pictures = guard.call(decoders.pictures, "x", 3)
    assert [picture.shape for picture in pictures] == [(0, 5, 3), (1, 5, 3), (2, 5, 3)]
    assert pictures[2].dtype == np.uint8 and (pictures[2] == 2).all()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_decoder_that_dies_costs_one_clip(guard, number):
    with pytest.raises(InputError, match=f"bad.wav: the decoder died of {number.name}"):
        guard.call(decoders.die, "bad.wav", int(number))
    assert guard.call(decoders.number, "good.wav", 1) == 1.0


def test_a_decoder_that_somebody_kills_is_asked_again(guard, tmp_path):
    assert guard.call(decoders.die_once, str(tmp_path / "mark"), int(signal.SIGKILL)) == 8.0


def test_a_decoder_that_leaves_costs_one_clip(guard):
    with pytest.raises(InputError, match=r"bad\.wav: the decoder ended with status 3"):
        guard.call(decoders.leave, "bad.wav", 3)


@pytest.mark.parametrize("how", ["hang", "hang_without_the_interpreter"])
def test_a_decoder_that_hangs_is_stopped(guard, how):
    guard.call(decoders.number, "good.wav", 1)
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"slow\.wav: the decoder gave no answer within 3 s"):
        guard.call(getattr(decoders, how), "slow.wav")
    assert time.monotonic() - begin < 10
    assert guard.call(decoders.number, "good.wav", 1) == 1.0


def test_a_decoder_that_eats_memory_is_told(guard):
    with pytest.raises(InputError, match=r"large.wav: takes more than 300 MiB of memory to decode"):
        guard.call(decoders.eat, "large.wav", 400)
    assert len(guard.call(decoders.eat, "small.wav", 16)) == 16 << 20


def test_odd_errors_of_a_decoder_are_a_users_error(guard):
    with pytest.raises(InputError, match=r"odd\.wav: cannot be decoded: ZeroDivisionError"):
        guard.call(decoders.fail, "odd.wav")


def test_what_a_decoder_prints_and_logs_does_not_disturb_the_answer(guard, caplog):
    assert guard.call(decoders.chatter, "x") == 5.0
    assert "left out a picture" in caplog.text


def test_an_answer_that_is_no_numbers_is_refused(guard):
    for how in ("objects", "nonsense", "boundless"):
        with pytest.raises(InputError, match="gave an answer that makes no sense"):
            guard.call(decoders.lie, "x", how)


def test_many_files_are_read_one_ahead_and_in_order(guard):
    outcomes = []
    for value in guard.each(decoders.either, ["1", "2", "die", "4", "bad", "6"]):
        try:
            outcomes.append(value())
        except InputError as error:
            outcomes.append(str(error))
    assert outcomes == [1.0, 2.0, "die: the decoder died of SIGSEGV; the file is damaged, or made to do so", 4.0,
                        "bad: no number", 6.0]  # fmt: skip


def test_a_reader_who_goes_away_leaves_no_answer_behind(guard):
    for _ in guard.each(decoders.either, ["1", "2", "3"]):
        break
    assert guard.call(decoders.number, "x", 9) == 9.0


def test_a_process_that_was_forked_has_a_child_of_its_own(guard):
    guard.call(decoders.number, "x", 1)
    pid = os.fork()
    if not pid:
        os._exit(0 if guard.call(decoders.number, "x", 2) == 2.0 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert guard.call(decoders.number, "x", 3) == 3.0


def test_a_child_that_hangs_does_not_outlive_a_killed_job_for_long(tmp_path):
    code = """
from avsv.media.decoder_process import Guard
from tests.media import decoders
guard = Guard(seconds=1, mib=300)
guard.call(decoders.number, "x", 1)
print(guard.child.pid, flush=True)
guard.seconds = 60
guard.call(decoders.hang, "x")
"""
    job = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(job.stdout.readline())
    time.sleep(0.2)
    job.kill()
    job.wait()
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{child}") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{child}")


def test_a_large_clip_is_read_whatever_was_read_before():
    """The limit is 300 MiB a clip; what the process holds of earlier ones does not count."""
    guard = Guard(seconds=60, mib=300)  # hundreds of MiB through a pipe
    for _ in range(3):
        assert len(guard.call(decoders.eat, "large.png", 200)) == 200 << 20
    assert guard.call(decoders.leak, "other.png", 200) == 1.0
    assert len(guard.call(decoders.eat, "large.png", 200)) == 200 << 20
    with pytest.raises(InputError, match="takes more than 300 MiB"):
        guard.call(decoders.eat, "larger.png", 400)
    guard.stop()


def test_a_file_is_not_blamed_for_what_another_one_did(guard):
    guard.call(decoders.leak, "other.png", 1)
    assert guard.call(decoders.die_where_somebody_was, "good.png") == 2.0


def test_a_stream_gives_its_values_one_by_one(guard):
    found = list(guard.stream(decoders.count, "x", 5))
    assert [number for number, _ in found] == [0, 0.5, 1, 1.5, 2]
    assert [int(array.sum()) for _, array in found] == [0, 6, 12, 18, 24]
    assert list(guard.stream(decoders.count, "x", 0)) == []
    assert len(list(guard.stream(decoders.stream_of_memory, "x", 100, 6))) == 6


def test_a_stream_ends_with_its_error(guard):
    values = guard.stream(decoders.count_and_fail, "x", 5)
    assert len(next(values)) == 1
    with pytest.raises(InputError, match="x: no more"):
        next(values)
    assert guard.call(decoders.number, "x", 3) == 3.0


def test_a_stream_that_nobody_reads_on_is_left(guard):
    values = guard.stream(decoders.count, "x", 5)
    next(values)
    assert guard.call(decoders.number, "y", 3) == 3.0
    with pytest.raises(RuntimeError):
        next(values)
    for _ in guard.stream(decoders.count, "x", 5):
        break
    assert guard.call(decoders.number, "y", 4) == 4.0
