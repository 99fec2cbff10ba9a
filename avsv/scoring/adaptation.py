"""Adaptation of a back-end to another domain: CORAL, and Kaldi's unsupervised adaptation of PLDA.

Both need embeddings of the new domain, without speaker labels.
"""

from dataclasses import replace

import numpy as np

from avsv.errors import InputError
from avsv.scoring.plda import Gaussians, Plda, diagonalise, fixed_length
from avsv.scoring.projection import Projection
from avsv.scoring.whitening import mean_and_covariance


def coral(vectors: np.ndarray, domain: np.ndarray) -> np.ndarray:
    """Give training embeddings the mean and the covariance of another domain (CORAL).

    Algorithm 1 of Sun, Feng and Saenko, "Return of frustratingly easy domain adaptation", AAAI 2016; used before PLDA
    by Alam, Bhattacharya and Kenny, "Speaker verification in mismatched conditions with frustratingly easy domain
    adaptation", Odyssey 2018. Vectors are multiplied by (C + r I)^-1/2 (C' + r I)^1/2, where C is their own covariance
    and C' the domain's. In the first paper r is 1 and each feature has variance 1. Here r is the mean variance of the
    training embeddings' values, which makes the result independent of their scale.

    Parameters
    ----------
    vectors : (n, d) training embeddings
    domain : (m, d) unlabelled embeddings of the other domain

    Returns
    -------
    (n, d) float32

    Raises
    ------
    InputError : fewer than two embeddings on a side, different sizes, or identical training embeddings

    Examples
    --------
    >>> coral(np.array([[0.0], [2.0]]), np.array([[10.0], [12.0]])).tolist()
    [[10.0], [12.0]]
    """
    for what, rows in (("training", vectors), ("adaptation", domain)):
        refuse_few(what, rows)
    if vectors.shape[1] != domain.shape[1]:
        raise InputError(f"adaptation embeddings have {domain.shape[1]} values, training embeddings {vectors.shape[1]}")
    mean, own = mean_and_covariance(vectors)
    new_mean, new = mean_and_covariance(domain)
    aligned = Projection(mean, align_covariance(own, new)).apply(vectors)
    aligned += new_mean.astype(np.float32)
    return aligned


def align_covariance(own: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The matrix of CORAL that gives centred vectors of covariance `own` the covariance `new`, (d, d) each.

    Raises
    ------
    InputError : `own` is zero

    Examples
    --------
    >>> align_covariance(np.eye(1), np.array([[7.0]]))  # sqrt((7 + 1) / (1 + 1))
    array([[2.]])
    """
    ridge = np.trace(own) / len(own) * np.eye(len(own))
    if not ridge.any():
        raise InputError("the training embeddings are all identical; give embeddings that vary")
    return power(new + ridge, 0.5) @ power(own + ridge, -0.5)


def power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric positive definite matrix.

    Examples
    --------
    >>> power(np.diag([4.0, 9.0]), 0.5).round(6)
    array([[2., 0.],
           [0., 3.]])
    """
    values, axes = np.linalg.eigh(covariance)
    return (axes * values**exponent) @ axes.T


def adapt_plda(
    plda: Plda, vectors: np.ndarray, within_scale: float = 0.3, between_scale: float = 0.7, mean_diff_scale: float = 1.0
) -> Plda:
    """Adapt a PLDA back-end to a domain: its mean becomes the domain's, its model goes through `adapt_gaussians`.

    As in Kaldi's sre16 recipe, the domain's embeddings are centred with their own mean and the LDA stays. The adapted
    back-end centres the embeddings it scores with the domain's mean too.

    Parameters
    ----------
    vectors : (n, D) unlabelled embeddings of the domain
    within_scale, between_scale, mean_diff_scale : see `adapt_gaussians`

    Raises
    ------
    InputError : fewer than two embeddings, or of another size than the back-end's
    """
    refuse_few("adaptation", vectors)
    plda.project(vectors[:1])  # checks the sizes
    center, _ = mean_and_covariance(vectors)
    projection = Projection(center, plda.projection.transform)
    moments = mean_and_covariance(vectors, lambda block: fixed_length(projection.apply(block), plda.length))
    gaussians = adapt_gaussians(plda.gaussians, *moments, within_scale, between_scale, mean_diff_scale)
    return replace(plda, projection=projection, gaussians=gaussians)


def adapt_gaussians(
    gaussians: Gaussians,
    mean: np.ndarray,
    covariance: np.ndarray,
    within_scale: float = 0.3,
    between_scale: float = 0.7,
    mean_diff_scale: float = 1.0,
) -> Gaussians:
    """Kaldi's unsupervised adaptation (`ivector-adapt-plda`, class PldaUnsupervisedAdaptor), with its default scales.

    In directions in which the domain varies more than the model's total covariance, the excess is added to the
    within-speaker and between-speaker covariances. Directions in which it varies less are not changed.

    Parameters
    ----------
    mean, covariance : (d,), (d, d) of the domain's vectors
    within_scale, between_scale : >= 0, shares of the excess added to the two covariances
    mean_diff_scale : >= 0, share of (mean difference)^2 added to the domain's covariance

    Examples
    --------
    >>> model = Gaussians(np.zeros(1), np.eye(1), np.array([3.0]))  # variance 1 within, 3 between
    >>> adapt_gaussians(model, np.zeros(1), np.array([[12.0]]), 0.25, 0.75).psi  # (3 + 6) / (1 + 2)
    array([3.])
    """
    shift = mean - gaussians.mean
    total = np.sqrt(1 + gaussians.psi)  # the model's standard deviations in its own basis
    whiten = gaussians.transform / total[:, None]
    values, axes = np.linalg.eigh(whiten @ (covariance + mean_diff_scale * np.outer(shift, shift)) @ whiten.T)
    axes = axes * total[:, None]
    excess = (axes * np.maximum(values - 1, 0)) @ axes.T  # in the model's basis
    within, between = np.eye(len(mean)) + within_scale * excess, np.diag(gaussians.psi) + between_scale * excess
    basis, psi, _ = diagonalise(within, between)
    return Gaussians(mean, basis @ gaussians.transform, psi)


def refuse_few(what: str, vectors: np.ndarray) -> None:
    """Raise InputError for fewer than two embeddings."""
    if len(vectors) < 2:
        raise InputError(f"expected at least two {what} embeddings, found {len(vectors)}")
