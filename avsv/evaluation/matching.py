"""1:N matching: whose face, of N, goes with this voice? Accuracy, with ties as chance, and its interval over people."""

from collections.abc import Sequence

import numpy as np

from avsv.evaluation.bootstrap import SpeakerBootstrap, interval


def matching_credit(scores: np.ndarray) -> np.ndarray:
    """What each query earns: 1 where the true candidate alone scores highest, 1/k where it is one of k that do, else 0.

    That is the chance that the true one is picked when equals are drawn by lot, so that the candidates' order cannot
    matter, and a system that gives all the same score earns 1/N.

    Parameters
    ----------
    scores : (n, N) float, the true candidate's first

    Returns
    -------
    (n,) float

    Examples
    --------
    >>> matching_credit(np.array([[2.0, 1, 0], [1, 1, 0], [0, 1, 2], [3, 3, 3]])).round(3).tolist()
    [1.0, 0.5, 0.0, 0.333]
    """
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).any(1).sum())} of {len(scores)} queries have a score that is NaN")
    best = scores.max(1, keepdims=True)
    tied = (scores == best).sum(1)
    return np.where(scores[:, 0] == best[:, 0], 1 / tied, 0.0)


def resampled_accuracy(credit: np.ndarray, people: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """Accuracy in every resample of the people, (resamples,).

    A query counts 1 + sum over its people of (w - 1), w how often each was drawn: the first-order term of the product
    of all weights, which is what matters of it (Hoeffding's decomposition of a U-statistic); the product itself leaves
    next to no query of ten people. Values outside of 0 to 1, which a linear term can reach, are cut off.

    Parameters
    ----------
    credit : (n,) what each query earns
    people : (n, N) int, of the true candidate (and of the query) and of the others
    weights : parts (people, resamples), as SpeakerBootstrap draws them
    """
    n_people = len(weights[0])
    counts, earned = (np.bincount(people.ravel(), np.repeat(x, people.shape[1]), n_people)
                      for x in (np.ones_like(credit), credit))  # fmt: skip
    found = []
    for part in weights:
        drawn = part.astype(np.float64) - 1
        total = len(credit) + counts @ drawn
        found.append(np.divide(credit.sum() + earned @ drawn, total, out=np.full(len(total), np.nan),
                               where=total > 0))  # fmt: skip
    return np.clip(np.concatenate(found), 0, 1)


def measure_matching(scores: np.ndarray, people: np.ndarray, n_resamples: int = 1000, seed: int = 0) -> dict:
    """Accuracy of 1:N matching, its interval and what chance gives.

    Parameters
    ----------
    scores : (n, N) float, the true candidate's first
    people : (n, N) int from 0, of the candidates; the query is of the first one's person

    Returns
    -------
    `candidates` (N), `accuracy_percent`, `accuracy_ci95` (two numbers, None with fewer than 2 people or no resamples),
    `chance_percent`, `n_queries`, `n_people`

    Examples
    --------
    >>> rows = measure_matching(np.array([[1.0, 0], [0, 0]]), np.array([[0, 1], [1, 0]]), 0)
    >>> rows["accuracy_percent"], rows["chance_percent"]
    (75.0, 50.0)
    """
    credit = matching_credit(scores)
    n_people = len(np.unique(people))
    ends = None
    if n_resamples and n_people > 1:
        weights = SpeakerBootstrap(people, np.ones(len(people), bool), n_resamples, seed).weights
        ends = interval(100 * resampled_accuracy(credit, people, weights))
    return {
        "candidates": scores.shape[1],
        "accuracy_percent": float(100 * credit.mean()),
        "accuracy_ci95": list(ends) if ends else None,
        "chance_percent": 100 / scores.shape[1],
        "n_queries": len(scores),
        "n_people": n_people,
    }
