"""Decides one trial by a calibration, from the cosines of the modalities that both clips have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avsv.errors import InputError, OptionError
from avsv.scoring.calibration import ScoreFusion, read_fusion
from avsv.scoring.modality_overlap import LEAST
from avsv.scoring.quality import RecordingValues
from avsv.scoring.quality_fusion import Influence, QualityFusion

FUSED, WEIGHTS = "fused", ("voice_weight", "face_weight")  # of a fusion network
SHARED = "cosine+shared"  # back-end that `avsv score` records for fused embeddings compared by their weights
RETRAIN = ("score the calibration's trials with these models (avsv embed-voice, embed-face, score), and train it on "
           "these scores (avsv fuse)")  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """Embeddings of one file.

    vectors : modality -> embedding, (d,) float32
    absent : modality -> reason why the file has no embedding of it
    models : modality -> name of the encoder, see avsv/kaldi/origin.py
    quality : modality -> quality measures, by the names of the tables that embed-voice and embed-face write
    observed : modality -> further measures, of single files only, see `avsv.features.quality_measures`
    """

    vectors: dict[str, np.ndarray] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    quality: dict[str, dict[str, float]] = field(default_factory=dict)
    observed: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """The decision on two clips.

    cosines : modality -> cosine, of the modalities that both clips have
    ratio : natural-log likelihood ratio of the same person to different people; 0 if the clips share no modality
    threshold : ratio above which the decision is "same person"
    same : the decision; None if the clips share no modality
    probability : that the clips show the same person, at the target prior; the prior itself without a shared modality
    """

    cosines: dict[str, float]
    ratio: float
    threshold: float
    same: bool | None
    probability: float


def verify(
    a: Clip,
    b: Clip,
    calibration: ScoreFusion | QualityFusion | Path | str,
    p_target: float = 0.5,
    threshold: float | None = None,
) -> Verdict:
    """Decide whether two clips show the same person, from the modalities that both of them have.

    Parameters
    ----------
    a, b : clips embedded by `embed` with the same encoders
    calibration : trained on the cosines of these encoders, one score per modality: a file that `avsv fuse` wrote, by
        logistic regression without quality measures, or by quality-dependent fusion with measures that `embed` takes.
        If the clips were also fused by a network, the cosines may be those of the fused embeddings
    p_target : prior probability that the two clips show the same person
    threshold : ratio above which they do, such as that of an operating point; None for that of the prior

    Raises
    ------
    InputError : the clips or the calibration belong to other encoders, or the calibration has no map for the modalities
    OptionError : the prior is not between 0 and 1

    Examples
    --------
    >>> from avsv.scoring.calibration import Map
    >>> maps = [Map([True], [4.0], -1.0)]
    >>> calibration = ScoreFusion(["voice"], 0.5, [], maps, ["voice:1 cosine"])
    >>> one, other = (Clip({"voice": np.array(v)}, {}, {"voice": "voice:1"}) for v in ([1.0, 0.0], [2.0, 0.0]))
    >>> verdict = verify(one, other, calibration)
    >>> verdict.cosines, verdict.ratio, verdict.same, round(verdict.probability, 3)
    ({'voice': 1.0}, 3.0, True, 0.953)
    """
    if not 0 < p_target < 1:
        raise OptionError(f"target prior: expected a number between 0 and 1, found {p_target}")
    if a.models != b.models:
        raise InputError(f"the clips were embedded by different encoders: {a.models} and {b.models}")
    source = calibration if isinstance(calibration, Path | str) else "the calibration"
    fusion = read_fusion(calibration) if isinstance(calibration, Path | str) else calibration
    models, backends = named_models(fusion, a.models)
    columns = modality_columns(fusion, models, source, backends)
    common = {modality for modality in a.vectors if modality in b.vectors}
    if common == {FUSED}:  # a voice and a face
        common = set()
    overlap = weight_overlap(a, b, source) if FUSED in backends and FUSED in common else 1.0
    shared = [modality for modality in columns if modality in common and not (modality == FUSED and overlap < LEAST)]
    cosines = {modality: cosine(modality, a.vectors[modality], b.vectors[modality]) for modality in shared}
    if FUSED in cosines:
        cosines[FUSED] /= overlap
    quality = measured_quality(fusion, columns, a, b, source) if isinstance(fusion, QualityFusion) else ()
    ratio, prior = trial_llr(fusion, columns, cosines, quality), float(np.log((1 - p_target) / p_target))
    threshold = prior if threshold is None else threshold
    probability = float(1 / (1 + np.exp(np.clip(prior - ratio, -700, 700))))
    return Verdict(cosines, ratio, threshold, ratio > threshold if shared else None, probability)


def named_models(
    fusion: ScoreFusion | QualityFusion, models: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The models that a calibration may name, and their back-ends other than the cosine.

    A fusion network's embeddings are calibrated alone or beside voice and face, and their cosine may be restricted to
    the modalities that both clips have (see modality_overlap.py). Without a network, all models must be named.

    Examples
    --------
    >>> models = {"voice": "voice:1", "face": "face:2", "fused": "pair:3"}
    >>> named_models(ScoreFusion(["s"], 0.5, [], [], ["pair:3 cosine+shared"]), models)
    ({'fused': 'pair:3'}, {'fused': 'cosine+shared'})
    """
    if FUSED not in models:
        return dict(models), {}
    backends = {FUSED: SHARED} if f"{models[FUSED]} {SHARED}" in fusion.trained_on else {}
    named = {modality: model for modality, model in models.items()
             if f"{model} {backends.get(modality, 'cosine')}" in fusion.trained_on}  # fmt: skip
    return named or dict(models), backends


def weight_overlap(a: Clip, b: Clip, source: Path | str) -> float:
    """Cosine of a fusion network's weights of two clips; see modality_overlap.py.

    Raises
    ------
    InputError : the weights are unknown, as for the mean of several recordings
    """
    weights = [[clip.observed.get(FUSED, {}).get(name, np.nan) for name in WEIGHTS] for clip in (a, b)]
    one, other = (np.array(row, np.float64) / np.linalg.norm(row) for row in weights)
    if not np.isfinite(one @ other):
        raise InputError(f"{source}: of cosines of fused embeddings restricted to shared modalities, which compare two "
                         "single recordings; for several, calibrate plain cosines")  # fmt: skip
    return float(one @ other)


def modality_columns(
    fusion: ScoreFusion | QualityFusion,
    models: Mapping[str, str],
    source: Path | str,
    backends: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Column of each modality among a calibration's systems, found by the models that made its training scores.

    Parameters
    ----------
    models : modality -> model that embeds the clips, such as {"voice": "voice:0123456789abcdef"}
    source : file of the calibration, for messages
    backends : modality -> back-end of its scores, as `avsv score` records it; the others are compared by cosine

    Raises
    ------
    InputError : the calibration is not of one score per modality, or of other models; does not record its models; or
        is a logistic regression with quality measures

    Examples
    --------
    >>> fusion = ScoreFusion(["s", "t"], 0.5, [], [], ["face:2 cosine", "voice:1 cosine"])
    >>> modality_columns(fusion, {"voice": "voice:1", "face": "face:2"}, "model.json")
    {'voice': 1, 'face': 0}
    """
    names = " and ".join(models)
    if len(fusion.systems) != len(models):
        raise InputError(f"{source}: a calibration of {len(fusion.systems)} scores, expected those of {names}")
    if isinstance(fusion, ScoreFusion) and fusion.measures:
        tables = ", ".join(measure.table for measure in fusion.measures)
        raise InputError(f"{source}: a logistic regression that also uses {tables}; give one trained on the scores "
                         "alone, or a quality-dependent fusion")  # fmt: skip
    if None in fusion.trained_on:
        raise InputError(f"{source}: does not record the models of its training scores; {RETRAIN}")
    backends = backends or {}
    wanted = {f"{model} {backends.get(modality, 'cosine')}": modality for modality, model in models.items()}
    names = fusion.systems if isinstance(fusion, ScoreFusion) else [system.name for system in fusion.systems]
    for system, name in zip(fusion.trained_on, names, strict=True):
        if system not in wanted or fusion.trained_on.count(system) > 1:
            raise InputError(f"{source}: the scores {name} were made by {system}, expected one each of: "
                            f"{', '.join(wanted)}; {RETRAIN}")  # fmt: skip
    return {modality: fusion.trained_on.index(system) for system, modality in wanted.items()}


def measured_quality(
    fusion: QualityFusion, columns: Mapping[str, int], a: Clip, b: Clip, source: Path | str
) -> list[RecordingValues]:
    """The clips' values of a fusion's quality measures, for each of its systems; NaN where a modality is absent.

    Parameters
    ----------
    columns : modality -> column, from `modality_columns`
    source : file of the calibration, for messages

    Raises
    ------
    InputError : a measure is not one that `embed` takes, or has no logarithm
    """
    modalities = sorted(columns, key=columns.__getitem__)
    values = []
    for modality, system in zip(modalities, fusion.systems, strict=True):
        sides = [
            [[measured_value(one, clip.quality.get(modality), source) for one in system.measures]] for clip in (a, b)
        ]
        values.append(RecordingValues(*(np.array(side, float).reshape(1, -1) for side in sides)))
    return values


def measured_value(measure: Influence, measured: Mapping[str, float] | None, source: Path | str) -> float:
    """A clip's value of a measure, NaN if the clip lacks the modality.

    Parameters
    ----------
    measured : the clip's measures of the modality, by table; None if it is absent
    source : file of the calibration, for messages

    Raises
    ------
    InputError : see `measured_quality`

    Examples
    --------
    >>> measure = Influence("exp/voice/dev/utt2dur", True, "s", 0.5, [0.0] * 2, [1.0] * 2, [0.1] * 2, [0.0] * 2)
    >>> measured_value(measure, {"utt2dur": 1.0}, "model.json")
    0.0
    """
    if measured is None:
        return float("nan")
    name = Path(measure.table).name
    if name not in measured:
        raise InputError(f"{source}: uses the quality table {measure.table}, which is not measured on single files; "
                         f"train it with some of these tables: {', '.join(measured)}")  # fmt: skip
    value = float(measured[name])
    if measure.log and value <= 0:
        raise InputError(f"{source}: takes the logarithm of {name}, which is {value:g} for a clip")
    return float(np.log(value)) if measure.log else value


def trial_llr(
    fusion: ScoreFusion | QualityFusion,
    columns: Mapping[str, int],
    cosines: Mapping[str, float],
    quality: Sequence[RecordingValues] = (),
) -> float:
    """Natural-log likelihood ratio of one trial, 0 if the clips share no modality.

    Parameters
    ----------
    columns : modality -> column, from `modality_columns`
    cosines : modality -> cosine, for the modalities that both clips have
    quality : from `measured_quality`, for a quality-dependent fusion

    Raises
    ------
    InputError : the calibration has no map for these modalities, or the ratio is not finite

    Examples
    --------
    >>> from avsv.scoring.calibration import Map
    >>> fusion = ScoreFusion(["s", "t"], 0.5, [], [Map([True, False], [10.0], -3.0)])
    >>> trial_llr(fusion, {"voice": 0, "face": 1}, {"voice": 0.5})
    2.0
    """
    scores = np.full((1, len(columns)), np.nan)
    for modality, cosine in cosines.items():
        scores[0, columns[modality]] = cosine
    pairs = np.zeros((1, 2), int)
    ratios = fusion.apply(scores, pairs, quality) if isinstance(fusion, QualityFusion) else fusion.apply(scores)
    if not np.isfinite(ratios[0]):
        raise InputError("the log-likelihood ratio is not finite: the calibration's weights are too large")
    return float(ratios[0])


def cosine(modality: str, a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of two embeddings, (d,) each; raises InputError if one is zero or not finite.

    Examples
    --------
    >>> cosine("voice", np.array([2.0, 0.0]), np.array([1.0, 0.0]))
    1.0
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(a @ b / np.sqrt(a @ a * (b @ b)))
    if not np.isfinite(value):
        raise InputError(f"a {modality} embedding is zero or not finite: the network is damaged or not trained")
    return value
