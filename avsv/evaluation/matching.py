"""1:N matching: which of N faces belongs to this voice? Accuracy with ties at chance, and its confidence interval."""

from functools import cached_property

import numpy as np
from scipy.optimize import nnls
from scipy.sparse import csr_array

from avsv.evaluation.clusters import Influence
from avsv.evaluation.intervals import Errors, difference_limits, limits, rate_part


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


class QueryClusters:
    """People of the queries and candidates, for the variance of an accuracy.

    Each query's deviation from the mean is modelled as an effect of the true person, effects of the candidates'
    attraction, and noise. A candidate that attracts many queries wins as the true one, and makes others lose as one of
    the N - 1 others, but by 1 / (N - 1) of that, since a query has one winner; in the mean over queries, this nearly
    cancels. The variances of the three are estimated by equating sums of squares to their expectations, as in method 1
    of Henderson, "Estimation of variance and covariance components", Biometrics 9, 1953, with none below 0.

    Parameters
    ----------
    speakers : (n, N) int, of the true candidate (and of the query), then of the others
    """

    def __init__(self, speakers: np.ndarray):
        n, n_candidates = speakers.shape
        numbers = np.unique(speakers, return_inverse=True)[1].reshape(n, n_candidates)
        self.n_people = int(numbers.max()) + 1
        shape, rows = (n, self.n_people), np.arange(n)
        self.true = csr_array((np.ones(n), (rows, numbers[:, 0])), shape)
        shares = np.tile(np.append(1.0, np.full(n_candidates - 1, -1 / (n_candidates - 1))), n)
        self.attraction = csr_array((shares, (np.repeat(rows, n_candidates), numbers.ravel())), shape)

    @property
    def none(self) -> Influence:
        """No influence of anybody."""
        return Influence(np.zeros(self.n_people), np.zeros(1))

    @cached_property
    def expectations(self) -> np.ndarray:
        """Expected sums of squares (rows) if one variance is 1 (columns): true person, attraction, noise; (3, 3)."""
        n, sides = self.true.shape[0], (self.true, self.attraction)
        table = np.full((3, 3), n - 1.0)
        for row, x in enumerate(sides):
            for column, y in enumerate(sides):  # |X' M Y|^2, where M subtracts the mean
                cross = (x.T @ y).toarray() - np.outer(x.sum(axis=0), y.sum(axis=0)) / n
                table[row, column] = (cross**2).sum()
                if row == column:
                    table[row, 2] = table[2, row] = np.trace(cross)
        return table

    def influence(self, of_targets: bool, values: np.ndarray) -> Influence:
        """Influence of each true person on the mean of the values, scaled to the variance of the mean.

        Parameters
        ----------
        of_targets : always True; queries are of one kind
        values : (n,) float or bool
        """
        n, centred = len(values), values - np.mean(values)
        sums = [self.true.T @ centred, self.attraction.T @ centred, centred]
        scale = np.diag(self.expectations)
        variances = nnls(self.expectations / scale[:, None], np.array([x @ x for x in sums]) / scale)[0]
        weights = [(side.sum(axis=0) ** 2).sum() for side in (self.true, self.attraction)]
        variance = float(variances @ [*weights, n]) / n**2
        people = sums[0] if sums[0].any() else np.ones(self.n_people)
        return Influence(people * np.sqrt(variance / (people @ people)), np.zeros(1))


def losses(scores: np.ndarray) -> Errors:
    """Lost queries: those without full credit, or at a level those with the lowest margins, about that share of all.

    Parameters
    ----------
    scores : (n, N) float, the true candidate first
    """
    margin = scores[:, 0] - scores[:, 1:].max(1)
    ranked, lost = np.sort(margin), 1 - matching_credit(scores)
    return lambda level: lost if level is None else margin < ranked[min(len(ranked) - 1, round(level * len(ranked)))]


def accuracy_limits(scores: np.ndarray, clusters: QueryClusters) -> tuple[float, float]:
    """95 % confidence limits of the accuracy, 0 to 1; see `intervals`.

    Parameters
    ----------
    scores : (n, N) float, the true candidate first
    """
    low, high = limits(rate_part(clusters, True, losses(scores)), clusters.n_people, 1.0)
    return 1 - high, 1 - low


def gain_limits(one: np.ndarray, other: np.ndarray, clusters: QueryClusters) -> tuple[float, float]:
    """95 % confidence limits of the difference of two accuracies on the same queries, one minus other.

    Parameters
    ----------
    one, other : (n, N) float, scores of the two, the true candidate first
    """

    def only(lost: Errors, rest: Errors) -> Errors:
        return lambda level: np.maximum(0, lost(level).astype(float) - rest(level))

    both = losses(one), losses(other)
    parts = [rate_part(clusters, True, only(*pair)) for pair in (both[::-1], both)]
    return difference_limits(*parts, clusters.n_people)


def measure_matching(scores: np.ndarray, speakers: np.ndarray, intervals: bool = True) -> dict:
    """Accuracy of 1:N matching, its interval, and chance level.

    Parameters
    ----------
    scores : (n, N) float, the true candidate first
    speakers : (n, N) int from 0, of the candidates; the query is by the first candidate's speaker
    intervals : whether to compute the interval

    Returns
    -------
    dict with `candidates` (N), `accuracy_percent`, `accuracy_ci95` (two numbers; None for one speaker or without
    intervals), `chance_percent`, `n_queries`, `n_people`

    Examples
    --------
    >>> rows = measure_matching(np.array([[1.0, 0], [0, 0]]), np.array([[0, 1], [1, 0]]), False)
    >>> rows["accuracy_percent"], rows["chance_percent"]
    (75.0, 50.0)
    """
    credit = matching_credit(scores)
    n_speakers = len(np.unique(speakers))
    ends = accuracy_limits(scores, QueryClusters(speakers)) if intervals and n_speakers > 1 else None
    return {
        "candidates": scores.shape[1],
        "accuracy_percent": float(100 * credit.mean()),
        "accuracy_ci95": [100 * end for end in ends] if ends else None,
        "chance_percent": 100 / scores.shape[1],
        "n_queries": len(scores),
        "n_people": n_speakers,
    }
