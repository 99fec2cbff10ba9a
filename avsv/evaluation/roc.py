"""Receiver operating characteristic: area under the curve, average precision, FNMR at an FMR, points to draw."""

from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avsv.evaluation.errors import ErrorCounts
from avsv.jobs.files import whole_file


def auc(counts: ErrorCounts) -> float:
    """Area under the ROC curve, 0 to 1; NaN if a class has no trial.

    The probability that a target scores above a nontarget, ties counting half: the statistic of Mann and Whitney
    divided by the number of pairs. Counted in integers.

    Examples
    --------
    >>> from avsv.evaluation.errors import count_errors
    >>> auc(count_errors(np.array([0.0, 1.0, 1.0]), np.array([False, True, False])))
    0.75
    """
    if not counts.two_classes:
        return float("nan")
    doubled = 0
    for _, misses, false_alarms in counts.blocks(overlap=1):
        at_score = (false_alarms[:-1] - false_alarms[1:]).astype(np.int64)
        doubled += int(at_score @ (misses[:-1].astype(np.int64) + misses[1:]))
    pairs = counts.n_target * counts.n_nontarget
    return (2 * pairs - doubled) / (2 * pairs)


def average_precision(counts: ErrorCounts) -> float:
    """Average precision, 0 to 1: the sum of (R_n - R_n-1) P_n over thresholds from high to low.

    Precision P is the share of targets among the accepted trials, recall R the share of targets accepted. Equal scores
    are one threshold, and nothing is interpolated. NaN if a class has no trial.

    Examples
    --------
    >>> from avsv.evaluation.errors import count_errors
    >>> average_precision(count_errors(np.array([3.0, 2.0, 1.0]), np.array([True, False, True]))).__round__(4)
    0.8333
    """
    if not counts.two_classes:
        return float("nan")
    hits = (counts.n_target - counts.misses[::-1]).astype(np.float64)
    precision = hits[1:] / (hits[1:] + counts.false_alarms[::-1][1:])
    return float(np.diff(hits) @ precision / counts.n_target)


def fnmr_at_fmr(counts: ErrorCounts, fmr: float) -> float:
    """False non-match rate (FNMR) at a false match rate (FMR), as in ISO/IEC 19795; NaN if a class has no trial.

    The smallest share of missed targets over all thresholds that accept at most the share `fmr` of the nontargets.
    Nothing is interpolated, so a real threshold achieves it. With fewer than 1 / `fmr` nontargets, none may be
    accepted.

    Examples
    --------
    >>> from avsv.evaluation.errors import count_errors
    >>> counts = count_errors(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True]))
    >>> fnmr_at_fmr(counts, 0.5), fnmr_at_fmr(counts, 0.01)
    (0.0, 0.5)
    """
    if not counts.two_classes:
        return float("nan")
    # the lowest such threshold; misses only increase above it
    point = bisect_left(range(len(counts.thresholds)), True, key=lambda i: counts.rates(i)[1] <= fmr)
    return counts.rates(point)[0]


def roc_points(counts: ErrorCounts, most: int = 2000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds, FPR and FNR along the ROC curve, three arrays of at most `most` points, from accepting all to none.

    Only points at which the curve turns are needed to draw it. If there are more than `most`, they are thinned evenly
    on a log-odds scale, which resolves small rates as well as large ones.

    Examples
    --------
    >>> from avsv.evaluation.errors import count_errors
    >>> thresholds, fpr, fnr = roc_points(count_errors(np.arange(4.0), np.array([False, False, True, True])))
    >>> thresholds.tolist(), fpr.tolist(), fnr.tolist()
    ([0.0, 2.0, inf], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0])
    """
    turns = np.ones(len(counts.thresholds), bool)
    if len(turns) > 2:
        still = [errors[1:] == errors[:-1] for errors in (counts.misses, counts.false_alarms)]
        turns[1:-1] = ~((still[0][1:] & still[0][:-1]) | (still[1][1:] & still[1][:-1]))
    points = np.flatnonzero(turns)
    if len(points) > most:
        place = log_odds(counts.misses[points], counts.n_target)
        place -= log_odds(counts.false_alarms[points], counts.n_nontarget)
        steps = np.linspace(place[0], place[-1], most)
        points = points[np.unique(np.searchsorted(place, steps).clip(max=len(points) - 1))]
    rates = [counts.false_alarms[points], counts.n_nontarget], [counts.misses[points], counts.n_target]
    fpr, fnr = (errors / total if total else np.full(len(points), np.nan) for errors, total in rates)
    return counts.thresholds[points], fpr, fnr


def log_odds(errors: np.ndarray, total: int) -> np.ndarray:
    """Log odds of an error, with 0.5 added to both counts to keep it finite."""
    return np.log((errors + 0.5) / (total - errors + 0.5))


def write_roc(path: Path | str, curves: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """Write the `roc_points` of each system as tab-separated lines, name, threshold, FPR and FNR, with a heading."""
    with whole_file(path) as out:
        out.write("scores\tthreshold\tfpr\tfnr\n")
        for name, points in curves.items():
            for threshold, fpr, fnr in zip(*(column.tolist() for column in points), strict=True):
                out.write(f"{name}\t{threshold:.9g}\t{fpr:.9g}\t{fnr:.9g}\n")
