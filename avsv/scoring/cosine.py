"""Cosine similarity, and the inner products of pairs to which every back-end is reduced."""

from collections.abc import Sequence

import numpy as np

from avsv.errors import InputError

BLOCK = 1024  # rows processed at a time, small enough for the processor's cache
TINY, HUGE = 1e-24, 1e24
TABLE = 1 << 26  # largest table of all pairs, in values


def unit_length(vectors: np.ndarray, ids: Sequence[str] | None = None) -> np.ndarray:
    """Scale each row to length 1, float32.

    Parameters
    ----------
    vectors : (n, d)
    ids : names of the rows, for the message

    Raises
    ------
    InputError : a row is zero

    Examples
    --------
    >>> unit_length(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]], dtype=float32)
    """
    unit = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        with np.errstate(over="ignore"):
            square = np.einsum("ij,ij->i", block, block)
        if not ((square > TINY) & (square < HUGE)).all():  # squares outside the range of float32
            block = block.astype(np.float64)
            square = np.einsum("ij,ij->i", block, block)
        length = np.sqrt(square)
        if zero := np.flatnonzero(length == 0).tolist():
            name = ids[start + zero[0]] if ids is not None else f"row {start + zero[0]}"
            raise InputError(f"{name}: the embedding is zero, so its cosine is undefined")
        np.divide(block, length[:, None], out=unit[start : start + BLOCK], casting="same_kind")
    return unit


def inner_products(left: np.ndarray, right: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """`left[i] @ right[j]` for each pair (i, j).

    If the pairs are a large share of all possible ones, they are taken from one matrix product; otherwise rows are
    gathered in blocks that fit the processor's cache.

    Parameters
    ----------
    left : (n, d) float32
    right : (m, d) float32
    pairs : (trials, 2) int, rows of `left` and of `right`

    Returns
    -------
    (trials,) float32

    Examples
    --------
    >>> inner_products(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), np.array([[0, 0], [0, 1]]))
    array([1., 0.], dtype=float32)
    """
    rows, columns = pairs[:, 0], pairs[:, 1]
    scores = np.empty(len(pairs), np.float32)
    table = left @ right.T if len(left) * len(right) <= min(TABLE, 4 * len(pairs)) else None
    for start in range(0, len(pairs), BLOCK):
        part = slice(start, start + BLOCK)
        if table is not None:
            scores[part] = table[rows[part], columns[part]]
            continue
        np.einsum("ij,ij->i", left[rows[part]], right[columns[part]], out=scores[part])
    return scores


def cosine_scores(enroll: np.ndarray, test: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Cosine of the angle between the embeddings of each pair.

    Parameters
    ----------
    enroll : (n, d)
    test : (m, d)
    pairs : (trials, 2) int, rows of `enroll` and of `test`

    Returns
    -------
    (trials,) float32, -1 to 1

    Examples
    --------
    >>> cosine_scores(np.array([[2.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0, 0], [0, 1]]))
    array([1., 0.], dtype=float32)
    """
    left = unit_length(enroll)
    return inner_products(left, left if test is enroll else unit_length(test), pairs)
