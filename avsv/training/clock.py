"""The speed of a training and the time left, as text."""

import time


class Clock:
    """The speed of the steps so far and the estimated time for the rest, as text.

    Examples
    --------
    >>> clock = Clock(0, 100)
    >>> clock.begin, clock.step = time.monotonic() - 50, 25
    >>> str(clock)
    '0.5 batches/s, 2.5 min left'
    """

    def __init__(self, step: int, n_steps: int):
        self.begin, self.first, self.step, self.n_steps = time.monotonic(), step, step, n_steps

    def __str__(self) -> str:
        speed = max(1, self.step - self.first) / (time.monotonic() - self.begin)
        return f"{speed:.3g} batches/s, {duration((self.n_steps - self.step) / speed)} left"


def duration(seconds: float) -> str:
    """A duration as text.

    Examples
    --------
    >>> duration(0.02), duration(42), duration(5400), duration(200_000)
    ('20 ms', '42 s', '1.5 h', '2.3 days')
    """
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{1000 * seconds:.0f} ms" if 0 < seconds < 1 else f"{seconds:.0f} s"
