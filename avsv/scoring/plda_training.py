"""Training of PLDA: LDA, then expectation maximisation of the two-covariance model on sufficient statistics."""

from dataclasses import dataclass, replace

import numpy as np

from avsv.errors import InputError
from avsv.scoring.lda import ClassStatistics, class_statistics, shrink, train_lda
from avsv.scoring.plda import Gaussians, Plda, diagonalise, fixed_length
from avsv.scoring.projection import Projection

LEAST = 1e-6  # of the mean variance: what a direction has in which nothing was seen to vary


def train_plda(
    vectors: np.ndarray, people: np.ndarray, lda_dim: int | None = None, iterations: int = 10
) -> tuple[Plda, list[float]]:
    """Train the back-end on labelled embeddings.

    Few people say little about how people differ in hundreds of dimensions, and few recordings little about how those
    of one person do: what was seen of one person's is shrunk before EM, the between-person covariance after it, each as
    far as its degrees of freedom call for (see `lda.shrink`). So fewer people than dimensions are enough.

    Parameters
    ----------
    vectors : (n, D)
    people : (n,) int, all of 0..k-1 occurring
    lda_dim : dimensions kept by LDA, fewer than there are people; None for all of the space
    iterations : of EM

    Returns
    -------
    the model, and the log-likelihood per embedding before each iteration and after the last

    Raises
    ------
    InputError : too few people, or one embedding for each of them
    """
    statistics = class_statistics(vectors, people)
    projection = Projection(statistics.center, train_lda(statistics, lda_dim))
    reduced = class_statistics(vectors, people, lambda block: fixed_length(projection.apply(block)))
    freedom, k = reduced.n - len(reduced.counts), len(reduced.counts)
    regular = replace(reduced, within=shrink(reduced.within / freedom, freedom) * freedom)
    gaussians, likelihoods = train_gaussians(regular, iterations)
    return Plda(projection, shrink_between(gaussians, k - 1)), likelihoods


def shrink_between(gaussians: Gaussians, freedom: int) -> Gaussians:
    """Draw the between-person covariance towards a multiple of the identity, see `lda.shrink`."""
    back = np.linalg.inv(gaussians.transform)
    basis, psi, _ = diagonalise(back @ back.T, shrink((back * gaussians.psi) @ back.T, freedom))
    return Gaussians(gaussians.mean, basis, psi)


@dataclass(frozen=True)
class Groups:
    """People's means, in as few rows as tell the same to the two-covariance model.

    All that it asks of the people with n recordings each is how many they are, their mean, and the scatter of their
    means around it; so where they are many, d rows of the same scatter stand for them.

    n : (g,) recordings of each person of a group
    size : (g,) people
    centers : (g, d) their mean
    rows, owners : (r, d) with the same summed outer products as the deviations from the centers; (r,) their groups
    """

    n: np.ndarray
    size: np.ndarray
    centers: np.ndarray
    rows: np.ndarray
    owners: np.ndarray


def group_by_count(statistics: ClassStatistics) -> Groups:
    """Take the people with equally many recordings together."""
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
    """Fit the two-covariance model by EM on sufficient statistics; the likelihood never falls.

    An iteration moves the mean to its best value given the covariances, then does the EM step of both covariances.
    Directions in which recordings of one person were not seen to vary get a millionth of the mean variance: a Gaussian
    without any has no likelihood.

    Returns
    -------
    the model, and the log-likelihood per vector before each iteration and after the last

    Raises
    ------
    InputError : nobody's recordings vary at all
    """
    groups = group_by_count(statistics)
    n, (k, d) = statistics.n, statistics.means.shape
    mean = statistics.means.mean(axis=0)
    values, axes = np.linalg.eigh(statistics.within)
    if values[-1] <= 0:
        raise InputError(
            f"the embeddings of each person are all the same in {d} dimensions after length normalisation: keep more"
        )
    seen = (axes * np.maximum(values, LEAST * values.mean())) @ axes.T
    within = seen / max(1, n - k)
    centred = statistics.means - mean
    between = centred.T @ centred / k
    owners = np.concatenate([groups.owners, np.arange(len(groups.n))])
    likelihoods = []
    for iteration in range(iterations + 1):
        basis, psi, back = diagonalise(within, between)
        spread = 1 + groups.n * psi  # (g, d)
        gain = groups.n / spread  # what a person's mean weighs, and the inverse of its variance
        centers = (groups.centers - mean) @ basis.T
        shift = (groups.size * gain * centers).sum(axis=0) / (groups.size * gain).sum(axis=0)
        mean, centers = mean + back @ shift, centers - shift
        places = np.concatenate([groups.rows @ basis.T, np.sqrt(groups.size) * centers])  # or what stands for them
        scatter = basis @ seen @ basis.T
        log_det = -2 * np.linalg.slogdet(basis)[1]
        fit = np.trace(scatter) + (groups.size * np.log(spread)).sum() + (gain[owners] * places**2).sum()
        likelihoods.append(-0.5 * (d * np.log(2 * np.pi) + log_det + fit / n))
        if iteration == iterations:
            return Gaussians(mean, basis, psi), likelihoods
        posterior, variance = psi * gain[owners] * places, groups.size * psi / spread
        rest = (places - posterior) * np.sqrt(groups.n[owners])
        new_between = (posterior.T @ posterior + np.diag(variance.sum(axis=0))) / k
        new_within = (scatter + rest.T @ rest + np.diag((groups.n * variance).sum(axis=0))) / n
        within, between = back @ new_within @ back.T, back @ new_between @ back.T
