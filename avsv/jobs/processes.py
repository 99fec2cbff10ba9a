"""Child processes that end with their parent, and commands that end promptly on an interrupt."""

import contextlib
import ctypes
import os
import signal
import threading

PR_SET_PDEATHSIG = 1  # of Linux's prctl.h
PATIENCE = 1.5  # seconds that an interrupted command may take to tidy up


def end_with_parent(parent: int | None = None) -> None:
    """Call this first in a worker: it is then killed when its parent dies, even by kill -9 (Linux only).

    Otherwise the workers of a ProcessPoolExecutor would wait for work for ever, and hold the recipe's lock.

    Parameters
    ----------
    parent : its process id; if the parent is already dead, this process ends now
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def end_soon_on_interrupt() -> None:
    """Let Ctrl-C end this process within two seconds, even if threads or workers are waiting.

    Python waits for all threads, and some may be waiting for a decoder that hangs. Not waiting loses nothing: a file
    is either complete or absent. Call this from the main thread.
    """

    def interrupt(number, frame):
        clock = threading.Timer(PATIENCE, os._exit, (130,))
        clock.daemon = True
        clock.start()
        signal.default_int_handler(number, frame)

    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:  # background jobs ignore it
        signal.signal(signal.SIGINT, interrupt)
