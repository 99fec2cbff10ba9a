"""1:N matching: which of N faces belongs to this voice? Accuracy with ties at chance, and its confidence interval."""

from collections.abc import Sequence

import numpy as np

from avsv.evaluation.bootstrap import SpeakerBootstrap, interval


def matching_credit(scores: np.ndarray) -> np.ndarray:
    """Credit of each query: 1 if the true candidate alone scores highest, 1/k if it is one of k that do, else 0.

    This is the probability of picking the true candidate if ties are broken at random. The order of the candidates
    cannot matter, and a constant score earns 1/N.

    Parameters
    ----------
    scores : (n, N) float, the true candidate first

    Returns
    -------
    (n,) float, 0 to 1

    Raises
    ------
    ValueError : a score is NaN

    Examples
    --------
    >>> matching_credit(np.array([[2.0, 1, 0], [1, 1, 0], [0, 1, 2], [3, 3, 3]])).round(3).tolist()
    [1.0, 0.5, 0.0, 0.333]
    """
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).any(1).sum())} of {len(scores)} queries have a NaN score")
    best = scores.max(1, keepdims=True)
    tied = (scores == best).sum(1)
    return np.where(scores[:, 0] == best[:, 0], 1 / tied, 0.0)


def resampled_accuracy(credit: np.ndarray, speakers: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """Accuracy in each resample of the speakers, (resamples,) float, 0 to 1.

    A query has weight 1 + sum of (w - 1) over its speakers, where w is how often a speaker was drawn. This is the
    first-order term of the product of all w, the dominant one (Hoeffding's decomposition of a U-statistic); the product
    itself would be zero for nearly all queries with ten speakers. The result is clipped to 0 to 1, which a linear term
    can exceed.

    Parameters
    ----------
    credit : (n,) from `matching_credit`
    speakers : (n, N) int, of the true candidate (and of the query), then of the others
    weights : blocks (speakers, resamples) of a SpeakerBootstrap

    Examples
    --------
    >>> resampled_accuracy(np.array([1.0, 0.0]), np.array([[0, 1], [1, 0]]), [np.ones((2, 1))]).tolist()
    [0.5]
    """
    n_speakers = len(weights[0])
    counts, earned = (np.bincount(speakers.ravel(), np.repeat(x, speakers.shape[1]), n_speakers)
                      for x in (np.ones_like(credit), credit))  # fmt: skip
    accuracies = []
    for part in weights:
        drawn = part.astype(np.float64) - 1
        total = len(credit) + counts @ drawn
        accuracies.append(np.divide(credit.sum() + earned @ drawn, total, out=np.full(len(total), np.nan),
                               where=total > 0))  # fmt: skip
    return np.clip(np.concatenate(accuracies), 0, 1)


def measure_matching(scores: np.ndarray, speakers: np.ndarray, n_resamples: int = 1000, seed: int = 0) -> dict:
    """Accuracy of 1:N matching, its interval, and chance level.

    Parameters
    ----------
    scores : (n, N) float, the true candidate first
    speakers : (n, N) int from 0, of the candidates; the query is by the first candidate's speaker
    n_resamples : of the interval; 0 for none
    seed : of the resamples

    Returns
    -------
    dict with `candidates` (N), `accuracy_percent`, `accuracy_ci95` (two numbers; None for one speaker or no resamples),
    `chance_percent`, `n_queries`, `n_people`

    Examples
    --------
    >>> rows = measure_matching(np.array([[1.0, 0], [0, 0]]), np.array([[0, 1], [1, 0]]), 0)
    >>> rows["accuracy_percent"], rows["chance_percent"]
    (75.0, 50.0)
    """
    credit = matching_credit(scores)
    n_speakers = len(np.unique(speakers))
    ends = None
    if n_resamples and n_speakers > 1:
        weights = SpeakerBootstrap(speakers, np.ones(len(speakers), bool), n_resamples, seed).weights
        ends = interval(100 * resampled_accuracy(credit, speakers, weights))
    return {
        "candidates": scores.shape[1],
        "accuracy_percent": float(100 * credit.mean()),
        "accuracy_ci95": list(ends) if ends else None,
        "chance_percent": 100 / scores.shape[1],
        "n_queries": len(scores),
        "n_people": n_speakers,
    }
