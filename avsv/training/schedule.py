"""Optimisers and learning-rate schedules."""

import math

import torch
from torch import nn

from avsv.errors import InputError
from avsv.models.stand_in import without_compiler
from avsv.training.config import OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int, n_steps: int) -> float:
    """The learning rate at `step` of `n_steps`, with a linear warm-up.

    cosine: half a cosine from lr to final_lr; exponential: a constant factor per step; cyclic: `cycles` triangles
    between final_lr and lr (Smith, 2017).

    Examples
    --------
    >>> [round(learning_rate(OptimizerConfig(lr=1.0, final_lr=0.1, warmup=0), s, 11), 2) for s in (0, 5, 10)]
    [1.0, 0.55, 0.1]
    """
    n_warmup = round(config.warmup * n_steps)
    if step < n_warmup:
        return config.lr * (step + 1) / (n_warmup + 1)
    done = (step - n_warmup) / max(1, n_steps - 1 - n_warmup)
    if config.schedule == "cosine":
        return config.final_lr + (config.lr - config.final_lr) * (1 + math.cos(math.pi * min(done, 1))) / 2
    if config.schedule == "exponential":
        return config.lr * (config.final_lr / config.lr) ** done
    if config.schedule == "cyclic":
        phase = done * config.cycles % 1
        return config.final_lr + (config.lr - config.final_lr) * (1 - abs(2 * phase - 1))
    raise InputError(f'optimizer.schedule={config.schedule}: expected "cosine", "cyclic" or "exponential"')


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Adam, AdamW or SGD (Nesterov) for all parameters of a model.

    A parameter with an attribute `rate_share` is trained at that share of the learning rate; fine-tuned encoders below
    a new head use it.
    """
    without_compiler()
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    if config.name not in kinds:
        raise InputError(f"optimizer.name={config.name}: expected one of {', '.join(kinds)}")
    more = {"momentum": config.momentum, "nesterov": True} if config.name == "sgd" else {"betas": tuple(config.betas)}
    by_kind: dict[tuple[float, bool], list[nn.Parameter]] = {}  # (rate_share, is decayed) -> parameters
    for p in model.parameters():
        # norms and biases are decayed on request only: shrinking them changes the function, not its complexity
        by_kind.setdefault((getattr(p, "rate_share", 1.0), p.ndim > 1 or config.decay_all), []).append(p)
    groups = [{"params": members, "weight_decay": config.weight_decay if decayed else 0.0, "rate_share": share}
              for (share, decayed), members in sorted(by_kind.items(), key=lambda x: x[0], reverse=True)]  # fmt: skip
    return kinds[config.name](groups, lr=config.lr, **more)
