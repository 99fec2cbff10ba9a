"""Score normalisation against a cohort: z-norm, t-norm, s-norm and adaptive s-norm.

A raw score is moved and scaled by mean and standard deviation of its recordings' scores against people who are neither:
z-norm those of the enrolment side (Li and Porter, ICASSP 1988), t-norm those of the test side (Auckenthaler et al.,
Digital Signal Processing, 2000), s-norm the mean of both (Kenny, Odyssey 2010), as-norm s-norm with the top n cohort
scores of each recording only ("adaptive s-norm 1" in Matejka et al., "Analysis of score normalization in multilingual
speaker recognition", Interspeech 2017).
"""

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from avsv.errors import UserError

log = logging.getLogger("avsv")
METHODS = ("z-norm", "t-norm", "s-norm", "as-norm")
ROWS = 256  # recordings scored against the cohort at a time: 6 MB with 6,000 members
SAMPLE = 256  # cohort members from which a recording's lower bound is guessed
# np.flatnonzero is three times as fast where more than a tenth of the values are true
LEAST = 0.11


def normalize(
    method: str,
    scores: np.ndarray,
    pairs: np.ndarray,
    recordings: np.ndarray,
    cohort: np.ndarray,
    top_n: int = 300,
) -> np.ndarray:
    """Normalise the scores of trials.

    Parameters
    ----------
    method : one of METHODS
    scores : (trials,) raw
    pairs : (trials, 2) int, rows in `recordings`
    recordings : (n, d) enrolment side of the recordings (see backend.py); a back-end's score does not depend on which
        recording is the enrolment, so this side serves for both
    cohort : (c, d) test side of the cohort; inner products with `recordings` are scores
    top_n : for as-norm; the whole cohort where it is smaller

    Returns
    -------
    (trials,) float64

    Raises
    ------
    UserError : fewer than two cohort scores, or those of a recording are all equal: no standard deviation

    Examples
    --------
    >>> cohort = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> normalize("s-norm", np.array([0.0]), np.array([[0, 1]]), np.eye(2), cohort)
    array([-1.])
    """
    n_cohort = len(cohort)
    n_best = min(top_n, n_cohort) if method == "as-norm" else n_cohort
    if method == "as-norm" and n_cohort < top_n:
        log.warning("the cohort has %d members, fewer than the top %d: the whole cohort is used", n_cohort, top_n)
    if n_best < 2:
        raise UserError(f"score normalisation needs at least two cohort scores of each recording, found {n_best}")
    sides = {"z-norm": [0], "t-norm": [1], "s-norm": [0, 1], "as-norm": [0, 1]}[method]
    used, rows = np.unique(pairs[:, sides], return_inverse=True)
    if len(used) < len(recordings):
        recordings = recordings[used]
    mean, deviation = cohort_statistics(recordings, cohort, n_best)
    if len(equal := np.flatnonzero(~(deviation > 0))):
        raise UserError(f"recording {used[equal[0]]} of the trials: its {n_best} cohort scores are all equal")
    rows = rows.reshape(-1, len(sides))
    return sum((scores - mean[side]) / deviation[side] for side in rows.T) / len(sides)


def cohort_statistics(recordings: np.ndarray, cohort: np.ndarray, n_best: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each recording's `n_best` highest cohort scores, two (n,) float64."""
    if n_best == len(cohort):
        return all_statistics(recordings, cohort)
    # in random order, the first members are a fair sample of the cohort
    cohort = np.ascontiguousarray(np.random.default_rng(0).permutation(cohort).T)
    mean, deviation = np.empty(len(recordings)), np.empty(len(recordings))
    own = threading.local()

    def work(start: int) -> None:
        if not hasattr(own, "scores"):
            own.scores = np.empty((ROWS, cohort.shape[1]), np.float32)
        block = recordings[start : start + ROWS]
        best = highest(np.matmul(block, cohort, out=own.scores[: len(block)]), n_best)
        mean[start : start + ROWS] = best.mean(axis=1, dtype=np.float64)
        deviation[start : start + ROWS] = best.std(axis=1, dtype=np.float64)

    # a core does product and selection of a block while others do theirs; numpy lets go of the interpreter meanwhile
    with ThreadPoolExecutor(n_cores()) as threads:
        list(threads.map(work, range(0, len(recordings), ROWS)))
    return mean, deviation


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def all_statistics(recordings: np.ndarray, cohort: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each recording's scores against the whole cohort, two (n,) float64.

    Scores are inner products, so the cohort's mean and covariance tell both: x'm and x'Cx.
    """
    centre = cohort.mean(axis=0, dtype=np.float64)
    deviations = cohort - centre
    covariance = deviations.T @ deviations / len(cohort)
    mean, variance = np.empty(len(recordings)), np.empty(len(recordings))
    for start in range(0, len(recordings), ROWS):
        block = recordings[start : start + ROWS].astype(np.float64)
        mean[start : start + ROWS] = block @ centre
        variance[start : start + ROWS] = np.einsum("ij,ij->i", block @ covariance, block)
    floor = 1e-24 * np.maximum(mean**2, np.finfo(float).tiny)  # what is left by rounding of equal scores
    return mean, np.sqrt(np.where(variance > floor, variance, 0))


def highest(scores: np.ndarray, n: int) -> np.ndarray:
    """The `n` largest values of each row, in any order: (rows, n).

    Selecting among all values is slow. A bound that about n values reach, and rather more, is guessed from the first
    SAMPLE columns; only what reaches it is selected from. Rows whose guess was too high are done in full.
    """
    n_rows, width = scores.shape
    share = n / width
    reaching = max(SAMPLE * share + 4 * np.sqrt(SAMPLE * share * (1 - share)) + 1, LEAST * SAMPLE)
    if width < 8 * SAMPLE or reaching > SAMPLE / 2:
        return np.partition(scores, width - n, axis=1)[:, width - n :]
    rank = SAMPLE - int(np.ceil(reaching))
    bound = np.partition(scores[:, :SAMPLE], rank, axis=1)[:, rank]
    reached = np.flatnonzero(scores >= bound[:, None])
    ends = np.searchsorted(reached, np.arange(1, n_rows + 1) * width)
    counts = np.diff(ends, prepend=0)
    candidates = np.full((n_rows, max(counts.max(), n)), -np.inf, scores.dtype)
    candidates[np.arange(candidates.shape[1]) < counts[:, None]] = scores.ravel().take(reached)
    candidates.partition(candidates.shape[1] - n, axis=1)
    best = candidates[:, candidates.shape[1] - n :]
    if len(short := np.flatnonzero(counts < n)):
        best[short] = np.partition(scores[short], width - n, axis=1)[:, width - n :]
    return best


def average_by_person(vectors: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Mean vector of each person, (k, d) float32.

    Examples
    --------
    >>> average_by_person(np.array([[1.0], [3.0], [5.0]]), np.array([0, 0, 1])).tolist()
    [[2.0], [5.0]]
    """
    order = np.argsort(people, kind="stable")
    counts = np.bincount(people)
    sums = np.add.reduceat(np.asarray(vectors, np.float64)[order], np.cumsum(counts) - counts, axis=0)
    return (sums / counts[:, None]).astype(np.float32)
