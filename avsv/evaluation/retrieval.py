"""Retrieval: all faces ranked by a voice, or all voices by a face. Mean average precision with ties at chance."""

from collections.abc import Callable

import numpy as np

from avsv.evaluation.intervals import mean_limits


def average_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    """Average precision of one ranking, in expectation over all orders of tied items.

    Consider a group of n tied items, r of them relevant, after `before` items of which `earlier` are relevant. Place j
    (from 1) of the group is relevant with probability r / n, and then its expected precision is
    (earlier + 1 + (j - 1) (r - 1) / (n - 1)) / (before + j) (McSherry and Najork, ECIR 2008).

    Parameters
    ----------
    scores : (n,) float, ranked in descending order
    relevant : (n,) bool

    Returns
    -------
    0 to 1; NaN if no item is relevant

    Examples
    --------
    >>> round(average_precision(np.array([3.0, 2, 1]), np.array([True, False, True])), 4)  # (1 + 2/3) / 2
    0.8333
    >>> average_precision(np.zeros(2), np.array([True, False]))  # (1 + 1/2) / 2
    0.75
    """
    total = int(relevant.sum())
    if not total:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], relevant[order].astype(np.int64)
    first = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    sizes = np.diff(np.append(first, len(ranked)))
    of_group = np.add.reduceat(hits, first)
    earlier = np.repeat(np.cumsum(of_group) - of_group, sizes)
    before, n, r = (np.repeat(values, sizes) for values in (first, sizes, of_group))
    j = np.arange(len(ranked)) - before + 1
    precision = (earlier + 1 + (j - 1) * (r - 1) / np.maximum(n - 1, 1)) / (before + j)
    return float((r / n * precision).sum() / total)


def chance_average_precision(n: int, n_relevant: int) -> float:
    """Expected average precision of a random order of n items.

    Examples
    --------
    >>> chance_average_precision(2, 1)
    0.75
    """
    return average_precision(np.zeros(n), np.arange(n) < n_relevant)


def measure_retrieval(score: Callable[[slice], np.ndarray], queries: np.ndarray, gallery: np.ndarray,
                      intervals: bool = True) -> dict:  # fmt: skip
    """Mean average precision over all queries, its interval, and chance level.

    The interval accounts for the choice of the queries' speakers, each with all its queries; the gallery is fixed.
    Queries whose speaker is not in the gallery are left out and counted.

    Parameters
    ----------
    score : maps a slice of query rows to their scores (rows, gallery) float; not all are in memory at once
    queries, gallery : (n,), (m,) int from 0, the speaker of each
    intervals : whether to compute the interval

    Returns
    -------
    dict with `map_percent`, `map_ci95`, `chance_percent`, `n_queries`, `n_gallery`, `n_people`, `n_left_out`

    Examples
    --------
    >>> table = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> measure_retrieval(lambda rows: table[rows], np.array([0, 1]), np.array([0, 1]), False)["map_percent"]
    100.0
    """
    precisions, chances = np.full(len(queries), np.nan), {}
    for start in range(0, len(queries), 256):
        rows = slice(start, min(start + 256, len(queries)))
        for row, scores in zip(range(rows.start, rows.stop), score(rows), strict=True):
            precisions[row] = average_precision(scores, gallery == queries[row])
    present = ~np.isnan(precisions)
    sizes = np.bincount(gallery, minlength=int(queries.max()) + 1)[queries[present]]
    for size in np.unique(sizes).tolist():
        chances[size] = chance_average_precision(len(gallery), size)
    ends = None
    speakers = np.unique(queries[present], return_inverse=True)[1]
    n_speakers = int(speakers.max(initial=-1)) + 1
    if intervals and n_speakers > 1:
        ends = mean_limits(precisions[present], speakers)
    return {
        "map_percent": float(100 * precisions[present].mean()) if present.any() else None,
        "map_ci95": [100 * end for end in ends] if ends else None,
        "chance_percent": float(100 * np.mean([chances[size] for size in sizes.tolist()])) if present.any() else None,
        "n_queries": int(present.sum()),
        "n_gallery": len(gallery),
        "n_people": n_speakers,
        "n_left_out": int((~present).sum()),
    }
