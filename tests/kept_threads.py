"""Threads that outlive the command that started them: the decoder process of each serves the next command, too.

Starting such a process takes a third of a second, longer than most commands of the tests.
"""

import os
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

IDLE: dict[tuple[int, int], list[ThreadPoolExecutor]] = defaultdict(list)  # by process and number of threads


class KeptThreads:
    """Takes the place of a ThreadPoolExecutor; threads that still work when it is shut down are not used again."""

    def __init__(self, n_threads: int):
        self.idle = IDLE[os.getpid(), n_threads]  # threads do not survive a fork
        self.pool = self.idle.pop() if self.idle else ThreadPoolExecutor(n_threads)
        self.futures: list[Future] = []

    def submit(self, work: Callable, *arguments: object) -> Future:
        self.futures.append(self.pool.submit(work, *arguments))
        return self.futures[-1]

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        assert cancel_futures and not wait
        at_work = [future for future in self.futures if not (future.cancel() or future.done())]
        if at_work:
            self.pool.shutdown(wait=False)
        else:
            self.idle.append(self.pool)
