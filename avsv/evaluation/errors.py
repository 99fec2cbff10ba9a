"""How many errors a system makes at each threshold: what every measure here is computed from."""

from dataclasses import dataclass

import numpy as np


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

    @property
    def fnr(self) -> np.ndarray:
        """Share of targets that are missed, (k,); NaN where there are no targets."""
        return share(self.misses, self.n_target)

    @property
    def fpr(self) -> np.ndarray:
        """Share of nontargets that are accepted, (k,); NaN where there are no nontargets."""
        return share(self.false_alarms, self.n_nontarget)


def share(counts: np.ndarray, total: int) -> np.ndarray:
    return counts / total if total else np.full(len(counts), np.nan)


def count_errors(scores: np.ndarray, labels: np.ndarray) -> ErrorCounts:
    """Sort once, count at every threshold.

    Parameters
    ----------
    scores : (n,) float, may be infinite, not NaN
    labels : (n,) bool, True for a target trial

    Examples
    --------
    >>> counts = count_errors(np.array([1.0, 2.0, 2.0]), np.array([False, True, False]))
    >>> counts.thresholds.tolist(), counts.misses.tolist(), counts.false_alarms.tolist()
    ([1.0, 2.0, inf], [0, 0, 1], [2, 1, 0])
    """
    scores = np.asarray(scores)
    order = np.argsort(scores)
    ranked = scores[order]
    last_of_ties = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1) if len(ranked) else order
    targets = np.cumsum(np.asarray(labels)[order])[last_of_ties]
    misses = np.concatenate([[0], targets])
    rejected = np.concatenate([[0], last_of_ties + 1])
    n_nontarget = len(scores) - misses[-1]
    return ErrorCounts(
        thresholds=np.append(ranked[last_of_ties], np.inf),
        misses=misses,
        false_alarms=n_nontarget - (rejected - misses),
    )


def crossing(fnr: np.ndarray, fpr: np.ndarray) -> float:
    """Where the broken line through the points (FPR, FNR) meets FNR = FPR; NaN where a rate is undefined.

    The rates go from (1, 0) to (0, 1) along axis 0.
    """
    gap = fnr - fpr
    if np.isnan(gap[0]):
        return float("nan")
    after = int(np.searchsorted(gap, 0.0))  # the gap only grows
    if gap[after] == 0:
        return float(fnr[after])
    share_of_step = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(fnr[after - 1] + share_of_step * (fnr[after] - fnr[after - 1]))


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
    counts = count_errors(scores, labels)
    return crossing(counts.fnr, counts.fpr)
