"""Gaussian mixture models with diagonal or full covariances, and their training by expectation maximisation (EM)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from avsv.errors import InputError

LOG_2PI = np.log(2 * np.pi)
AT_ONCE = 1024  # frames whose posteriors are in memory at a time
LARGEST_CONDITION = 1e4  # ratio of the eigenvalues of a full covariance, as in Kaldi
FOR_SEEDS = 50  # frames a Gaussian among which the initial means are chosen


@dataclass(frozen=True)
class DiagGmm:
    """Gaussians with diagonal covariances.

    weights : (k,) ; means : (k, d) ; variances : (k, d), all float64
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    @cached_property
    def constants(self) -> np.ndarray:
        """(k,) log density, with the weight, at the origin."""
        fit = np.log(self.variances).sum(axis=1) + (self.means**2 / self.variances).sum(axis=1)
        return log_weights(self.weights) - 0.5 * (self.means.shape[1] * LOG_2PI + fit)

    def log_joint(self, frames: np.ndarray) -> np.ndarray:
        """Logarithm of weight times density of each Gaussian for each frame: (t, d) -> (t, k).

        Examples
        --------
        >>> gmm = DiagGmm(np.array([1.0]), np.zeros((1, 2)), np.ones((1, 2)))
        >>> gmm.log_joint(np.zeros((1, 2))).round(4)  # -ln(2 pi)
        array([[-1.8379]])
        """
        precisions = 1 / self.variances
        joint = frames @ (self.means * precisions).T
        joint -= np.square(frames) @ (0.5 * precisions).T
        joint += self.constants
        return joint

    def second_order(self, frames: np.ndarray, posteriors: np.ndarray) -> np.ndarray:
        """Sums of squares weighted by the posteriors: (k, d)."""
        return posteriors.T @ np.square(frames)

    def updated(self, statistics: "GmmStatistics", floor: float, least: "Least") -> "DiagGmm":
        """The M step of EM.

        Parameters
        ----------
        floor : smallest variance
        least : Gaussians with fewer frames keep their mean and variance
        """
        enough, weights = least.of(statistics.counts)
        counts = statistics.counts[enough, None]
        means, variances = self.means.copy(), self.variances.copy()
        means[enough] = statistics.first[enough] / counts
        variances[enough] = np.maximum(statistics.second[enough] / counts - means[enough] ** 2, floor)
        return DiagGmm(weights, means, variances)

    def full(self) -> "FullGmm":
        """The same model with full covariances."""
        return FullGmm(self.weights, self.means, self.variances[:, :, None] * np.eye(self.means.shape[1]))


@dataclass(frozen=True)
class FullGmm:
    """Gaussians with full covariances.

    weights : (k,) ; means : (k, d) ; covariances : (k, d, d), all float64
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    @cached_property
    def diagonal(self) -> DiagGmm:
        """The model with the diagonals of the covariances, which selects Gaussians quickly."""
        return DiagGmm(self.weights, self.means, np.diagonal(self.covariances, axis1=1, axis2=2).copy())

    @cached_property
    def whitening(self) -> np.ndarray:
        """(k, d, d) inverses of the Cholesky factors of the covariances."""
        return np.linalg.inv(np.linalg.cholesky(self.covariances))

    def log_joint(self, frames: np.ndarray, select: int | None = None) -> np.ndarray:
        """Logarithm of weight times density: (t, d) -> (t, k).

        Parameters
        ----------
        select : evaluate only this many Gaussians a frame, the likeliest by the diagonal model; the others are -inf

        Examples
        --------
        >>> gmm = FullGmm(np.array([1.0]), np.zeros((1, 2)), np.eye(2)[None])
        >>> gmm.log_joint(np.zeros((1, 2))).round(4)  # -ln(2 pi)
        array([[-1.8379]])
        """
        k, d = self.means.shape
        log_dets = -2 * np.log(np.diagonal(self.whitening, axis1=1, axis2=2)).sum(axis=1)
        constants = log_weights(self.weights) - 0.5 * (d * LOG_2PI + log_dets)
        selected = np.ones((len(frames), k), bool)
        if select is not None and select < k:
            selected[:] = False
            likeliest = np.argpartition(self.diagonal.log_joint(frames), k - select, axis=1)[:, k - select :]
            np.put_along_axis(selected, likeliest, True, axis=1)
        joint = np.full((len(frames), k), -np.inf)
        for one in range(k):
            rows = np.flatnonzero(selected[:, one])
            if len(rows):
                white = (frames[rows] - self.means[one]) @ self.whitening[one].T
                joint[rows, one] = constants[one] - 0.5 * np.square(white).sum(axis=1)
        return joint

    def second_order(self, frames: np.ndarray, posteriors: np.ndarray) -> np.ndarray:
        """Sums of outer products weighted by the posteriors: (k, d, d)."""
        total = np.zeros_like(self.covariances)
        for one in range(len(total)):
            rows = np.flatnonzero(posteriors[:, one])
            total[one] = (frames[rows] * posteriors[rows, one, None]).T @ frames[rows]
        return total

    def updated(self, statistics: "GmmStatistics", floor: float, least: "Least") -> "FullGmm":
        """The M step of EM.

        Parameters
        ----------
        floor : smallest eigenvalue of a covariance; the condition number is limited to 10,000 too
        least : Gaussians with fewer frames keep their mean and covariance
        """
        enough, weights = least.of(statistics.counts)
        means, covariances = self.means.copy(), self.covariances.copy()
        for one in np.flatnonzero(enough):
            means[one] = statistics.first[one] / statistics.counts[one]
            covariance = statistics.second[one] / statistics.counts[one] - np.outer(means[one], means[one])
            values, axes = np.linalg.eigh(covariance)
            values = np.maximum(values, max(floor, values[-1] / LARGEST_CONDITION))
            covariances[one] = (axes * values) @ axes.T
        return FullGmm(weights, means, covariances)


Gmm = DiagGmm | FullGmm


@dataclass(frozen=True)
class Least:
    """What a Gaussian needs to be updated.

    count : frames ; weight : the smallest weight that a Gaussian keeps, too
    """

    count: float
    weight: float

    def of(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which Gaussians have enough frames, (k,) bool, and the new weights, (k,)."""
        weights = counts / counts.sum()
        enough = (counts > self.count) & (weights > self.weight)
        weights = np.where(enough, weights, np.maximum(weights, self.weight))
        return enough, weights / weights.sum()


@dataclass(frozen=True)
class GmmStatistics:
    """Sums over frames, weighted by the posteriors of the Gaussians: what an EM step needs.

    counts : (k,) ; first : (k, d) ; second : (k, d) or (k, d, d)
    log_likelihood : of all frames ; n : number of frames
    """

    counts: np.ndarray
    first: np.ndarray
    second: np.ndarray
    log_likelihood: float
    n: int

    def __add__(self, other: "GmmStatistics") -> "GmmStatistics":
        return GmmStatistics(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def log_weights(weights: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):  # a Gaussian of weight 0 is never chosen
        return np.log(weights)


def posteriors_of(joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posteriors of the Gaussians, (t, k), and the log-likelihood of each frame, (t,), from `log_joint`.

    Examples
    --------
    >>> posteriors_of(np.log([[0.3, 0.1]]))[0].round(2).tolist()
    [[0.75, 0.25]]
    """
    peak = joint.max(axis=1, keepdims=True)
    posteriors = np.exp(joint - peak)
    total = posteriors.sum(axis=1, keepdims=True)
    posteriors /= total
    return posteriors, (peak + np.log(total))[:, 0]


def accumulate(gmm: Gmm, frames: np.ndarray, select: int | None = None) -> GmmStatistics:
    """The E step: statistics of any number of frames, at least one, in blocks.

    Parameters
    ----------
    frames : (t, d)
    select : Gaussians a frame of a full model, see `FullGmm.log_joint`

    Examples
    --------
    >>> gmm = DiagGmm(np.array([1.0]), np.zeros((1, 1)), np.ones((1, 1)))
    >>> accumulate(gmm, np.array([[1.0], [2.0]])).second
    array([[5.]])
    """
    total = None
    for begin in range(0, len(frames), AT_ONCE):
        block = frames[begin : begin + AT_ONCE]
        joint = gmm.log_joint(block, select) if isinstance(gmm, FullGmm) else gmm.log_joint(block)
        posteriors, likelihoods = posteriors_of(joint)
        part = GmmStatistics(posteriors.sum(axis=0), posteriors.T @ block, gmm.second_order(block, posteriors),
                             float(likelihoods.sum()), len(block))  # fmt: skip
        total = part if total is None else total + part
    return total


def initial_gmm(frames: np.ndarray, n: int, passes: int, seed: int, floor: float, least: Least) -> DiagGmm:
    """A diagonal model from a sample of frames: k-means in the first half of the passes, EM in the second.

    Kaldi starts from random frames and splits Gaussians instead. Distances are in standard deviations of each value.

    Parameters
    ----------
    frames : (t, d), in memory
    passes : over the frames

    Raises
    ------
    InputError : fewer frames than Gaussians

    Examples
    --------
    >>> frames = np.random.default_rng(0).normal([[-5.0], [5.0]], 1, (2, 500)).reshape(-1, 1)
    >>> gmm = initial_gmm(frames, 2, passes=10, seed=0, floor=1e-3, least=Least(1, 1e-4))
    >>> np.sort(gmm.means[:, 0]).round()
    array([-5.,  5.])
    """
    if len(frames) < n:
        raise InputError(f"{len(frames)} frames of speech are too few for {n} Gaussians; use more data or fewer "
                        "Gaussians")  # fmt: skip
    rng = np.random.default_rng(seed)
    overall = np.maximum(frames.var(axis=0), floor)
    centres = distant_frames(frames / np.sqrt(overall), n, rng) * np.sqrt(overall)
    gmm = DiagGmm(np.full(n, 1 / n), centres, np.tile(overall, (n, 1)))
    for number in range(passes):
        if number < passes // 2:
            gmm = nearest_updated(gmm, frames, overall, floor, least)
        else:
            gmm = gmm.updated(accumulate(gmm, frames), floor, least)
    return gmm


def distant_frames(frames: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Frames to start k-means from: drawn with a probability that grows as the squared distance to those before.

    k-means++ of Arthur and Vassilvitskii, SODA 2007, on at most 50 frames a centre.
    """
    some = frames[rng.choice(len(frames), min(len(frames), FOR_SEEDS * n), replace=False)]
    chosen = [int(rng.integers(len(some)))]
    distances = np.square(some - some[chosen[0]]).sum(axis=1)
    while len(chosen) < n:
        total = distances.sum()  # 0 if all frames are equal to a chosen one
        chosen.append(int(rng.choice(len(some), p=distances / total if total > 0 else None)))
        distances = np.minimum(distances, np.square(some - some[chosen[-1]]).sum(axis=1))
    return some[chosen]


def nearest_updated(gmm: DiagGmm, frames: np.ndarray, overall: np.ndarray, floor: float, least: Least) -> DiagGmm:
    """A step of k-means: each Gaussian gets the mean, variance and share of the frames nearest to its mean."""
    k, d = gmm.means.shape
    measure = DiagGmm(np.full(k, 1 / k), gmm.means, np.tile(overall, (k, 1)))
    counts, first, second = np.zeros(k), np.zeros((k, d)), np.zeros((k, d))
    for begin in range(0, len(frames), AT_ONCE):
        block = frames[begin : begin + AT_ONCE]
        nearest = np.zeros((len(block), k))
        nearest[np.arange(len(block)), measure.log_joint(block).argmax(axis=1)] = 1
        counts += nearest.sum(axis=0)
        first += nearest.T @ block
        second += gmm.second_order(block, nearest)
    return gmm.updated(GmmStatistics(counts, first, second, 0.0, len(frames)), floor, least)
