"""Linear discriminant analysis: the directions that separate speakers best, relative to their own variation."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avsv.errors import InputError
from avsv.scoring.groups import whole_groups

log = logging.getLogger("avsv")


@dataclass(frozen=True)
class ClassStatistics:
    """Sufficient statistics of labelled vectors for LDA and PLDA.

    counts : (k,) vectors of each speaker
    means : (k, d) mean of each speaker
    within : (d, d) scatter within speakers, the summed outer products of deviations from the speaker's mean
    """

    counts: np.ndarray
    means: np.ndarray
    within: np.ndarray

    @property
    def n(self) -> int:
        """Number of vectors."""
        return int(self.counts.sum())

    @property
    def center(self) -> np.ndarray:
        """(d,) mean of all vectors."""
        return self.counts @ self.means / self.n


def class_statistics(
    vectors: np.ndarray, speakers: np.ndarray, through: Callable[[np.ndarray], np.ndarray] | None = None
) -> ClassStatistics:
    """Statistics of vectors by speaker.

    Parameters
    ----------
    vectors : (n, d)
    speakers : (n,) int, each vector's speaker; each of 0..k-1 occurs
    through : a map from (rows, d) to (rows, d') applied first, a few vectors at a time

    Raises
    ------
    InputError : fewer than two speakers, or no speaker with two vectors, so variation within speakers is unknown

    Examples
    --------
    >>> class_statistics(np.array([[0.0], [2.0], [5.0]]), np.array([0, 0, 1])).within
    array([[2.]])
    """
    counts = np.bincount(speakers)
    if len(counts) < 2:
        raise InputError(f"expected embeddings of at least two speakers, found {len(counts)}")
    if counts.max() < 2:
        raise InputError(
            f"each of the {len(counts)} speakers has one embedding only, but training needs variation within speakers; "
            "give several recordings of each speaker"
        )
    order = np.argsort(speakers, kind="stable")
    means, within = [], 0.0
    for some, part, begins in whole_groups(counts):
        block = vectors[order[part]]
        block = (block if through is None else through(block)).astype(np.float64)
        means.append(np.add.reduceat(block, begins, axis=0) / counts[some, None])
        block -= np.repeat(means[-1], counts[some], axis=0)
        within += block.T @ block
    return ClassStatistics(counts, np.concatenate(means), within)


def shrink(covariance: np.ndarray, freedom: int) -> np.ndarray:
    """Shrink a covariance towards a multiple of the identity, the more the fewer degrees of freedom it has.

    Oracle approximating shrinkage: equation (23) of Chen, Wiesel, Eldar and Hero, "Shrinkage algorithms for MMSE
    covariance estimation", IEEE TSP 58(10), 2010. With plenty of data nothing changes; a singular covariance becomes
    regular.

    Parameters
    ----------
    covariance : (d, d)
    freedom : degrees of freedom it was estimated with

    Returns
    -------
    (d, d)

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
    """Warn if there are too few speakers or recordings for `dim` dimensions.

    k speakers differ in k - 1 directions, and n recordings of them vary in n - k directions around their means. In the
    other directions, a covariance is what `shrink` puts there, not an estimate.
    """
    k, freedom = len(statistics.counts), statistics.n - len(statistics.counts)
    if dim > k - 1:
        log.warning("%d speakers differ in at most %d directions, but %d dimensions are kept: the variance between "
                    "speakers in the other %d is a guess. Give more speakers, or keep at most %d dimensions",
                    k, k - 1, dim, dim - k + 1, k - 1)  # fmt: skip
    d = statistics.within.shape[0]
    if d > freedom:
        log.warning("%d recordings of %d speakers vary within speakers in at most %d of %d directions: the variance in "
                    "the others is a guess. Give more recordings of each speaker",
                    statistics.n, k, freedom, d)  # fmt: skip


def train_lda(statistics: ClassStatistics, dim: int | None = None) -> np.ndarray:
    """Directions with the largest ratio of between-speaker to within-speaker variance, scaled to within-speaker I.

    Parameters
    ----------
    dim : number of directions, at most k - 1 for k speakers, who differ in no more. None keeps all d, which is
        within-class covariance normalisation (Hatch, Kajarekar and Stolcke, Interspeech 2006)

    Returns
    -------
    (dim, d) float64, applied as `vectors @ transform.T`

    Raises
    ------
    InputError : embeddings do not vary within speakers, or the statistics are not finite

    Examples
    --------
    >>> vectors = np.array([[0.0, 0], [0, 2], [9, 0], [9, 2]])
    >>> transform = train_lda(class_statistics(vectors, np.array([0, 0, 1, 1])), 1)
    >>> int(abs(vectors @ transform.T).argmax()) in (2, 3)
    True
    """
    if not (np.isfinite(statistics.within).all() and np.isfinite(statistics.means).all()):
        raise InputError("the training embeddings have NaN, infinite values, or values too large to square")
    d, most = statistics.within.shape[0], min(statistics.within.shape[0], len(statistics.counts) - 1)
    k = len(statistics.counts)
    if dim is not None and dim > most:
        log.warning("LDA: %d dimensions requested, but %d speakers and %d values allow %d", dim, k, d, most)
    warn_of_few(statistics, d if dim is None else min(dim, most))
    freedom = statistics.n - len(statistics.counts)
    within = shrink(statistics.within / freedom, freedom)
    values, axes = np.linalg.eigh(within)
    if values[-1] <= 0:
        raise InputError("each speaker's embeddings are identical; give recordings that vary")
    whiten = axes.T / np.sqrt(np.maximum(values, 1e-10 * values[-1]))[:, None]
    centred = statistics.means - statistics.center
    projected = (centred * np.sqrt(statistics.counts / statistics.n)[:, None]) @ whiten.T
    _, directions = np.linalg.eigh(projected.T @ projected)
    return directions[:, ::-1][:, : d if dim is None else min(dim, most)].T @ whiten
