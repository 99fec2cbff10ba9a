"""Vectors in groups, such as the recordings of each speaker, processed a few whole groups at a time."""

from collections.abc import Iterator

import numpy as np

ROWS = 2048  # vectors at a time: their float64 copies fit the processor's cache


def whole_groups(counts: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Split groups into runs of consecutive groups with about ROWS vectors in total, at least one group each.

    Parameters
    ----------
    counts : (k,) int, vectors in each group, all >= 1; the vectors are ordered by group

    Yields
    ------
    groups : slice of the groups in the run
    vectors : slice of their vectors
    begins : (groups,) int, first vector of each group, relative to the run

    Examples
    --------
    >>> list(whole_groups(np.array([2, 1])))
    [(slice(0, 2, None), slice(0, 3, None), array([0, 2]))]
    """
    ends, first = np.cumsum(counts), 0
    while first < len(counts):
        begin = int(ends[first] - counts[first])
        last = max(first + 1, int(np.searchsorted(ends, begin + ROWS, side="right")))
        groups, end = slice(first, last), int(ends[last - 1])
        yield groups, slice(begin, end), ends[groups] - counts[groups] - begin
        first = last


def group_means(
    vectors: np.ndarray, rows: np.ndarray, counts: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Mean vector of each group, (k, d) float32.

    Parameters
    ----------
    vectors : (n, d)
    rows : (m,) int, rows of `vectors` ordered by group
    counts : (k,) int, rows in each group, all >= 1
    weights : (m,) float, relative weights with mean 1 in each group, from `quality_weights`; None for equal weights

    Examples
    --------
    >>> group_means(np.array([[1.0], [3.0], [5.0]]), np.array([2, 0, 1]), np.array([1, 2])).tolist()
    [[5.0], [2.0]]
    """
    means = np.empty((len(counts), vectors.shape[1]), np.float32)
    for groups, part, begins in whole_groups(counts):
        members = vectors[rows[part]].astype(np.float64)
        if weights is not None:
            members *= weights[part, None]
        sums = np.add.reduceat(members, begins, axis=0)
        means[groups] = sums / counts[groups, None]
    return means


def quality_weights(quality: np.ndarray) -> np.ndarray:
    """Relative weights of the faces of a clip, or of the clips of a template, for their weighted mean.

    w_i = n q_i / sum(q), with negative q taken as 0: a weight grows with the quality and never falls. Where all are of
    equal quality, 0 included, all weights are exactly 1, which gives the plain mean. The mean weighted by quality goes
    back to Yang et al., CVPR 2017, and Shi and Jain, ICCV 2019; weights proportional to the quality are our choice.

    Parameters
    ----------
    quality : (n,) float, n >= 1, higher for a better one

    Returns
    -------
    (n,) float, all >= 0, with mean 1

    Examples
    --------
    >>> quality_weights(np.array([0.6, 0.2, -0.1])).tolist(), quality_weights(np.array([0.7, 0.7])).tolist()
    ([2.25, 0.75, 0.0], [1.0, 1.0])
    """
    positive = np.maximum(np.asarray(quality, np.float64), 0)
    if positive.max() == positive.min():
        return np.ones(len(positive))
    return positive / positive.mean()
