"""Linear discriminant analysis: few directions, in which people differ and clips of one person do not."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avsv.errors import InputError
from avsv.scoring.groups import whole_groups

log = logging.getLogger("avsv")


@dataclass(frozen=True)
class ClassStatistics:
    """What LDA and PLDA need to know of labelled vectors.

    counts : (k,) how many vectors each person has
    means : (k, d) mean of each person
    within : (d, d) summed outer products of the deviations from the person's mean
    """

    counts: np.ndarray
    means: np.ndarray
    within: np.ndarray

    @property
    def n(self) -> int:
        return int(self.counts.sum())

    @property
    def center(self) -> np.ndarray:
        """(d,) mean of all vectors."""
        return self.counts @ self.means / self.n


def class_statistics(
    vectors: np.ndarray, people: np.ndarray, through: Callable[[np.ndarray], np.ndarray] | None = None
) -> ClassStatistics:
    """Statistics of vectors by person.

    Parameters
    ----------
    vectors : (n, d)
    people : (n,) int, each vector's person, all of 0..k-1 occurring
    through : applied to some vectors at a time, (rows, d) to (rows, d'); the statistics are of what it gives

    Raises
    ------
    InputError : fewer than two people, or nobody with two vectors: within-person variation cannot be seen

    Examples
    --------
    >>> class_statistics(np.array([[0.0], [2.0], [5.0]]), np.array([0, 0, 1])).within
    array([[2.]])
    """
    counts = np.bincount(people)
    if len(counts) < 2:
        raise InputError(f"expected embeddings of at least two people, found {len(counts)}")
    if counts.max() < 2:
        raise InputError(
            f"each of the {len(counts)} people has one embedding only, so how the embeddings of one person vary cannot "
            "be learnt; give more recordings of each person"
        )
    order = np.argsort(people, kind="stable")
    means, within = [], 0.0
    for some, part, begins in whole_groups(counts):
        block = vectors[order[part]]
        block = (block if through is None else through(block)).astype(np.float64)
        means.append(np.add.reduceat(block, begins, axis=0) / counts[some, None])
        block -= np.repeat(means[-1], counts[some], axis=0)
        within += block.T @ block
    return ClassStatistics(counts, np.concatenate(means), within)


def shrink(covariance: np.ndarray, freedom: int) -> np.ndarray:
    """Draw a covariance towards a multiple of the identity, as far as its degrees of freedom call for.

    Oracle approximating shrinkage: equation (23) of Chen, Wiesel, Eldar and Hero, "Shrinkage algorithms for MMSE
    covariance estimation", IEEE TSP 58(10), 2010. Nothing changes where data abound; a singular one becomes regular.

    Examples
    --------
    >>> shrink(np.diag([2.0, 0.0]), freedom=1)
    array([[1., 0.],
           [0., 1.]])
    """
    d = len(covariance)
    trace, of_square = np.trace(covariance), (covariance**2).sum()
    spread = of_square - trace**2 / d
    share = min(1.0, ((1 - 2 / d) * of_square + trace**2) / ((freedom + 1 - 2 / d) * spread)) if spread > 0 else 0.0
    return (1 - share) * covariance + share * trace / d * np.eye(d)


def warn_of_few(statistics: ClassStatistics, dim: int) -> None:
    """Warn where there are fewer people, or recordings, than the dimensions kept call for.

    k people differ in k - 1 directions, and n recordings of them vary in n - k around their people: beyond that a
    covariance is what it was shrunk towards, and nothing that was seen.
    """
    k, freedom = len(statistics.counts), statistics.n - len(statistics.counts)
    if dim > k - 1:
        log.warning("%d people differ in at most %d directions, and %d dimensions are kept: how people differ in the "
                    "other %d is guessed. Give more people, or keep at most %d dimensions",
                    k, k - 1, dim, dim - k + 1, k - 1)  # fmt: skip
    d = statistics.within.shape[0]
    if d > freedom:
        log.warning("%d recordings of %d people vary within people in at most %d of %d directions: the others are "
                    "guessed. Give more recordings of each person", statistics.n, k, freedom, d)  # fmt: skip


def train_lda(statistics: ClassStatistics, dim: int | None = None) -> np.ndarray:
    """Directions of the largest between-person to within-person variance; within-person covariance becomes I.

    Parameters
    ----------
    dim : how many, at most one less than there are people: beyond, no difference between people was seen. None keeps
        the whole space, which is within-class covariance normalisation (Hatch, Kajarekar and Stolcke, Interspeech 2006)

    Returns
    -------
    (dim, d) float64, to be applied as `vectors @ transform.T`

    Raises
    ------
    InputError : embeddings of one person do not vary at all, or the statistics are not finite
    """
    if not (np.isfinite(statistics.within).all() and np.isfinite(statistics.means).all()):
        raise InputError("the training embeddings hold NaN, infinite values, or values too large to be squared")
    d, most = statistics.within.shape[0], min(statistics.within.shape[0], len(statistics.counts) - 1)
    people = len(statistics.counts)
    if dim is not None and dim > most:
        log.warning("LDA: %d dimensions asked for; %d people and %d values allow %d", dim, people, d, most)
    warn_of_few(statistics, d if dim is None else min(dim, most))
    freedom = statistics.n - len(statistics.counts)
    within = shrink(statistics.within / freedom, freedom)
    values, axes = np.linalg.eigh(within)
    if values[-1] <= 0:
        raise InputError("the embeddings of each person are all the same: there is nothing to learn from them")
    whiten = axes.T / np.sqrt(np.maximum(values, 1e-10 * values[-1]))[:, None]
    centred = statistics.means - statistics.center
    projected = (centred * np.sqrt(statistics.counts / statistics.n)[:, None]) @ whiten.T
    _, directions = np.linalg.eigh(projected.T @ projected)
    return directions[:, ::-1][:, : d if dim is None else min(dim, most)].T @ whiten
