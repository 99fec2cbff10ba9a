"""How the weights move: the optimiser, and its rate over the steps."""

import math

import torch
from torch import nn

from avsv.errors import InputError
from avsv.training.config import OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int, n_steps: int) -> float:
    """Rate at `step` of `n_steps`, after a linear warm-up.

    cosine: half a cosine from lr to final_lr; exponential: a constant factor a step; cyclic: triangles between
    final_lr and lr (Smith, 2017), `cycles` of them.

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
    """Adam, AdamW or SGD (Nesterov, momentum 0.9) over all parameters of a model.

    A parameter with an attribute `rate_share` moves at that share of the rate: tuned encoders below a new head.
    """
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    if config.name not in kinds:
        raise InputError(f"optimizer.name={config.name}: expected one of {', '.join(kinds)}")
    more = {"momentum": 0.9, "nesterov": True} if config.name == "sgd" else {"betas": tuple(config.betas)}
    found: dict[tuple[float, bool], list[nn.Parameter]] = {}  # (rate_share, is decayed) -> parameters
    for p in model.parameters():
        # norms and biases are not decayed unless asked for: shrinking them changes the function, not its complexity
        found.setdefault((getattr(p, "rate_share", 1.0), p.ndim > 1 or config.decay_all), []).append(p)
    groups = [{"params": those, "weight_decay": config.weight_decay if decayed else 0.0, "rate_share": share}
              for (share, decayed), those in sorted(found.items(), key=lambda kind: kind[0], reverse=True)]  # fmt: skip
    return kinds[config.name](groups, lr=config.lr, **more)
