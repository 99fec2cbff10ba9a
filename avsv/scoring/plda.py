"""Two-covariance PLDA: an embedding is a speaker mean plus a deviation of the clip, both Gaussian.

x = mean + y + e with y ~ N(0, between) shared by a speaker's clips and e ~ N(0, within); Bruemmer and de Villiers, "The
speaker partitioning problem", Odyssey 2010. Training and scoring work in the basis in which the within-speaker
covariance is I and the between-speaker covariance diag(psi), where only scalars have to be inverted (Ioffe, ECCV 2006;
Kaldi's plda.cc).
"""

from dataclasses import dataclass, replace

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.kaldi.embeddings import Embeddings
from avsv.scoring.projection import BLOCK, Projection

LENGTHS = ("sqrt-dim", "one", "as-is")
NORMALIZATIONS = ("none", "model", "simple")


@dataclass(frozen=True)
class Gaussians:
    """A two-covariance model: `transform @ (x - mean)` has within-speaker covariance I, between-speaker diag(psi).

    mean : (d,)
    transform : (d, d)
    psi : (d,), in descending order, all >= 0
    """

    mean: np.ndarray
    transform: np.ndarray
    psi: np.ndarray


@dataclass(frozen=True)
class Plda:
    """The PLDA back-end: centring and LDA, length normalisation, then the two-covariance model.

    projection : from D to d values
    gaussians : of dimension d
    length : one of LENGTHS, the length vectors are scaled to before the model
    """

    projection: Projection
    gaussians: Gaussians
    length: str = "sqrt-dim"

    def project(self, vectors: np.ndarray) -> np.ndarray:
        """Map embeddings (n, D) to the basis of the model, (n, d) float32; raises InputError if sizes differ."""
        mean, basis = self.gaussians.mean.astype(np.float32), self.gaussians.transform.T.astype(np.float32)
        reduced = self.projection.apply(vectors)
        if reduced.shape[1] != len(mean):
            raise InputError(f"the PLDA model expects vectors of {len(mean)} values, found {reduced.shape[1]}")
        return (fixed_length(reduced, self.length) - mean) @ basis


def fixed_length(vectors: np.ndarray, length: str = "sqrt-dim") -> np.ndarray:
    """Scale rows to a fixed length (Garcia-Romero and Espy-Wilson, Interspeech 2011); a zero row stays zero.

    Parameters
    ----------
    vectors : (n, d) float
    length : "sqrt-dim", the square root of the dimension, as Kaldi's ivector-normalize-length; "one", as VBx's PLDA
        expects; "as-is", no scaling

    Returns
    -------
    (n, d) of the type of `vectors`

    Examples
    --------
    >>> fixed_length(np.array([[3.0, 4.0]]), "one")
    array([[0.6, 0.8]])
    """
    refuse_unknown("length", length, LENGTHS)
    if length == "as-is":
        return vectors
    target = np.sqrt(vectors.shape[1]) if length == "sqrt-dim" else 1
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors * (vectors.dtype.type(target) / np.where(norm > 0, norm, 1))


def expected_length(means: np.ndarray, psi: np.ndarray, kind: str, n: int = 1) -> np.ndarray:
    """Scale vectors in the basis of the model as Kaldi's Plda::TransformIvector does.

    Parameters
    ----------
    means : (m, d), each the mean of n recordings of one speaker
    psi : (d,)
    kind : one of NORMALIZATIONS: "none" (Kaldi's normalize-length=false); "model" (normalize-length=true, Kaldi's
        default), the length that the model expects: sum(y^2 / (psi + 1/n)) = d; "simple" (simple-length-norm=true as
        well), sqrt(d)

    Returns
    -------
    (m, d); a zero vector stays zero

    Examples
    --------
    >>> expected_length(np.array([[0.5]]), np.array([3.0]), "model")
    array([[2.]])
    >>> expected_length(np.array([[3.0, 4.0]]), np.array([3.0, 1.0]), "simple").round(4)
    array([[0.8485, 1.1314]])
    """
    refuse_unknown("length normalisation", kind, NORMALIZATIONS)
    if kind == "none":
        return means
    variance = 1 if kind == "simple" else (psi + 1 / n).astype(means.dtype)
    square = (means**2 / variance).sum(axis=1, keepdims=True)
    return means * np.sqrt(means.dtype.type(len(psi)) / np.where(square > 0, square, 1))


@dataclass(frozen=True)
class Ratio:
    """PLDA's log-likelihood ratio as an inner product of two sides; a back-end (see backend.py).

    With the terms of `llr_terms`, the test side is [y, sum of test(n) y^2 over coordinates for each n in `counts`, 1].
    The enrolment side of n recordings is [cross(n) x, 1 in the column of n and 0 in the others, sum of enroll(n) x^2 +
    constant(n)].

    plda : the model
    counts : possible numbers of enrolment recordings; the first is 1
    normalization : one of NORMALIZATIONS, see `expected_length`
    """

    plda: Plda
    counts: tuple[int, ...] = (1,)
    normalization: str = "none"

    def for_counts(self, counts: np.ndarray) -> "Ratio":
        """A back-end for speakers enrolled with one recording or with any of these numbers of recordings, (m,) int."""
        return replace(self, counts=(1, *sorted(set(counts.tolist()) - {1})))

    @np.errstate(over="ignore", invalid="ignore")  # finite.py refuses to write scores that are not finite
    def __call__(self, embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
        """Enrolment side (of one recording) and test side of embeddings, float32 (n, d + len(counts) + 1) each."""
        psi = self.plda.gaussians.psi
        d, n = len(psi), len(embeddings)
        left = np.empty((n, d + len(self.counts) + 1), np.float32)
        right = np.empty_like(left)
        own = np.stack([llr_terms(psi, count)[2] for count in self.counts], axis=1).astype(np.float32)
        for start in range(0, n, BLOCK):
            part = slice(start, start + BLOCK)
            projected = self.plda.project(embeddings.vectors[part])
            left[part] = self.enroll(projected, np.ones(len(projected), int))
            projected = expected_length(projected, psi, self.normalization)
            right[part, :d], right[part, d:-1], right[part, -1] = projected, projected**2 @ own, 1
        return left, right

    def enroll(self, means: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Enrolment side of speakers with several recordings, (k, d + len(counts) + 1) float32.

        Parameters
        ----------
        means : (k, >= d) mean of each speaker's recordings in the model's basis; columns after the first d are ignored
        counts : (k,) int, recordings of each speaker
        """
        psi = self.plda.gaussians.psi
        d = len(psi)
        side = np.zeros((len(means), d + len(self.counts) + 1), np.float32)
        for column, count in enumerate(self.counts, d):
            rows = np.flatnonzero(counts == count) if len(self.counts) > 1 else slice(None)
            cross, own, _, constant = llr_terms(psi, count)
            scaled = expected_length(means[rows, :d], psi, self.normalization, count)
            side[rows, :d], side[rows, column] = scaled * cross.astype(np.float32), 1
            side[rows, -1] = scaled**2 @ own.astype(np.float32) + constant
        return side

    def in_model_basis(self, embeddings: Embeddings, right: np.ndarray) -> np.ndarray:
        """Recordings in the model's basis, (n, >= d), whose means `enroll` takes.

        These are the test sides `right`, unless each of those has been scaled by `normalization`.
        """
        return right if self.normalization == "none" else self.plda.project(embeddings.vectors)


def diagonalise(within: np.ndarray, between: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Basis in which `within` is I and `between` is diagonal.

    Parameters
    ----------
    within, between : (d, d) covariances

    Returns
    -------
    basis : (d, d), `basis @ within @ basis.T` is I
    psi : (d,) the diagonal of `basis @ between @ basis.T`, in descending order
    back : (d, d) inverse of the basis

    Raises
    ------
    InputError : `within` is not positive definite

    Examples
    --------
    >>> diagonalise(4 * np.eye(1), 8 * np.eye(1))[1]
    array([2.])
    """
    try:
        lower = np.linalg.cholesky((within + within.T) / 2)
    except np.linalg.LinAlgError:
        raise InputError("the within-speaker covariance is singular or not finite: give more speakers and recordings, "
                        "or keep fewer dimensions") from None  # fmt: skip
    half = np.linalg.solve(lower, between)
    psi, axes = np.linalg.eigh(np.linalg.solve(lower, half.T))
    axes = axes[:, ::-1]
    return np.linalg.solve(lower.T, axes).T, np.maximum(psi[::-1], 0), lower @ axes


def plda_llr(enroll: np.ndarray, test: np.ndarray, psi: np.ndarray, n: int = 1) -> np.ndarray:
    """Log-likelihood ratio of same to different speaker under two-covariance PLDA, for every pair.

    Vectors are centred and transformed so that the within-speaker covariance is I and the between-speaker covariance
    diag(psi). For one enrolment recording: equations (7)-(8) of Burget et al., ICASSP 2011, in that basis. For several:
    the test vector's density given all of them, over its density given none (Ioffe, ECCV 2006, between (4) and (5)).

    Parameters
    ----------
    enroll : (k, d) float, each the mean of n recordings of one speaker
    test : (m, d) float
    psi : (d,) float, all >= 0
    n : enrolment recordings of each speaker

    Returns
    -------
    (k, m) float, natural logarithm

    Examples
    --------
    >>> plda_llr(np.zeros((1, 1)), np.zeros((1, 1)), np.array([3.0])).round(4)
    array([[0.4133]])
    """
    cross, of_enroll, of_test, constant = llr_terms(psi, n)
    return (enroll * cross) @ test.T + (enroll**2 @ of_enroll)[:, None] + test**2 @ of_test + constant


def llr_terms(psi: np.ndarray, n: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """`cross`, `enroll`, `test`, `constant` of LLR(x, y) = sum(cross x y + enroll x^2 + test y^2) + constant.

    Given the mean x of n recordings, a coordinate of the speaker's mean has posterior mean `weight` x and variance
    psi / (1 + n psi). A further recording y of the same speaker has that variance plus 1; without the enrolment, y has
    variance 1 + psi.

    Parameters
    ----------
    psi : (d,) float, all >= 0
    n : enrolment recordings

    Returns
    -------
    cross, enroll, test : (d,) float
    constant : float

    Examples
    --------
    >>> cross, enroll, test, constant = llr_terms(np.array([3.0]))
    >>> round(constant, 4)  # the ratio of two vectors at the mean
    0.4133
    """
    weight, variance, total = n * psi / (1 + n * psi), 1 + psi / (1 + n * psi), 1 + psi
    test = 0.5 * (1 / total - 1 / variance)
    return weight / variance, -0.5 * weight**2 / variance, test, float(0.5 * np.log(total / variance).sum())
