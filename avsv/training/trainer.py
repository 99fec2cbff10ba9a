"""The training loop: one for every network of the house.

What a network brings: a module whose parameters are all that is learned, a `step` that turns a batch into a loss and
figures to show, and `batches(epoch)`, which gives the same batches for the same epoch whenever it is asked.
"""

import ctypes
import json
import logging
import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import avsv
from avsv.errors import UserError
from avsv.files import whole_file, write_json
from avsv.models.device import pick_device
from avsv.progress import progress
from avsv.training.config import OptimizerConfig, TrainingConfig, to_yaml

log = logging.getLogger("avsv")
Step = Callable[[Any], tuple[Tensor, dict[str, float]]]


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
    raise UserError(f'optimizer.schedule={config.schedule}: expected "cosine", "cyclic" or "exponential"')


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    if config.name not in kinds:
        raise UserError(f"optimizer.name={config.name}: expected one of {', '.join(kinds)}")
    more = {"momentum": 0.9, "nesterov": True} if config.name == "sgd" else {}
    # norms and biases are not decayed: shrinking them changes the function, not its complexity
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return kinds[config.name](groups, lr=config.lr, **more)


def keep_freed_memory() -> None:
    """Let glibc keep what a step frees for the next one; giving it back each time costs a seventh of the whole."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        m_trim_threshold, m_mmap_threshold = -1, -3  # of malloc.h
        libc.mallopt(m_mmap_threshold, 1 << 30)
        libc.mallopt(m_trim_threshold, (1 << 31) - 1)


class Trainer:
    """Trains `model` in `config.exp_dir`, from its last checkpoint where there is one.

    Writes config.yaml, run.json (versions and command line), train.log, history.jsonl (one line an epoch) and
    checkpoint.pt (model, optimiser, epoch, random state), replaced whole after each epoch.
    """

    def __init__(self, model: nn.Module, config: TrainingConfig):
        torch.set_num_threads(config.threads or int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0))))
        keep_freed_memory()
        self.config, self.exp_dir = config, Path(config.exp_dir)
        self.device = pick_device(config.device)
        self.model = model.to(self.device)
        self.optimizer = make_optimizer(model, config.optimizer)
        self.epoch = 0
        self.history: list[dict] = []

    def fit(self, step: Step, batches: Callable[[int], Iterable], n_batches: int) -> list[dict]:
        """Run the remaining epochs; returns one record of mean figures an epoch."""
        self.resume()
        n_parameters = sum(p.numel() for p in self.model.parameters())
        log.info("%s: %.2f M parameters, %d epochs of %d batches on %s", self.exp_dir, n_parameters / 1e6,
                 self.config.epochs, n_batches, self.device)  # fmt: skip
        while self.epoch < self.config.epochs:
            torch.manual_seed(self.config.seed * 100_003 + self.epoch)
            record = self.run_epoch(step, batches(self.epoch), n_batches)
            self.epoch += 1
            self.history.append(record)
            self.save()
            log.info("epoch %d/%d: %s", self.epoch, self.config.epochs,
                     ", ".join(f"{name} {value:.4g}" for name, value in record.items() if name != "epoch"))  # fmt: skip
        self.model.eval()
        return self.history

    def run_epoch(self, step: Step, batches: Iterable, n_batches: int) -> dict[str, float]:
        self.model.train()
        sums: dict[str, float] = {}
        begin = time.monotonic()
        bar = progress(batches, f"epoch {self.epoch + 1}/{self.config.epochs}", n_batches, "batch")
        n_steps = n_batches * self.config.epochs
        for index, batch in enumerate(bar):
            rate = learning_rate(self.config.optimizer, self.epoch * n_batches + index, n_steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            figures = self.update(step, batch)
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value
            bar.set_postfix(figures, refresh=False)
        means = {name: value / n_batches for name, value in sums.items()}
        return {"epoch": self.epoch + 1, **means, "lr": rate, "seconds": time.monotonic() - begin}

    def update(self, step: Step, batch: Any) -> dict[str, float]:
        half = self.config.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            loss, figures = step(batch)
        if not torch.isfinite(loss):
            raise UserError(f"{self.exp_dir}: the loss is {loss.item()} in epoch {self.epoch + 1}; lower optimizer.lr")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.config.optimizer.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.clip_norm)
        self.optimizer.step()
        return {"loss": loss.item(), **figures}

    def save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "random": torch.get_rng_state(),
            "history": self.history,
        }
        with whole_file(self.exp_dir / "checkpoint.pt", "wb") as out:
            torch.save(state, out)
        with whole_file(self.exp_dir / "history.jsonl") as out:
            out.writelines(json.dumps(record) + "\n" for record in self.history)

    def resume(self) -> None:
        path = self.exp_dir / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self.epoch, self.history = state["epoch"], state["history"]
        log.info("%s: going on after epoch %d", self.exp_dir, self.epoch)


def start_experiment(config: TrainingConfig, inputs: Any) -> bool:
    """Prepare the experiment's folder; False where it is finished with this configuration and these data already.

    Parameters
    ----------
    inputs : what else the outcome depends on (a hash of the data), compared with that of an earlier run

    Raises
    ------
    UserError : the folder holds a training with another configuration or other data
    """
    exp_dir = Path(config.exp_dir)
    text, inputs = to_yaml(config), json.loads(json.dumps(inputs))
    if (exp_dir / "config.yaml").exists():
        refuse_other_config(exp_dir, text)
        if json.loads((exp_dir / "run.json").read_text(encoding="utf-8"))["inputs"] != inputs:
            raise UserError(f"{exp_dir}: was trained on other data than {config.data_dir} holds now; "
                            f"delete {exp_dir} or choose another exp_dir")  # fmt: skip
        if (exp_dir / "done").exists():
            log.info("%s: trained already", exp_dir)
            return False
    versions = {"avsv": avsv.__version__, "python": platform.python_version()}
    versions |= {package: find_version(package) for package in ("torch", "speechbrain", "numpy", "onnxruntime")}
    write_json(exp_dir / "run.json", {
        "command": shlex.join(sys.argv),
        "inputs": inputs,
        "versions": versions,
    })  # fmt: skip
    with whole_file(exp_dir / "config.yaml") as out:
        out.write(text)
    handler = logging.FileHandler(exp_dir / "train.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    return True


def finish_experiment(config: TrainingConfig) -> None:
    """Mark an experiment as complete: everything it should hold is written."""
    with whole_file(Path(config.exp_dir) / "done") as out:
        out.write("complete\n")


def refuse_other_config(exp_dir: Path, text: str) -> None:
    old = (exp_dir / "config.yaml").read_text(encoding="utf-8").splitlines()
    free = ("threads:", "workers:", "device:")  # where it is computed, not what
    changed = [line.strip() for line in text.splitlines() if line not in old and not line.startswith(free)]
    if changed:
        raise UserError(f"{exp_dir}: was trained with another configuration; new: {'; '.join(changed)}. "
                        "Delete the folder or choose another exp_dir")  # fmt: skip


def find_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
