"""Score normalisation against a cohort: z-norm, t-norm, zt-norm, s-norm and adaptive s-norm.

A raw score is moved and scaled by mean and standard deviation of its recordings' scores against people who are neither:
z-norm those of the enrolment side (Li and Porter, ICASSP 1988), t-norm those of the test side (Auckenthaler et al.,
Digital Signal Processing, 2000), zt-norm t-norm of z-normalised scores, those of the cohort included (the same paper),
s-norm the mean of both sides (Kenny, Odyssey 2010), as-norm s-norm with the top n cohort scores only. `choice` tells
whose top n (Matejka et al., "Analysis of score normalization in multilingual speaker recognition", Interspeech 2017):
"own" takes each recording's own highest scores (adaptive s-norm 1), "other" its scores against the members that score
highest with the other recording of the trial (adaptive s-norm 2).
"""

import logging
from pathlib import Path

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.kaldi.trials import Trials
from avsv.scoring.cohort_statistics import (
    all_statistics,
    chosen_statistics,
    cohort_statistics,
    statistics_among_themselves,
    take,
)
from avsv.scoring.cosine import inner_products
from avsv.scoring.trial_embeddings import TrialEmbeddings

log = logging.getLogger("avsv")
SAMPLE, TOLERANCE = 10_000, 0.01  # trials scored again, and how far their scores may be off, absolute and relative
METHODS = ("z-norm", "t-norm", "zt-norm", "s-norm", "as-norm")
CHOICES = ("own", "other")


def normalize(
    method: str,
    scores: np.ndarray,
    pairs: np.ndarray,
    recordings: np.ndarray,
    cohort: tuple[np.ndarray, np.ndarray],
    n_best: int | None = None,
    choice: str = "own",
) -> np.ndarray:
    """Normalise the scores of trials.

    Parameters
    ----------
    method : one of METHODS
    scores : (trials,) raw
    pairs : (trials, 2) int, rows in `recordings`
    recordings : (n, d) enrolment side of the recordings (see backend.py); a back-end's score does not depend on which
        recording is the enrolment, so this side serves for both
    cohort : enrolment and test side of the cohort, both (c, d); inner products of `recordings` with the latter are
        scores
    n_best : for as-norm, how many members; None for all, see `n_highest`
    choice : for as-norm, one of CHOICES

    Returns
    -------
    (trials,) float64

    Raises
    ------
    InputError : fewer than two cohort scores, those of a recording are all equal (no standard deviation), an unknown
        method or choice

    Examples
    --------
    >>> cohort = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> normalize("s-norm", np.array([0.0]), np.array([[0, 1]]), np.eye(2), (cohort, cohort))
    array([-1.])
    """
    refuse_unknown("method", method, METHODS)
    refuse_unknown("choice", choice, CHOICES)
    members = cohort[1]
    n_best = n_best if method == "as-norm" and n_best is not None else len(members)
    # of a member's scores zt-norm leaves out that with itself
    if (n_scores := n_best - (method == "zt-norm")) < 2:
        raise InputError(f"score normalisation needs at least two cohort scores of each recording, found {n_scores}")
    if method == "zt-norm":
        return zt_norm(scores, pairs, recordings, cohort)
    sides = {"z-norm": [0], "t-norm": [1]}.get(method, [0, 1])
    if choice == "other" and n_best < len(members):
        both = np.concatenate([pairs, pairs[:, ::-1]])
        used, rows = np.unique(both, return_inverse=True)
        mean, deviation = chosen_statistics(take(recordings, used), members, rows.reshape(-1, 2), n_best)
        rows = np.arange(len(both)).reshape(2, -1).T  # each trial's two statistics
        refuse_equal(deviation, np.tile(np.arange(len(pairs)), 2), "trial", n_best)
    else:
        mean, deviation, rows = side_statistics(recordings, pairs[:, sides], members, n_best)
    return sum((scores - mean[side]) / deviation[side] for side in rows.T) / len(sides)


def refuse_other_scores(
    source: Path | str, trials: Trials, scores: np.ndarray, pool: TrialEmbeddings, left: np.ndarray, right: np.ndarray
) -> None:
    """InputError where raw scores are not those of the embeddings and the back-end that score the cohort.

    Cohort scores of one system say nothing about the scores of another. A sample of the trials, evenly spaced, is
    scored again; rounding to two digits behind the point is let pass.

    Parameters
    ----------
    source : file of the scores
    scores : (trials,) float
    left, right : enrolment and test sides of the rows that `pool.pairs` names
    """
    rows = np.flatnonzero(pool.complete)
    rows = rows[:: -(-len(rows) // SAMPLE) or 1]
    again = inner_products(left, right, pool.pairs[rows]).astype(np.float64)
    differ = np.abs(again - scores[rows]) > TOLERANCE * (1 + np.abs(again))
    if not differ.any():
        return
    first = int(np.argmax(differ))
    names = " ".join(trials[int(rows[first])])
    raise InputError(
        f"{source}: {differ.sum()} of {len(rows)} scores differ from those that the embeddings give, the first: {names}"
        f" has {scores[rows[first]]:.4f} in the file and {again[first]:.4f} from the embeddings. Give the "
        "embeddings and the back-end options that made these scores"
    )


def n_highest(n_cohort: int, top_n: int | None = None, top_share: float | None = None) -> int:
    """How many cohort members as-norm takes: a share, or `top_n` (300); a warning where there are not so many.

    Examples
    --------
    >>> n_highest(5994), n_highest(5994, top_share=0.1)
    (300, 599)
    """
    if top_share is not None:
        return round(top_share * n_cohort)
    top_n = top_n or 300
    if n_cohort < top_n:
        log.warning("the cohort has %d members, fewer than the top %d: the whole cohort is used", n_cohort, top_n)
    return min(top_n, n_cohort)


def zt_norm(
    scores: np.ndarray, pairs: np.ndarray, recordings: np.ndarray, cohort: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """z-norm, then t-norm by scores of the test recording against members as enrolments, z-normalised as well.

    A member's mean and deviation, by which its scores are z-normalised, are those of its scores against the others.
    (score - mean) / deviation is an inner product too: of [x, 1] with [member, -mean] / deviation.
    """
    mean, deviation = statistics_among_themselves(*cohort)
    refuse_equal(deviation, np.arange(len(mean)), "cohort member", len(mean) - 1)
    members = np.column_stack([cohort[1], -mean]) / deviation[:, None]
    mean, deviation, rows = side_statistics(recordings, pairs[:, :1], cohort[1])
    scores = (scores - mean[rows[:, 0]]) / deviation[rows[:, 0]]
    used, rows = np.unique(pairs[:, 1], return_inverse=True)
    tests = np.column_stack([take(recordings, used), np.ones(len(used), recordings.dtype)])
    mean, deviation = all_statistics(tests, members)
    refuse_equal(deviation, used, "recording", len(members))
    return (scores - mean[rows]) / deviation[rows]


def side_statistics(
    recordings: np.ndarray, pairs: np.ndarray, members: np.ndarray, n_best: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Statistics of the recordings that occur in `pairs`, each once.

    Returns
    -------
    mean, deviation : (recordings that occur,)
    rows : of the shape of `pairs`, where each one's are
    """
    used, rows = np.unique(pairs, return_inverse=True)
    n_best = n_best or len(members)
    mean, deviation = cohort_statistics(take(recordings, used), members, n_best)
    refuse_equal(deviation, used, "recording", n_best)
    return mean, deviation, rows.reshape(pairs.shape)


def refuse_equal(deviation: np.ndarray, numbers: np.ndarray, what: str, n: int) -> None:
    """InputError where a standard deviation is zero."""
    if len(equal := np.flatnonzero(~(deviation > 0))):
        raise InputError(f"{what} {numbers[equal[0]] + 1}: its {n} cohort scores are all equal, so nothing scales it")
