"""Centring and a linear map of embeddings: LDA or whitening, Kaldi's mean.vec and transform.mat."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.kaldi.matrices import read_array, write_array

BLOCK = 1024  # rows transformed at a time: they stay in the processor's cache


@dataclass(frozen=True)
class Projection:
    """`transform @ (x - center)`.

    center : (D,)
    transform : (d, D); None where embeddings are centred only
    """

    center: np.ndarray
    transform: np.ndarray | None = None

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Embeddings (n, D) to (n, d) float32.

        Examples
        --------
        >>> Projection(np.array([1.0, 0]), np.array([[2.0, 0]])).apply(np.array([[3.0, 5.0]]))
        array([[4.]], dtype=float32)
        """
        if vectors.shape[1] != len(self.center):
            raise UserError(
                f"the back-end is for embeddings of {len(self.center)} values, these have {vectors.shape[1]}"
            )
        center = self.center.astype(np.float32)
        if self.transform is None:
            return vectors - center
        transform = self.transform.T.astype(np.float32)
        projected = np.empty((len(vectors), transform.shape[1]), np.float32)
        for start in range(0, len(vectors), BLOCK):
            part = slice(start, start + BLOCK)
            np.matmul(vectors[part] - center, transform, out=projected[part], casting="same_kind")
        return projected


def read_projection(center: Path | str, transform: Path | str | None = None) -> Projection:
    """Read Kaldi's mean.vec, and transform.mat if it is to be applied too.

    A transform with one more column than the mean has values ends with an offset, as Kaldi's ivector-compute-lda writes
    it; it becomes part of the centre.

    Raises
    ------
    UserError : a file is absent or damaged, holds no vector or no matrix, or their sizes do not fit
    """
    mean = read_array(center).astype(np.float64)
    if mean.ndim != 1:
        raise UserError(f"{center}: expected a vector, found a matrix of {mean.shape[0]} rows")
    if transform is None:
        return Projection(mean)
    matrix = read_array(transform).astype(np.float64)
    if matrix.ndim != 2 or not len(matrix):
        raise UserError(f"{transform}: expected a matrix, found shape {matrix.shape}")
    if matrix.shape[1] == len(mean) + 1:
        matrix, offset = matrix[:, :-1], matrix[:, -1]
        mean = mean - np.linalg.lstsq(matrix, offset, rcond=None)[0]
    if matrix.shape[1] != len(mean):
        raise UserError(f"{center} has {len(mean)} values, {transform} is for {matrix.shape[1]}")
    return Projection(mean, matrix)


def write_projection(folder: Path | str, projection: Projection, text: bool = False) -> None:
    """Write `mean.vec` and `transform.mat`, float as Kaldi's tools do."""
    write_array(Path(folder) / "mean.vec", projection.center.astype("<f4"), text)
    write_array(Path(folder) / "transform.mat", projection.transform.astype("<f4"), text)
