"""DET curves (Martin et al., Eurospeech 1997): FNR against FPR, both as normal deviates."""

from dataclasses import replace

import numpy as np
from scipy.special import ndtr, ndtri

from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.errors import ErrorCounts
from avsv.evaluation.estimates import Measured
from avsv.evaluation.intervals import limits, rate_part
from avsv.evaluation.roc import roc_points

HIGHEST = 0.6  # upper end of both axes
BAND_PLACES = 30  # FPRs of the band


def det_points(counts: ErrorCounts, most: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """FPR and FNR along a DET curve, at most `most` points; both classes must have trials."""
    _, fpr, fnr = roc_points(counts, most)
    return fpr, fnr


def lowest_rate(n_target: int, n_nontarget: int) -> float:
    """Lower end of both axes: half an error in the smaller class, limited to 0.01-2 %.

    Examples
    --------
    >>> lowest_rate(100, 900)
    0.005
    """
    return min(0.02, max(0.0001, 0.5 / min(n_target, n_nontarget)))


def normal_deviate(rate: np.ndarray) -> np.ndarray:
    """Normal deviate of a rate, the scale of a DET plot; 0 and 1 get finite values far outside the plot."""
    return ndtri(np.clip(rate, 1e-9, 1 - 1e-9))


def det_band(
    scores: np.ndarray, counts: ErrorCounts, bootstrap: SpeakerBootstrap
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Band of the DET curve: at each FPR, the 95 % interval of the FNR.

    At a fixed FPR, an error in the FPR moves the FNR along the curve. The variance is that of FNR + s FPR at the
    threshold, where s is the slope of the curve. The band is pointwise: at any single FPR it holds the true curve with
    probability 0.95, but at all FPRs together with a lower one.

    Parameters
    ----------
    scores : (trials,) float
    counts : error counts of the scores
    bootstrap : from `bootstrap`

    Returns
    -------
    fpr, low, high : (k,) float each; None for one class or one speaker

    Examples
    --------
    >>> from avsv.evaluation.errors import count_errors
    >>> speakers = np.array([[0, 0], [1, 1], [2, 2], [0, 1], [1, 2], [2, 0]])
    >>> scores, labels = np.array([1.0, 2.0, 3.0, 0.0, 1.5, 0.5]), np.arange(6) < 3
    >>> fpr, low, high = det_band(scores, count_errors(scores, labels), SpeakerBootstrap(speakers, labels, 50))
    >>> bool((low <= high).all())
    True
    """
    if not bootstrap.can_vary:
        return None
    system = Measured(np.asarray(scores), bootstrap.labels, counts)
    lowest = max(lowest_rate(counts.n_target, counts.n_nontarget), 1 / counts.n_nontarget)
    places = ndtr(np.linspace(ndtri(lowest), ndtri(HIGHEST), BAND_PLACES))
    low, high = np.transpose([fnr_limits(system, place, bootstrap) for place in places])
    # a higher FPR never has a higher FNR: the band is widened where its ends would say so
    return places, np.minimum.accumulate(low), np.maximum.accumulate(high[::-1])[::-1]


def fnr_limits(system: Measured, fpr: float, bootstrap: SpeakerBootstrap) -> tuple[float, float]:
    """95 % confidence limits of the FNR at an FPR."""
    threshold = system.threshold_at_fpr(fpr)
    low, high = system.threshold_at_fpr(min(1.0, 1.5 * fpr)), system.threshold_at_fpr(fpr / 1.5)
    change = [np.mean(errors(None)) for at in (low, high) for errors in (system.misses(at), system.false_alarms(at))]
    fall, rise = change[1] - change[3], change[2] - change[0]
    slope = rise / fall if fall > 0 else 0.0
    misses = rate_part(bootstrap.clusters, True, system.misses(threshold))
    false_alarms = slope * rate_part(bootstrap.clusters, False, system.false_alarms(threshold))
    both = replace(misses + false_alarms, value=misses.value, fewer=misses.fewer)
    return limits(both, bootstrap.clusters.n_people, 1.0)
