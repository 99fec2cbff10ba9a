"""Centring and a linear map of embeddings: LDA or whitening, Kaldi's mean.vec and transform.mat."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import replaced_together
from avsv.kaldi.matrices import read_array, write_array

BLOCK = 1024  # rows transformed at a time: they stay in the processor's cache


@dataclass(frozen=True)
class Projection:
    """`transform @ (x - center)`.

    center : (D,), or None
    transform : (d, D); or (d, D + 1) where there is no center and the last column is added, as Kaldi's transform-vec
        has it; None where embeddings are only centred
    """

    center: np.ndarray | None
    transform: np.ndarray | None = None

    @property
    def size(self) -> int | None:
        """Values of what comes out; None where it is as many as go in."""
        return len(self.transform) if self.transform is not None else None if self.center is None else len(self.center)

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Embeddings (n, D) to (n, d) float32.

        Examples
        --------
        >>> Projection(np.array([1.0, 0]), np.array([[2.0, 0]])).apply(np.array([[3.0, 5.0]]))
        array([[4.]], dtype=float32)
        >>> Projection(None, np.array([[2.0, 0, 10.0]])).apply(np.array([[3.0, 5.0]]))
        array([[16.]], dtype=float32)
        """
        transform, offset, size = self.transform, np.float32(0), vectors.shape[1]
        if self.center is None and transform is not None and transform.shape[1] == size + 1:
            transform, offset = transform[:, :-1], transform[:, -1].astype(np.float32)
        wanted = len(self.center) if self.center is not None else size if transform is None else transform.shape[1]
        if size != wanted:
            raise InputError(f"the back-end is for embeddings of {wanted} values, these have {size}")
        center = np.float32(0) if self.center is None else self.center.astype(np.float32)
        if transform is None:
            return (vectors - center).astype(np.float32, copy=False)
        transform = transform.T.astype(np.float32)
        projected = np.empty((len(vectors), transform.shape[1]), np.float32)
        for start in range(0, len(vectors), BLOCK):
            part = slice(start, start + BLOCK)
            np.matmul(vectors[part] - center, transform, out=projected[part], casting="same_kind")
        return projected if self.center is not None else projected + offset


def read_projection(center: Path | str | None, transform: Path | str | None = None) -> Projection:
    """Read Kaldi's mean.vec and transform.mat, both or one of them.

    A transform with one more column than the mean has values ends with an offset, as Kaldi's ivector-compute-lda writes
    it; it becomes part of the centre.

    Raises
    ------
    InputError : a file is absent or damaged, holds no vector or no matrix, or a value is not finite, or their sizes
        do not fit
    """
    mean = None if center is None else read_finite(center)
    if mean is not None and mean.ndim != 1:
        raise InputError(f"{center}: expected a vector, found a matrix of {mean.shape[0]} rows")
    if transform is None:
        return Projection(mean)
    matrix = read_finite(transform)
    if matrix.ndim != 2 or not matrix.size:
        raise InputError(f"{transform}: expected a matrix, found shape {matrix.shape}")
    if mean is None:
        return Projection(None, matrix)
    if matrix.shape[1] == len(mean) + 1:
        matrix, offset = matrix[:, :-1], matrix[:, -1]
        mean = mean - np.linalg.lstsq(matrix, offset, rcond=None)[0]
    if matrix.shape[1] != len(mean):
        raise InputError(f"{center} has {len(mean)} values, {transform} is for {matrix.shape[1]}")
    return Projection(mean, matrix)


def read_finite(path: Path | str) -> np.ndarray:
    array = read_array(path).astype(np.float64)
    if not np.isfinite(array).all():
        raise InputError(f"{path}: holds NaN or infinite values")
    return array


def write_projection(folder: Path | str, projection: Projection, text: bool = False) -> None:
    """Write `mean.vec` and `transform.mat`, float as Kaldi's tools do, and remove the one that the projection lacks.

    Raises
    ------
    InputError : a value is not finite; nothing is written then
    """
    parts = {"mean.vec": projection.center, "transform.mat": projection.transform}
    for name, part in parts.items():
        if part is not None and not np.isfinite(part).all():
            raise InputError(f"{Path(folder) / name}: would hold NaN or infinite values, so nothing was written; are "
                            "the training embeddings all the same in some direction?")  # fmt: skip
    # all are removed before one is replaced: none may be taken for the other's
    with replaced_together(*(Path(folder) / name for name in parts)):
        for name, part in parts.items():
            if part is not None:
                write_array(Path(folder) / name, part.astype("<f4"), text)
