"""Calibration and score fusion: one affine map of one or several systems' scores to log-likelihood ratios.

Prior-weighted logistic regression (Bruemmer and du Preez 2006; Pigeon, Druyts and Verlinde 2000): the map is chosen
that costs least, in bits, at a given target prior.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.files import write_json

RIDGE = 1e-6  # on weights of scores of unit variance: they stay finite where a threshold separates all trials


@dataclass(frozen=True)
class Fusion:
    """`scores @ weights + offset` is a natural-log likelihood ratio.

    weights : one for each system
    offset : added
    target_prior : for which it was trained
    systems : what the systems are called
    """

    weights: list[float]
    offset: float
    target_prior: float
    systems: list[str]

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Log-likelihood ratios (n,) of the scores (n, systems)."""
        return scores @ np.array(self.weights) + self.offset


def train_fusion(
    scores: np.ndarray, labels: np.ndarray, target_prior: float = 0.01, systems: Sequence[str] = ()
) -> Fusion:
    """Find the weights and the offset with the least prior-weighted cross-entropy.

    Parameters
    ----------
    scores : (n, systems) finite
    labels : (n,) bool
    target_prior : weight of the targets, 0 to 1

    Raises
    ------
    UserError : a score is infinite, or one class has no trial

    Examples
    --------
    >>> fusion = train_fusion(np.array([[-1.0], [1.0], [-1.0], [1.0]]), np.array([False, False, True, True]), 0.5)
    >>> abs(fusion.weights[0]) < 1e-6, abs(fusion.offset) < 1e-6  # scores that tell nothing
    (True, True)
    """
    labels = np.asarray(labels)
    if labels.all() or not labels.any():
        raise UserError(f"calibration needs target and nontarget trials, found {labels.sum()} and {(~labels).sum()}")
    if not np.isfinite(scores).all():
        raise UserError("calibration needs finite scores; some are infinite")
    middle, scale = scores.mean(axis=0), scores.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    design = np.column_stack([(scores - middle) / scale, np.ones(len(scores))])
    sample_weight = np.where(labels, target_prior / labels.sum(), (1 - target_prior) / (~labels).sum())
    found = minimise(design, labels, sample_weight, np.log(target_prior / (1 - target_prior)))
    weights = found[:-1] / scale
    return Fusion(weights.tolist(), float(found[-1] - weights @ middle), target_prior, list(systems))


def minimise(design: np.ndarray, labels: np.ndarray, sample_weight: np.ndarray, prior_logit: float) -> np.ndarray:
    """Newton's method with step halving on a convex function: gradient and Hessian are exact.

    design : (n, k), the last column ones
    """
    sign = np.where(labels, -1.0, 1.0)
    ridge = np.full(design.shape[1], RIDGE)
    ridge[-1] = 0

    def cost(x: np.ndarray) -> float:
        return sample_weight @ np.logaddexp(0, sign * (design @ x + prior_logit)) + 0.5 * ridge @ x**2

    x = np.zeros(design.shape[1])
    before = cost(x)
    for _ in range(100):
        margin = -sign * np.clip(design @ x + prior_logit, -500, 500)  # for the right class; clipped against overflow
        error = 1 / (1 + np.exp(margin))
        gradient = design.T @ (sample_weight * sign * error) + ridge * x
        hessian = (design * (sample_weight * error * (1 - error))[:, None]).T @ design + np.diag(ridge + 1e-15)
        step = np.linalg.solve(hessian, gradient)
        while (after := cost(x - step)) > before and np.abs(step).max() > 1e-12:
            step /= 2
        if after >= before:
            return x
        x, gain, before = x - step, before - after, after
        if gain < 1e-14 and np.abs(step).max() < 1e-8:
            return x
    return x


def write_fusion(path: Path | str, fusion: Fusion) -> None:
    """Write the model as JSON."""
    write_json(path, asdict(fusion))


def read_fusion(path: Path | str) -> Fusion:
    """Read a model that `write_fusion` wrote; UserError where it is absent or something else."""
    try:
        fusion = Fusion(**json.loads(Path(path).read_text(encoding="utf-8")))
        np.array([*fusion.weights, fusion.offset], float)
        return fusion
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: is no model of avsv calibrate or avsv fuse: {error}") from None
