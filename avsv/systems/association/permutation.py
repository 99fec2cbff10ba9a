"""A permutation test over people: is a measure off chance, or could any assignment of faces to voices give it?

If voices say nothing about faces, it does not matter whose face belongs to whose voice. The faces of whole people are
therefore exchanged at random, and the measure is computed again. Every dependence between trials stays: all trials of a
person move together, and voices and faces that many others resemble remain so. The p-value is the share of random
assignments, the true one included, that are at least as far from the middle (Phipson and Smyth, "Permutation P-values
should never be zero", Statistical Applications in Genetics and Molecular Biology 9, 2010), doubled for both sides.

People are exchanged only with people whom the list connects, as wrong candidates of one another, directly or through
others: in a list of group G, within the gender. The test is then one of what voices tell beyond the gender.
"""

from collections.abc import Callable, Sequence

import numpy as np

from avsv.evaluation.retrieval import chance_average_precision
from avsv.kaldi.speakers import connected_components


class ExchangedPeople:
    """Random exchanges of whole people on one side of a list.

    Parameters
    ----------
    owners : (items,) int, person of each item of the side
    connected : pairs of people who may be exchanged, (k, 2) int
    """

    def __init__(self, owners: np.ndarray, connected: np.ndarray):
        self.people, self.owners = np.unique(owners, return_inverse=True)
        place = np.full(int(max(owners.max(), connected.max(initial=0))) + 1, -1)
        place[self.people] = np.arange(len(self.people))
        edges = place[connected]
        edges = edges[(edges >= 0).all(axis=1)]
        groups = connected_components(len(self.people), edges[:, 0], edges[:, 1])
        self.groups = [
            members for group in range(groups.max() + 1) if len(members := np.flatnonzero(groups == group)) > 1
        ]
        self.order = np.argsort(self.owners, kind="stable")  # items by person
        self.counts = np.bincount(self.owners)
        self.begins = np.cumsum(self.counts) - self.counts
        self.rank = np.empty(len(owners), np.intp)  # of each item among its person's
        self.rank[self.order] = np.arange(len(owners)) - np.repeat(self.begins, self.counts)

    @property
    def possible(self) -> bool:
        """Whether anybody can be exchanged."""
        return bool(self.groups)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw an exchange: the person (place in `people`) who takes each person's place."""
        taken = np.arange(len(self.people))
        for members in self.groups:
            taken[members] = rng.permutation(members)
        return taken

    def exchange_items(self, taken: np.ndarray) -> np.ndarray:
        """The item that takes each item's place, (items,) int.

        The i-th item of a person becomes the i-th of the other person; a person with fewer items repeats them.
        """
        others = taken[self.owners]
        return self.order[self.begins[others] + self.rank % self.counts[others]]


def permutation_p(measure: Callable[[np.ndarray | None], Sequence[float]], exchanged: ExchangedPeople,
                  n_permutations: int, seed: int = 0) -> list[float] | None:  # fmt: skip
    """Two-sided p-value of each measure; None without permutations, or if nobody can be exchanged.

    Parameters
    ----------
    measure : computes the measures for an exchange of people from `ExchangedPeople.draw`, None for the true assignment
    n_permutations : random assignments
    """
    if not n_permutations or not exchanged.possible:
        return None
    rng = np.random.default_rng(seed)
    true = np.asarray(measure(None))
    drawn = np.array([measure(exchanged.draw(rng)) for _ in range(n_permutations)])
    equal = np.isclose(drawn, true, rtol=1e-9, atol=1e-12)
    above, below = (((side | equal).sum(axis=0) + 1) / (n_permutations + 1) for side in (drawn > true, drawn < true))
    return np.minimum(1.0, 2 * np.minimum(above, below)).tolist()


def precision_table(score: Callable[[slice], np.ndarray], n_queries: int, gallery: np.ndarray) -> np.ndarray:
    """Average precision of each query if a given person's items were the relevant ones, minus that of chance.

    Ties are broken at random.

    Parameters
    ----------
    score : maps a slice of query rows to their scores (rows, gallery) float
    gallery : (m,) int from 0, the person of each item

    Returns
    -------
    (n_queries, people) float

    Examples
    --------
    >>> precision_table(lambda rows: np.array([[3.0, 2.0, 1.0]])[rows], 1, np.array([0, 1, 0])).round(3).tolist()
    [[0.028, -0.111]]
    """
    rng, counts = np.random.default_rng(0), np.bincount(gallery)
    chance = np.array([chance_average_precision(len(gallery), count) if count else 0.0 for count in counts.tolist()])
    begins = np.cumsum(counts) - counts
    hits = np.arange(len(gallery)) - np.repeat(begins, counts) + 1  # of each person, first to last
    table = np.empty((n_queries, len(counts)))
    for start in range(0, n_queries, 256):
        rows = slice(start, min(start + 256, n_queries))
        for row, scores in zip(range(rows.start, rows.stop), score(rows), strict=True):
            owners = gallery[np.lexsort((rng.random(len(scores)), -scores))]
            places = np.argsort(owners, kind="stable") + 1
            sums = np.add.reduceat(np.append(hits / places, 0.0), np.minimum(begins, len(gallery)))
            table[row] = np.where(counts > 0, sums / np.maximum(counts, 1), 0.0) - chance
    return table
