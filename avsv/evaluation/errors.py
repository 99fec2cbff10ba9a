"""Errors of a system at each threshold, the basis of all measures, and the equal error rate."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

POINTS = 1 << 16  # points processed together, few enough for the processor's cache


@dataclass(frozen=True)
class ErrorCounts:
    """Errors at each distinct threshold; a trial is accepted if its score is at or above the threshold.

    Point 0 accepts everything, the last point nothing. Equal scores share a threshold.

    thresholds : (k,) ascending: the distinct scores, then infinity
    misses : (k,) int, targets below the threshold
    false_alarms : (k,) int, nontargets at or above it
    """

    thresholds: np.ndarray
    misses: np.ndarray
    false_alarms: np.ndarray

    @property
    def n_target(self) -> int:
        """Number of target trials."""
        return int(self.misses[-1])

    @property
    def n_nontarget(self) -> int:
        """Number of nontarget trials."""
        return int(self.false_alarms[0])

    @cached_property
    def fnr(self) -> np.ndarray:
        """False negative rate, the share of targets missed, (k,); NaN without targets."""
        return share(self.misses, self.n_target)

    @cached_property
    def fpr(self) -> np.ndarray:
        """False positive rate, the share of nontargets accepted, (k,); NaN without nontargets."""
        return share(self.false_alarms, self.n_nontarget)

    @property
    def two_classes(self) -> bool:
        """Whether there are both targets and nontargets; error rates need both."""
        return bool(self.n_target and self.n_nontarget)

    def rates(self, point: int) -> tuple[float, float]:
        """FNR and FPR at one point, without computing the whole arrays; NaN as in these."""
        return tuple(
            int(errors[point]) / total if total else float("nan")
            for errors, total in ((self.misses, self.n_target), (self.false_alarms, self.n_nontarget))
        )

    def blocks(self, overlap: int = 0) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield (first point, misses, false alarms) of blocks of points; neighbouring blocks share `overlap` points."""
        for start in range(0, len(self.misses) - overlap, POINTS):
            part = slice(start, start + POINTS + overlap)
            yield start, self.misses[part], self.false_alarms[part]


def share(counts: np.ndarray, total: int) -> np.ndarray:
    """counts / total, NaN for a total of 0."""
    return counts / total if total else np.full(len(counts), np.nan)


def count_errors(scores: np.ndarray, labels: np.ndarray) -> ErrorCounts:
    """Count the errors at each threshold.

    Sorting values is several times faster than argsort. All scores and the scores of each class are therefore sorted as
    values, and the sorted targets are looked up among the nontargets.

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
    """(n,) bool: places of the sorted scores that hold targets; among equal scores, targets come first."""
    targets = np.sort(scores[labels])
    place = np.searchsorted(np.sort(scores[~labels]), targets)
    place += np.arange(len(targets))
    is_target = np.zeros(len(scores), bool)
    is_target[place] = True
    return is_target


def running_count(which: np.ndarray, kept: np.ndarray, kind: type) -> np.ndarray:
    """Running count of true values, at the places `kept` and with a leading 0."""
    counts = np.zeros(len(which) + 1, kind)
    np.cumsum(which, out=counts[1:])
    return counts if kept.all() else counts[np.append(True, kept)]


def equal_error(counts: ErrorCounts) -> tuple[float, float]:
    """Equal error rate, 0 to 1, and the threshold closest to it; both NaN if a class has no trial.

    The rate is where the line through the points (FPR, FNR) crosses FNR = FPR. The threshold is that of the
    neighbouring point whose two rates differ less.

    Examples
    --------
    >>> equal_error(count_errors(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True])))
    (0.5, 2.0)
    """
    if not counts.two_classes:
        return float("nan"), float("nan")
    n_target, n_nontarget = counts.n_target, counts.n_nontarget

    def gap(point: int) -> int:  # in integers, to avoid rounding; never decreases
        return int(counts.misses[point]) * n_nontarget - int(counts.false_alarms[point]) * n_target

    after = bisect_left(range(len(counts.misses)), 0, key=gap)
    high, low = gap(after), gap(after - 1)
    if high == 0:
        return counts.rates(after)[0], float(counts.thresholds[after])
    (before_fnr, _), (after_fnr, _) = counts.rates(after - 1), counts.rates(after)
    nearest = after if high < -low else after - 1
    return before_fnr + -low / (high - low) * (after_fnr - before_fnr), float(counts.thresholds[nearest])


def eer(scores: np.ndarray, labels: np.ndarray) -> float:
    """Equal error rate: where FNR and FPR cross, interpolated linearly between neighbouring thresholds.

    Equal scores are one threshold, so identical scores give 0.5.

    Parameters
    ----------
    scores : (n,) float, higher means more likely the same speaker
    labels : (n,) bool, True for a target trial

    Returns
    -------
    float from 0 to 1; NaN if a class has no trial

    Raises
    ------
    ValueError : a score is NaN

    Examples
    --------
    >>> eer(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True]))
    0.5
    >>> eer(np.zeros(10), np.arange(10) < 4)
    0.5
    """
    return equal_error(count_errors(scores, labels))[0]
