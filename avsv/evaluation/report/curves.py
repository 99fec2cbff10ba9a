"""The numbers behind the figures: one system on one trial list."""

from dataclasses import dataclass

import numpy as np

from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.cllr import pool_adjacent_violators
from avsv.evaluation.det import det_band, det_points
from avsv.evaluation.errors import ErrorCounts, count_errors, equal_error

BARS = 60
LOG_ODDS = np.linspace(-7, 7, 113)  # natural logarithm of P / (1 - P)


@dataclass(frozen=True)
class Curves:
    """One system's best back-end.

    number : number of the system, which selects its colour
    record : its measures
    threshold : threshold of the EER; a trial is accepted at or above it
    det : FPR, FNR
    band : FPR, lowest and highest FNR; None without an interval
    histogram : edges (bars + 1), density of targets and of nontargets (bars)
    costs : actual and minimum normalised Bayes error rate at LOG_ODDS
    """

    number: int
    record: dict
    threshold: float
    det: tuple[np.ndarray, np.ndarray]
    band: tuple[np.ndarray, np.ndarray, np.ndarray] | None
    histogram: tuple[np.ndarray, np.ndarray, np.ndarray]
    costs: tuple[np.ndarray, np.ndarray]

    @property
    def is_reference(self) -> bool:
        return is_reference(self.record)


def is_reference(record: dict) -> bool:
    """Whether the other records of its table are compared with this one."""
    return "reference" in record and record["against_reference"] is None


def make_curves(
    number: int, record: dict, scores: np.ndarray, labels: np.ndarray, bootstrap: SpeakerBootstrap | None
) -> Curves:
    """All curves of one system; both classes must have trials."""
    counts = count_errors(scores, labels)
    return Curves(
        number,
        record,
        equal_error(counts)[1],
        det_points(counts),
        det_band(scores, counts, bootstrap) if bootstrap else None,
        histogram(scores, labels),
        (actual_costs(counts), least_costs(counts)),
    )


def histogram(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges of bars of equal width, and the density of targets and of nontargets in each.

    The range excludes one trial in a thousand of either class at each end; those count in the outermost bars.
    """
    finite = np.isfinite(scores)
    if not finite.any():
        return np.array([0.0, 1.0]), np.zeros(1), np.zeros(1)
    classes = scores[finite & labels], scores[finite & ~labels]
    ends = [np.quantile(part, [0.001, 0.999]) for part in classes if len(part)]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BARS + 1)
    clipped = np.clip(scores, low, high)
    shares = [np.histogram(clipped[which], edges)[0] / max(1, which.sum()) for which in (labels, ~labels)]
    return edges, *(share / (edges[1] - edges[0]) for share in shares)


def actual_costs(counts: ErrorCounts) -> np.ndarray:
    """Normalised cost at each of LOG_ODDS if scores are used as log-likelihood ratios."""
    points = np.searchsorted(counts.thresholds, -LOG_ODDS)
    return bayes_error_rate(counts.fnr[points], counts.fpr[points])


def least_costs(counts: ErrorCounts) -> np.ndarray:
    """Least normalised cost at each of LOG_ODDS over all thresholds.

    The best threshold for any prior is a corner of the ROC's convex hull, and these are few.
    """
    targets, nontargets = pool_adjacent_violators(np.diff(counts.misses), -np.diff(counts.false_alarms))
    fnr = np.append(0, np.cumsum(targets)) / counts.n_target
    fpr = 1 - np.append(0, np.cumsum(nontargets)) / counts.n_nontarget
    return bayes_error_rate(fnr[:, None], fpr[:, None]).min(axis=0)


def bayes_error_rate(fnr: np.ndarray, fpr: np.ndarray) -> np.ndarray:
    """Cost at each of LOG_ODDS, divided by that of the better constant decision."""
    p_target = 1 / (1 + np.exp(-LOG_ODDS))
    return (p_target * fnr + (1 - p_target) * fpr) / np.minimum(p_target, 1 - p_target)
