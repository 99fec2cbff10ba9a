"""Where the right person of each probe ranks in a gallery, computed exactly in blocks of probes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CELLS = 1 << 24  # scores at a time: 64 MB
NOBODY = -1  # the person of a probe that is not in the gallery: a stranger
Scorer = Callable[[slice], np.ndarray]


@dataclass(frozen=True)
class Ranks:
    """The right person of each probe against everybody else in the gallery.

    own : (n,) score of the right person; -inf for a stranger or without a score
    better, tied : (n,) int, number of other people with a higher, and with the same score
    others : (n, k) the k highest scores of other people, descending; -inf if there are fewer
    """

    own: np.ndarray
    better: np.ndarray
    tied: np.ndarray
    others: np.ndarray

    def credit(self, rank: int) -> np.ndarray:
        """Probability that the right person is among the first `rank`, with ties broken at random: (n,) float.

        Without a score, the right person is no candidate, and the probability is 0.

        Examples
        --------
        >>> ranks = Ranks(np.array([0.5, -np.inf]), np.array([1, 0]), np.array([1, 9]), np.empty((2, 0)))
        >>> ranks.credit(2).tolist()  # one is better and one the same: second or third
        [0.5, 0.0]
        """
        return np.where(self.own > -np.inf, np.clip((rank - self.better) / (self.tied + 1), 0.0, 1.0), 0.0)


def rank_probes(score: Scorer, persons: np.ndarray, n_gallery: int, n_others: int = 1) -> Ranks:
    """Rank the gallery for each probe.

    Memory grows with the number of probes and with that of people, not with their product.

    Parameters
    ----------
    score : maps a slice of probes to their scores (probes, n_gallery) float, NaN where there is none; the array is
        overwritten
    persons : (n,) int, column of the right person; NOBODY for a stranger
    n_gallery : number of people
    n_others : number of highest scores to keep in `Ranks.others`

    Examples
    --------
    >>> table = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.3]])
    >>> ranks = rank_probes(lambda rows: table[rows].copy(), np.array([2, NOBODY]), 3, 2)
    >>> ranks.better.tolist(), ranks.others.tolist()
    ([1, 0], [[0.9, 0.1], [0.3, 0.3]])
    """
    n = len(persons)
    own, others = np.full(n, -np.inf), np.full((n, n_others), -np.inf)
    better, tied = np.zeros(n, np.int64), np.zeros(n, np.int64)
    size = max(1, CELLS // n_gallery)
    for start in range(0, n, size):
        part = slice(start, min(start + size, n))
        scores = score(part)
        scores[np.isnan(scores)] = -np.inf
        known = np.flatnonzero(persons[part] != NOBODY)
        columns = persons[part][known]
        own[start + known] = scores[known, columns]
        scores[known, columns] = -np.inf
        right = own[part].astype(scores.dtype)[:, None]
        better[part] = (scores > right).sum(axis=1)
        tied[part] = (scores == right).sum(axis=1)
        tied[start + known[own[start + known] == -np.inf]] -= 1  # the right person's own place
        k = min(n_others, n_gallery)
        scores.partition(n_gallery - k, axis=1)
        others[part, :k] = -np.sort(-scores[:, n_gallery - k :], axis=1)
    better[persons == NOBODY] = tied[persons == NOBODY] = 0
    return Ranks(own, better, tied, others)
