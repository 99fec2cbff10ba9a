"""Worker processes that end with the process that started them, however that ends."""

import contextlib
import ctypes
import signal

PR_SET_PDEATHSIG = 1  # of Linux's prctl.h


def end_with_parent() -> None:
    """To be called first in a worker: it is killed when its parent dies, of kill -9 too (Linux only).

    The workers of a ProcessPoolExecutor would else wait for work for ever, and hold the recipe's lock.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
