"""DET curves (Martin et al., Eurospeech 1997): FNR against FPR, both on the scale of the normal distribution."""

import numpy as np
from scipy.special import ndtr, ndtri

from avsv.evaluation.bootstrap import SpeakerBootstrap, resampled_rates
from avsv.evaluation.errors import ErrorCounts
from avsv.evaluation.resamples import Resamples
from avsv.evaluation.roc import roc_points

HIGHEST = 0.6  # of both axes
BAND_POINTS, BAND_PLACES = 200, 60  # thresholds at which a resample's curve is known; FPRs at which the band is
BAND_RESAMPLES = 200  # at most; an eye sees no more


def det_points(counts: ErrorCounts, most: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """FPR and FNR along a DET curve, thinned to what an eye can see; both classes must have trials."""
    _, fpr, fnr = roc_points(counts, most)
    return fpr, fnr


def lowest_rate(n_target: int, n_nontarget: int) -> float:
    """Where both axes begin: half of what one error is in the smaller class, from 0.01 to 2 %."""
    return min(0.02, max(0.0001, 0.5 / min(n_target, n_nontarget)))


def normal_deviate(rate: np.ndarray) -> np.ndarray:
    """The scale of a DET plot; rates of 0 and 1 lie far outside of any frame, but not at infinity."""
    return ndtri(np.clip(rate, 1e-9, 1 - 1e-9))


def det_band(
    scores: np.ndarray, counts: ErrorCounts, bootstrap: SpeakerBootstrap, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Where the DET curves of the resamples run: at each FPR the percentile interval of their FNR.

    The band is pointwise: at any one FPR it holds the share `level` of the curves, at all of them together fewer.

    Parameters
    ----------
    scores : (trials,) float
    counts : those of the scores
    bootstrap : the resamples of the trials' people; the first 200 are used

    Returns
    -------
    fpr, low, high : (k,) each; None where nothing can vary: one class or one person only

    Examples
    --------
    >>> from avsv.evaluation.errors import count_errors
    >>> people = np.array([[0, 0], [1, 1], [2, 2], [0, 1], [1, 2], [2, 0]])
    >>> scores, labels = np.array([1.0, 2.0, 3.0, 0.0, 1.5, 0.5]), np.arange(6) < 3
    >>> fpr, low, high = det_band(scores, count_errors(scores, labels), SpeakerBootstrap(people, labels, 50))
    >>> bool((low <= high).all())
    True
    """
    if not bootstrap.can_vary:
        return None
    resamples = Resamples(bootstrap.weights[0][:, :BAND_RESAMPLES], bootstrap.people, bootstrap.labels)
    fnr, fpr = resampled_rates(resamples, scores, counts, band_points(counts))
    lowest = max(lowest_rate(counts.n_target, counts.n_nontarget), 1 / counts.n_nontarget)
    places = ndtr(np.linspace(ndtri(lowest), ndtri(HIGHEST), BAND_PLACES))
    both = np.flatnonzero(np.isfinite(fnr[0]) & np.isfinite(fpr[0]))  # resamples with trials of both classes
    if 2 * len(both) < len(resamples):
        return None
    found = [np.interp(places, fpr[::-1, column], fnr[::-1, column]) for column in both]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return places, low, high


def band_points(counts: ErrorCounts) -> np.ndarray:
    """Some points of `counts`, ascending, spread along the curve."""
    thresholds, _, _ = roc_points(counts, BAND_POINTS)
    return np.searchsorted(counts.thresholds, thresholds)
