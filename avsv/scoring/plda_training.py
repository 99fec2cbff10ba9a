"""Training of PLDA: LDA, then expectation maximisation (EM) of the two-covariance model on sufficient statistics."""

from dataclasses import dataclass, replace

import numpy as np

from avsv.errors import InputError
from avsv.scoring.lda import ClassStatistics, class_statistics, shrink, train_lda
from avsv.scoring.plda import Gaussians, Plda, diagonalise, fixed_length
from avsv.scoring.projection import Projection

LEAST = 1e-6  # smallest variance in a direction, relative to the mean variance


def train_plda(
    vectors: np.ndarray, speakers: np.ndarray, lda_dim: int | None = None, iterations: int = 10
) -> tuple[Plda, list[float]]:
    """Train a PLDA back-end on labelled embeddings.

    The within-speaker scatter is shrunk before EM and the between-speaker covariance after it, each according to its
    degrees of freedom (see `lda.shrink`). Fewer speakers than dimensions are therefore enough.

    Parameters
    ----------
    vectors : (n, D)
    speakers : (n,) int, each of 0..k-1 occurs
    lda_dim : dimensions kept by LDA, less than the number of speakers; None for all D
    iterations : of EM

    Returns
    -------
    the model, and the log-likelihood per embedding before each iteration and after the last, in nats

    Raises
    ------
    InputError : fewer than two speakers, or no speaker with two embeddings

    Examples
    --------
    >>> rng, speakers = np.random.default_rng(0), np.repeat(np.arange(20), 5)
    >>> vectors = rng.standard_normal((20, 3))[speakers] + 0.1 * rng.standard_normal((100, 3))
    >>> plda, log_likelihoods = train_plda(vectors, speakers)
    >>> plda.gaussians.psi.shape, len(log_likelihoods)
    ((3,), 11)
    """
    statistics = class_statistics(vectors, speakers)
    projection = Projection(statistics.center, train_lda(statistics, lda_dim))
    reduced = class_statistics(vectors, speakers, lambda block: fixed_length(projection.apply(block)))
    freedom, k = reduced.n - len(reduced.counts), len(reduced.counts)
    regular = replace(reduced, within=shrink(reduced.within / freedom, freedom) * freedom)
    gaussians, likelihoods = train_gaussians(regular, iterations)
    return Plda(projection, shrink_between(gaussians, k - 1)), likelihoods


def shrink_between(gaussians: Gaussians, freedom: int) -> Gaussians:
    """Shrink the between-speaker covariance towards a multiple of the identity, see `lda.shrink`."""
    back = np.linalg.inv(gaussians.transform)
    basis, psi, _ = diagonalise(back @ back.T, shrink((back * gaussians.psi) @ back.T, freedom))
    return Gaussians(gaussians.mean, basis, psi)


@dataclass(frozen=True)
class Groups:
    """Sufficient statistics of the speakers' means, grouped by number of recordings.

    Of the speakers with n recordings each, EM needs their number, the mean of their means, and the scatter of their
    means around it. For many speakers, d rows with the same scatter replace the deviations of all of them.

    n : (g, 1) recordings of each speaker in a group
    size : (g, 1) speakers in a group
    centers : (g, d) mean of the speakers' means
    rows : (r, d) with the same summed outer products, within each group, as the deviations from its center
    owners : (r,) group of each row
    """

    n: np.ndarray
    size: np.ndarray
    centers: np.ndarray
    rows: np.ndarray
    owners: np.ndarray


def group_by_count(statistics: ClassStatistics) -> Groups:
    """Group the speakers by their number of recordings."""
    n, group_of, size = np.unique(statistics.counts, return_inverse=True, return_counts=True)
    order = np.argsort(group_of, kind="stable")
    centers, rows = [], []
    for members in np.split(order, np.cumsum(size)[:-1]):
        means = statistics.means[members]
        centers.append(means.mean(axis=0))
        rows.append(np.linalg.qr(means - centers[-1], mode="r") if len(means) > 1 else means[:0])
    owners = np.repeat(np.arange(len(n)), list(map(len, rows)))
    return Groups(n[:, None].astype(np.float64), size[:, None], np.array(centers), np.concatenate(rows), owners)


def train_gaussians(statistics: ClassStatistics, iterations: int = 10) -> tuple[Gaussians, list[float]]:
    """Fit the two-covariance model by EM on sufficient statistics; the likelihood never decreases.

    An iteration sets the mean to its best value given the covariances, then updates both covariances by an EM step.
    Directions without variation within speakers get a millionth of the mean variance, since a singular Gaussian has no
    likelihood.

    Returns
    -------
    the model, and the log-likelihood per vector before each iteration and after the last, in nats

    Raises
    ------
    InputError : no speaker's recordings vary
    """
    groups = group_by_count(statistics)
    n, (k, d) = statistics.n, statistics.means.shape
    mean = statistics.means.mean(axis=0)
    values, axes = np.linalg.eigh(statistics.within)
    if values[-1] <= 0:
        raise InputError(
            f"each speaker's embeddings are identical in {d} dimensions after length normalisation; keep more"
        )
    scatter_within = (axes * np.maximum(values, LEAST * values.mean())) @ axes.T
    within = scatter_within / max(1, n - k)
    centred = statistics.means - mean
    between = centred.T @ centred / k
    owners = np.concatenate([groups.owners, np.arange(len(groups.n))])
    likelihoods = []
    for iteration in range(iterations + 1):
        basis, psi, back = diagonalise(within, between)
        spread = 1 + groups.n * psi  # (g, d)
        gain = groups.n / spread  # weight of a speaker's mean: the inverse of its variance
        centers = (groups.centers - mean) @ basis.T
        shift = (groups.size * gain * centers).sum(axis=0) / (groups.size * gain).sum(axis=0)
        mean, centers = mean + back @ shift, centers - shift
        means = np.concatenate([groups.rows @ basis.T, np.sqrt(groups.size) * centers])  # or rows that replace them
        scatter = basis @ scatter_within @ basis.T
        log_det = -2 * np.linalg.slogdet(basis)[1]
        fit = np.trace(scatter) + (groups.size * np.log(spread)).sum() + (gain[owners] * means**2).sum()
        likelihoods.append(-0.5 * (d * np.log(2 * np.pi) + log_det + fit / n))
        if iteration == iterations:
            return Gaussians(mean, basis, psi), likelihoods
        posterior, variance = psi * gain[owners] * means, groups.size * psi / spread
        rest = (means - posterior) * np.sqrt(groups.n[owners])
        new_between = (posterior.T @ posterior + np.diag(variance.sum(axis=0))) / k
        new_within = (scatter + rest.T @ rest + np.diag((groups.n * variance).sum(axis=0))) / n
        within, between = back @ new_within @ back.T, back @ new_between @ back.T
