"""Threads that share work among cores; numpy releases the interpreter lock in long operations."""

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


def n_asked(text: str | None = None) -> int:
    """The first number in OMP_NUM_THREADS, a list with one per level of nesting; 0 if it is unset or invalid.

    Examples
    --------
    >>> n_asked("4,2"), n_asked("many")
    (4, 0)
    """
    first = (os.environ.get("OMP_NUM_THREADS", "") if text is None else text).partition(",")[0].strip()
    return min(int(first[:6]), 1024) if first.isascii() and first.isdigit() else 0


def n_allowed() -> int:
    """Cores that this job may use: OMP_NUM_THREADS, which utils/run.py sets for parallel jobs, otherwise all."""
    return n_asked() or n_cores()


def map_ahead(work: Callable[[Item], Result], items: Iterable[Item], n_threads: int | None = None) -> Iterator[Result]:
    """`map(work, items)` by `n_threads`, one per core by default, at most one item ahead of the threads.

    Memory stays flat for any number of items, and the caller's thread may read items from a file.

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
        # after an error or Ctrl-C, do not wait for the threads: a decoder may hang
        threads.shutdown(wait=False, cancel_futures=True)


class ReadOnce:
    """`read(path)` for several threads: concurrent and recent requests for one path share an answer.

    Parameters
    ----------
    read : path -> answer; an exception counts as an answer
    keep : number of latest answers kept
    """

    def __init__(self, read: Callable[[str], Result], keep: int = 4):
        self.read, self.keep = read, keep
        self.lock, self.latest = Lock(), {}

    def __call__(self, path: str) -> Result:
        with self.lock:
            mine = path not in self.latest
            answer = self.latest.setdefault(path, Future())
            while len(self.latest) > self.keep:
                del self.latest[next(iter(self.latest))]  # a waiting thread still holds it
        if mine:
            try:
                answer.set_result(self.read(path))
            except BaseException as error:
                answer.set_exception(error)
        return answer.result()
