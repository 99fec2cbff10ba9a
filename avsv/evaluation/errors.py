"""How many errors a system makes at each threshold: what every measure here is computed from."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

POINTS = 1 << 16  # looked at together, so that what they need stays in the processor's cache


@dataclass(frozen=True)
class ErrorCounts:
    """Errors at every threshold that makes a difference; a trial is accepted when its score is at or above it.

    Point 0 accepts everything, the last point nothing; equal scores are passed together.

    thresholds : (k,) ascending, the distinct scores, then infinity
    misses : (k,) int, targets below the threshold
    false_alarms : (k,) int, nontargets at or above it
    """

    thresholds: np.ndarray
    misses: np.ndarray
    false_alarms: np.ndarray

    @property
    def n_target(self) -> int:
        return int(self.misses[-1])

    @property
    def n_nontarget(self) -> int:
        return int(self.false_alarms[0])

    @cached_property
    def fnr(self) -> np.ndarray:
        """Share of targets that are missed, (k,); NaN where there are no targets."""
        return share(self.misses, self.n_target)

    @cached_property
    def fpr(self) -> np.ndarray:
        """Share of nontargets that are accepted, (k,); NaN where there are no nontargets."""
        return share(self.false_alarms, self.n_nontarget)

    @property
    def two_classes(self) -> bool:
        """Whether there are targets and nontargets; without both no rate is defined."""
        return bool(self.n_target and self.n_nontarget)

    def rates(self, point: int) -> tuple[float, float]:
        """FNR and FPR at one point, the arrays not being formed; NaN as there."""
        return tuple(
            int(errors[point]) / total if total else float("nan")
            for errors, total in ((self.misses, self.n_target), (self.false_alarms, self.n_nontarget))
        )

    def blocks(self, overlap: int = 0) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """First point, misses and false alarms of some points at a time; `overlap` points stand in two blocks."""
        for start in range(0, len(self.misses) - overlap, POINTS):
            part = slice(start, start + POINTS + overlap)
            yield start, self.misses[part], self.false_alarms[part]


def share(counts: np.ndarray, total: int) -> np.ndarray:
    return counts / total if total else np.full(len(counts), np.nan)


def count_errors(scores: np.ndarray, labels: np.ndarray) -> ErrorCounts:
    """Sort once, count at every threshold.

    Sorting values is several times faster than finding their order, so targets and all trials are sorted as values, and
    the sorted targets are looked up among the nontargets.

    Parameters
    ----------
    scores : (n,) float, may be infinite
    labels : (n,) bool, True for a target trial

    Raises
    ------
    ValueError : a score is NaN

    Examples
    --------
    >>> counts = count_errors(np.array([1.0, 2.0, 2.0]), np.array([False, True, False]))
    >>> counts.thresholds.tolist(), counts.misses.tolist(), counts.false_alarms.tolist()
    ([1.0, 2.0, inf], [0, 0, 1], [2, 1, 0])
    """
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    if scores.dtype not in (np.float32, np.float64):
        scores = scores.astype(np.float64)
    ranked = np.sort(scores)
    if len(ranked) and np.isnan(ranked[-1]):
        raise ValueError(f"{int(np.isnan(ranked).sum())} of {len(ranked)} scores are NaN")
    is_target = mark_targets(scores, labels)
    last_of_ties = np.append(ranked[1:] != ranked[:-1], np.ones(min(1, len(ranked)), bool))
    if not last_of_ties.all():
        ranked = ranked[last_of_ties]
    kind = np.int32 if len(scores) < 2**31 else np.int64
    misses, rejected = (running_count(which, last_of_ties, kind) for which in (is_target, ~is_target))
    np.subtract(rejected[-1], rejected, out=rejected)
    return ErrorCounts(thresholds=np.append(ranked, ranked.dtype.type(np.inf)), misses=misses, false_alarms=rejected)


def mark_targets(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which places of the sorted scores hold targets, (n,) bool; among equal scores they come first."""
    targets = np.sort(scores[labels])
    place = np.searchsorted(np.sort(scores[~labels]), targets)
    place += np.arange(len(targets))
    is_target = np.zeros(len(scores), bool)
    is_target[place] = True
    return is_target


def running_count(which: np.ndarray, kept: np.ndarray, kind: type) -> np.ndarray:
    """How many are true so far, where `kept`, after a leading 0."""
    counts = np.zeros(len(which) + 1, kind)
    np.cumsum(which, out=counts[1:])
    return counts if kept.all() else counts[np.append(True, kept)]


def equal_error(counts: ErrorCounts) -> tuple[float, float]:
    """Equal error rate, 0 to 1, and the threshold that comes nearest to it; NaN where one class has no trial.

    The rate is where the broken line through the points (FPR, FNR) meets FNR = FPR. Of the two points next to that the
    threshold is the one whose rates differ less.
    """
    if not counts.two_classes:
        return float("nan"), float("nan")
    n_target, n_nontarget = counts.n_target, counts.n_nontarget

    def gap(point: int) -> int:  # in whole numbers, so that nothing is rounded; it only grows
        return int(counts.misses[point]) * n_nontarget - int(counts.false_alarms[point]) * n_target

    after = bisect_left(range(len(counts.misses)), 0, key=gap)
    high, low = gap(after), gap(after - 1)
    if high == 0:
        return counts.rates(after)[0], float(counts.thresholds[after])
    (before_fnr, _), (after_fnr, _) = counts.rates(after - 1), counts.rates(after)
    nearest = after if high < -low else after - 1
    return before_fnr + -low / (high - low) * (after_fnr - before_fnr), float(counts.thresholds[nearest])


def eer(scores: np.ndarray, labels: np.ndarray) -> float:
    """Equal error rate: where FNR and FPR cross, linear between neighbouring thresholds; 0 to 1.

    Equal scores are one threshold, so that all scores equal give 0.5. NaN where one class has no trial.

    Examples
    --------
    >>> eer(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True]))
    0.5
    >>> eer(np.zeros(10), np.arange(10) < 4)
    0.5
    """
    return equal_error(count_errors(scores, labels))[0]
