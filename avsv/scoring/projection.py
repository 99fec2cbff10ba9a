"""Centring and a linear map (LDA or whitening) of embeddings, as in Kaldi's mean.vec and transform.mat."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import replaced_together
from avsv.kaldi.matrices import read_array, write_array

BLOCK = 1024  # rows transformed at a time, small enough for the processor's cache


@dataclass(frozen=True)
class Projection:
    """The affine map `transform @ (x - center)`.

    center : (D,), or None for no centring
    transform : (d, D), or None to centre only. Without a center it may be (d, D + 1); the last column is then added, as
        by Kaldi's transform-vec
    """

    center: np.ndarray | None
    transform: np.ndarray | None = None

    @property
    def size(self) -> int | None:
        """Size of the output; None if equal to that of the input."""
        return len(self.transform) if self.transform is not None else None if self.center is None else len(self.center)

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Map embeddings (n, D) to (n, d) float32; raises InputError if they have another size.

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
        expected = len(self.center) if self.center is not None else size if transform is None else transform.shape[1]
        if size != expected:
            raise InputError(f"the back-end expects embeddings of {expected} values, found {size}")
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
    """Read Kaldi's mean.vec and transform.mat, or one of them.

    If the transform has one column more than the mean has values, its last column is an offset, as written by Kaldi's
    ivector-compute-lda; it is merged into the centre.

    Raises
    ------
    InputError : a file is absent, damaged, or not a vector or matrix; a value is not finite; or the sizes do not match
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
        raise InputError(f"{center} has {len(mean)} values, but {transform} expects {matrix.shape[1]}")
    return Projection(mean, matrix)


def read_finite(path: Path | str) -> np.ndarray:
    """Read a vector or matrix as float64; raises InputError if a value is not finite."""
    array = read_array(path).astype(np.float64)
    if not np.isfinite(array).all():
        raise InputError(f"{path}: has NaN or infinite values")
    return array


def write_projection(folder: Path | str, projection: Projection, text: bool = False) -> None:
    """Write `mean.vec` and `transform.mat` in single precision, as Kaldi's tools do.

    An existing file is removed if the projection does not have that part.

    Raises
    ------
    InputError : a value is not finite; then nothing is written
    """
    parts = {"mean.vec": projection.center, "transform.mat": projection.transform}
    for name, part in parts.items():
        if part is not None and not np.isfinite(part).all():
            raise InputError(f"{Path(folder) / name}: not written, because values are NaN or infinite; are the "
                            "training embeddings identical in some direction?")  # fmt: skip
    # both are removed before one is replaced, to keep files of different runs apart
    with replaced_together(*(Path(folder) / name for name in parts)):
        for name, part in parts.items():
            if part is not None:
                write_array(Path(folder) / name, part.astype("<f4"), text)
