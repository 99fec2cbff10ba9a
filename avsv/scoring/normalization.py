"""Score normalisation against a cohort: z-norm, t-norm, zt-norm, s-norm, adaptive s-norm (as-norm) and mean-norm.

A score is shifted and scaled by the mean and standard deviation of one or both recordings' scores against a cohort of
other speakers. To add a method, write its function and give it a line in METHODS: `avsv normalize` takes its choices
and its help from there.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError, OptionError, refuse_unknown
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
SAMPLE, TOLERANCE = 10_000, 0.01  # trials scored again; tolerance on their scores, absolute and relative
CHOICES = ("own", "other")
TOP_N = 300  # number of cohort scores that an adaptive method uses by default
Sides = tuple[np.ndarray, np.ndarray]
Folds = tuple[np.ndarray, np.ndarray]


def z_norm(scores: np.ndarray, pairs: np.ndarray, recordings: np.ndarray, cohort: Sides) -> np.ndarray:
    """By the enrolment side's cohort scores (Li and Porter, ICASSP 1988)."""
    return normalize_sides([0], scores, pairs, recordings, cohort)


def t_norm(scores: np.ndarray, pairs: np.ndarray, recordings: np.ndarray, cohort: Sides) -> np.ndarray:
    """By the test side's cohort scores (Auckenthaler et al., Digital Signal Processing, 2000)."""
    return normalize_sides([1], scores, pairs, recordings, cohort)


def zt_norm(scores: np.ndarray, pairs: np.ndarray, recordings: np.ndarray, cohort: Sides) -> np.ndarray:
    """z-norm, then t-norm with z-normalised cohort scores (Auckenthaler et al., Digital Signal Processing, 2000).

    Each cohort member's own statistics are those of its scores against the other members. (score - mean) / deviation
    is an inner product too: of [x, 1] with [member, -mean] / deviation.
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


def s_norm(scores: np.ndarray, pairs: np.ndarray, recordings: np.ndarray, cohort: Sides) -> np.ndarray:
    """Mean of z-norm and t-norm (Kenny, Odyssey 2010)."""
    return normalize_sides([0, 1], scores, pairs, recordings, cohort)


def as_norm(
    scores: np.ndarray,
    pairs: np.ndarray,
    recordings: np.ndarray,
    cohort: Sides,
    n_best: int,
    choice: str,
    folds: Folds | None = None,
) -> np.ndarray:
    """s-norm with the highest cohort scores only (Matejka et al., Interspeech 2017).

    With `choice` "own", each recording's own highest scores are taken (adaptive s-norm 1); with "other", its scores
    against the members that score highest with the other recording of the trial (adaptive s-norm 2).
    """
    mean, deviation = adaptive_statistics(pairs, recordings, cohort[1], n_best, choice, folds)
    return sum((scores - mean[side]) / deviation[side] for side in range(2)) / 2


def mean_norm(
    scores: np.ndarray,
    pairs: np.ndarray,
    recordings: np.ndarray,
    cohort: Sides,
    n_best: int,
    choice: str,
    folds: Folds | None = None,
) -> np.ndarray:
    """as-norm without the division by deviations, to keep the scale of likelihood ratios (our choice).

    Against a cohort of the test's domain, it removes the part of a score that people of this domain have in common.
    """
    mean, _ = adaptive_statistics(pairs, recordings, cohort[1], n_best, choice, folds)
    return scores - (mean[0] + mean[1]) / 2


@dataclass(frozen=True)
class Method:
    """A normalisation.

    apply : (scores, pairs, recordings, cohort), as in `normalize`; followed by n_best and choice if adaptive
    adaptive : whether only the highest cohort scores are used
    left_out : number of cohort scores of each member that are not used (zt-norm: its score with itself)
    """

    apply: Callable[..., np.ndarray]
    adaptive: bool = False
    left_out: int = 0


METHODS = {
    "z-norm": Method(z_norm),
    "t-norm": Method(t_norm),
    "zt-norm": Method(zt_norm, left_out=1),
    "s-norm": Method(s_norm),
    "as-norm": Method(as_norm, adaptive=True),
    "mean-norm": Method(mean_norm, adaptive=True),
}


def normalize(
    method: str,
    scores: np.ndarray,
    pairs: np.ndarray,
    recordings: np.ndarray,
    cohort: Sides,
    n_best: int | None = None,
    choice: str = "own",
    folds: Folds | None = None,
) -> np.ndarray:
    """Normalise the scores of trials.

    Parameters
    ----------
    method : one of METHODS
    scores : (trials,) float, raw
    pairs : (trials, 2) int, rows of `recordings`
    recordings : (n, d) enrolment side of the recordings (see backend.py). A back-end's score does not depend on which
        recording enrols, so the enrolment side serves for both
    cohort : enrolment and test side of the cohort, (c, d) each; inner products of `recordings` with the test side are
        scores
    n_best : for adaptive methods, how many of the highest cohort scores are used; None for all. See `n_highest`
    choice : for adaptive methods, one of CHOICES: whose highest scores select the members
    folds : for adaptive methods with the choice "own": fold of each recording (n,) and of each member (c,). The members
        for a recording are those of other folds; the share of them that is used is that of `n_best` in the cohort, but
        at least two

    Returns
    -------
    (trials,) float64

    Raises
    ------
    OptionError : unknown method or choice, or one that folds do not go with
    InputError : fewer than two cohort scores, or all cohort scores of a recording are equal (no standard deviation)

    Examples
    --------
    >>> cohort = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> normalize("s-norm", np.array([0.0]), np.array([[0, 1]]), np.eye(2), (cohort, cohort))
    array([-1.])
    """
    refuse_unknown("method", method, METHODS)
    refuse_unknown("choice", choice, CHOICES)
    entry, n_members = METHODS[method], len(cohort[1])
    n_best = n_best if entry.adaptive and n_best is not None else n_members
    if (n_scores := n_best - entry.left_out) < 2:
        raise InputError(f"{method} needs at least two cohort scores of each recording, found {n_scores}")
    if folds is not None and not (entry.adaptive and choice == "own"):
        raise OptionError(f"folds go with {' and '.join(adaptive_methods())}, and with the choice own")
    adaptive = (n_best, choice, folds) if entry.adaptive else ()
    return entry.apply(scores, pairs, recordings, cohort, *adaptive)


def adaptive_methods() -> list[str]:
    """The methods that use the highest cohort scores only."""
    return [name for name, entry in METHODS.items() if entry.adaptive]


def adaptive_statistics(
    pairs: np.ndarray, recordings: np.ndarray, members: np.ndarray, n_best: int, choice: str, folds: Folds | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the chosen cohort scores of both recordings of each trial, (2, trials) float64 each."""
    if choice == "other" and n_best < len(members):
        both = np.concatenate([pairs, pairs[:, ::-1]])
        used, rows = np.unique(both, return_inverse=True)
        mean, deviation = chosen_statistics(take(recordings, used), members, rows.reshape(-1, 2), n_best)
        refuse_equal(deviation, np.tile(np.arange(len(pairs)), 2), "trial", n_best)
        return mean.reshape(2, -1), deviation.reshape(2, -1)
    if folds is None:
        mean, deviation, rows = side_statistics(recordings, pairs, members, n_best)
        return mean[rows.T], deviation[rows.T]
    used, rows = np.unique(pairs, return_inverse=True)
    mean, deviation = np.empty(len(used)), np.empty(len(used))
    for fold in np.unique(folds[0][used]):
        here, others = folds[0][used] == fold, members[folds[1] != fold]
        if len(others) < 2:
            raise InputError(f"the cohort of one of the folds has {len(others)} members in other folds; at least two "
                            "are needed")  # fmt: skip
        n = max(2, round(n_best * len(others) / len(members)))
        mean[here], deviation[here] = cohort_statistics(take(recordings, used[here]), others, n)
    refuse_equal(deviation, used, "recording", n_best)
    rows = rows.reshape(pairs.shape).T
    return mean[rows], deviation[rows]


def refuse_other_scores(
    source: Path | str, trials: Trials, scores: np.ndarray, pool: TrialEmbeddings, left: np.ndarray, right: np.ndarray
) -> None:
    """Refuse raw scores that the given embeddings and back-end do not reproduce.

    Cohort scores of one system cannot normalise the scores of another. A sample of evenly spaced trials is scored
    again; rounding to two decimals passes.

    Parameters
    ----------
    source : the score file
    scores : (trials,) float
    left, right : (n, d) enrolment and test side of the rows that `pool.pairs` refers to

    Raises
    ------
    InputError : names the first trial whose score differs
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
        f"{source}: {differ.sum()} of {len(rows)} scores differ from those of the embeddings, the first: {names} "
        f"has {scores[rows[first]]:.4f} in the file and {again[first]:.4f} from the embeddings. Give the "
        "embeddings and the back-end options that these scores were made with"
    )


def n_highest(n_cohort: int, top_n: int | None = None, top_share: float | None = None) -> int:
    """Number of cohort scores that an adaptive method uses: `top_share` of the cohort, at least 2, or `top_n` (300).

    Logs a warning if the cohort has fewer than `top_n` members; then all are used.

    Examples
    --------
    >>> n_highest(5994), n_highest(5994, top_share=0.1)
    (300, 599)
    """
    if top_share is not None:
        return max(2, round(top_share * n_cohort))
    top_n = top_n or TOP_N
    if n_cohort < top_n:
        log.warning("the cohort has %d members, fewer than the top %d: the whole cohort is used", n_cohort, top_n)
    return min(top_n, n_cohort)


def normalize_sides(
    sides: list[int],
    scores: np.ndarray,
    pairs: np.ndarray,
    recordings: np.ndarray,
    cohort: Sides,
    n_best: int | None = None,
) -> np.ndarray:
    """Mean over `sides` (0 enrolment, 1 test) of the scores normalised by that side's cohort scores, (trials,)."""
    mean, deviation, rows = side_statistics(recordings, pairs[:, sides], cohort[1], n_best)
    return sum((scores - mean[side]) / deviation[side] for side in rows.T) / len(sides)


def side_statistics(
    recordings: np.ndarray, pairs: np.ndarray, members: np.ndarray, n_best: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cohort statistics of the recordings in `pairs`, each computed once.

    Returns
    -------
    mean, deviation : (distinct recordings,) float64
    rows : of the shape of `pairs`, each recording's row in `mean` and `deviation`
    """
    used, rows = np.unique(pairs, return_inverse=True)
    n_best = n_best or len(members)
    mean, deviation = cohort_statistics(take(recordings, used), members, n_best)
    refuse_equal(deviation, used, "recording", n_best)
    return mean, deviation, rows.reshape(pairs.shape)


def refuse_equal(deviation: np.ndarray, numbers: np.ndarray, what: str, n: int) -> None:
    """Raise InputError if a standard deviation is zero; `numbers` (from 0) and `what` name its owner."""
    if len(equal := np.flatnonzero(~(deviation > 0))):
        raise InputError(f"{what} {numbers[equal[0]] + 1}: its {n} cohort scores are all equal, so their standard "
                        "deviation is 0")  # fmt: skip
