"""DET curves (Martin et al., Eurospeech 1997): FNR against FPR, both as normal deviates."""

import numpy as np
from scipy.special import ndtr, ndtri

from avsv.evaluation.bootstrap import SpeakerBootstrap, resampled_rates
from avsv.evaluation.errors import ErrorCounts
from avsv.evaluation.resamples import Resamples
from avsv.evaluation.roc import roc_points

HIGHEST = 0.6  # upper end of both axes
BAND_POINTS, BAND_PLACES = 200, 60  # thresholds of each resampled curve; FPRs of the band
BAND_RESAMPLES = 200  # at most; more make no visible difference


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
    scores: np.ndarray, counts: ErrorCounts, bootstrap: SpeakerBootstrap, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Band of the resampled DET curves: at each FPR, the percentile interval of their FNR.

    The band is pointwise: at any single FPR it holds the share `level` of the curves, but fewer curves lie in it at all
    FPRs.

    Parameters
    ----------
    scores : (trials,) float
    counts : error counts of the scores
    bootstrap : resamples of the trials' speakers; the first 200 are used

    Returns
    -------
    fpr, low, high : (k,) float each; None for one class, one speaker, or too few resamples with both classes

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
    resamples = Resamples(bootstrap.weights[0][:, :BAND_RESAMPLES], bootstrap.speakers, bootstrap.labels)
    fnr, fpr = resampled_rates(resamples, scores, counts, band_points(counts))
    lowest = max(lowest_rate(counts.n_target, counts.n_nontarget), 1 / counts.n_nontarget)
    places = ndtr(np.linspace(ndtri(lowest), ndtri(HIGHEST), BAND_PLACES))
    both = np.flatnonzero(np.isfinite(fnr[0]) & np.isfinite(fpr[0]))  # resamples with both classes
    if 2 * len(both) < len(resamples):
        return None
    curves = [np.interp(places, fpr[::-1, column], fnr[::-1, column]) for column in both]
    low, high = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return places, low, high


def band_points(counts: ErrorCounts) -> np.ndarray:
    """Points of `counts`, ascending, spread along the curve."""
    thresholds, _, _ = roc_points(counts, BAND_POINTS)
    return np.searchsorted(counts.thresholds, thresholds)
