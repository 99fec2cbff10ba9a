"""Scores of several systems on one trial list, side by side."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.kaldi.scores import read_scores, write_scores
from avsv.kaldi.trials import Trials, read_labelled_trials, read_trials
from avsv.scoring.calibration import Fusion, read_fusion, train_fusion, write_fusion

log = logging.getLogger("avsv")


def read_score_columns(trials: Trials, paths: Sequence[Path]) -> np.ndarray:
    """(trials, systems) float64; every file has a score of every trial."""
    return np.column_stack([read_scores(path, trials) for path in paths])


def average_files(out: Path, trials: Path, scores: Sequence[Path]) -> None:
    """Write the mean of several systems' scores."""
    listed = read_trials(trials)
    write_scores(out, listed, read_score_columns(listed, scores).mean(axis=1))
    log.info("%s: %d scores, mean of %d systems", out, len(listed), len(scores))


def fuse_files(
    out: Path,
    trials: Path,
    scores: Sequence[Path],
    train_trials: Path | None = None,
    train_scores: Sequence[Path] | None = None,
    target_prior: float = 0.01,
    model: Path | None = None,
) -> None:
    """Write the calibrated scores of one system, or the fused ones of several, and the model as OUT.json.

    The model is read from `model`; otherwise trained on `train_trials` and `train_scores`; otherwise on the trials
    themselves.

    Raises
    ------
    UserError : the model or the training scores are of another number of systems, or the options contradict
    """
    if (train_trials is None) != (train_scores is None):
        raise UserError("--train-trials and --train-scores go together")
    if model is not None and train_trials is not None:
        raise UserError("--model is applied as it is: leave out --train-trials and --train-scores, or --model")
    if train_scores is not None and len(train_scores) != len(scores):
        raise UserError(f"--scores has {len(scores)} systems, --train-scores {len(train_scores)}")
    if model is not None:
        fusion = read_fusion(model)
    elif train_trials is not None:
        fusion = train_on_files(train_trials, train_scores, target_prior)
    else:
        log.warning("%s: trained on the trials it is applied to, which flatters it; see --train-trials", out)
        fusion = train_on_files(trials, scores, target_prior)
    if len(fusion.weights) != len(scores):
        raise UserError(f"{model}: is a model of {len(fusion.weights)} systems, --scores has {len(scores)}")
    listed = read_trials(trials)
    write_scores(out, listed, fusion.apply(read_score_columns(listed, scores)))
    write_fusion(out.with_name(out.name + ".json"), fusion)
    weights = ", ".join(f"{weight:.4g}" for weight in fusion.weights)
    log.info("%s: %d log-likelihood ratios, weights %s, offset %.4g", out, len(listed), weights, fusion.offset)


def train_on_files(trials: Path, scores: Sequence[Path], target_prior: float) -> Fusion:
    """Train the calibration or fusion of score files."""
    labelled = read_labelled_trials(trials)
    columns = read_score_columns(labelled, scores)
    if not np.isfinite(columns).all():
        names = ", ".join(map(str, scores))
        raise UserError(f"{names}: some scores are infinite; logistic regression needs finite ones")
    if labelled.labels.all() or not labelled.labels.any():
        raise UserError(f"{trials}: all trials are of one class; logistic regression needs target and nontarget trials")
    return train_fusion(columns, labelled.labels, target_prior, [str(path) for path in scores])
