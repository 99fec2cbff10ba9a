"""The child of decoder_process.py: it decodes files on request over a pipe, within limits on memory and time."""

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
LEFT_BEHIND = 256 << 20  # bytes allocated, a third of them libraries, beyond which remains of earlier files are freed


class Died(Exception):
    """The child process ended or does not answer; the message gives details."""


def send(pipe: int, text: bytes, arrays: list[np.ndarray] = ()) -> None:
    """Write a message: the length of its text, the text, and the arrays' bytes.

    Raises
    ------
    Died : the other end of the pipe is closed
    """
    try:
        write_all(pipe, struct.pack("<I", len(text)) + text)
        for array in arrays:
            if array.size:
                write_all(pipe, memoryview(array.reshape(-1)).cast("B"))
    except BrokenPipeError:
        raise Died("ended before the request") from None


def write_all(pipe: int, data: Any) -> None:
    view = memoryview(data)
    while len(view):
        view = view[os.write(pipe, view) :]


class Warnings(logging.Handler):
    """Collects log messages, to be sent with the answer."""

    def __init__(self):
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def serve(mib: int, seconds: float, parent: int) -> None:
    """Answer requests on standard input until it is closed, at the latest when the parent process ends.

    Parameters
    ----------
    mib : memory that a request may allocate
    seconds : time after which the system kills this process in the middle of a call, should the parent fail to
    parent : id of the parent process; the system kills this process with it, even in the middle of a call
    """
    end_with_parent(parent)
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # libraries may print; the pipe is for answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    heap = one_heap()
    log.addHandler(warnings := Warnings())
    log.propagate = False
    import soundfile  # noqa: F401 (imported before the first request, whose time is limited)

    send(answers, b"{}")
    with contextlib.suppress(Died), open(requests, "rb") as pipe:
        while len(size := pipe.read(4)) == 4:
            request = json.loads(pipe.read(*struct.unpack("<I", size)))
            limit_memory(mib, heap)
            parts = work(request, mib)
            while True:
                signal.setitimer(signal.ITIMER_REAL, seconds)
                answer, arrays = next(parts, (None, []))
                signal.setitimer(signal.ITIMER_REAL, 0)  # the parent may take long to read the answer
                if answer is None:
                    break
                send(answers, json.dumps(answer | {"warnings": warnings.messages}).encode(), arrays)
                warnings.messages.clear()
                del arrays  # free the memory before the next clip
            del parts


def one_heap() -> Any:
    """Make the C library use one heap for all of ffmpeg's threads and return large blocks to the system.

    Returns
    -------
    the C library; without glibc, an object whose `malloc_trim` does nothing
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(-8, 1)  # M_ARENA_MAX
        library.mallopt(-3, 1 << 20)  # M_MMAP_THRESHOLD; glibc would raise it after each large block that is freed
        library.malloc_trim  # noqa: B018 (exists in glibc only)
        return library
    return type("NoHeap", (), {"malloc_trim": staticmethod(lambda _: None)})


def bytes_held() -> int:
    """Memory that this process has allocated, in bytes; 0 if the system has no /proc."""
    with contextlib.suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[5]) * resource.getpagesize()
    return 0


def limit_memory(mib: int, heap: Any) -> None:
    """Limit this process to `mib` more than its current memory: earlier clips do not count against the next one."""
    held = bytes_held()
    if held > LEFT_BEHIND:
        gc.collect()  # ffmpeg's containers refer to themselves, and their decoders hold threads
        heap.malloc_trim(0)
        held = bytes_held()
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = held + (mib << 20)
    most = 2 * wanted if most == resource.RLIM_INFINITY else most  # the hard limit, set once, bounds any leak
    resource.setrlimit(resource.RLIMIT_DATA, (min(wanted, most), most))


def work(request: dict, mib: int) -> Iterator[tuple[dict, list[np.ndarray]]]:
    """Call the requested function and yield its result as JSON and arrays, or its error.

    A generator gives one answer per value, each marked "more", and an empty list at the end.
    """
    module, _, name = request["function"].partition(":")
    arguments = request["arguments"]
    if isinstance(arguments[0], list):
        arguments[0] = Segment(*arguments[0])
    try:
        os.chdir(request["folder"])  # relative paths start there
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
    except Exception as error:  # decoders raise IndexError, struct.error and others for bad files
        yield {"error": f"{arguments[0]}: cannot be decoded: {type(error).__name__}: {error}"}, []


def packed(value: Any) -> tuple[dict, list[np.ndarray]]:
    """Encode a number, an array, a list of arrays, or a pair of a number and an array as an answer."""
    if isinstance(value, (int, float)):
        return {"number": float(value)}, []
    about = {"list": isinstance(value, list)}
    if isinstance(value, tuple):
        about["number"], value = float(value[0]), value[1]
    arrays = [np.ascontiguousarray(array) for array in (value if isinstance(value, list) else [value])]
    return about | {"arrays": [[array.dtype.str, array.shape] for array in arrays]}, arrays
