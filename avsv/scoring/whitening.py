"""Whitening of unlabelled embeddings to covariance I; and the mean and covariance it needs."""

import logging
from collections.abc import Callable

import numpy as np

from avsv.errors import InputError
from avsv.scoring.projection import BLOCK, Projection

log = logging.getLogger("avsv")
NOTHING = 1e-10  # ratio to the largest variance below which a direction is rounding error


def mean_and_covariance(
    vectors: np.ndarray, through: Callable[[np.ndarray], np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and covariance (d, d), float64, divided by the number of vectors.

    Parameters
    ----------
    vectors : (n, d), n >= 1
    through : a map applied first, a few vectors at a time

    Examples
    --------
    >>> mean_and_covariance(np.array([[1.0], [3.0]]))
    (array([2.]), array([[1.]]))
    """
    origin, total, square = None, 0.0, 0.0
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        block = (block if through is None else through(block)).astype(np.float64)
        if origin is None:
            origin = block.mean(axis=0)  # close to the mean, which keeps cancellation small
        block -= origin
        total += block.sum(axis=0)
        square += block.T @ block
    offset = total / len(vectors)
    return origin + offset, square / len(vectors) - np.outer(offset, offset)


def train_whitening(vectors: np.ndarray, dim: int | None = None) -> Projection:
    """Principal components of unlabelled embeddings, each scaled to variance 1.

    Parameters
    ----------
    vectors : (n, D)
    dim : number of components kept, those with the largest variance; None for all above rounding error

    Raises
    ------
    InputError : fewer than two embeddings, or identical ones

    Examples
    --------
    >>> train_whitening(np.array([[0.0, 0], [2, 0], [4, 0]])).transform
    array([[0.5, 0. ]])
    """
    n = len(vectors)
    if n < 2:
        raise InputError(f"whitening needs at least two embeddings, found {n}")
    mean, covariance = mean_and_covariance(vectors)
    variances, axes = np.linalg.eigh(covariance * (n / (n - 1)))
    variances, axes = variances[::-1], axes[:, ::-1].T
    if variances[0] <= 0:
        raise InputError("the embeddings are all identical; give embeddings that vary")
    most = int((variances[: n - 1] > NOTHING * variances[0]).sum())
    if dim is not None and dim > most:
        log.warning("whitening: %d dimensions requested, but %d embeddings vary in %d", dim, n, most)
    kept = min(dim or most, most)
    axes = axes[:kept] * np.sign(axes[np.arange(kept), np.abs(axes[:kept]).argmax(axis=1)])[:, None]
    return Projection(mean, axes / np.sqrt(variances[:kept])[:, None])
