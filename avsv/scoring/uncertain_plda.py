"""Heteroscedastic two-covariance PLDA: an embedding's within-speaker covariance grows with its uncertainty.

In the basis in which the within-speaker covariance of plda.py is I and the between-speaker covariance diag(psi),
recording i is x_i = y + e_i with e_i ~ N(0, v_i I). Its variance v_i = 1 + exp(base + weights . q_i) follows quality
measures q_i of the recording, monotonically in each. The log-likelihood ratio of a pair has a closed form per
dimension. It tends to 0 as either variance grows: a missing modality is one of infinite uncertainty, and the ratios of
voice and face add.

That the uncertainty of an embedding should reach the score is the idea of meta-embeddings (Bruemmer, Silnova, Burget
and Stafylakis, "Gaussian meta-embeddings for efficient scoring of a heavy-tailed PLDA model", Odyssey 2018) and of
xi-vectors (Lee, Wang and Koshinaka, "Xi-vector embedding for speaker recognition", IEEE Signal Processing Letters 28,
2021). The law of the variance and its training by cross-entropy are our choices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avsv.errors import InputError
from avsv.scoring.calibration import RIDGE
from avsv.scoring.newton import newton
from avsv.scoring.plda import Plda
from avsv.scoring.quality_fusion import standardise
from avsv.scoring.quality_training import prior_entropy

BLOCK = 1 << 11  # pairs compared at a time: their arrays fit a processor's cache
UNCERTAINTY_RIDGE = 0.003  # penalty on squared weights, relative to the cost of answering 0 to every trial
START = 0.2  # scale of the ratios at the start: PLDA is overconfident on embeddings of networks


@dataclass(frozen=True)
class Uncertainty:
    """How quality measures set the variance of a recording, and the map from the ratio to a calibrated one.

    mean, deviation : (k,) of the measures of the training recordings
    base : natural logarithm of the added variance at average quality
    weights : (k,) its change per standard deviation of each measure
    log_scale : the calibrated ratio is exp(log_scale) times the ratio
    log_between : the between-speaker variances are exp(log_between) psi
    """

    mean: np.ndarray
    deviation: np.ndarray
    base: float
    weights: np.ndarray
    log_scale: float
    log_between: float

    def variances(self, quality: np.ndarray) -> np.ndarray:
        """Within-speaker variances of recordings, (n,) float64 > 1, from their quality (n, k).

        Examples
        --------
        >>> one = Uncertainty(np.array([10.0]), np.array([5.0]), 0.0, np.array([-1.0]), 0.0, 0.0)
        >>> one.variances(np.array([[10.0], [99.0]])).round(2).tolist()
        [2.0, 1.14]
        """
        return 1 + np.exp(self.base + standardise(quality, self.mean, self.deviation) @ self.weights)


@dataclass(frozen=True)
class PairList:
    """Pairs of recordings to train on or to score, of one trial list.

    vectors : (r, D) float, embeddings, of which a network made one for each recording
    quality : (r, k) float, quality measures of the same recordings, without NaN
    pairs : (n, 2) int, rows of both
    labels : (n,) bool, True for a target trial; None to score
    name : of the list, for messages
    """

    vectors: np.ndarray
    quality: np.ndarray
    pairs: np.ndarray
    labels: np.ndarray | None = None
    name: str = "trials"


def uncertain_llr(
    enroll: np.ndarray, test: np.ndarray, enroll_variance: np.ndarray, test_variance: np.ndarray, psi: np.ndarray
) -> np.ndarray:
    """Log-likelihood ratio of same to different speaker for pairs of recordings of unequal uncertainty.

    Per dimension, the two values have the covariance [[psi + v, psi], [psi, psi + w]] if the speaker is the same, and
    no covariance otherwise. With variances of 1 it is `plda.plda_llr`.

    Parameters
    ----------
    enroll, test : (n, d) float, in the basis of the PLDA model
    enroll_variance, test_variance : (n,) float > 0, within-speaker variances v and w
    psi : (d,) float, all >= 0

    Returns
    -------
    (n,) float64, natural logarithm

    Examples
    --------
    >>> zero, psi = np.zeros((1, 1)), np.array([3.0])
    >>> [uncertain_llr(zero, zero, variance, 1.0, psi).round(4).tolist() for variance in (1.0, 1e9)]
    [[0.4133], [0.0]]
    """
    return llr_and_slopes(enroll, test, enroll_variance, test_variance, psi, slopes=False)[0]


def llr_and_slopes(
    enroll: np.ndarray,
    test: np.ndarray,
    enroll_variance: np.ndarray,
    test_variance: np.ndarray,
    psi: np.ndarray,
    slopes: bool = True,
) -> np.ndarray:
    """`uncertain_llr`, its derivatives by both variances, and by the logarithm of a factor of psi; (4, n) float64.

    Parameters
    ----------
    slopes : compute the derivatives; otherwise only the first row is returned
    """
    n = len(enroll)
    variances = [np.broadcast_to(each, n) for each in (enroll_variance, test_variance)]
    found = np.empty((4 if slopes else 1, n))
    for start in range(0, n, BLOCK):
        part = slice(start, start + BLOCK)
        x, y = enroll[part].astype(np.float64), test[part].astype(np.float64)
        a, b = (psi + each[part, None] for each in variances)  # total variances
        determinant = a * b - psi**2
        xx, yy = x * x, y * y
        same = (xx * b - 2 * psi * x * y + yy * a) / determinant
        found[0, part] = (np.log(a * b / determinant) + xx / a + yy / b - same).sum(axis=1)
        if not slopes:
            continue
        by_a = (1 - xx / a) / a + (same * b - b - yy) / determinant
        by_b = (1 - yy / b) / b + (same * a - a - xx) / determinant
        found[1, part], found[2, part] = by_a.sum(axis=1), by_b.sum(axis=1)
        found[3, part] = (by_a + by_b + 2 * (psi - psi * same + x * y) / determinant) @ psi
    return 0.5 * found


def score_pairs(plda: Plda, uncertainty: Uncertainty, given: PairList) -> np.ndarray:
    """Calibrated natural-log likelihood ratios of pairs, (n,) float64; add those of several modalities.

    Raises
    ------
    InputError : a quality value is NaN, or the embeddings or measures are not those of the model
    """
    refuse_unusable(given, len(uncertainty.mean))
    x, variances = plda.project(given.vectors), uncertainty.variances(given.quality)
    one, other = given.pairs.T
    psi = np.exp(uncertainty.log_between) * plda.gaussians.psi
    return np.exp(uncertainty.log_scale) * uncertain_llr(x[one], x[other], variances[one], variances[other], psi)


def refuse_unusable(given: PairList, n_measures: int) -> None:
    """Raise InputError for NaN among the quality values of a list, or for another number of measures."""
    if given.quality.shape[1] != n_measures:
        raise InputError(f"{given.name}: expected {n_measures} quality measures, found {given.quality.shape[1]}")
    if missing := int(np.isnan(given.quality[np.unique(given.pairs)]).any(axis=1).sum()):
        raise InputError(f"{given.name}: {missing} recordings of the trials lack a quality value")


def train_uncertainty(
    plda: Plda, lists: Sequence[PairList], p_target: float = 0.01, ridge: float = UNCERTAINTY_RIDGE
) -> Uncertainty:
    """Train the variance as a function of quality by prior-weighted cross-entropy, on several lists together.

    As in quality_training.py, each list's target trials weigh `p_target` in total, its nontarget trials the rest, and
    all lists weigh the same. The cost is minimised by Fisher scoring with step halving.

    Parameters
    ----------
    plda : trained on other people than those of the lists
    lists : trials between clean recordings, damaged ones, ...
    ridge : penalty on the squared weights, relative to the cost of answering 0 to every trial

    Raises
    ------
    InputError : a list has trials of one class only, a quality value is NaN, or values are too large

    Examples
    --------
    >>> from avsv.scoring.plda_training import train_plda
    >>> rng, speakers = np.random.default_rng(0), np.repeat(np.arange(40), 6)
    >>> noise = rng.uniform(0.1, 2, 240)
    >>> vectors = rng.standard_normal((40, 8))[speakers] + noise[:, None] * rng.standard_normal((240, 8))
    >>> plda = train_plda(vectors[:120], speakers[:120])[0]
    >>> pairs = rng.integers(120, 240, (4000, 2))
    >>> dev = PairList(vectors, noise[:, None], pairs, speakers[pairs[:, 0]] == speakers[pairs[:, 1]])
    >>> bool(train_uncertainty(plda, [dev], 0.1).weights[0] > 0)  # more noise, more variance
    True
    """
    for one in lists:
        refuse_unusable(one, lists[0].quality.shape[1])
        n_target = int(one.labels.sum())
        if n_target in (0, len(one.labels)):
            raise InputError(f"{one.name}: training needs target and nontarget trials, found {n_target} and "
                            f"{len(one.labels) - n_target}")  # fmt: skip
    used = [one.quality[np.unique(one.pairs)] for one in lists]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.mean([each.mean(axis=0) for each in used], axis=0)
        deviation = np.sqrt(np.mean([((each - mean) ** 2).mean(axis=0) for each in used], axis=0))
    deviation = np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)
    projected = [plda.project(one.vectors) for one in lists]
    if not np.isfinite([*mean, *deviation]).all() or not all(np.isfinite(each).all() for each in projected):
        raise InputError("PLDA with uncertainty: embeddings or quality values are too large")
    k = len(mean)
    standard = [standardise(one.quality, mean, deviation) for one in lists]
    centre = np.array([np.log(START), 0, 0, *np.zeros(k)])
    penalty = np.array([RIDGE] * 3 + [ridge * prior_entropy(p_target)] * k)

    def terms(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        away = x - centre
        cost, gradient, fisher = 0.5 * penalty @ away**2, penalty * away, np.diag(penalty)
        for one, vectors, features in zip(lists, projected, standard, strict=True):
            parts = cost_of_list(x, one, vectors, features, plda.gaussians.psi, p_target)
            cost, gradient, fisher = (a + b / len(lists) for a, b in zip((cost, gradient, fisher), parts, strict=True))
        return cost, gradient, fisher, np.zeros_like(fisher)

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        x = newton(terms, centre, np.ones(len(centre), bool))
    return Uncertainty(mean, deviation, float(x[2]), x[3:], float(x[0]), float(x[1]))


def cost_of_list(
    x: np.ndarray, given: PairList, vectors: np.ndarray, standard: np.ndarray, psi: np.ndarray, p_target: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Prior-weighted cross-entropy of a list in nats, its gradient and its Fisher information.

    Parameters
    ----------
    x : (k + 3,) log_scale, log_between, base and weights
    vectors : (r, d) in the basis of the PLDA model
    standard : (r, k) standardised quality
    """
    scale, psi, base, weights = np.exp(x[0]), np.exp(x[1]) * psi, x[2], x[3:]
    added = np.exp(base + standard @ weights)
    one, other = given.pairs.T
    llr, of_one, of_other, of_psi = llr_and_slopes(vectors[one], vectors[other], 1 + added[one], 1 + added[other], psi)
    of_one, of_other = scale * of_one * added[one], scale * of_other * added[other]
    slopes = of_one[:, None] * standard[one] + of_other[:, None] * standard[other]
    design = np.column_stack([scale * llr, scale * of_psi, of_one + of_other, slopes])
    labels = given.labels
    weight = np.where(labels, p_target / labels.sum(), (1 - p_target) / (~labels).sum())
    sign = np.where(labels, -1.0, 1.0)
    margin = sign * (scale * llr + np.log(p_target / (1 - p_target)))  # log odds of the wrong class
    loss = np.logaddexp(0, margin)
    error = np.exp(margin - loss)
    fisher = (design * (weight * error * (1 - error))[:, None]).T @ design
    return float(weight @ loss), design.T @ (weight * sign * error), fisher
