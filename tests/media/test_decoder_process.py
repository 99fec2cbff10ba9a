"""Decoders that crash, hang or exhaust memory: the functions of decoders.py do so in the guard's child process."""

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
    """A guard with low limits, whose child runs the functions of decoders.py."""
    guard = Guard(seconds=3, mib=300)
    yield guard
    guard.stop()


def test_the_child_returns_what_the_function_returns(tone):
    path = str(tone("a.wav", seconds=2))
    assert np.array_equal(guarded(read_waveform, path), read_waveform(path))


def test_arrays_of_any_shape_lists_and_numbers_come_back(guard):
    assert guard.call(decoders.number, "x", 7) == 7.0
    images = guard.call(decoders.images, "x", 3)
    assert [image.shape for image in images] == [(0, 5, 3), (1, 5, 3), (2, 5, 3)]
    assert images[2].dtype == np.uint8 and (images[2] == 2).all()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_decoder_that_dies_costs_one_clip(guard, number):
    with pytest.raises(InputError, match=f"bad.wav.*{number.name}"):
        guard.call(decoders.die, "bad.wav", int(number))
    assert guard.call(decoders.number, "good.wav", 1) == 1.0


def test_a_decoder_that_was_killed_from_outside_gets_a_second_try(guard, tmp_path):
    assert guard.call(decoders.die_once, str(tmp_path / "mark"), int(signal.SIGKILL)) == 8.0


def test_a_decoder_that_exits_costs_one_clip(guard):
    with pytest.raises(InputError, match=r"bad\.wav.*status 3"):
        guard.call(decoders.leave, "bad.wav", 3)


@pytest.mark.parametrize("how", ["hang", "hang_without_the_interpreter"])
def test_a_decoder_that_hangs_is_stopped(guard, how):
    guard.call(decoders.number, "good.wav", 1)
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"slow\.wav"):
        guard.call(getattr(decoders, how), "slow.wav")
    assert time.monotonic() - begin < 10
    assert guard.call(decoders.number, "good.wav", 1) == 1.0


def test_a_decoder_that_exceeds_its_memory_costs_one_clip(guard):
    with pytest.raises(InputError, match=r"large.wav.*300 MiB"):
        guard.call(decoders.eat, "large.wav", 400)
    assert len(guard.call(decoders.eat, "small.wav", 16)) == 16 << 20


def test_unexpected_exceptions_of_a_decoder_become_input_errors(guard):
    with pytest.raises(InputError, match=r"odd\.wav.*ZeroDivisionError"):
        guard.call(decoders.fail, "odd.wav")


def test_output_and_log_messages_of_a_decoder_do_not_disturb_its_answer(guard, caplog):
    assert guard.call(decoders.chatter, "x") == 5.0
    assert "skipped an image" in caplog.text


def test_malformed_answers_are_refused(guard):
    for how in ("objects", "nonsense", "boundless"):
        with pytest.raises(InputError, match=r"^x: "):
            guard.call(decoders.lie, "x", how)


def test_many_files_are_read_one_ahead_and_in_order(guard):
    outcomes = []
    for value in guard.each(decoders.either, ["1", "2", "die", "4", "bad", "6"]):
        try:
            outcomes.append(value())
        except InputError as error:
            outcomes.append(str(error))
    assert [*outcomes[:2], *outcomes[3:]] == [1.0, 2.0, 4.0, "bad: no number", 6.0]
    assert outcomes[2].startswith("die: ") and "SIGSEGV" in outcomes[2]


def test_an_abandoned_iteration_leaves_no_answer_behind(guard):
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


def test_a_hanging_child_does_not_outlive_its_killed_job_for_long(tmp_path):
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


def test_memory_held_by_earlier_clips_does_not_count_against_the_limit():
    guard = Guard(seconds=60, mib=300)  # hundreds of MiB through a pipe
    for _ in range(3):
        assert len(guard.call(decoders.eat, "large.png", 200)) == 200 << 20
    assert guard.call(decoders.leak, "other.png", 200) == 1.0
    assert len(guard.call(decoders.eat, "large.png", 200)) == 200 << 20
    with pytest.raises(InputError, match=r"larger\.png.*300 MiB"):
        guard.call(decoders.eat, "larger.png", 400)
    guard.stop()


def test_a_file_is_not_blamed_for_damage_by_an_earlier_one(guard):
    guard.call(decoders.leak, "other.png", 1)
    assert guard.call(decoders.die_after_another_file, "good.png") == 2.0


def test_a_stream_yields_its_values_one_by_one(guard):
    result = list(guard.stream(decoders.count, "x", 5))
    assert [number for number, _ in result] == [0, 0.5, 1, 1.5, 2]
    assert [int(array.sum()) for _, array in result] == [0, 6, 12, 18, 24]
    assert list(guard.stream(decoders.count, "x", 0)) == []


def test_the_memory_limit_of_a_stream_applies_to_each_value():
    guard = Guard(seconds=60, mib=300)  # hundreds of MiB through a pipe
    assert len(list(guard.stream(decoders.stream_of_memory, "x", 100, 6))) == 6
    guard.stop()


def test_a_stream_ends_with_its_error(guard):
    values = guard.stream(decoders.count_and_fail, "x", 5)
    assert len(next(values)) == 1
    with pytest.raises(InputError, match="x: no more"):
        next(values)
    assert guard.call(decoders.number, "x", 3) == 3.0


def test_an_abandoned_stream_does_not_block_the_next_call(guard):
    values = guard.stream(decoders.count, "x", 5)
    next(values)
    assert guard.call(decoders.number, "y", 3) == 3.0
    with pytest.raises(RuntimeError):
        next(values)
    for _ in guard.stream(decoders.count, "x", 5):
        break
    assert guard.call(decoders.number, "y", 4) == 4.0
