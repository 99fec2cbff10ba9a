"""The process that decodes for guard.py: answers requests on a pipe, within limits of memory and time."""

import contextlib
import ctypes
import gc
import importlib
import inspect
import json
import logging
import os
import resource
import signal
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from avsv.errors import InputError
from avsv.jobs.processes import end_with_parent
from avsv.kaldi.segments import Segment

log = logging.getLogger("avsv")
LEFT_BEHIND = 256 << 20  # bytes held, a third of which are libraries, before what is left of files is looked for


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


def serve(mib: int, seconds: float, parent: int) -> None:
    """Answer requests on standard input until it ends, which it does with the process that asks.

    Parameters
    ----------
    mib : memory that may be allocated for a request
    seconds : after which a call is ended by the system, in case nobody is left to do so
    parent : the process that asks; the system ends this one with it, even in the middle of a call
    """
    end_with_parent(parent)
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # libraries may print; the pipe is for answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the process that asks
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    heap = one_heap()
    log.addHandler(said := Warnings())
    log.propagate = False
    import soundfile  # noqa: F401 (here, where the time for a clip does not run)

    send(answers, b"{}")
    with contextlib.suppress(Died), open(requests, "rb") as pipe:
        while len(size := pipe.read(4)) == 4:
            request = json.loads(pipe.read(*struct.unpack("<I", size)))
            limit_memory(mib, heap)
            parts = work(request, mib)
            while True:
                signal.setitimer(signal.ITIMER_REAL, seconds)
                answer, arrays = next(parts, (None, []))
                signal.setitimer(signal.ITIMER_REAL, 0)  # who asked may be busy for long before reading this
                if answer is None:
                    break
                send(answers, json.dumps(answer | {"warnings": said.said}).encode(), arrays)
                said.said.clear()
                del arrays  # the next clip has all the memory
            del parts


def one_heap() -> Any:
    """Let the C library keep one heap, whatever the threads of ffmpeg, and give large pieces back; the library."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(-8, 1)  # M_ARENA_MAX
        library.mallopt(-3, 1 << 20)  # M_MMAP_THRESHOLD, which would else grow with what was freed
        library.malloc_trim  # noqa: B018 (glibc alone has it)
        return library
    return type("NoHeap", (), {"malloc_trim": staticmethod(lambda _: None)})


def bytes_held() -> int:
    """Memory that this process has allocated; 0 where the system does not tell."""
    with contextlib.suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[5]) * resource.getpagesize()
    return 0


def limit_memory(mib: int, heap: Any) -> None:
    """Let this process allocate so much more than it holds now, so that no clip pays for the ones before it."""
    held = bytes_held()
    if held > LEFT_BEHIND:
        gc.collect()  # ffmpeg's containers refer to themselves, and their decoders hold threads
        heap.malloc_trim(0)
        held = bytes_held()
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = held + (mib << 20)
    most = 2 * wanted if most == resource.RLIM_INFINITY else most  # for good, whatever leaks
    resource.setrlimit(resource.RLIMIT_DATA, (min(wanted, most), most))


def work(request: dict, mib: int) -> Iterator[tuple[dict, list[np.ndarray]]]:
    """Call the function that is asked for: its value as JSON and arrays, or its error.

    Of a generator each value is an answer, marked "more"; after the last one comes an empty list.
    """
    module, _, name = request["function"].partition(":")
    arguments = request["arguments"]
    if isinstance(arguments[0], list):
        arguments[0] = Segment(*arguments[0])
    try:
        os.chdir(request["folder"])  # what relative paths count from
        value = getattr(importlib.import_module(module), name)(*arguments)
        if not inspect.isgenerator(value):
            yield packed(value)
            return
        for part in value:
            answer, arrays = packed(part)
            yield answer | {"more": True}, arrays
        yield {"list": True}, []
    except InputError as error:
        yield {"error": str(error)}, []
    except MemoryError:
        yield {"error": f"{arguments[0]}: takes more than {mib} MiB of memory to decode", "memory": True}, []
    except Exception as error:  # a decoder's own: some raise IndexError, struct.error or their like for a bad file
        yield {"error": f"{arguments[0]}: cannot be decoded: {type(error).__name__}: {error}"}, []


def packed(value: Any) -> tuple[dict, list[np.ndarray]]:
    """A number, an array, a list of arrays, or a pair of a number and an array, as an answer."""
    if isinstance(value, (int, float)):
        return {"number": float(value)}, []
    about = {"list": isinstance(value, list)}
    if isinstance(value, tuple):
        about["number"], value = float(value[0]), value[1]
    arrays = [np.ascontiguousarray(array) for array in (value if isinstance(value, list) else [value])]
    return about | {"arrays": [[array.dtype.str, array.shape] for array in arrays]}, arrays
