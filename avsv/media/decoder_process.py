"""Decoding in a process of its own, so that a file that kills its decoder, or hangs it, costs one clip and not the job.

Media files come from anywhere, and the libraries that decode them are large and written in C: one damaged file can
crash the process, hang it, or exhaust its memory. `guarded(read_waveform, path)` does what `read_waveform(path)` does,
in a child process that is started once and imports nothing but the decoders. The child may use MIB of memory and
SECONDS for a clip. If it dies, hangs or asks for more, the clip raises an InputError like any other bad file, and the
next clip gets a new child. A clip is blamed only if it was the first that its child read.

All media of unknown origin are read this way: no other part of avsv calls a decoder, and a test enforces it.

Nothing is pickled: a request is JSON, and an answer is JSON followed by the bytes of arrays. A child taken over by the
file that it decodes can therefore return only numbers and text.
"""

import contextlib
import json
import logging
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.segments import Segment
from avsv.media.decoder_child import Died, send

log = logging.getLogger("avsv")
SECONDS = 120.0  # for a clip, by the clock: a long video on a slow disk takes seconds
MIB = 1024  # of the child's own memory; an hour of sound at 16 kHz takes 500
TO_START = 60.0  # seconds, on a busy machine; it is half a second as a rule
MOST_TEXT = 1 << 24  # bytes of an answer's JSON
PIPE = 1 << 20  # bytes that may wait in the pipe, where the system allows it
F_SETPIPE_SZ = 1031  # of fcntl.h; Python 3.10 names it, on Linux only
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)  # no decoder sends them to itself
KINDS = ("b", "i", "u", "f")  # of numbers in arrays that are taken from a child


class Killed(Died):
    """The child was ended by a signal that comes from outside; it may be tried again."""


class Late(Died):
    """The child gave no answer in time; another one would not, either."""


class Guard(threading.local):
    """A child process that decodes, started when it is first needed; each thread that asks has one of its own.

    Parameters
    ----------
    seconds : that a call may take
    mib : memory that the child may allocate

    Examples
    --------
    >>> from avsv.media.waveforms import read_waveform
    >>> try:
    ...     Guard().call(read_waveform, "/absent.wav")
    ... except InputError as error:
    ...     print(error)
    /absent.wav: there is no such file
    """

    def __init__(self, seconds: float = SECONDS, mib: int = MIB):
        self.seconds, self.mib = seconds, mib
        self.child: subprocess.Popen | None = None
        self.owner = 0
        self.request: dict = {}  # the last one
        self.n_asked = 0  # of this child
        self.turn = 0  # of all
        self.busy = False  # until its answer is read

    def call(self, function: Callable, path: str | Path, *more: Any) -> Any:
        """`function(path, *more)` in the child.

        Parameters
        ----------
        function : of a module of avsv that is cheap to import; gives an array, a list of arrays, a number, or a pair of
            a number and an array
        path : what is decoded; it is named when the child dies
        more : numbers, texts, True, False or None

        Raises
        ------
        InputError : what the function raises; or the file made the decoder die, hang or take too much memory
        OSError : the child cannot be started
        """
        self.ask(function, path, *more)
        return self.answer(path)

    def each(self, function: Callable, paths: Sequence[str], *more: Any) -> Iterator[Callable[[], Any]]:
        """`call` for many files, one ahead of the caller, so that nobody waits for the other.

        Yields
        ------
        functions that give what `call` does, or raise what it raises
        """
        asked = False
        try:
            for number, path in enumerate(paths):
                if not asked:
                    self.ask(function, path, *more)
                asked = False
                try:
                    outcome = partial(returned, self.answer(path))
                except InputError as error:
                    outcome = partial(raised, error)
                if number + 1 < len(paths) and self.child is not None:
                    self.ask(function, paths[number + 1], *more)
                    asked = True
                yield outcome
        finally:
            if asked:  # the caller went away, or asks something else
                self.stop()

    def stream(self, function: Callable, path: str | Path, *more: Any) -> Iterator[Any]:
        """The values of a generator `function(path, *more)`, each when it is there; as `call`.

        SECONDS are for each value. Whoever asks for something else meanwhile cannot go on with this.
        """
        self.ask(function, path, *more)
        turn, is_first = self.turn, True
        try:
            while True:
                if self.turn != turn:
                    raise RuntimeError(f"{path}: another file was asked for before this one was read to its end")
                answer, arrays = self.outcome(path, may_repeat=is_first)
                if not answer.get("more"):
                    turn = None
                    return
                is_first = False
                yield value_of(answer, arrays)
        except InputError:
            turn = None
            raise
        finally:
            if self.turn == turn:  # the caller went away
                self.stop()

    def ask(self, function: Callable, path: str | Path, *more: Any) -> None:
        self.turn += 1
        if self.child is None or self.owner != os.getpid():  # a process forked since has none
            self.start()
        elif self.busy:  # with a stream that nobody reads on
            self.stop()
            self.start()
        name = f"{function.__module__}:{function.__qualname__}"
        self.request = {
            "function": name,
            "arguments": [path if isinstance(path, Segment) else str(path), *more],
            "folder": os.getcwd(),
        }
        self.repeat()

    def repeat(self) -> None:
        """Send the request, to a new child if there was a need for one."""
        if self.child is None:
            self.start()
        self.n_asked += 1
        self.busy = True
        with contextlib.suppress(Died):  # the answer will tell
            send(self.child.stdin.fileno(), json.dumps(self.request).encode())

    def answer(self, path: str | Path) -> Any:
        """The value of what was asked last; see `call`."""
        return value_of(*self.outcome(path))

    def outcome(self, path: str | Path, may_repeat: bool = True) -> tuple[dict, list[np.ndarray]]:
        """The next answer; what a child that read other files before cannot do is asked of a new one."""
        try:
            answer, arrays = self.receive(time.monotonic() + self.seconds)
            # what other files left behind may have taken the memory
            again = may_repeat and self.n_asked > 1 and bool(answer.get("memory"))
        except Late as reason:
            raise self.refused(path, reason) from None
        except Died as reason:
            # killed by somebody, or because the machine had no memory left; or damaged by another file
            again = may_repeat and (isinstance(reason, Killed) or self.n_asked > 1)
            if not again:
                raise self.refused(path, reason) from None
        except BaseException:  # interrupted half-way: what comes next on the pipe is of this call
            self.stop()
            raise
        if again:
            self.stop()
            self.repeat()
            try:
                answer, arrays = self.receive(time.monotonic() + self.seconds)
            except Died as reason:
                raise self.refused(path, reason) from None
            except BaseException:
                self.stop()
                raise
        self.busy = bool(answer.get("more"))
        for warning in answer.get("warnings", ()):
            log.warning("%s", warning)
        if "error" in answer:
            raise InputError(str(answer["error"]))
        return answer, arrays

    def refused(self, path: str | Path, reason: Died) -> InputError:
        self.stop()
        return InputError(f"{path}: the decoder {reason}; the file is damaged, or made to do so")

    def start(self) -> None:
        package = str(Path(__file__).resolve().parents[2])
        variables = {"PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))}
        variables |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # it multiplies no matrices
        self.child = subprocess.Popen(
            [
                sys.executable,
                "-c",
                # no module from the folder that this is run in, which "-c" would look into first
                "import sys; sys.path = [p for p in sys.path if p]; from avsv.media.decoder_child import serve; "
                f"serve({self.mib}, {1.1 * self.seconds + 1}, {os.getpid()})",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=os.environ | variables,
        )
        self.owner, self.n_asked, self.busy = os.getpid(), 0, False
        with contextlib.suppress(OSError):
            import fcntl

            fcntl.fcntl(self.child.stdout, F_SETPIPE_SZ, PIPE)
        try:
            self.receive(time.monotonic() + TO_START)
        except Died as reason:
            self.stop()
            raise OSError(f"the process that decodes sound and pictures could not be started: it {reason}") from None

    def stop(self) -> None:
        """End the child; the next call starts another."""
        child, self.child = self.child, None
        if child is not None and self.owner == os.getpid():
            child.kill()
            child.stdin.close()
            child.stdout.close()
            child.wait()

    def receive(self, deadline: float) -> tuple[dict, list[np.ndarray]]:
        """One answer; Died where none comes, or something else does."""
        (n_text,) = struct.unpack("<I", self.read(bytearray(4), deadline))
        if n_text > MOST_TEXT:
            raise Died("gave an answer that makes no sense")
        try:
            answer = json.loads(bytes(self.read(bytearray(n_text), deadline)))
            shapes = [(np.dtype(kind), tuple(map(int, shape))) for kind, shape in answer.get("arrays", ())]
            sizes = [kind.itemsize * int(np.prod(shape, dtype=object)) for kind, shape in shapes]
            known = all(kind.kind in KINDS for kind, _ in shapes) and min([0, *sizes]) >= 0
        except (ValueError, TypeError, AttributeError, RecursionError):
            known = False
        if not known or sum(sizes) > self.mib << 20:
            raise Died("gave an answer that makes no sense")
        arrays = [np.empty(shape, kind) for kind, shape in shapes]
        for array in arrays:
            self.read(memoryview(array.reshape(-1)).cast("B") if array.size else bytearray(), deadline)
        return answer, arrays

    def read(self, place: Any, deadline: float) -> Any:
        """Fill a buffer from the child; Died where it ends before, or the deadline comes."""
        pipe, view = self.child.stdout.fileno(), memoryview(place)
        waiting = select.poll()
        waiting.register(pipe, select.POLLIN)
        while len(view):
            if not waiting.poll(max(0.0, 1000 * (deadline - time.monotonic()))):
                raise Late(f"gave no answer within {self.seconds:g} s and was stopped")
            n_read = os.readv(pipe, [view])
            if not n_read:
                raise death_of(self.child)
            view = view[n_read:]
        return place


def death_of(child: subprocess.Popen) -> Died:
    """How a child ended, in words."""
    try:
        code = child.wait(5)
    except subprocess.TimeoutExpired:
        return Died("closed its output")
    if code >= 0:
        return Died(f"ended with status {code}")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return (Killed if -code in FROM_OUTSIDE else Died)(f"died of {name}")


DECODER = Guard()


def guarded(function: Callable, path: str | Path, *more: Any) -> Any:
    """`function(path, *more)` in the process that decodes for this thread; see `Guard.call`."""
    return DECODER.call(function, path, *more)


def guarded_each(function: Callable, paths: Sequence[str], *more: Any) -> Iterator[Callable[[], Any]]:
    """`guarded` for many files, one ahead of the caller; see `Guard.each`. No other call may come in between."""
    return DECODER.each(function, paths, *more)


def guarded_stream(function: Callable, path: str | Path, *more: Any) -> Iterator[Any]:
    """The values of a generator `function(path, *more)`, made in the process that decodes; see `Guard.stream`."""
    return DECODER.stream(function, path, *more)


def value_of(answer: dict, arrays: list[np.ndarray]) -> Any:
    """What an answer holds: a list of arrays, a number, a number and an array, or an array."""
    if answer.get("list"):
        return arrays
    number = [float(answer["number"])] if "number" in answer else []
    return (*number, arrays[0]) if number and arrays else number[0] if number else arrays[0]


def returned(value: Any) -> Any:
    return value


def raised(error: Exception) -> Any:
    raise error
