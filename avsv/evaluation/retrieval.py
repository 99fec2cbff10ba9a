"""Retrieval: all faces ranked by a voice, or all voices by a face. Mean average precision, ties as chance."""

from collections.abc import Callable

import numpy as np

from avsv.evaluation.bootstrap import SpeakerBootstrap, interval


def average_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    """Average precision of one ranking; its expectation over all orders of those that score the same.

    Of a group of n tied items, r of them relevant, that begins after `before` items with `found` relevant ones, each
    place j (from 1) is relevant with probability r / n, and then its precision is expected to be
    (found + 1 + (j - 1) (r - 1) / (n - 1)) / (before + j) (McSherry and Najork, ECIR 2008).

    Parameters
    ----------
    scores : (n,) float, higher is ranked first
    relevant : (n,) bool

    Returns
    -------
    0 to 1; NaN where nothing is relevant

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
    found = np.repeat(np.cumsum(of_group) - of_group, sizes)
    before, n, r = (np.repeat(values, sizes) for values in (first, sizes, of_group))
    j = np.arange(len(ranked)) - before + 1
    precision = (found + 1 + (j - 1) * (r - 1) / np.maximum(n - 1, 1)) / (before + j)
    return float((r / n * precision).sum() / total)


def chance_average_precision(n: int, n_relevant: int) -> float:
    """Average precision expected of a random order of n items.

    Examples
    --------
    >>> chance_average_precision(2, 1)
    0.75
    """
    return average_precision(np.zeros(n), np.arange(n) < n_relevant)


def measure_retrieval(score: Callable[[slice], np.ndarray], queries: np.ndarray, gallery: np.ndarray,
                      n_resamples: int = 1000, seed: int = 0) -> dict:  # fmt: skip
    """Mean average precision over all queries, its interval and what chance gives.

    The interval is from resampling the people who are asked for, all queries of one together; the gallery stays as it
    is. Queries whose person the gallery lacks are counted and left out.

    Parameters
    ----------
    score : rows of the queries -> (rows, gallery) float, so that not all scores are in memory at once
    queries, gallery : (n,), (m,) int from 0, the person of each

    Returns
    -------
    `map_percent`, `map_ci95`, `chance_percent`, `n_queries`, `n_gallery`, `n_people`, `n_left_out`
    """
    precisions, chances = np.full(len(queries), np.nan), {}
    for start in range(0, len(queries), 256):
        rows = slice(start, min(start + 256, len(queries)))
        for row, scores in zip(range(rows.start, rows.stop), score(rows), strict=True):
            precisions[row] = average_precision(scores, gallery == queries[row])
    there = ~np.isnan(precisions)
    sizes = np.bincount(gallery, minlength=int(queries.max()) + 1)[queries[there]]
    for size in np.unique(sizes).tolist():
        chances[size] = chance_average_precision(len(gallery), size)
    ends = None
    people = np.unique(queries[there], return_inverse=True)[1]
    n_people = int(people.max(initial=-1)) + 1
    if n_resamples and n_people > 1:
        weights = SpeakerBootstrap(people[:, None], there[there], n_resamples, seed).weights
        counts = np.bincount(people)
        sums = np.bincount(people, precisions[there])
        ends = interval(np.concatenate([100 * (sums @ part) / (counts @ part) for part in weights]))
    return {
        "map_percent": float(100 * precisions[there].mean()) if there.any() else None,
        "map_ci95": list(ends) if ends else None,
        "chance_percent": float(100 * np.mean([chances[size] for size in sizes.tolist()])) if there.any() else None,
        "n_queries": int(there.sum()),
        "n_gallery": len(gallery),
        "n_people": n_people,
        "n_left_out": int((~there).sum()),
    }
