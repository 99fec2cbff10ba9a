"""Calibration and score fusion: affine maps of one or several systems' scores to log-likelihood ratios.

Prior-weighted logistic regression (Bruemmer and du Preez 2006; Pigeon, Druyts and Verlinde 2000): the map is chosen
that costs least, in bits, at a given target prior. Quality measures of the recordings are features beside the scores.
There is a map for every set of systems that a trial may have scores of: a trial that has only the voice is judged by
what the voice alone is worth.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import write_json
from avsv.jobs.schema import read_json
from avsv.scoring.quality import Measure

log = logging.getLogger("avsv")
# On weights of features of unit variance. Those of scores stay finite where a threshold separates all trials. Those of
# quality measures are held back: few people's recordings make a measure look telling that tells nothing of others.
RIDGE, QUALITY_RIDGE = 1e-6, 1e-3
BLOCK = 1 << 15  # trials worked on at a time
SHAPE = {
    "systems": [str],
    "target_prior": float,
    "measures": [{"table": str, "log": bool, "median": float}],
    "maps": [{"present": [bool], "weights": [float], "offset": float}],
}
ONE_MAP = {"systems": [str], "target_prior": float, "weights": [float], "offset": float}


@dataclass(frozen=True)
class Map:
    """`[scores of the systems that are present, quality] @ weights + offset` is a natural-log likelihood ratio.

    present : for each system, whether its score is used
    weights : one for each score used, then one for each feature of quality
    offset : added
    """

    present: list[bool]
    weights: list[float]
    offset: float


@dataclass(frozen=True)
class ScoreFusion:
    """A model of calibration or fusion.

    systems : what the systems are called
    target_prior : for which it was trained
    measures : of quality, two features each
    maps : one for each set of present systems
    trained_on : for each system the model and back-end that made its training scores (see kaldi/origin.py), or None
        where they have no record
    """

    systems: list[str]
    target_prior: float
    measures: list[Measure]
    maps: list[Map]
    trained_on: list[str | None] = field(default_factory=list)

    def apply(self, scores: np.ndarray, quality: np.ndarray | None = None) -> np.ndarray:
        """Log-likelihood ratios; 0, no evidence, where a trial has no score at all.

        Parameters
        ----------
        scores : (n, systems), NaN where a system has none
        quality : (n, 2 * measures), none of them missing

        Returns
        -------
        (n,) float64, NaN where infinite scores of opposite signs are added

        Raises
        ------
        InputError : there is no map for the systems that a trial has
        """
        maps = {pattern_code(one.present): one for one in self.maps}
        ratios = np.zeros(len(scores))
        for start in range(0, len(scores), BLOCK):
            codes = pattern_codes(scores[start : start + BLOCK])
            for code in np.unique(codes[codes > 0]).tolist():
                which = start + np.flatnonzero(codes == code)
                if code not in maps:
                    n_such = int((pattern_codes(scores) == code).sum())
                    raise InputError(
                        f"{n_such} trials have scores of {self.name(code)} only, for which the model has no map: train "
                        "it with --missing rest, on trials of both classes that have these scores"
                    )
                features = take_features(scores, quality, which, np.array(maps[code].present))
                with np.errstate(invalid="ignore"):  # infinite scores of opposite signs make NaN
                    ratios[which] = features @ np.array(maps[code].weights) + maps[code].offset
        return ratios

    def name(self, code: int) -> str:
        """The systems of a pattern, in words."""
        return " + ".join(name for number, name in enumerate(self.systems) if code >> number & 1)


def pattern_code(present: Iterable[bool]) -> int:
    """A set of systems as a number, a bit each.

    Examples
    --------
    >>> pattern_code([True, False, True])
    5
    """
    return sum(1 << number for number, here in enumerate(present) if here)


def pattern_codes(scores: np.ndarray) -> np.ndarray:
    """`pattern_code` of each trial, (n,) int; scores are (n, systems) with NaN where there is none."""
    number_type = np.min_scalar_type((1 << scores.shape[1]) - 1)
    codes = np.zeros(len(scores), number_type)
    for number, column in enumerate(scores.T):
        codes |= (~np.isnan(column)).astype(number_type) << number
    return codes


def take_features(scores: np.ndarray, quality: np.ndarray | None, which: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Scores of the present systems, then quality, of some trials: (len(which), k)."""
    taken = scores[which][:, present]
    return taken if quality is None or not quality.shape[1] else np.column_stack([taken, quality[which]])


def train_fusion(
    scores: np.ndarray,
    labels: np.ndarray,
    target_prior: float = 0.01,
    systems: Sequence[str] = (),
    quality: np.ndarray | None = None,
    measures: Sequence[Measure] = (),
    patterns: Iterable[int] | None = None,
    trained_on: Sequence[str | None] = (),
) -> ScoreFusion:
    """Find the weights and offsets with the least prior-weighted cross-entropy.

    Parameters
    ----------
    scores : (n, systems), finite, or NaN where a system has none
    labels : (n,) bool
    target_prior : weight of the targets, 0 to 1
    quality : (n, 2 * measures) features beside the scores
    patterns : sets of systems (see `pattern_code`) that get a map; None for that of all systems. A map is trained on
        the trials that have at least its systems, so trials that lack nothing serve for all. A set without trials of
        both classes gets none, and a warning
    trained_on : the systems' origins (see ScoreFusion)

    Raises
    ------
    InputError : a score is infinite, or no map has trials of both classes

    Examples
    --------
    >>> fusion = train_fusion(np.array([[-1.0], [1.0], [-1.0], [1.0]]), np.array([False, False, True, True]), 0.5)
    >>> abs(fusion.maps[0].weights[0]) < 1e-6, abs(fusion.maps[0].offset) < 1e-6  # scores that tell nothing
    (True, True)
    """
    labels, n_systems = np.asarray(labels), scores.shape[1]
    if np.isinf(scores).any():
        raise InputError("calibration needs finite scores; some are infinite")
    codes = pattern_codes(scores)
    names = [*systems] or [f"system {number}" for number in range(1, n_systems + 1)]
    fusion = ScoreFusion(names, target_prior, list(measures), [], [*trained_on] or [None] * n_systems)
    for code in [(1 << n_systems) - 1] if patterns is None else sorted(patterns, reverse=True):
        has = codes & code == code
        which = slice(None) if has.all() else np.flatnonzero(has)
        n_target, n_all = int(labels[which].sum()), int(has.sum())
        if n_target in (0, n_all):
            counts = n_target, n_all - n_target
            log.warning("no map for %s: found %d target and %d nontarget trials", fusion.name(code), *counts)
            continue
        present = [bool(code >> number & 1) for number in range(n_systems)]
        features = take_features(scores, quality, which, np.array(present))
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                weights, offset = train_map(features, labels[which], target_prior, sum(present))
        except np.linalg.LinAlgError:
            weights, offset = np.array([np.nan]), np.nan
        if not np.isfinite([*weights, offset]).all():
            raise InputError(f"calibration of {fusion.name(code)} gives no finite weights: the scores or quality "
                            "values are too large")  # fmt: skip
        fusion.maps.append(Map(present, weights.tolist(), offset))
    if not fusion.maps:
        raise InputError(
            f"calibration needs target and nontarget trials, found {labels.sum()} and {(~labels).sum()}"
            + ("" if patterns is None else ", none of both classes with the same system's scores")
        )
    return fusion


def train_map(
    features: np.ndarray, labels: np.ndarray, target_prior: float, n_scores: int | None = None
) -> tuple[np.ndarray, float]:
    """Weights (k,) and offset for the features (n, k), by Newton's method with step halving.

    The first `n_scores` features are scores (None: all), the others quality measures. The cost is convex; gradient and
    Hessian are exact. A feature that is constant gets no weight.
    """
    n_target = int(labels.sum())
    class_weights = (1 - target_prior) / (len(labels) - n_target), target_prior / n_target
    middle, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-12 * np.abs(middle), scale, np.inf)
    prior_logit = np.log(target_prior / (1 - target_prior))
    ridge = np.full(features.shape[1], RIDGE)
    ridge[features.shape[1] if n_scores is None else n_scores :] = QUALITY_RIDGE

    def terms(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        return cost_terms(x, features, labels, class_weights, middle, scale, prior_logit, np.append(ridge, 0))

    x = np.zeros(features.shape[1] + 1)
    cost, gradient, hessian = terms(x)
    for _ in range(100):
        step = np.linalg.solve(hessian, gradient)
        found = terms(x - step)
        while found[0] > cost and np.abs(step).max() > 1e-12:
            step /= 2
            found = terms(x - step)
        if found[0] > cost:
            break
        x, gain = x - step, cost - found[0]
        cost, gradient, hessian = found
        if gain < 1e-15:
            break
    weights = x[:-1] / scale
    return weights, float(x[-1] - weights @ middle)


def cost_terms(
    x, features, labels, class_weights, middle, scale, prior_logit, ridge
) -> tuple[float, np.ndarray, np.ndarray]:
    """Weighted cross-entropy in nats of features made to have mean 0 and variance 1, gradient and Hessian.

    x : (k + 1,), the weights and the offset
    class_weights : of a nontarget and of a target trial
    ridge : (k + 1,)
    """
    cost, gradient, hessian = 0.5 * ridge @ x**2, ridge * x, np.diag(ridge + 1e-15)
    for start in range(0, len(features), BLOCK):
        part = slice(start, start + BLOCK)
        design = np.column_stack([(features[part] - middle) / scale, np.ones(len(labels[part]))])
        sign, weights = np.where(labels[part], -1.0, 1.0), np.where(labels[part], *class_weights[::-1])
        margin = sign * (design @ x + prior_logit)  # for the wrong class
        loss = np.logaddexp(0, margin)
        error = np.exp(margin - loss)
        cost += weights @ loss
        gradient += design.T @ (weights * sign * error)
        hessian += (design * (weights * error * (1 - error))[:, None]).T @ design
    return float(cost), gradient, hessian


def write_fusion(path: Path | str, fusion: ScoreFusion) -> None:
    """Write the model as JSON."""
    write_json(path, asdict(fusion))


def read_fusion(path: Path | str) -> ScoreFusion:
    """Read a model that `write_fusion` wrote.

    Raises
    ------
    InputError : the file is absent, has another shape than SHAPE, holds a number that is not finite, or its maps do not
        fit its systems and measures
    """
    shape = ({**SHAPE, "trained_on?": [(str, None)]}, ONE_MAP)
    model = read_json(path, shape, "model of avsv calibrate or avsv fuse")
    if "weights" in model:  # of one map, as it was written before there were several
        one = {"present": [True] * len(model["weights"]), "weights": model["weights"], "offset": model["offset"]}
        model = {"systems": model["systems"], "target_prior": model["target_prior"], "measures": [], "maps": [one]}
    measures = [Measure(**measure) for measure in model.pop("measures")]
    maps = [Map(**one) for one in model.pop("maps")]
    unknown = {"trained_on": [None] * len(model["systems"])}
    fusion = ScoreFusion(**{**unknown, **model}, measures=measures, maps=maps)
    if wrong := unfitting(fusion):
        raise InputError(f"{path}: is not a model of avsv calibrate or avsv fuse: {wrong}")
    return fusion


def unfitting(fusion: ScoreFusion) -> str | None:
    """What does not fit together in a model; None where all does."""
    n_systems = len(fusion.systems)
    if not n_systems or not fusion.maps:
        return "it has no systems or no maps"
    if len(fusion.trained_on) != n_systems:
        return f"trained_on has {len(fusion.trained_on)} entries for {n_systems} systems"
    if not 0 < fusion.target_prior < 1:
        return f"target_prior: expected a number between 0 and 1, found {fusion.target_prior}"
    for number, one in enumerate(fusion.maps):
        n_weights = sum(one.present) + 2 * len(fusion.measures)
        if len(one.present) != n_systems or not any(one.present):
            return f"maps[{number}].present: expected {n_systems} values, at least one of them true"
        if len(one.weights) != n_weights:
            return f"maps[{number}].weights: expected {n_weights} numbers, found {len(one.weights)}"
    if len({pattern_code(one.present) for one in fusion.maps}) < len(fusion.maps):
        return "two maps are for the same systems"
    return None
