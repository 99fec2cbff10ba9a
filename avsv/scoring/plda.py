"""Two-covariance PLDA: an embedding is a person's place plus a clip's deviation, both Gaussian.

x = mean + y + e with y ~ N(0, between) shared by a person's clips and e ~ N(0, within); Bruemmer and de Villiers, "The
speaker partitioning problem", Odyssey 2010. Training and scoring work in the basis in which the within-person
covariance is I and the between-person covariance diag(psi), so that nothing is inverted but numbers (Ioffe, ECCV 2006;
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
    """A two-covariance model; `transform @ (x - mean)` has within-person covariance I and between-person diag(psi).

    mean : (d,)
    transform : (d, d)
    psi : (d,), falling, all >= 0
    """

    mean: np.ndarray
    transform: np.ndarray
    psi: np.ndarray


@dataclass(frozen=True)
class Plda:
    """The back-end: centre, reduce by LDA, scale to a length, then the two-covariance model.

    projection : from embeddings of D values to d
    gaussians : of dimension d
    length : one of LENGTHS, what vectors are scaled to before the model
    """

    projection: Projection
    gaussians: Gaussians
    length: str = "sqrt-dim"

    def project(self, vectors: np.ndarray) -> np.ndarray:
        """Embeddings (n, D) in the basis of the model, (n, d) float32."""
        mean, basis = self.gaussians.mean.astype(np.float32), self.gaussians.transform.T.astype(np.float32)
        reduced = self.projection.apply(vectors)
        if reduced.shape[1] != len(mean):
            raise InputError(f"the PLDA model is for vectors of {len(mean)} values, these have {reduced.shape[1]}")
        return (fixed_length(reduced, self.length) - mean) @ basis


def fixed_length(vectors: np.ndarray, length: str = "sqrt-dim") -> np.ndarray:
    """Scale rows to a length (Garcia-Romero and Espy-Wilson, Interspeech 2011); a zero row stays zero.

    Parameters
    ----------
    length : "sqrt-dim", the square root of the dimension, as Kaldi's ivector-normalize-length; "one", as VBx's PLDA
        expects; "as-is", no scaling
    """
    refuse_unknown("length", length, LENGTHS)
    if length == "as-is":
        return vectors
    wanted = np.sqrt(vectors.shape[1]) if length == "sqrt-dim" else 1
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors * (vectors.dtype.type(wanted) / np.where(norm > 0, norm, 1))


def expected_length(places: np.ndarray, psi: np.ndarray, kind: str, n: int = 1) -> np.ndarray:
    """Scale places in the basis of the model as Kaldi's Plda::TransformIvector does.

    Parameters
    ----------
    places : (m, d), each the mean of n recordings of one person
    psi : (d,)
    kind : one of NORMALIZATIONS: "none" (--normalize-length=false); "model" (true, Kaldi's default), the length that
        the model expects, so that sum(y^2 / (psi + 1/n)) is d; "simple" (--simple-length-norm=true as well), sqrt(d)

    Returns
    -------
    (m, d); a place that is zero stays zero

    Examples
    --------
    >>> expected_length(np.array([[0.5]]), np.array([3.0]), "model")
    array([[2.]])
    >>> expected_length(np.array([[3.0, 4.0]]), np.array([3.0, 1.0]), "simple").round(4)
    array([[0.8485, 1.1314]])
    """
    refuse_unknown("length normalisation", kind, NORMALIZATIONS)
    if kind == "none":
        return places
    variance = 1 if kind == "simple" else (psi + 1 / n).astype(places.dtype)
    square = (places**2 / variance).sum(axis=1, keepdims=True)
    return places * np.sqrt(places.dtype.type(len(psi)) / np.where(square > 0, square, 1))


@dataclass(frozen=True)
class Ratio:
    """PLDA's log-likelihood ratio as an inner product of two sides; a back-end (see backend.py).

    The test side is [y, the sums over coordinates of test(n) y^2 for each n in `counts`, 1], the enrolment side of n
    recordings [cross(n) x, 1 at the place of n, sum of enroll(n) x^2 + constant(n)], in the terms of `llr_terms`.

    plda : the model
    counts : numbers of recordings with which somebody may be enrolled; 1 is the first
    normalization : one of NORMALIZATIONS, see `expected_length`
    """

    plda: Plda
    counts: tuple[int, ...] = (1,)
    normalization: str = "none"

    def for_counts(self, counts: np.ndarray) -> "Ratio":
        """The same for people enrolled with one recording or with any of these numbers of them."""
        return replace(self, counts=(1, *sorted(set(counts.tolist()) - {1})))

    @np.errstate(over="ignore", invalid="ignore")  # scores that are not finite are refused where they are written
    def __call__(self, embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
        """Enrolment side (by this one recording) and test side of embeddings, float32 (n, d + len(counts) + 1)."""
        psi = self.plda.gaussians.psi
        d, n = len(psi), len(embeddings)
        left = np.empty((n, d + len(self.counts) + 1), np.float32)
        right = np.empty_like(left)
        own = np.stack([llr_terms(psi, count)[2] for count in self.counts], axis=1).astype(np.float32)
        for start in range(0, n, BLOCK):
            part = slice(start, start + BLOCK)
            places = self.plda.project(embeddings.vectors[part])
            left[part] = self.enroll(places, np.ones(len(places), int))
            places = expected_length(places, psi, self.normalization)
            right[part, :d], right[part, d:-1], right[part, -1] = places, places**2 @ own, 1
        return left, right

    def enroll(self, means: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Enrolment side of people: the mean of their recordings' places in the model's basis, and how many there are.

        means : (k, d or more), what is behind the first d values is not used
        """
        psi = self.plda.gaussians.psi
        d = len(psi)
        side = np.zeros((len(means), d + len(self.counts) + 1), np.float32)
        for column, count in enumerate(self.counts, d):
            rows = np.flatnonzero(counts == count) if len(self.counts) > 1 else slice(None)
            cross, own, _, constant = llr_terms(psi, count)
            places = expected_length(means[rows, :d], psi, self.normalization, count)
            side[rows, :d], side[rows, column] = places * cross.astype(np.float32), 1
            side[rows, -1] = places**2 @ own.astype(np.float32) + constant
        return side

    def places(self, embeddings: Embeddings, right: np.ndarray) -> np.ndarray:
        """Places of which `enroll` takes means, (n, d or more): of the test side, unless that was scaled one by one."""
        return right if self.normalization == "none" else self.plda.project(embeddings.vectors)


def diagonalise(within: np.ndarray, between: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Basis in which `within` is I and `between` diagonal.

    Returns
    -------
    basis : (d, d), `basis @ within @ basis.T` is I
    psi : (d,) the diagonal of `basis @ between @ basis.T`, falling
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
        raise InputError("the covariance within people is singular or not finite: the embeddings do not vary in some "
                        "direction, or too few people and recordings are given") from None  # fmt: skip
    half = np.linalg.solve(lower, between)
    psi, axes = np.linalg.eigh(np.linalg.solve(lower, half.T))
    axes = axes[:, ::-1]
    return np.linalg.solve(lower.T, axes).T, np.maximum(psi[::-1], 0), lower @ axes


def plda_llr(enroll: np.ndarray, test: np.ndarray, psi: np.ndarray, n: int = 1) -> np.ndarray:
    """Log-likelihood ratio of same to different person under two-covariance PLDA, every pair.

    Vectors are centred and transformed so that the within-person covariance is I and the between-person covariance
    diag(psi). One enrolment recording: equations (7)-(8) of Burget et al., ICASSP 2011, in that basis. Several: the
    test vector's density given them all, over its density given nothing (Ioffe, ECCV 2006, between (4) and (5)).

    Parameters
    ----------
    enroll : (k, d) float, each the mean of n recordings of one person
    test : (m, d) float
    psi : (d,) float, all >= 0
    n : enrolment recordings of a person

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

    Given the mean x of n recordings, a coordinate of the person's place has the mean `weight` x and the variance
    psi / (1 + n psi); a further recording y of the same person has 1 more. Without them y has variance 1 + psi.
    """
    weight, variance, total = n * psi / (1 + n * psi), 1 + psi / (1 + n * psi), 1 + psi
    test = 0.5 * (1 / total - 1 / variance)
    return weight / variance, -0.5 * weight**2 / variance, test, float(0.5 * np.log(total / variance).sum())
