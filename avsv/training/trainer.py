"""The training loop: one for every network of the house.

What a network brings: a module whose parameters are all that is learned, a `step` that turns a batch into a loss and
figures to show, `batches(epoch)`, which gives the same batches for the same epoch whenever it is asked, and, with
held-out people, `validate(model)`, which gives figures with `eer_percent` among them.
"""

import ctypes
import logging
import os
import platform
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from avsv.errors import UserError
from avsv.models.device import has_bfloat16, pick_device
from avsv.progress import progress
from avsv.training.checkpoints import FILES, final_weights, keep_last, load_state, save_state, start_from
from avsv.training.config import TrainingConfig
from avsv.training.curves import PICTURE_EVERY, EventFile, Figures, draw_curves, write_curves
from avsv.training.distributed import (
    average_gradients,
    join_processes,
    leave_processes,
    n_processes,
    rank,
    share,
    share_layers,
)
from avsv.training.experiment import finish_experiment, start_experiment
from avsv.training.schedule import learning_rate, make_optimizer

__all__ = ["Trainer", "finish_experiment", "load_batches", "start_experiment"]

log = logging.getLogger("avsv")
Step = Callable[[Any], tuple[Tensor, dict[str, float | Tensor]]]
Validate = Callable[[nn.Module], dict[str, float]]
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WINDOW = 100  # steps that a point of TensorBoard's curves is the mean of
LINE_EVERY = 60.0  # seconds between lines in the log within an epoch


def load_batches(dataset: Dataset, plan: list[list], config: TrainingConfig) -> DataLoader:
    """The batches of a plan, this process's share of each, prepared by `config.workers` other processes."""
    on_gpu = pick_device(config.device).type == "cuda"
    return DataLoader(dataset, batch_sampler=[share(b) for b in plan], num_workers=config.workers, pin_memory=on_gpu)


def keep_freed_memory() -> None:
    """Let glibc keep what a step frees for the next one; giving it back each time costs a seventh of the whole."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        m_trim_threshold, m_mmap_threshold = -1, -3  # of malloc.h
        libc.mallopt(m_mmap_threshold, 1 << 30)
        libc.mallopt(m_trim_threshold, (1 << 31) - 1)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """What `config.precision` means on this processor; what would be slow is said."""
    native = has_bfloat16(device)
    if name == "bfloat16" and not native:
        log.warning("precision=bfloat16: this %s has no such numbers and imitates them, many times slower; "
                    "float32 or auto is quicker", device.type)  # fmt: skip
    return PRECISIONS[name] if name != "auto" else torch.bfloat16 if native else torch.float32


def name_of(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")


class Trainer:
    """Trains `model` in `config.exp_dir`, from its last checkpoint where there is one.

    Writes checkpoints (see checkpoints.py) and curves: history.jsonl and curves.tsv (one line an epoch), curves.svg and
    TensorBoard's event file. Under torchrun the first process writes, and after `fit` the others end.

    Attributes
    ----------
    device : where the model is; a step moves its batch there
    epoch : finished epochs
    done : share of all steps that is behind, 0 before the first: what a growing margin goes by
    precision : of the products in a step

    Raises
    ------
    UserError : a precision, an optimiser or weights of unknown names
    """

    def __init__(self, model: nn.Module, config: TrainingConfig):
        if config.precision not in (*PRECISIONS, "auto"):
            raise UserError(f"precision={config.precision}: expected one of {', '.join(PRECISIONS)}, auto")
        if config.weights not in FILES:
            raise UserError(f"weights={config.weights}: expected one of {', '.join(FILES)}")
        torch.set_num_threads(config.threads or int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0))))
        keep_freed_memory()
        join_processes(config.device)
        self.config, self.exp_dir = config, Path(config.exp_dir)
        self.device = pick_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        self.model = model.to(self.device)
        share_layers(model, self.device)
        self.optimizer = make_optimizer(model, config.optimizer)
        # float16 has no room for small gradients: the loss is multiplied first, and the gradients divided after
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == torch.float16)
        self.epoch, self.done = 0, 0.0
        self.history: list[dict] = []
        self.events: EventFile | None = None  # of the first process, once training goes

    def fit(
        self, step: Step, batches: Callable[[int], Iterable], n_batches: int, validate: Validate | None = None
    ) -> list[dict]:
        """Run the remaining epochs, and put the weights into the model that `config.weights` asks for.

        Parameters
        ----------
        step : batch -> mean loss over it, and figures, numbers or tensors, such as its accuracy
        batches : epoch from 0 -> its batches (under torchrun this process's share of each)
        n_batches : in each epoch
        validate : model in its evaluation mode -> figures; a lower "eer_percent" is better

        Returns
        -------
        one record of mean figures an epoch

        Raises
        ------
        UserError : the loss is not finite; weights=best without people to validate on
        """
        if self.config.weights == "best" and validate is None:
            raise UserError("weights=best: needs held-out people to measure the EER of; give valid_dir")
        size = self.resume()
        self.events = EventFile(self.exp_dir, size) if rank() == 0 else None
        n_parameters = sum(p.numel() for p in self.model.parameters())
        shared = f", {n_processes()} processes" if n_processes() > 1 else ""
        log.info("%s: %.2f M parameters, %d epochs of %d batches on %s (%s)%s", self.exp_dir, n_parameters / 1e6,
                 self.config.epochs, n_batches, self.device, name_of(self.precision), shared)  # fmt: skip
        step, clock = average_gradients(self.model, step), Clock(self.epoch * n_batches, self.config.epochs * n_batches)
        drawn = time.monotonic()
        while self.epoch < self.config.epochs:
            torch.manual_seed(self.config.seed * 100_003 + self.epoch)
            record = self.run_epoch(step, batches(self.epoch), n_batches, clock)
            if validate:
                record |= self.validate(validate)
            self.epoch += 1
            self.history.append(record)
            said = ", ".join(f"{name} {value:.4g}" for name, value in record.items() if name != "epoch")
            log.info("epoch %d/%d: %s, %s", self.epoch, self.config.epochs, said, clock)
            if self.events:
                self.events.add(self.epoch * n_batches, {f"epoch/{n}": v for n, v in record.items() if n != "epoch"})
                self.save()
                if time.monotonic() - drawn > PICTURE_EVERY:
                    draw_curves(self.exp_dir, self.history)
                    drawn = time.monotonic()
        if self.events:
            draw_curves(self.exp_dir, self.history)
        leave_processes()
        if self.config.weights != "last":
            self.model.load_state_dict(final_weights(self.exp_dir, self.config.weights))
        self.model.eval()
        return self.history

    def run_epoch(self, step: Step, batches: Iterable, n_batches: int, clock: "Clock") -> dict[str, float]:
        self.model.train()
        figures = Figures()
        begin = spoken = shown = time.monotonic()
        bar = progress(batches, f"epoch {self.epoch + 1}/{self.config.epochs}", n_batches, "batch")
        n_steps = n_batches * self.config.epochs
        for index, batch in enumerate(bar, 1):
            number = self.epoch * n_batches + index
            self.done = (number - 1) / n_steps
            rate = learning_rate(self.config.optimizer, number - 1, n_steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group.get("rate_share", 1.0)
            figures.add(self.update(step, batch))
            now = time.monotonic()
            if index % WINDOW == 0 or index == n_batches:
                means = figures.take(self.device)
                self.refuse_infinite(means["loss"])
                if self.events:
                    self.events.add(number, {**means, "lr": rate})
            clock.step = number
            if not bar.disable and now - shown > 1:
                bar.set_postfix_str(f"{figures}, {clock}", refresh=False)
                shown = now
            elif bar.disable and now - spoken > LINE_EVERY and index < n_batches:
                log.info("epoch %d/%d, batch %d/%d: %s, %s", self.epoch + 1, self.config.epochs, index, n_batches,
                         figures, clock)  # fmt: skip
                spoken = now
        return {"epoch": self.epoch + 1, **figures.means(), "lr": rate, "seconds": time.monotonic() - begin}

    def update(self, step: Step, batch: Any) -> dict[str, float | Tensor]:
        """One step of the optimiser; its figures, "loss" first."""
        with self.autocast():
            loss, figures = step(batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if self.config.optimizer.clip_norm:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return {"loss": loss.detach(), **figures}

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)

    def validate(self, validate: Validate) -> dict[str, float]:
        self.model.eval()
        with torch.no_grad(), self.autocast():
            return validate(self.model)

    def refuse_infinite(self, loss: float) -> None:
        if not abs(loss) < float("inf"):
            raise UserError(f"{self.exp_dir}: the loss is {loss} in epoch {self.epoch + 1}; lower optimizer.lr")

    def save(self) -> None:
        """Weights first, then the state that says that this epoch is done: a kill in between repeats the epoch."""
        weights = {"model": self.model.state_dict()}
        errors = [record.get("eer_percent", float("inf")) for record in self.history]
        if errors[-1] < min(errors[:-1], default=float("inf")):
            save_state(self.exp_dir / FILES["best"], weights)
        if self.config.weights == "average":
            keep_last(self.exp_dir, self.epoch, weights, self.config.average_last)
        save_state(self.exp_dir / FILES["last"], {
            **weights,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epoch": self.epoch,
            "history": self.history,
            "events_size": self.events.save(),
        })  # fmt: skip
        write_curves(self.exp_dir, self.history)

    def resume(self) -> int:
        """Go on from the checkpoint, or start from `config.init`; the size of the event file at that moment.

        No random state is kept: each epoch begins with a seed of its own.
        """
        path = self.exp_dir / FILES["last"]
        if not path.exists():
            if self.config.init:
                start_from(self.model, self.config.init, self.exp_dir)
            return 0
        state = load_state(path)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state.get("scaler", {}))
        self.epoch, self.history = state["epoch"], state["history"]
        log.info("%s: going on after epoch %d", self.exp_dir, self.epoch)
        return state.get("events_size", 0)


class Clock:
    """Speed of the steps done so far and the time that those to come will take, as text.

    Examples
    --------
    >>> clock = Clock(0, 100)
    >>> clock.begin, clock.step = time.monotonic() - 50, 25
    >>> str(clock)
    '0.5 batches/s, 2.5 min left'
    """

    def __init__(self, step: int, n_steps: int):
        self.begin, self.first, self.step, self.n_steps = time.monotonic(), step, step, n_steps

    def __str__(self) -> str:
        speed = max(1, self.step - self.first) / (time.monotonic() - self.begin)
        return f"{speed:.3g} batches/s, {duration((self.n_steps - self.step) / speed)} left"


def duration(seconds: float) -> str:
    """Seconds in words.

    Examples
    --------
    >>> duration(0.02), duration(42), duration(5400), duration(200_000)
    ('20 ms', '42 s', '1.5 h', '2.3 days')
    """
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{1000 * seconds:.0f} ms" if 0 < seconds < 1 else f"{seconds:.0f} s"
