"""Calibration and score fusion: affine maps from the scores of one or several systems to log-likelihood ratios.

Prior-weighted logistic regression (Bruemmer and du Preez 2006; Pigeon, Druyts and Verlinde 2000) finds the map with the
least cross-entropy at a given target prior. Quality measures of the recordings are features beside the scores. Each set
of systems has its own map, so a trial with only a voice score is calibrated on voice scores alone.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import write_json
from avsv.jobs.schema import read_json
from avsv.scoring import quality_fusion
from avsv.scoring.quality import Measure
from avsv.scoring.quality_fusion import QualityFusion

log = logging.getLogger("avsv")
# Ridge penalties on the weights of features scaled to unit variance. Scores: keeps weights finite where a threshold
# separates the classes. Quality measures: with few training speakers, a useless measure can seem informative.
RIDGE, QUALITY_RIDGE = 1e-6, 1e-3
BLOCK = 1 << 15  # trials processed at a time
SHAPE = {
    "systems": [str],
    "target_prior": float,
    "measures": [{"table": str, "log": bool, "median": float}],
    "maps": [{"present": [bool], "weights": [float], "offset": float}],
}
ONE_MAP = {"systems": [str], "target_prior": float, "weights": [float], "offset": float}


@dataclass(frozen=True)
class Map:
    """The natural-log likelihood ratio `[scores of present systems, quality features] @ weights + offset`.

    present : for each system, whether its score is used
    weights : one per score used, then one per quality feature
    offset : natural-log likelihood ratio where all features are 0
    """

    present: list[bool]
    weights: list[float]
    offset: float


@dataclass(frozen=True)
class ScoreFusion:
    """A trained calibration (one system) or fusion (several).

    systems : names of the systems
    target_prior : prior it was trained for
    measures : quality measures, two features each
    maps : one per set of present systems
    trained_on : model and back-end that made each system's training scores (see kaldi/origin.py); None if unrecorded
    """

    systems: list[str]
    target_prior: float
    measures: list[Measure]
    maps: list[Map]
    trained_on: list[str | None] = field(default_factory=list)

    def apply(self, scores: np.ndarray, quality: np.ndarray | None = None) -> np.ndarray:
        """Natural-log likelihood ratios of trials; 0 (no evidence) for a trial without any score.

        Parameters
        ----------
        scores : (n, systems) float, NaN where a system has no score
        quality : (n, 2 * measures) float, without NaN

        Returns
        -------
        (n,) float64, NaN where infinite scores of opposite sign are added

        Raises
        ------
        InputError : no map for the set of systems of some trial

        Examples
        --------
        >>> fusion = ScoreFusion(["voice", "face"], 0.5, [], [Map([True, False], [2.0], -1.0)])
        >>> fusion.apply(np.array([[3.0, np.nan], [np.nan, np.nan]])).tolist()
        [5.0, 0.0]
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
                        f"{n_such} trials have scores of {self.name(code)} only, and the model has no map for these: "
                        "train it with `missing` set to rest, on target and nontarget trials with these scores"
                    )
                features = take_features(scores, quality, which, np.array(maps[code].present))
                with np.errstate(invalid="ignore"):  # infinite scores of opposite sign sum to NaN
                    ratios[which] = features @ np.array(maps[code].weights) + maps[code].offset
        return ratios

    def name(self, code: int) -> str:
        """Names of the systems in a set, joined by +."""
        return " + ".join(name for number, name in enumerate(self.systems) if code >> number & 1)


def pattern_code(present: Iterable[bool]) -> int:
    """A set of systems as a number: bit i is set if system i is present.

    Examples
    --------
    >>> pattern_code([True, False, True])
    5
    """
    return sum(1 << number for number, has in enumerate(present) if has)


def pattern_codes(scores: np.ndarray) -> np.ndarray:
    """`pattern_code` of each trial, (n,) int, from scores (n, systems) with NaN where absent.

    Examples
    --------
    >>> pattern_codes(np.array([[0.5, np.nan], [0.5, 0.1]])).tolist()
    [1, 3]
    """
    number_type = np.min_scalar_type((1 << scores.shape[1]) - 1)
    codes = np.zeros(len(scores), number_type)
    for number, column in enumerate(scores.T):
        codes |= (~np.isnan(column)).astype(number_type) << number
    return codes


def take_features(scores: np.ndarray, quality: np.ndarray | None, which: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Scores of the present systems, then quality features, of the trials `which`: (len(which), k)."""
    used = scores[which][:, present]
    return used if quality is None or not quality.shape[1] else np.column_stack([used, quality[which]])


def train_fusion(
    scores: np.ndarray,
    labels: np.ndarray,
    p_target: float = 0.01,
    systems: Sequence[str] = (),
    quality: np.ndarray | None = None,
    measures: Sequence[Measure] = (),
    patterns: Iterable[int] | None = None,
    trained_on: Sequence[str | None] = (),
) -> ScoreFusion:
    """Train calibration or fusion: weights and offsets with the least prior-weighted cross-entropy.

    Parameters
    ----------
    scores : (n, systems) float, finite, or NaN where a system has no score
    labels : (n,) bool, True for a target trial
    p_target : weight of the targets, 0 to 1
    systems : names of the systems; "system 1", ... if empty
    quality : (n, 2 * measures) float, features beside the scores
    measures : the quality measures behind these features
    patterns : sets of systems (see `pattern_code`) that get a map; None for the set of all. A map is trained on the
        trials with at least its systems, so a complete trial serves every map. A set without trials of both classes
        gets no map, and a warning is logged
    trained_on : origins of the systems (see ScoreFusion)

    Raises
    ------
    InputError : a score is infinite, no set of systems has trials of both classes, or a weight is not finite

    Examples
    --------
    >>> fusion = train_fusion(np.array([[-1.0], [1.0], [-1.0], [1.0]]), np.array([False, False, True, True]), 0.5)
    >>> abs(fusion.maps[0].weights[0]) < 1e-6, abs(fusion.maps[0].offset) < 1e-6  # scores without information
    (True, True)
    """
    labels, n_systems = np.asarray(labels), scores.shape[1]
    if np.isinf(scores).any():
        raise InputError("calibration needs finite scores, found infinite ones")
    codes = pattern_codes(scores)
    names = [*systems] or [f"system {number}" for number in range(1, n_systems + 1)]
    fusion = ScoreFusion(names, p_target, list(measures), [], [*trained_on] or [None] * n_systems)
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
                weights, offset = train_map(features, labels[which], p_target, sum(present))
        except np.linalg.LinAlgError:
            weights, offset = np.array([np.nan]), np.nan
        if not np.isfinite([*weights, offset]).all():
            raise InputError(f"calibration of {fusion.name(code)}: weights are not finite, because scores or quality "
                            "values are too large")  # fmt: skip
        fusion.maps.append(Map(present, weights.tolist(), offset))
    if not fusion.maps:
        raise InputError(
            f"calibration needs target and nontarget trials, found {labels.sum()} and {(~labels).sum()}"
            + ("" if patterns is None else ", but no system with scores of both classes")
        )
    return fusion


def train_map(
    features: np.ndarray,
    labels: np.ndarray,
    p_target: float,
    n_scores: int | None = None,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """Logistic regression by Newton's method with step halving.

    The cost is convex; gradient and Hessian are exact. A constant feature gets weight 0.

    Parameters
    ----------
    features : (n, k) float
    labels : (n,) bool, both classes present
    p_target : weight of the targets, 0 to 1
    n_scores : number of leading features that are scores, the others being quality features; None for all
    weights : (n,) relative weights of the trials within their class; None for equal ones

    Returns
    -------
    weights : (k,) float64
    offset : float

    Examples
    --------
    >>> weights, _ = train_map(np.array([[-1.0], [2.0], [1.0], [-0.5]]), np.array([False, True, True, False]), 0.5)
    >>> bool(weights[0] > 0)
    True
    """
    weights = np.ones(len(labels)) if weights is None else weights
    weights = weights * np.where(labels, p_target / weights[labels].sum(), (1 - p_target) / weights[~labels].sum())
    middle, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-12 * np.abs(middle), scale, np.inf)
    prior_logit = np.log(p_target / (1 - p_target))
    ridge = np.full(features.shape[1], RIDGE)
    ridge[features.shape[1] if n_scores is None else n_scores :] = QUALITY_RIDGE

    def terms(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        return cost_terms(x, features, labels, weights, middle, scale, prior_logit, np.append(ridge, 0))

    x = np.zeros(features.shape[1] + 1)
    cost, gradient, hessian = terms(x)
    for _ in range(100):
        step = np.linalg.solve(hessian, gradient)
        updated = terms(x - step)
        while updated[0] > cost and np.abs(step).max() > 1e-12:
            step /= 2
            updated = terms(x - step)
        if updated[0] > cost:
            break
        x, gain = x - step, cost - updated[0]
        cost, gradient, hessian = updated
        if gain < 1e-15:
            break
    slopes = x[:-1] / scale
    return slopes, float(x[-1] - slopes @ middle)


def cost_terms(x, features, labels, weights, middle, scale, prior_logit, ridge) -> tuple[float, np.ndarray, np.ndarray]:
    """Weighted cross-entropy in nats, its gradient and its Hessian, of features scaled to mean 0 and variance 1.

    Parameters
    ----------
    x : (k + 1,) weights and offset
    features, labels : (n, k) float, (n,) bool
    weights : (n,) weight of each trial
    middle, scale : (k,) mean and standard deviation of the features
    prior_logit : log odds of the target prior
    ridge : (k + 1,) penalty on each element of x

    Returns
    -------
    cost, gradient (k + 1,), Hessian (k + 1, k + 1)
    """
    cost, gradient, hessian = 0.5 * ridge @ x**2, ridge * x, np.diag(ridge + 1e-15)
    for start in range(0, len(features), BLOCK):
        part = slice(start, start + BLOCK)
        design = np.column_stack([(features[part] - middle) / scale, np.ones(len(labels[part]))])
        sign, weight = np.where(labels[part], -1.0, 1.0), weights[part]
        margin = sign * (design @ x + prior_logit)  # log odds of the wrong class
        loss = np.logaddexp(0, margin)
        error = np.exp(margin - loss)
        cost += weight @ loss
        gradient += design.T @ (weight * sign * error)
        hessian += (design * (weight * error * (1 - error))[:, None]).T @ design
    return float(cost), gradient, hessian


def write_fusion(path: Path | str, fusion: ScoreFusion | QualityFusion) -> None:
    """Write a model as JSON; see SHAPE, here or in quality_fusion.py, for the keys.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.json"
    >>> write_fusion(path, ScoreFusion(["voice"], 0.5, [], [Map([True], [2.0], -1.0)], [None]))
    >>> read_fusion(path).maps[0].weights
    [2.0]
    """
    kind = {"fusion": quality_fusion.KIND} if isinstance(fusion, QualityFusion) else {}
    write_json(path, kind | asdict(fusion))


def read_fusion(path: Path | str) -> ScoreFusion | QualityFusion:
    """Read a model that `write_fusion` wrote.

    Raises
    ------
    InputError : the file is absent, does not have one of the shapes, holds a number that is not finite, or its parts do
        not match each other
    """
    shapes = ({**SHAPE, "trained_on?": [(str, None)]}, ONE_MAP, quality_fusion.SHAPE)
    model = read_json(path, shapes, "model of avsv calibrate or avsv fuse")
    if "fusion" in model:
        fusion = quality_fusion.from_json(model)
        wrong = quality_fusion.inconsistency(fusion, model["fusion"])
    else:
        fusion = from_json(model)
        wrong = inconsistency(fusion)
    if wrong:
        raise InputError(f"{path}: expected a model of avsv calibrate or avsv fuse: {wrong}")
    return fusion


def from_json(model: dict) -> ScoreFusion:
    """A model from the JSON object that has SHAPE, or the former format, ONE_MAP."""
    if "weights" in model:
        one = {"present": [True] * len(model["weights"]), "weights": model["weights"], "offset": model["offset"]}
        model = {"systems": model["systems"], "target_prior": model["target_prior"], "measures": [], "maps": [one]}
    parts = {"measures": [Measure(**one) for one in model["measures"]], "maps": [Map(**one) for one in model["maps"]]}
    return ScoreFusion(**{"trained_on": [None] * len(model["systems"]), **model, **parts})


def inconsistency(fusion: ScoreFusion) -> str | None:
    """The first inconsistency within a model, or None."""
    n_systems = len(fusion.systems)
    if not n_systems or not fusion.maps:
        return "no systems or no maps"
    if len(fusion.trained_on) != n_systems:
        return f"trained_on: expected {n_systems} entries, found {len(fusion.trained_on)}"
    if not 0 < fusion.target_prior < 1:
        return f"target_prior: expected a number between 0 and 1, found {fusion.target_prior}"
    for number, one in enumerate(fusion.maps):
        n_weights = sum(one.present) + 2 * len(fusion.measures)
        if len(one.present) != n_systems or not any(one.present):
            return f"maps[{number}].present: expected {n_systems} values, at least one of them true"
        if len(one.weights) != n_weights:
            return f"maps[{number}].weights: expected {n_weights} numbers, found {len(one.weights)}"
    if len({pattern_code(one.present) for one in fusion.maps}) < len(fusion.maps):
        return "two maps of the same systems"
    return None
