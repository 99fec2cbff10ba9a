"""Quality-dependent fusion: each system's score counts as much as the quality of the trial's recordings warrants.

The log-likelihood ratio of a trial is a sum over the systems s that have a score for it,

    sum of exp(a_s + w_s . q_s) (score_s - pivot_s) + b_s + u_s . q_s,

where q_s are quality features of the two recordings for that system: a voice's noise scales the voice score only. An
absent score adds nothing, so one model serves every set of systems and a trial without any score gets 0. The scale is
positive, so a higher score never lowers the ratio. The pivot is the score that is no evidence on average; a low scale
therefore moves the ratio towards 0. Features are standardised and, smoothly, limited to two standard deviations of the
training trials: recordings unlike all of these cannot drive the scale further.

Fusion that depends on quality is surveyed by Poh and Kittler, "A unified framework for biometric expert fusion
incorporating quality measures", IEEE TPAMI 34(1), 2012. Ferrer, Graciarena, Zymnis and Shriberg, "System combination
using auxiliary information for speaker verification", ICASSP 2008, let the weights of logistic regression depend on
auxiliary information, with a penalty. The positive scale, the pivot and the limit are our choices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avsv.errors import InputError
from avsv.scoring.quality import RecordingValues

KIND = "quality-dependent"  # marks a model file
LIMIT = 2.0  # standard deviations that a quality feature approaches, however far it is from the training trials
BLOCK = 1 << 15  # trials processed at a time
MAX_LOG_SCALE = 500.0  # of any trial; its exponential is finite
SHAPE = {
    "fusion": str,
    "target_prior": float,
    "ridge": float,
    "systems": [
        {
            "name": str,
            "trained_on": (str, None),
            "log_scale": float,
            "pivot": float,
            "offset": float,
            "measures": [
                {
                    "table": str,
                    "log": bool,
                    "unit": (str, None),
                    "median": float,
                    "mean": [float],
                    "deviation": [float],
                    "scale_weights": [float],
                    "offset_weights": [float],
                }
            ],
        }
    ],
    "lists": [{"trials": str, "people": int, "targets": int, "nontargets": int}],
}


@dataclass(frozen=True)
class Influence:
    """A quality measure's influence on one system. Pairs belong to the lower and the higher value of a trial.

    table, log : training table, and whether its natural logarithm is used
    unit : of the table's values, None if unknown
    median : of the training recordings, after the logarithm; replaces missing values
    mean, deviation : pairs, of the training trials
    scale_weights : pair w, change of the scale's natural logarithm per standard deviation
    offset_weights : pair u, natural-log likelihood ratio per standard deviation
    """

    table: str
    log: bool
    unit: str | None
    median: float
    mean: list[float]
    deviation: list[float]
    scale_weights: list[float]
    offset_weights: list[float]


@dataclass(frozen=True)
class FusedSystem:
    """One system's part in the fusion; see the formula above.

    name : such as "voice"
    trained_on : model and back-end that made its training scores (see kaldi/origin.py); None if unrecorded
    log_scale : a, natural logarithm of the scale at average quality
    pivot : the score that is no evidence at average quality
    offset : b, in natural-log likelihood ratio
    measures : influences of the quality measures
    """

    name: str
    trained_on: str | None
    log_scale: float
    pivot: float
    offset: float
    measures: list[Influence]

    def evidence(self, scores: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Natural-log likelihood ratios, (n,) float64, from scores (n,) and raw quality features (n, 2 * measures)."""
        log_scale, offset = self.log_scale, self.offset
        if self.measures:
            columns = ([*pair] for pair in zip(*((m.mean, m.deviation) for m in self.measures), strict=True))
            standard = standardise(features, *(np.concatenate(column) for column in columns))
            log_scale = log_scale + standard @ np.concatenate([one.scale_weights for one in self.measures])
            offset = offset + standard @ np.concatenate([one.offset_weights for one in self.measures])
        return np.exp(log_scale) * (scores - self.pivot) + offset


@dataclass(frozen=True)
class TrainedList:
    """A trial list that a model was trained on: its file, its people, and its trials with a score."""

    trials: str
    people: int
    targets: int
    nontargets: int


@dataclass(frozen=True)
class QualityFusion:
    """A trained quality-dependent fusion, or calibration if there is one system.

    target_prior : prior it was trained for
    ridge : penalty on the influence of quality, for one training person
    systems : the systems
    lists : the training lists
    """

    target_prior: float
    ridge: float
    systems: list[FusedSystem]
    lists: list[TrainedList]

    @property
    def trained_on(self) -> list[str | None]:
        """Model and back-end behind each system's training scores."""
        return [system.trained_on for system in self.systems]

    def apply(
        self, scores: np.ndarray, pairs: np.ndarray | None = None, quality: Sequence[RecordingValues] = ()
    ) -> np.ndarray:
        """Natural-log likelihood ratios of trials; 0 (no evidence) for a trial without any score.

        Parameters
        ----------
        scores : (n, systems) float, NaN where a system has no score
        pairs : (n, 2) int, the enrolment and the test recording of each trial, as rows of `quality`; None if the model
            has no quality measures
        quality : for each system, the values of its measures; they may be NaN for recordings without its score

        Returns
        -------
        (n,) float64, NaN where infinite scores of opposite sign are added

        Raises
        ------
        InputError : other numbers of systems or of measures, or a quality value is missing

        Examples
        --------
        >>> fusion = QualityFusion(0.5, 0.01, [FusedSystem("voice", None, 0.0, 0.5, 0.0, [])], [])
        >>> fusion.apply(np.array([[2.5], [np.nan]])).tolist()
        [2.0, 0.0]
        """
        self.refuse_other_numbers(scores, quality)
        if pairs is None and any(system.measures for system in self.systems):
            raise InputError("the model has quality measures: give the pairs of the trials and the values")
        ratios = np.zeros(len(scores))
        for start in range(0, len(scores), BLOCK):
            part = scores[start : start + BLOCK]
            for number, system in enumerate(self.systems):
                present = np.flatnonzero(~np.isnan(part[:, number]))
                features = np.empty((len(present), 0))
                if system.measures:
                    features = quality[number].features(pairs[start + present])
                    refuse_nan(features, system.name)
                with np.errstate(invalid="ignore", over="ignore"):  # infinite scores of opposite sign sum to NaN
                    ratios[start + present] += system.evidence(part[present, number], features)
        return ratios

    def refuse_other_numbers(self, scores: np.ndarray, quality: Sequence[RecordingValues]) -> None:
        """Raise InputError unless there are as many scores and quality values as the model has."""
        if scores.shape[1] != len(self.systems):
            raise InputError(
                f"expected scores of {len(self.systems)} systems, as in the model, found {scores.shape[1]}"
            )
        wanted = [len(system.measures) for system in self.systems]
        found = [values.n_measures for values in quality] or [0] * len(wanted)
        if found != wanted:
            names = ", ".join(f"{system.name}: {n}" for system, n in zip(self.systems, wanted, strict=True))
            raise InputError(f"expected quality values as in the model ({names}), found {', '.join(map(str, found))}")


def standardise(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Features in standard deviations from the mean, with a smooth limit: LIMIT tanh(x / LIMIT).

    Parameters
    ----------
    features : (n, k) float
    mean, deviation : (k,) float

    Examples
    --------
    >>> standardise(np.array([[3.0], [99.0]]), np.array([1.0]), np.array([2.0])).round(2).tolist()
    [[0.92], [2.0]]
    """
    return LIMIT * np.tanh((features - mean) / deviation / LIMIT)


def refuse_nan(features: np.ndarray, name: str) -> None:
    """Raise InputError if a quality feature is NaN."""
    if n_missing := int(np.isnan(features).any(axis=1).sum()):
        raise InputError(f"{n_missing} trials with a score of {name} lack a quality value of a recording")


def from_json(model: dict) -> QualityFusion:
    """A model from the JSON object that has SHAPE."""
    systems = []
    for one in model["systems"]:
        systems.append(FusedSystem(**{**one, "measures": [Influence(**measure) for measure in one["measures"]]}))
    lists = [TrainedList(**one) for one in model["lists"]]
    return QualityFusion(model["target_prior"], model["ridge"], systems, lists)


def inconsistency(fusion: QualityFusion, kind: str = KIND) -> str | None:
    """The first inconsistency within a model that has SHAPE, or None.

    Parameters
    ----------
    kind : value of the key "fusion" in the model's file

    Examples
    --------
    >>> inconsistency(QualityFusion(2.0, 0.01, [FusedSystem("voice", None, 0.0, 0.0, 0.0, [])], []))
    'target_prior: expected a number between 0 and 1, found 2.0'
    """
    if kind != KIND:
        return f'fusion: expected "{KIND}", found "{kind[:60]}"'
    names = [system.name for system in fusion.systems]
    if not names or len(set(names)) < len(names):
        return "systems: expected one or more, with different names"
    if not 0 < fusion.target_prior < 1:
        return f"target_prior: expected a number between 0 and 1, found {fusion.target_prior}"
    for number, system in enumerate(fusion.systems):
        for place, one in enumerate(system.measures):
            pairs = one.mean, one.deviation, one.scale_weights, one.offset_weights
            if any(len(pair) != 2 for pair in pairs) or min(one.deviation) <= 0:
                return f"systems[{number}].measures[{place}]: expected pairs of numbers, and deviations above 0"
        weights = [abs(weight) for one in system.measures for weight in one.scale_weights]
        if abs(system.log_scale) + LIMIT * sum(weights) > MAX_LOG_SCALE:
            return f"systems[{number}]: log_scale or scale_weights are too large"
    return None
