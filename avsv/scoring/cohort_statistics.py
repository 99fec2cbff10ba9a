"""Mean and standard deviation of recordings' cohort scores, over all scores or only the highest.

Scores are inner products, computed for a few recordings at a time: the table of all recordings by all members would
take gigabytes.
"""

import threading
from collections.abc import Callable

import numpy as np

from avsv.jobs.threads import map_ahead

ROWS = 256  # recordings scored against the cohort at a time: 6 MB with 6,000 members
PAIRS = 512  # pairs for which the scores of chosen members are gathered at a time
TABLE = 1 << 27  # bytes for the members chosen by recordings
SAMPLE = 256  # cohort members from which a lower bound on the highest scores is estimated
# np.flatnonzero is three times as fast if more than a tenth of the values are true
LEAST = 0.11


def cohort_statistics(recordings: np.ndarray, cohort: np.ndarray, n_best: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each recording's `n_best` highest cohort scores.

    Parameters
    ----------
    recordings : (n, d) enrolment side
    cohort : (c, d) test side
    n_best : at most c

    Returns
    -------
    mean and standard deviation, two (n,) float64

    Examples
    --------
    >>> mean, deviation = cohort_statistics(np.array([[1.0]]), np.array([[1.0], [2.0], [4.0]]), 2)
    >>> mean.tolist(), deviation.tolist()
    ([3.0], [1.0])
    """
    if n_best == len(cohort):
        return all_statistics(recordings, cohort)
    cohort = shuffled_columns(cohort)
    mean, deviation = np.empty(len(recordings)), np.empty(len(recordings))

    def work(start: int, scores: np.ndarray) -> None:
        best = highest(scores, n_best)
        mean[start : start + ROWS] = best.mean(axis=1, dtype=np.float64)
        deviation[start : start + ROWS] = best.std(axis=1, dtype=np.float64)

    for_each_block(recordings, cohort, work)
    return mean, deviation


def chosen_statistics(
    recordings: np.ndarray, cohort: np.ndarray, pairs: np.ndarray, n_best: int
) -> tuple[np.ndarray, np.ndarray]:
    """Statistics of a recording's scores against the members that score highest with another recording.

    The product of recordings and cohort is computed twice, once to choose members and once to look up scores; each pair
    costs a gather of `n_best` scores. At most TABLE bytes of choices are kept at a time (134 MB: 220,000 recordings
    with 300 members each). If there are more, the second product is repeated for each part.

    Parameters
    ----------
    recordings : (n, d) enrolment side
    cohort : (c, d) test side
    pairs : (m, 2) int, rows of `recordings`: the recording that is scored, and the one that chooses the members
    n_best : number of members chosen; ties are broken arbitrarily

    Returns
    -------
    mean and standard deviation, two (m,) float64

    Examples
    --------
    >>> cohort = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 5.0]])
    >>> recordings = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> chosen_statistics(recordings, cohort, np.array([[1, 0], [1, 1]]), 2)[0]  # members 0, 1; then 2 and another
    array([0. , 2.5])
    """
    cohort = shuffled_columns(cohort)
    width = cohort.shape[1]
    number_type = np.dtype(np.uint16 if width <= 1 << 16 else np.int32)
    at_a_time = max(ROWS, TABLE // (n_best * number_type.itemsize))
    mean, deviation = np.empty(len(pairs)), np.empty(len(pairs))
    for first in range(0, len(recordings), at_a_time):
        choosers = recordings[first : first + at_a_time]
        chosen = np.empty((len(choosers), n_best), number_type)

        def choose(start: int, scores: np.ndarray, chosen=chosen) -> None:
            chosen[start : start + ROWS] = highest_members(scores, n_best)

        for_each_block(choosers, cohort, choose)
        which = np.flatnonzero((pairs[:, 1] >= first) & (pairs[:, 1] < first + at_a_time))
        which = which[np.argsort(pairs[which, 0], kind="stable")]
        scored, row = np.unique(pairs[which, 0], return_inverse=True)

        def look_up(start: int, scores: np.ndarray, which=which, row=row, chosen=chosen, first=first) -> None:
            begin, end = np.searchsorted(row, [start, start + ROWS])
            for at in range(begin, end, PAIRS):
                some = slice(at, min(at + PAIRS, end))
                place = (row[some, None] - start) * width + chosen[pairs[which[some], 1] - first]
                values = scores.ravel().take(place)
                mean[which[some]] = values.mean(axis=1, dtype=np.float64)
                deviation[which[some]] = values.std(axis=1, dtype=np.float64)

        for_each_block(take(recordings, scored), cohort, look_up)
    return mean, deviation


def take(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The given distinct, ascending rows; the array itself if these are all of its rows."""
    return vectors if len(rows) == len(vectors) else vectors[rows]


def shuffled_columns(cohort: np.ndarray) -> np.ndarray:
    """The cohort as (d, c), in random order: its first columns are a random sample."""
    return np.ascontiguousarray(np.random.default_rng(0).permutation(cohort).T)


def for_each_block(recordings: np.ndarray, cohort: np.ndarray, work: Callable[[int, np.ndarray], None]) -> None:
    """Call `work(first row, scores)` for each block of ROWS recordings, on several cores; cohort is (d, c)."""
    own = threading.local()
    number_type = np.result_type(recordings, cohort)

    def do(start: int) -> None:
        if not hasattr(own, "scores"):
            own.scores = np.empty((ROWS, cohort.shape[1]), number_type)
        block = recordings[start : start + ROWS]
        work(start, np.matmul(block, cohort, out=own.scores[: len(block)]))

    # each core computes the product and the selection of one block
    for _ in map_ahead(do, range(0, len(recordings), ROWS)):
        pass


def all_statistics(recordings: np.ndarray, cohort: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each recording's scores against the whole cohort, two (n,) float64.

    Scores are inner products, so both follow from the cohort's mean m and covariance C: x'm and x'Cx.
    """
    centre = cohort.mean(axis=0, dtype=np.float64)
    deviations = cohort - centre
    covariance = deviations.T @ deviations / len(cohort)
    mean, variance = np.empty(len(recordings)), np.empty(len(recordings))
    for start in range(0, len(recordings), ROWS):
        block = recordings[start : start + ROWS].astype(np.float64)
        mean[start : start + ROWS] = block @ centre
        variance[start : start + ROWS] = np.einsum("ij,ij->i", block @ covariance, block)
    floor = 1e-24 * np.maximum(mean**2, np.finfo(float).tiny)  # rounding error of equal scores
    return mean, np.sqrt(np.where(variance > floor, variance, 0))


def statistics_among_themselves(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each member's scores against the other members, two (c,) float64.

    Parameters
    ----------
    left, right : (c, d) enrolment and test side of the cohort, c >= 2
    """
    mean, deviation = all_statistics(left, right)
    n = len(left)
    own = np.einsum("ij,ij->i", left, right, dtype=np.float64) - mean
    # removing a value that differs by x from the mean of n lowers the sum of squares by x^2 n / (n - 1)
    variance = (n * deviation**2 - own**2 * n / (n - 1)) / (n - 1)
    # below this, a variance is the rounding error of equal scores
    return mean - own / (n - 1), np.sqrt(np.where(variance > 1e-12 * (deviation**2 + mean**2), variance, 0))


def highest(scores: np.ndarray, n: int) -> np.ndarray:
    """The `n` largest values of each row, in any order: (rows, n).

    Partitioning all values is slow. A bound that slightly more than n values should reach is estimated from the first
    SAMPLE columns, and only values that reach it are partitioned. Rows with too high a bound are partitioned in full.
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


def highest_members(scores: np.ndarray, n: int) -> np.ndarray:
    """Columns of the `n` largest values of each row, in any order: (rows, n) int.

    Examples
    --------
    >>> highest_members(np.array([[3.0, 1.0, 2.0]]), 2)
    array([[0, 2]])
    """
    n_rows, width = scores.shape
    bound = highest(scores, n).min(axis=1)
    reached = np.flatnonzero(scores >= bound[:, None])
    if len(reached) > n_rows * n:  # several values tie at the bound
        ends = np.searchsorted(reached, np.arange(1, n_rows + 1) * width)
        keep = np.diff(ends, prepend=0) == n
        columns = np.empty((n_rows, n), np.int64)
        columns[keep] = reached[np.repeat(keep, np.diff(ends, prepend=0))].reshape(-1, n) % width
        columns[~keep] = np.argpartition(scores[~keep], width - n, axis=1)[:, width - n :]
        return columns
    return reached.reshape(n_rows, n) - np.arange(n_rows)[:, None] * width
