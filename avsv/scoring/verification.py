"""One trial judged by a calibration: cosines of the modalities that both clips have to a log-likelihood ratio."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.scoring.calibration import ScoreFusion

AGAIN = ("make scores of the calibration's trials with these models (avsv embed-voice, embed-face, score), and train "
         "it on them (avsv fuse)")  # fmt: skip


def modality_columns(fusion: ScoreFusion, models: Mapping[str, str], source: Path | str) -> dict[str, int]:
    """Which of a calibration's systems each modality is, by what its training scores were made with.

    Parameters
    ----------
    models : modality -> name of the model that embeds the clips, such as {"voice": "voice:0123456789abcdef"}
    source : file of the calibration, for the message

    Raises
    ------
    InputError : the calibration is not of one cosine of each modality, or of other models; it does not tell; or it
        weighs quality measures

    Examples
    --------
    >>> fusion = ScoreFusion(["s", "t"], 0.5, [], [], ["face:2 cosine", "voice:1 cosine"])
    >>> modality_columns(fusion, {"voice": "voice:1", "face": "face:2"}, "model.json")
    {'voice': 1, 'face': 0}
    """
    names = " and ".join(models)
    if len(fusion.systems) != len(models):
        raise InputError(f"{source}: is for {len(fusion.systems)} scores, expected those of {names}")
    if fusion.measures:
        tables = ", ".join(measure.table for measure in fusion.measures)
        raise InputError(f"{source}: weighs {tables} as well; give one trained on the scores alone")
    if None in fusion.trained_on:
        raise InputError(f"{source}: does not record which models its scores are of; {AGAIN}")
    wanted = {f"{model} cosine": modality for modality, model in models.items()}
    for system, name in zip(fusion.trained_on, fusion.systems, strict=True):
        if system not in wanted or fusion.trained_on.count(system) > 1:
            raise InputError(f"{source}: the scores of {name} are of {system}, expected one of each: "
                            f"{', '.join(wanted)}; {AGAIN}")  # fmt: skip
    return {modality: fusion.trained_on.index(system) for system, modality in wanted.items()}


def judge(fusion: ScoreFusion, columns: Mapping[str, int], cosines: Mapping[str, float]) -> float:
    """The log-likelihood ratio of one trial, 0 where the clips share no modality.

    Parameters
    ----------
    columns : of `modality_columns`
    cosines : modality -> cosine, of those that both clips have

    Raises
    ------
    InputError : the calibration has no map for these modalities, or its weights are too large for a finite ratio
    """
    scores = np.full((1, len(columns)), np.nan)
    for modality, cosine in cosines.items():
        scores[0, columns[modality]] = cosine
    ratio = float(fusion.apply(scores)[0])
    if not np.isfinite(ratio):
        raise InputError("the calibration gives no finite log-likelihood ratio: its weights are too large")
    return ratio


def cosine(modality: str, a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of two embeddings, (d,) each; InputError where one is zero or not finite."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(a @ b / np.sqrt(a @ a * (b @ b)))
    if not np.isfinite(value):
        raise InputError(f"an embedding of the {modality} is zero or not finite: the network is damaged or not trained")
    return value
