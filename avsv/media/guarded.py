"""The process that decodes for guard.py: answers requests on a pipe, within limits of memory and time."""

import contextlib
import ctypes
import importlib
import json
import logging
import os
import resource
import signal
import struct
from typing import Any

import numpy as np

from avsv.errors import UserError
from avsv.kaldi.segments import Segment

log = logging.getLogger("avsv")


class Died(Exception):
    """The child ended, or does not answer; the message says how."""


def send(pipe: int, text: bytes, arrays: list[np.ndarray] = ()) -> None:
    """Write a message: how long its text is, the text, and the arrays' bytes; Died where nobody reads."""
    try:
        write_all(pipe, struct.pack("<I", len(text)) + text)
        for array in arrays:
            if array.size:
                write_all(pipe, memoryview(array.reshape(-1)).cast("B"))
    except BrokenPipeError:
        raise Died("ended before it was asked") from None


def write_all(pipe: int, data: Any) -> None:
    view = memoryview(data)
    while len(view):
        view = view[os.write(pipe, view) :]


class Warnings(logging.Handler):
    """Keeps what is logged, to be handed over with the answer."""

    def __init__(self):
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def serve(mib: int, seconds: float) -> None:
    """Answer requests on standard input until it ends, which it does with the process that asks.

    Parameters
    ----------
    mib : memory that may be allocated
    seconds : after which a call is ended by the system, in case nobody is left to do so
    """
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # libraries may print; the pipe is for answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the process that asks
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (mib << 20, mib << 20))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(-8, 1)  # M_ARENA_MAX: one heap, whatever the threads of ffmpeg
    log.addHandler(said := Warnings())
    log.propagate = False
    import soundfile  # noqa: F401 (here, where the time for a clip does not run)

    send(answers, b"{}")
    with contextlib.suppress(Died), open(requests, "rb") as pipe:
        while len(size := pipe.read(4)) == 4:
            request = json.loads(pipe.read(*struct.unpack("<I", size)))
            signal.setitimer(signal.ITIMER_REAL, seconds)
            answer, arrays = work(request, mib)
            signal.setitimer(signal.ITIMER_REAL, 0)  # who asked may be busy for long before reading this
            send(answers, json.dumps(answer | {"warnings": said.said}).encode(), arrays)
            said.said.clear()


def work(request: dict, mib: int) -> tuple[dict, list[np.ndarray]]:
    """Call the function that is asked for; its value as JSON and arrays, or its error."""
    module, _, name = request["function"].partition(":")
    arguments = request["arguments"]
    if isinstance(arguments[0], list):
        arguments[0] = Segment(*arguments[0])
    try:
        os.chdir(request["folder"])  # what relative paths count from
        value = getattr(importlib.import_module(module), name)(*arguments)
    except UserError as error:
        return {"error": str(error)}, []
    except MemoryError:
        return {"error": f"{arguments[0]}: takes more than {mib} MiB of memory to decode"}, []
    except Exception as error:  # a decoder's own: some raise IndexError, struct.error or their like for a bad file
        return {"error": f"{arguments[0]}: cannot be decoded: {type(error).__name__}: {error}"}, []
    if isinstance(value, (int, float)):
        return {"number": float(value)}, []
    arrays = [np.ascontiguousarray(array) for array in (value if isinstance(value, list) else [value])]
    about = [[array.dtype.str, array.shape] for array in arrays]
    return {"arrays": about, "list": isinstance(value, list)}, arrays
