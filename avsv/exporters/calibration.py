"""Calibrations and score fusions as ONNX files: from the scores of a trial to its log-likelihood ratio."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avsv.exporters.onnx_file import Exported, agreement, lengths, open_onnx, traced, write_onnx
from avsv.models.model_cards import licence_of
from avsv.scoring.calibration import ScoreFusion, read_fusion
from avsv.scoring.quality import Measure, RecordingValues
from avsv.scoring.quality_fusion import LIMIT, Influence, QualityFusion

BOUND = 1e-9  # of the difference in natural-log likelihood ratio; the file computes in float64
MOST_TRIALS = 1000  # in a random batch


class Qualities(nn.Module):
    """The features of quality measures: for each, the lower and the higher value of the two recordings."""

    def __init__(self, measures: list[Measure] | list[Influence]):
        super().__init__()
        self.register_buffer("takes_log", torch.tensor([one.log for one in measures]))
        self.register_buffer("median", torch.tensor([one.median for one in measures], dtype=torch.float64))

    def forward(self, enroll: Tensor, test: Tensor) -> Tensor:
        """(n, k) values of the recordings, NaN where absent -> (n, 2 k)."""
        sides = []
        for values in (enroll, test):
            values = torch.where(self.takes_log, values.log(), values)
            sides.append(torch.where(values.isnan(), self.median, values))
        return torch.stack([torch.minimum(*sides), torch.maximum(*sides)], 2).flatten(1)


class Maps(nn.Module):
    """`ScoreFusion.apply`: one affine map for each set of present scores."""

    def __init__(self, fusion: ScoreFusion):
        super().__init__()
        self.fusion, self.qualities = fusion, Qualities(fusion.measures)
        self.register_buffer("place", torch.tensor([2**i for i in range(len(fusion.systems))]))
        for number, one in enumerate(fusion.maps):
            self.register_buffer(f"weights{number}", torch.tensor(one.weights, dtype=torch.float64))

    def forward(self, scores: Tensor, *quality: Tensor) -> Tensor:
        present = ~scores.isnan()
        codes = (present.long() * self.place).sum(1)
        features = self.qualities(*quality) if quality else scores[:, :0]
        ratios = torch.where(codes == 0, 0.0, float("nan")).double()
        for number, one in enumerate(self.fusion.maps):
            used = [place for place, has in enumerate(one.present) if has]
            weights = getattr(self, f"weights{number}")
            value = torch.cat([scores[:, used], features], 1) @ weights + one.offset
            ratios = torch.where(codes == sum(2**place for place in used), value, ratios)
        return ratios


class QualityMaps(nn.Module):
    """`QualityFusion.apply`: the sum of the systems' evidence, scaled by quality."""

    def __init__(self, fusion: QualityFusion):
        super().__init__()
        self.fusion = fusion
        measures = [one for system in fusion.systems for one in system.measures]
        self.qualities = Qualities(measures)
        for name in ("mean", "deviation", "scale_weights", "offset_weights"):
            values = [value for one in measures for value in getattr(one, name)]
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64))

    def forward(self, scores: Tensor, *quality: Tensor) -> Tensor:
        ratios, begin = torch.zeros_like(scores[:, 0]), 0
        if quality:
            standard = LIMIT * torch.tanh((self.qualities(*quality) - self.mean) / self.deviation / LIMIT)
        for number, system in enumerate(self.fusion.systems):
            columns = slice(begin, begin := begin + 2 * len(system.measures))
            score, log_scale, offset = scores[:, number], system.log_scale, system.offset
            if system.measures:
                log_scale = log_scale + standard[:, columns] @ self.scale_weights[columns]
                offset = offset + standard[:, columns] @ self.offset_weights[columns]
            scale = log_scale.exp() if isinstance(log_scale, Tensor) else float(np.exp(log_scale))
            ratios = ratios + torch.where(score.isnan(), 0.0, scale * (score - system.pivot) + offset)
        return ratios


def export_calibration(model: Path, out: Path, licence: str | None = None) -> Exported:
    """Export a calibration or score fusion to an ONNX file.

    Inputs: "scores" (n, systems) float64, NaN where a system has no score; with quality measures, "enroll_quality" and
    "test_quality" (n, k) float64, the values of the two recordings (NaN: the training median). Output: "llr" (n,)
    float64, in natural logarithm: 0 without any score, NaN if the model has no map for the scores present.

    Parameters
    ----------
    model : OUT.json of avsv calibrate or avsv fuse
    out : the file
    licence : of the model; None: unknown

    Raises
    ------
    InputError : not such a file, or an exported model that differs from the original by more than `BOUND`
    """
    fusion = read_fusion(model)
    net = QualityMaps(fusion) if isinstance(fusion, QualityFusion) else Maps(fusion)
    inputs = draw_trials(fusion, np.random.default_rng(0), 3)
    examples = {name: torch.from_numpy(value) for name, value in inputs.items()}
    data = traced(net, examples, ["llr"], {name: {0: "trials"} for name in (*inputs, "llr")}, model)
    metadata = {
        "avsv.kind": "calibration", "avsv.input": "scores", "avsv.target_prior": fusion.target_prior,
        "avsv.systems": json.dumps(names_of(fusion)), "avsv.trained_on": json.dumps(fusion.trained_on),
        "avsv.quality": json.dumps([table for _, table in tables_of(fusion)]), "avsv.source": model.name,
        "license": licence_of(model.parent, licence),
    }  # fmt: skip
    return write_onnx(out, data, metadata, agreement(compare(fusion, data), relative=False), BOUND)


def names_of(fusion: ScoreFusion | QualityFusion) -> list[str]:
    """The systems, one for each column of the scores."""
    return [system.name for system in fusion.systems] if isinstance(fusion, QualityFusion) else fusion.systems


def tables_of(fusion: ScoreFusion | QualityFusion) -> list[tuple[Measure | Influence, str]]:
    """The quality measures and their names, one for each column of the quality inputs."""
    if isinstance(fusion, QualityFusion):
        return [(one, f"{system.name} {Path(one.table).name}") for system in fusion.systems for one in system.measures]
    return [(one, Path(one.table).name) for one in fusion.measures]


def draw_trials(fusion: ScoreFusion | QualityFusion, rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Random scores, some of them missing, and quality values around the training medians."""
    scores = 3 * rng.standard_normal((n, len(names_of(fusion))))
    scores[rng.random(scores.shape) < 0.3] = np.nan
    inputs: dict[str, Any] = {"scores": scores}
    measures = [one for one, _ in tables_of(fusion)]
    for side in ("enroll", "test") if measures else ():
        values = np.array([one.median for one in measures]) + rng.standard_normal((n, len(measures)))
        inputs[f"{side}_quality"] = np.where([one.log for one in measures], np.exp(np.minimum(values, 600)), values)
    return inputs


def compare(fusion: ScoreFusion | QualityFusion, data: bytes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield log-likelihood ratios by ONNX Runtime and by numpy, for random batches of trials."""
    run, rng = open_onnx(data), np.random.default_rng(1)
    for n in lengths(rng, 1, MOST_TRIALS):
        inputs = draw_trials(fusion, rng, n)
        yield run(inputs)[0][:, None], original(fusion, inputs)[:, None]


def original(fusion: ScoreFusion | QualityFusion, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The log-likelihood ratios that avsv fuse computes; NaN where it has no map for the scores present."""
    scores, pairs = inputs["scores"], np.repeat(np.arange(len(inputs["scores"]))[:, None], 2, 1)
    measures = [one for one, _ in tables_of(fusion)]
    sides = [np.where([one.log for one in measures], np.log(np.maximum(side, 1e-300)), side)
             for side in (inputs[f"{name}_quality"] for name in ("enroll", "test") if measures)]  # fmt: skip
    if isinstance(fusion, QualityFusion):
        values, begin = [], 0
        for system in fusion.systems:
            columns = slice(begin, begin := begin + len(system.measures))
            values.append(RecordingValues(*(side[:, columns] for side in sides)) if sides else None)
        return fusion.apply(scores, pairs, values if sides else ())
    quality = RecordingValues(*sides).features(pairs) if sides else None
    codes = {tuple(one.present) for one in fusion.maps} | {(False,) * scores.shape[1]}
    known = np.array([tuple(row) in codes for row in (~np.isnan(scores)).tolist()])
    ratios = np.full(len(scores), np.nan)
    ratios[known] = fusion.apply(scores[known], None if quality is None else quality[known])
    return ratios
