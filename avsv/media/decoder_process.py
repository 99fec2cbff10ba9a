"""Decoding in a child process: a file that crashes or hangs its decoder costs one clip, not the whole job.

Media files are untrusted, and the libraries that decode them are large and written in C: one damaged file can crash the
process, hang it, or exhaust its memory. `guarded(read_waveform, path)` runs `read_waveform(path)` in a child process
that is started once and imports only the decoders. The child may use MIB of memory and
SECONDS for a clip. If it dies, hangs or asks for more, the clip raises an InputError like any other bad file, and the
next clip gets a new child. A failure counts against a clip only if it was the first that its child read.

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
SECONDS = 120.0  # wall-clock limit per clip; a long video on a slow disk takes seconds
MIB = 1024  # memory limit of the child; an hour of audio at 16 kHz takes 500
TO_START = 60.0  # seconds that starting may take on a busy machine; half a second is usual
MOST_TEXT = 1 << 24  # bytes of an answer's JSON
PIPE = 1 << 20  # capacity of the pipe in bytes, if the system allows it
F_SETPIPE_SZ = 1031  # of fcntl.h; Python 3.10 names it, on Linux only
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)  # no decoder sends them to itself
KINDS = ("b", "i", "u", "f")  # kinds of numpy types that are accepted from a child


class Killed(Died):
    """The child was killed by a signal from outside; the call is worth a second try."""


class Late(Died):
    """The child did not answer in time; a second try would not help."""


class Guard(threading.local):
    """A child process that decodes, started on first use; each thread has its own.

    Parameters
    ----------
    seconds : time limit of a call
    mib : memory limit of the child

    Examples
    --------
    >>> from avsv.media.waveforms import read_waveform
    >>> try:
    ...     Guard().call(read_waveform, "/absent.wav")
    ... except InputError as error:
    ...     print(error)
    /absent.wav: no such file
    """

    def __init__(self, seconds: float = SECONDS, mib: int = MIB):
        self.seconds, self.mib = seconds, mib
        self.child: subprocess.Popen | None = None
        self.owner = 0
        self.request: dict = {}  # the last request
        self.n_asked = 0  # requests sent to this child
        self.turn = 0  # requests sent to all children so far
        self.busy = False  # True until the answer has been read

    def call(self, function: Callable, path: str | Path, *more: Any) -> Any:
        """Run `function(path, *more)` in the child.

        Parameters
        ----------
        function : a function of an avsv module that is cheap to import; returns an array, a list of arrays, a number,
            or a pair of a number and an array
        path : the file to decode; the error names it if the child dies
        more : numbers, strings, True, False or None

        Raises
        ------
        InputError : raised by the function, or the file made the decoder crash, hang or exceed its memory
        OSError : the child cannot be started
        """
        self.ask(function, path, *more)
        return self.answer(path)

    def each(self, function: Callable, paths: Sequence[str], *more: Any) -> Iterator[Callable[[], Any]]:
        """`call` for many files: the child decodes the next file while the caller works on the current one.

        Yields
        ------
        functions that return what `call` would return, or raise what it would raise
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
            if asked:  # the caller stopped iterating, or requests another file
                self.stop()

    def stream(self, function: Callable, path: str | Path, *more: Any) -> Iterator[Any]:
        """Yield the values of the generator `function(path, *more)` as they arrive; otherwise like `call`.

        The time limit applies to each value. A request for another file ends the stream.
        """
        self.ask(function, path, *more)
        turn, is_first = self.turn, True
        try:
            while True:
                if self.turn != turn:
                    raise RuntimeError(f"{path}: another file was requested before this one was read to its end")
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
            if self.turn == turn:  # the caller stopped iterating
                self.stop()

    def ask(self, function: Callable, path: str | Path, *more: Any) -> None:
        self.turn += 1
        if self.child is None or self.owner != os.getpid():  # a forked process needs its own child
            self.start()
        elif self.busy:  # with a stream that was abandoned
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
        """Send the request, to a new child if the old one was stopped."""
        if self.child is None:
            self.start()
        self.n_asked += 1
        self.busy = True
        with contextlib.suppress(Died):  # reading the answer reports it
            send(self.child.stdin.fileno(), json.dumps(self.request).encode())

    def answer(self, path: str | Path) -> Any:
        """The value of the last request; see `call`."""
        return value_of(*self.outcome(path))

    def outcome(self, path: str | Path, may_repeat: bool = True) -> tuple[dict, list[np.ndarray]]:
        """The next answer; if a child that has read other files before fails, a new child tries again."""
        try:
            answer, arrays = self.receive(time.monotonic() + self.seconds)
            # earlier files may have left too little memory
            again = may_repeat and self.n_asked > 1 and bool(answer.get("memory"))
        except Late as reason:
            raise self.refused(path, reason) from None
        except Died as reason:
            # killed by a user or because the machine ran out of memory; or corrupted by an earlier file
            again = may_repeat and (isinstance(reason, Killed) or self.n_asked > 1)
            if not again:
                raise self.refused(path, reason) from None
        except BaseException:  # interrupted half-way: the rest of this answer is still in the pipe
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
        return InputError(f"{path}: the decoder {reason}; the file is damaged or malicious")

    def start(self) -> None:
        package = str(Path(__file__).resolve().parents[2])
        variables = {"PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))}
        variables |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # decoding multiplies no matrices
        self.child = subprocess.Popen(
            [
                sys.executable,
                "-c",
                # "-c" puts the current folder first on the path; no module may come from there
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
            raise OSError(f"the process that decodes media files could not be started: it {reason}") from None

    def stop(self) -> None:
        """Kill the child; the next call starts a new one."""
        child, self.child = self.child, None
        if child is not None and self.owner == os.getpid():
            child.kill()
            child.stdin.close()
            child.stdout.close()
            child.wait()

    def receive(self, deadline: float) -> tuple[dict, list[np.ndarray]]:
        """Read one answer.

        Raises
        ------
        Died : no answer arrives in time, or it is malformed
        """
        (n_text,) = struct.unpack("<I", self.read(bytearray(4), deadline))
        if n_text > MOST_TEXT:
            raise Died("gave a malformed answer")
        try:
            answer = json.loads(bytes(self.read(bytearray(n_text), deadline)))
            shapes = [(np.dtype(kind), tuple(map(int, shape))) for kind, shape in answer.get("arrays", ())]
            sizes = [kind.itemsize * int(np.prod(shape, dtype=object)) for kind, shape in shapes]
            known = all(kind.kind in KINDS for kind, _ in shapes) and min([0, *sizes]) >= 0
        except (ValueError, TypeError, AttributeError, RecursionError):
            known = False
        if not known or sum(sizes) > self.mib << 20:
            raise Died("gave a malformed answer")
        arrays = [np.empty(shape, kind) for kind, shape in shapes]
        for array in arrays:
            self.read(memoryview(array.reshape(-1)).cast("B") if array.size else bytearray(), deadline)
        return answer, arrays

    def read(self, place: Any, deadline: float) -> Any:
        """Fill a buffer from the child's pipe; raises Died if the child ends or the deadline passes first."""
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
    """Wait for a child to end, and describe how it did."""
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
    """Run `function(path, *more)` in this thread's decoder process; see `Guard.call`."""
    return DECODER.call(function, path, *more)


def guarded_each(function: Callable, paths: Sequence[str], *more: Any) -> Iterator[Callable[[], Any]]:
    """`guarded` for many files, decoding one ahead; see `Guard.each`. No other call may come in between."""
    return DECODER.each(function, paths, *more)


def guarded_stream(function: Callable, path: str | Path, *more: Any) -> Iterator[Any]:
    """Yield the values of the generator `function(path, *more)`, run in the decoder process; see `Guard.stream`."""
    return DECODER.stream(function, path, *more)


def value_of(answer: dict, arrays: list[np.ndarray]) -> Any:
    """Decode an answer: a list of arrays, a number, a number and an array, or an array."""
    if answer.get("list"):
        return arrays
    number = [float(answer["number"])] if "number" in answer else []
    return (*number, arrays[0]) if number and arrays else number[0] if number else arrays[0]


def returned(value: Any) -> Any:
    return value


def raised(error: Exception) -> Any:
    raise error
