"""Two-covariance PLDA: an embedding is a person's place plus a clip's deviation, both Gaussian.

x = mean + y + e with y ~ N(0, between) shared by a person's clips and e ~ N(0, within); Bruemmer and de Villiers, "The
speaker partitioning problem", Odyssey 2010. Training and scoring work in the basis in which the within-person
covariance is I and the between-person covariance diag(psi), so that nothing is inverted but numbers (Ioffe, ECCV 2006;
Kaldi's plda.cc).
"""

import logging
from dataclasses import dataclass

import numpy as np

from avsv.errors import UserError
from avsv.kaldi.embeddings import Embeddings
from avsv.scoring.lda import ClassStatistics, class_statistics, train_lda

log = logging.getLogger("avsv")
BLOCK = 4096  # rows transformed at a time


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
    """The back-end: centre, reduce by LDA, scale to length sqrt(d), then the two-covariance model.

    center : (D,) mean of the training embeddings
    reduce : (d, D) LDA
    gaussians : of dimension d
    """

    center: np.ndarray
    reduce: np.ndarray
    gaussians: Gaussians

    def project(self, vectors: np.ndarray) -> np.ndarray:
        """Embeddings (n, D) in the basis of the model, (n, d) float64."""
        projected = np.empty((len(vectors), len(self.gaussians.psi)))
        for start in range(0, len(vectors), BLOCK):
            reduced = fixed_length((vectors[start : start + BLOCK] - self.center) @ self.reduce.T)
            projected[start : start + BLOCK] = (reduced - self.gaussians.mean) @ self.gaussians.transform.T
        return projected

    def sides(self, embeddings: Embeddings) -> tuple[np.ndarray, np.ndarray]:
        """Two float32 arrays (n, d + 2) whose inner products are the log-likelihood ratios."""
        if not len(embeddings):
            return embeddings.vectors, embeddings.vectors
        if embeddings.vectors.shape[1] != len(self.center):
            size = embeddings.vectors.shape[1]
            raise UserError(f"the PLDA is of embeddings of {len(self.center)} values, these have {size}")
        return inner_product_form(self.project(embeddings.vectors), self.gaussians.psi)


def fixed_length(vectors: np.ndarray) -> np.ndarray:
    """Scale rows to length sqrt(d) (Garcia-Romero and Espy-Wilson, Interspeech 2011); a zero row stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors * (np.sqrt(vectors.shape[1]) / np.where(length > 0, length, 1))


def train_plda(
    vectors: np.ndarray, people: np.ndarray, lda_dim: int | None = None, iterations: int = 10
) -> tuple[Plda, list[float]]:
    """Train the back-end on labelled embeddings.

    Parameters
    ----------
    vectors : (n, D)
    people : (n,) int, all of 0..k-1 occurring
    lda_dim : dimensions kept; None for all that carry something
    iterations : of EM

    Returns
    -------
    the model, and the log-likelihood per embedding before each iteration and after the last

    Raises
    ------
    UserError : too few people, or one embedding for each of them
    """
    center = np.mean(vectors, axis=0, dtype=np.float64)
    reduce = train_lda(class_statistics(vectors - center, people), lda_dim)
    reduced = np.empty((len(vectors), len(reduce)))
    for start in range(0, len(vectors), BLOCK):
        reduced[start : start + BLOCK] = fixed_length((vectors[start : start + BLOCK] - center) @ reduce.T)
    gaussians, likelihoods = train_gaussians(class_statistics(reduced, people), iterations)
    return Plda(center, reduce, gaussians), likelihoods


def train_gaussians(statistics: ClassStatistics, iterations: int = 10) -> tuple[Gaussians, list[float]]:
    """Fit the two-covariance model by EM on sufficient statistics; the likelihood never falls.

    An iteration moves the mean to its best value given the covariances, then does the EM step of both covariances.

    Returns
    -------
    the model, and the log-likelihood per vector before each iteration and after the last
    """
    counts = statistics.counts[:, None].astype(np.float64)
    n, (k, d) = statistics.n, statistics.means.shape
    mean = statistics.means.mean(axis=0)
    within = statistics.within / max(1, n - k)
    within += 1e-6 * max(np.trace(within), 1e-300) / d * np.eye(d)  # regular, whatever the data
    centred = statistics.means - mean
    between = centred.T @ centred / k
    likelihoods = []
    for iteration in range(iterations + 1):
        basis, psi, back = diagonalise(within, between)
        gain = counts / (1 + counts * psi)  # (k, d): what a person's mean weighs, and the inverse of its variance
        places = (statistics.means - mean) @ basis.T
        shift = (gain * places).sum(axis=0) / gain.sum(axis=0)
        mean, places = mean + back @ shift, places - shift
        scatter = basis @ statistics.within @ basis.T
        log_det = -2 * np.linalg.slogdet(basis)[1]
        fit = np.trace(scatter) + (np.log1p(counts * psi) + gain * places**2).sum()
        likelihoods.append(-0.5 * (d * np.log(2 * np.pi) + log_det + fit / n))
        if iteration == iterations:
            return Gaussians(mean, basis, psi), likelihoods
        posterior, variance = psi * gain * places, psi / (1 + counts * psi)
        rest = (places - posterior) * np.sqrt(counts)
        new_between = (posterior.T @ posterior + np.diag(variance.sum(axis=0))) / k
        new_within = (scatter + rest.T @ rest + np.diag((counts * variance).sum(axis=0))) / n
        within, between = back @ new_within @ back.T, back @ new_between @ back.T


def diagonalise(within: np.ndarray, between: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Basis in which `within` is I and `between` diagonal.

    Returns
    -------
    basis : (d, d), `basis @ within @ basis.T` is I
    psi : (d,) the diagonal of `basis @ between @ basis.T`, falling
    back : (d, d) inverse of the basis

    Examples
    --------
    >>> diagonalise(4 * np.eye(1), 8 * np.eye(1))[1]
    array([2.])
    """
    lower = np.linalg.cholesky((within + within.T) / 2)
    half = np.linalg.solve(lower, between)
    psi, axes = np.linalg.eigh(np.linalg.solve(lower, half.T))
    axes = axes[:, ::-1]
    return np.linalg.solve(lower.T, axes).T, np.maximum(psi[::-1], 0), lower @ axes


def plda_llr(enroll: np.ndarray, test: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """Log-likelihood ratio of same to different person under two-covariance PLDA, every pair.

    Vectors are centred and transformed so that the within-person covariance is I and the between-person covariance
    diag(psi). Equations (7)-(8) of Burget et al., ICASSP 2011, in that basis.

    Parameters
    ----------
    enroll : (n, d) float
    test : (m, d) float
    psi : (d,) float, all >= 0

    Returns
    -------
    (n, m) float, natural logarithm

    Examples
    --------
    >>> plda_llr(np.zeros((1, 1)), np.zeros((1, 1)), np.array([3.0])).round(4)
    array([[0.4133]])
    """
    cross, own, constant = llr_terms(psi)
    return (enroll * cross) @ test.T + (enroll**2 @ own)[:, None] + test**2 @ own + constant


def llr_terms(psi: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """`cross`, `own`, `constant` of LLR(x, y) = sum(cross x y) + sum(own (x^2 + y^2)) + constant.

    A pair (x, y) of one coordinate has variance 1 + psi in both, and covariance psi where it is of one person.
    """
    total = 1 + psi
    determinant = total**2 - psi**2  # 1 + 2 psi
    cross = psi / determinant
    own = 0.5 * (1 / total - total / determinant)
    return cross, own, float((np.log(total) - 0.5 * np.log(determinant)).sum())


def inner_product_form(projected: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Enrolment and test side, float32 (n, d + 2), such that left[i] @ right[j] is the ratio of `plda_llr`.

    left = [cross x, sum(own x^2) + constant, 1], right = [y, 1, sum(own y^2)].
    """
    cross, own, constant = llr_terms(psi)
    alone = projected**2 @ own
    left = np.empty((len(projected), len(psi) + 2), np.float32)
    right = np.empty_like(left)
    left[:, :-2], left[:, -2], left[:, -1] = projected * cross, alone + constant, 1
    right[:, :-2], right[:, -2], right[:, -1] = projected, 1, alone
    return left, right
