"""The i-vector extractor: a Gaussian mixture whose means move with a low-dimensional vector, and its training by EM.

The mean of Gaussian i in a recording is M_i w, the i-vector w is drawn from N(p e_1, I), and the covariance is S_i. As
in Kaldi, the means of the UBM lie in the first column of M_i, scaled by 1/p, so that the first axis of the i-vector
stands for them and no separate mean is needed. The posteriors of the Gaussians are those of the UBM and stay fixed.
Dehak et al., IEEE Transactions on Audio, Speech and Language Processing 19(4), 2011; Kaldi's ivector-extractor.cc.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from avsv.systems.speech.gmm import LOG_2PI, FullGmm

AT_ONCE = 32  # recordings whose posterior covariances are in memory at a time
SMALLEST_SPREAD = 1e-7  # variance of the i-vectors in a direction, as in Kaldi
SMALLEST_FLOOR = 1e-4  # eigenvalue of the variance floor, relative to its largest, as in Kaldi


@dataclass(frozen=True)
class Extractor:
    """An i-vector extractor.

    weights : (k,) of the UBM, for the rotation only
    projections : (k, d, r), M_i ; precisions : (k, d, d), inverses of S_i ; offset : p
    """

    weights: np.ndarray
    projections: np.ndarray
    precisions: np.ndarray
    offset: float

    @property
    def size(self) -> int:
        """Values of an i-vector."""
        return self.projections.shape[2]

    @cached_property
    def weighted_projections(self) -> np.ndarray:
        """(k, d, r): S_i^-1 M_i."""
        return self.precisions @ self.projections

    @cached_property
    def quadratic(self) -> np.ndarray:
        """(k, r (r + 1) / 2): lower triangles of M_i' S_i^-1 M_i."""
        rows, columns = np.tril_indices(self.size)
        packed = np.empty((len(self.projections), len(rows)))
        for one, (projection, weighted) in enumerate(zip(self.projections, self.weighted_projections, strict=True)):
            packed[one] = (projection.T @ weighted)[rows, columns]
        return packed

    def posterior(self, counts: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Posterior distributions of the i-vectors of a few recordings.

            L = I + sum_i n_i M_i' S_i^-1 M_i,   w = L^-1 (sum_i M_i' S_i^-1 f_i + p e_1)

        Parameters
        ----------
        counts : (n, k) ; first : (n, k, d) sums of the frames, both weighted by the posteriors of the Gaussians

        Returns
        -------
        means : (n, r), with the offset p on the first axis
        covariances : (n, r, r)
        gains : (n,) log-likelihood of the frames, minus their log-likelihood if all means were 0
        """
        linear = first.reshape(len(first), -1) @ self.weighted_projections.reshape(-1, self.size)
        linear[:, 0] += self.offset
        inverse = unpacked(counts @ self.quadratic, self.size)
        inverse += np.eye(self.size)
        covariances = np.linalg.inv(inverse)
        covariances = (covariances + covariances.transpose(0, 2, 1)) / 2
        means = np.einsum("nij,nj->ni", covariances, linear)
        gains = 0.5 * ((means * linear).sum(axis=1) - np.linalg.slogdet(inverse)[1] - self.offset**2)
        return means, covariances, gains

    def ivectors(self, counts: np.ndarray, first: np.ndarray) -> np.ndarray:
        """I-vectors without the offset, as Kaldi's `ivector-extract` writes them: (n, r)."""
        means, _, _ = self.posterior(counts, first)
        means[:, 0] -= self.offset
        return means


def packed(symmetric: np.ndarray) -> np.ndarray:
    """Lower triangles of symmetric matrices, row by row: (..., r, r) -> (..., r (r + 1) / 2)."""
    rows, columns = np.tril_indices(symmetric.shape[-1])
    return symmetric[..., rows, columns]


def unpacked(triangles: np.ndarray, r: int) -> np.ndarray:
    """The symmetric matrices of lower triangles: (..., r (r + 1) / 2) -> (..., r, r).

    Examples
    --------
    >>> unpacked(np.array([1.0, 2.0, 3.0]), 2).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    rows, columns = np.tril_indices(r)
    symmetric = np.empty((*triangles.shape[:-1], r, r))
    symmetric[..., rows, columns] = triangles
    symmetric[..., columns, rows] = triangles
    return symmetric


def initial_extractor(ubm: FullGmm, size: int, offset: float, seed: int) -> Extractor:
    """An extractor with random projections, except the first column, which holds the UBM's means over the offset.

    Examples
    --------
    >>> ubm = FullGmm(np.array([1.0]), np.array([[2.0, 4.0]]), np.eye(2)[None])
    >>> initial_extractor(ubm, 3, offset=100.0, seed=0).projections[0, :, 0].tolist()
    [0.02, 0.04]
    """
    k, d = ubm.means.shape
    projections = np.random.default_rng(seed).standard_normal((k, d, size))
    projections[:, :, 0] = ubm.means / offset
    return Extractor(ubm.weights, projections, np.linalg.inv(ubm.covariances), offset)


Sums = dict[str, np.ndarray]


def accumulate(extractor: Extractor, counts: np.ndarray, first: np.ndarray) -> Sums:
    """The E step for a block of recordings: sums that add up over blocks.

    Returns
    -------
    counts (k,), cross (k, d, r): sum of f w', scatter (k, r (r + 1) / 2): sum of n (L^-1 + w w'), mean (r,) and spread
    (r, r): sums of w and of L^-1 + w w', n and gain: number of recordings and their log-likelihood, see `posterior`
    """
    means, covariances, gains = extractor.posterior(counts, first)
    second = covariances + means[:, :, None] * means[:, None, :]
    cross = (first.reshape(len(first), -1).T @ means).reshape(*first.shape[1:], -1)
    return {"counts": counts.sum(axis=0), "cross": cross, "scatter": counts.T @ packed(second),
            "mean": means.sum(axis=0), "spread": second.sum(axis=0), "n": np.array(float(len(means))),
            "gain": gains.sum()}  # fmt: skip


def log_likelihood(extractor: Extractor, sums: Mapping[str, np.ndarray], second: np.ndarray) -> float:
    """Log-likelihood per frame of the recordings in `sums`, given the posteriors of the Gaussians.

    The integral over the i-vectors is exact; EM never lowers it.

    Parameters
    ----------
    second : (k, d, d) sums of the outer products of the frames of all recordings
    """
    counts, d = sums["counts"], second.shape[1]
    log_dets = np.linalg.slogdet(extractor.precisions)[1]
    apart = (counts * (log_dets - d * LOG_2PI)).sum() - np.einsum("kij,kij->", extractor.precisions, second)
    return float((0.5 * apart + sums["gain"]) / counts.sum())


def updated(extractor: Extractor, sums: Mapping[str, np.ndarray], second: np.ndarray, least_count: float,
            floor: float) -> Extractor:  # fmt: skip
    """The M step: projections, covariances, and minimum divergence.

    Parameters
    ----------
    sums : from `accumulate`, of all recordings
    second : (k, d, d) sums of the outer products of their frames
    least_count : Gaussians with fewer frames keep their projection and covariance
    floor : covariances are floored to this share of their average
    """
    projections, precisions = extractor.projections.copy(), extractor.precisions.copy()
    enough = np.flatnonzero(sums["counts"] >= least_count)
    covariances = np.empty((len(enough), *second.shape[1:]))
    for place, one in enumerate(enough):
        scatter, cross = unpacked(sums["scatter"][one], extractor.size), sums["cross"][one]
        projections[one] = np.linalg.solve(scatter, cross.T).T
        both = cross @ projections[one].T
        covariances[place] = second[one] - both - both.T + projections[one] @ scatter @ projections[one].T
    if len(enough):
        average = covariances.sum(axis=0) / sums["counts"][enough].sum()
        lowest = floored(floor * average, SMALLEST_FLOOR * floor * np.linalg.eigvalsh(average)[-1])
        for place, one in enumerate(enough):
            precisions[one] = np.linalg.inv(floored_by(covariances[place] / sums["counts"][one], lowest))
    changed = Extractor(extractor.weights, projections, precisions, extractor.offset)
    return with_standard_prior(changed, sums["mean"] / sums["n"], sums["spread"] / sums["n"])


def floored(symmetric: np.ndarray, lowest: float) -> np.ndarray:
    """A symmetric matrix with its eigenvalues raised to at least `lowest`."""
    values, axes = np.linalg.eigh(symmetric)
    return (axes * np.maximum(values, lowest)) @ axes.T


def floored_by(covariance: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """A covariance raised to at least `lowest`, a positive definite matrix, in every direction."""
    factor = np.linalg.cholesky(lowest)
    inverse = np.linalg.inv(factor)
    return factor @ floored(inverse @ covariance @ inverse.T, 1.0) @ factor.T


def with_standard_prior(extractor: Extractor, mean: np.ndarray, spread: np.ndarray) -> Extractor:
    """Minimum divergence: the same model in other coordinates, so that the i-vectors' prior is N(p e_1, I) again.

    The prior that fits the posteriors best has their mean and covariance. A transform whitens the covariance, a
    reflection puts the mean on the first axis, and a rotation of the other axes makes the mean of M_i' S_i^-1 M_i
    diagonal there, largest first. Kaldi's rotation uses an approximate inverse; this one is exact.

    Parameters
    ----------
    mean : (r,) ; spread : (r, r) mean of the second moments
    """
    values, axes = np.linalg.eigh(spread - np.outer(mean, mean))
    transform = (axes / np.sqrt(np.maximum(values, SMALLEST_SPREAD))).T
    transform = reflection(transform @ mean) @ transform
    back = np.linalg.inv(transform)
    quadratic = unpacked(extractor.weights @ extractor.quadratic, extractor.size)
    _, rotation = np.linalg.eigh((back.T @ quadratic @ back)[1:, 1:])
    transform[1:] = rotation[:, ::-1].T @ transform[1:]
    projections = extractor.projections @ np.linalg.inv(transform)
    return Extractor(extractor.weights, projections, extractor.precisions, float(transform[0] @ mean))


def reflection(vector: np.ndarray) -> np.ndarray:
    """The Householder reflection that takes a vector to the positive first axis.

    Examples
    --------
    >>> reflection(np.array([3.0, 4.0])).round(3)
    array([[ 0.6,  0.8],
           [ 0.8, -0.6]])
    """
    normal = vector / np.linalg.norm(vector)
    normal[0] -= 1
    length = normal @ normal
    return np.eye(len(vector)) - (2 / length * np.outer(normal, normal) if length else 0)
