"""Work shared among the processor's cores by threads; numpy lets go of the interpreter in long operations."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def n_asked(said: str | None = None) -> int:
    """What OMP_NUM_THREADS says: the first number of OpenMP's list, one a level of nesting; 0 where it says nothing.

    Examples
    --------
    >>> n_asked("4,2"), n_asked("many")
    (4, 0)
    """
    first = (os.environ.get("OMP_NUM_THREADS", "") if said is None else said).partition(",")[0].strip()
    return min(int(first[:6]), 1024) if first.isascii() and first.isdigit() else 0


def n_allowed() -> int:
    """Cores that this job may use: OMP_NUM_THREADS, which utils/run.py sets for jobs side by side, else all."""
    return n_asked() or n_cores()


def map_ahead(work: Callable[[Item], Result], items: Iterable[Item], n_threads: int | None = None) -> Iterator[Result]:
    """`map(work, items)` by `n_threads`, one a core by default; no more items are taken than threads and one more.

    So memory stays flat however many items there are, and items may be read from a file by the caller's thread.

    Examples
    --------
    >>> list(map_ahead(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    n_threads = n_threads or n_cores()
    threads = ThreadPoolExecutor(n_threads)
    waiting = deque()
    try:
        for item in items:
            waiting.append(threads.submit(work, item))
            if len(waiting) > n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # after an error, or Ctrl-C, nobody waits for what the threads are at: a decoder may hang
        threads.shutdown(wait=False, cancel_futures=True)


class ReadOnce:
    """`read(path)` for several threads: who asks for what another is reading, or read lately, gets the same answer.

    Parameters
    ----------
    read : path -> answer; what it raises is an answer as well
    keep : how many of the latest answers are kept
    """

    def __init__(self, read: Callable[[str], Result], keep: int = 4):
        self.read, self.keep = read, keep
        self.lock, self.latest = Lock(), {}

    def __call__(self, path: str) -> Result:
        with self.lock:
            mine = path not in self.latest
            answer = self.latest.setdefault(path, Future())
            while len(self.latest) > self.keep:
                del self.latest[next(iter(self.latest))]  # whoever waits for it holds it
        if mine:
            try:
                answer.set_result(self.read(path))
            except BaseException as error:
                answer.set_exception(error)
        return answer.result()
