"""Work shared among the processor's cores by threads; numpy lets go of the interpreter in long operations."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def n_allowed() -> int:
    """Cores that this job may use: what OMP_NUM_THREADS says, as utils/run.py sets it for jobs side by side, else all."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() and int(said) else n_cores()


def map_ahead(
    work: Callable[[Item], Result], items: Iterable[Item], n_threads: int | None = None
) -> Iterator[Result]:
    """`map(work, items)` by `n_threads`, one a core by default; no more items are taken than are worked on and one more.

    So memory stays flat however many items there are, and items may be read from a file by the caller's thread.

    Examples
    --------
    >>> list(map_ahead(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    n_threads = n_threads or n_cores()
    with ThreadPoolExecutor(n_threads) as threads:
        waiting = deque()
        for item in items:
            waiting.append(threads.submit(work, item))
            if len(waiting) > n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
