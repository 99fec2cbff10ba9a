"""Score normalisation against a cohort: z-norm, t-norm, s-norm and adaptive s-norm.

A raw score is moved and scaled by mean and standard deviation of its recordings' scores against people who are neither:
z-norm those of the enrolment side (Li and Porter, ICASSP 1988), t-norm those of the test side (Auckenthaler et al.,
Digital Signal Processing, 2000), s-norm the mean of both (Kenny, Odyssey 2010), as-norm s-norm with the top n cohort
scores of each recording only ("adaptive s-norm 1" in Matejka et al., "Analysis of score normalization in multilingual
speaker recognition", Interspeech 2017).
"""

import logging

import numpy as np

from avsv.errors import UserError

log = logging.getLogger("avsv")
METHODS = ("z-norm", "t-norm", "s-norm", "as-norm")
ROWS = 1024  # recordings scored against the cohort at a time
SAMPLE = 768  # cohort members from which a recording's lower bound is guessed


def normalize(
    method: str,
    scores: np.ndarray,
    pairs: np.ndarray,
    sides: tuple[np.ndarray, np.ndarray],
    cohort: tuple[np.ndarray, np.ndarray],
    top_n: int = 300,
) -> np.ndarray:
    """Normalise the scores of trials.

    Parameters
    ----------
    method : one of METHODS
    scores : (trials,) raw
    pairs : (trials, 2) int, rows in `sides`
    sides : enrolment and test side of the recordings, (n, d) each; their inner products are scores (see backend.py)
    cohort : the same of the cohort, (c, d) each
    top_n : for as-norm; the whole cohort where it is smaller

    Returns
    -------
    (trials,) float64

    Raises
    ------
    UserError : the cohort is too small to have a standard deviation, or its scores against a recording are all equal

    Examples
    --------
    >>> recordings, cohort = np.eye(2), np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> normalize("s-norm", np.array([0.0]), np.array([[0, 1]]), (recordings, recordings), (cohort, cohort))
    array([-1.])
    """
    if method not in METHODS:
        raise ValueError(f"{method} is none of {METHODS}")
    n_cohort = len(cohort[0])
    n_best = min(top_n, n_cohort) if method == "as-norm" else n_cohort
    if method == "as-norm" and n_cohort < top_n:
        log.warning("the cohort has %d members, fewer than the top %d: all of them are used", n_cohort, top_n)
    if n_best < 2:
        raise UserError(f"score normalisation needs at least two cohort scores, found {n_best}")
    wanted = {"z-norm": [0], "t-norm": [1]}.get(method, [0, 1])
    normalised = [normalised_by(side, scores, pairs, sides, cohort, n_best) for side in wanted]
    return sum(normalised) / len(wanted)


def normalised_by(side: int, scores, pairs, sides, cohort, n_best: int) -> np.ndarray:
    raise NotImplementedError
