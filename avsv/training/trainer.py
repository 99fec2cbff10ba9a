"""The training loop, shared by all networks.

It needs a module with all trained parameters; a `step` from a batch to a loss and figures to show;
`batches(epoch)`, which returns the same batches each time for the same epoch; and, with held-out people,
`validate(model)`, which returns figures including `eer_percent`. Task (task.py) provides them.

Two networks trained against each other (a GAN) are parts of one model: each has its own step and optimiser, and they
take turns on every batch.
"""

import ctypes
import logging
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avsv.errors import InputError, refuse_unknown
from avsv.jobs.files import whole_file
from avsv.jobs.progress import progress
from avsv.jobs.threads import n_allowed
from avsv.media.encoding import encode_png
from avsv.models.checkpoint import fill, is_mapping, write_torch
from avsv.models.device import has_bfloat16, pick_device
from avsv.training.checkpoints import FILES, final_weights, keep_last, load_state, start_from
from avsv.training.clock import Clock
from avsv.training.config import TrainingConfig
from avsv.training.curves import DRAW_EVERY, EventFile, Figures, draw_curves, write_curves
from avsv.training.distributed import (
    average_gradients,
    join_processes,
    leave_processes,
    n_processes,
    rank,
    share_layers,
)
from avsv.training.schedule import learning_rate, make_optimizer

log = logging.getLogger("avsv")
Step = Callable[[Any], tuple[Tensor, dict[str, float | Tensor]]]
Validate = Callable[[nn.Module], dict[str, float]]
Draw = Callable[[nn.Module], np.ndarray]
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WINDOW = 100  # steps averaged into one point of TensorBoard's curves
LINE_EVERY = 60.0  # seconds between log lines within an epoch


def keep_freed_memory() -> None:
    """Make glibc keep the memory that a step frees: returning it each time costs a seventh of the training time."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        m_trim_threshold, m_mmap_threshold = -1, -3  # of malloc.h
        libc.mallopt(m_mmap_threshold, 1 << 30)
        libc.mallopt(m_trim_threshold, (1 << 31) - 1)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The data type of `config.precision` on this device; warns if the device emulates it slowly."""
    refuse_unknown("precision", name, (*PRECISIONS, "auto"))
    native = has_bfloat16(device)
    if name == "bfloat16" and not native:
        log.warning("precision=bfloat16: this %s emulates it many times slower; use float32 or auto", device.type)
    return PRECISIONS[name] if name != "auto" else torch.bfloat16 if native else torch.float32


def name_of(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")


class Trainer:
    """Trains `model` in `config.exp_dir`, resuming from the last checkpoint if one exists.

    Writes checkpoints (see checkpoints.py) and curves: history.jsonl and curves.tsv (one line per epoch), curves.svg
    and TensorBoard's event file. Under torchrun only the first process writes; the others exit after `fit`.

    Parameters
    ----------
    players : parts of the model that are trained against each other, in the order of their turns; empty: the model is
        trained as a whole. During one player's turn the other players' parameters get no gradients

    Attributes
    ----------
    device : device of the model; a step moves its batch there
    epoch : number of finished epochs
    done : share of all steps that are finished, 0 before the first; margin warm-up depends on it
    precision : data type under autocast in a step

    Raises
    ------
    InputError : an unknown choice of weights
    OptionError : an unknown precision or optimiser
    """

    def __init__(self, model: nn.Module, config: TrainingConfig, players: Sequence[nn.Module] = ()):
        if config.weights not in FILES:
            raise InputError(f"weights={config.weights}: expected one of {', '.join(FILES)}")
        torch.set_num_threads(config.threads or n_allowed())
        keep_freed_memory()
        join_processes(config.device)
        self.config, self.exp_dir = config, Path(config.exp_dir)
        self.device = pick_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        self.model = model.to(self.device)
        share_layers(model, self.device)
        self.players = list(players) or [model]
        self.optimizers = [make_optimizer(player, config.optimizer) for player in self.players]
        # small gradients underflow in float16: the loss is scaled up first, and the gradients scaled down afterwards
        scaled = self.precision == torch.float16
        self.scalers = [torch.amp.GradScaler(self.device.type, enabled=scaled) for _ in self.players]
        self.epoch, self.done = 0, 0.0
        self.history: list[dict] = []
        self.events: EventFile | None = None  # first process only, once training has started

    def fit(
        self,
        step: Step | Sequence[Step],
        batches: Callable[[int], Iterable],
        n_batches: int,
        validate: Validate | None = None,
        draw: Draw | None = None,
    ) -> list[dict]:
        """Run the remaining epochs, then load the weights that `config.weights` selects into the model.

        Parameters
        ----------
        step : batch -> its mean loss, and figures (numbers or tensors) such as its accuracy; one step for each player
        batches : epoch, counted from 0 -> its batches (under torchrun this process's share of each)
        n_batches : number of batches in each epoch
        validate : model in evaluation mode -> figures; a lower "eer_percent" is better
        draw : model in evaluation mode -> (h, w, 3) uint8 RGB, saved after each epoch: samples/0001.png, TensorBoard

        Returns
        -------
        one record of mean figures per epoch

        Raises
        ------
        InputError : the loss is not finite; weights=best without held-out people
        """
        if self.config.weights == "best" and validate is None:
            raise InputError("weights=best: selects the epoch by its EER on held-out people; set valid_dir")
        size = self.resume()
        self.events = EventFile(self.exp_dir, size) if rank() == 0 else None
        n_parameters = sum(p.numel() for p in self.model.parameters())
        shared = f", {n_processes()} processes" if n_processes() > 1 else ""
        log.info("%s: %.2f M parameters, %d epochs of %d batches on %s (%s)%s", self.exp_dir, n_parameters / 1e6,
                 self.config.epochs, n_batches, self.device, name_of(self.precision), shared)  # fmt: skip
        steps = [average_gradients(player, turn) for player, turn in zip(self.players, turns_of(step), strict=True)]
        clock = Clock(self.epoch * n_batches, self.config.epochs * n_batches)
        drawn = time.monotonic()
        while self.epoch < self.config.epochs:
            torch.manual_seed(self.config.seed * 100_003 + self.epoch)
            record = self.run_epoch(steps, batches(self.epoch), n_batches, clock)
            if validate:
                record |= self.evaluate(validate)
            if draw and self.events:
                self.save_image(self.evaluate(draw), (self.epoch + 1) * n_batches)
            self.epoch += 1
            self.history.append(record)
            text = ", ".join(f"{name} {value:.4g}" for name, value in record.items() if name != "epoch")
            log.info("epoch %d/%d: %s, %s", self.epoch, self.config.epochs, text, clock)
            if self.events:
                self.events.add(self.epoch * n_batches, {f"epoch/{n}": v for n, v in record.items() if n != "epoch"})
                self.save()
                if time.monotonic() - drawn > DRAW_EVERY:
                    draw_curves(self.exp_dir, self.history)
                    drawn = time.monotonic()
        if self.events:
            draw_curves(self.exp_dir, self.history)
        leave_processes()
        if self.config.weights != "last":
            weights = final_weights(self.exp_dir, self.config.weights)
            fill(self.model, weights, self.exp_dir / FILES[self.config.weights])
        self.model.eval()
        return self.history

    def run_epoch(self, steps: list[Step], batches: Iterable, n_batches: int, clock: "Clock") -> dict[str, float]:
        self.model.train()
        figures = Figures()
        begin = logged = shown = time.monotonic()
        bar = progress(batches, f"epoch {self.epoch + 1}/{self.config.epochs}", n_batches, "batch")
        n_steps = n_batches * self.config.epochs
        for index, batch in enumerate(bar, 1):
            number = self.epoch * n_batches + index
            self.done = (number - 1) / n_steps
            rate = learning_rate(self.config.optimizer, number - 1, n_steps)
            for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
                group["lr"] = rate * group.get("rate_share", 1.0)
            figures.add(self.update(steps, batch))
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
            elif bar.disable and now - logged > LINE_EVERY and index < n_batches:
                log.info("epoch %d/%d, batch %d/%d: %s, %s", self.epoch + 1, self.config.epochs, index, n_batches,
                         figures, clock)  # fmt: skip
                logged = now
        return {"epoch": self.epoch + 1, **figures.means(), "lr": rate, "seconds": time.monotonic() - begin}

    def update(self, step: Step | Sequence[Step], batch: Any) -> dict[str, float | Tensor]:
        """Make one step with each optimiser; return all figures, starting with "loss", the sum of the losses."""
        total, all_figures = 0.0, {}
        turns = zip(turns_of(step), self.optimizers, self.scalers, strict=True)
        for number, (turn, optimizer, scaler) in enumerate(turns):
            self.give_turn(number)
            with self.autocast():
                loss, figures = turn(batch)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            if self.config.optimizer.clip_norm:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(self.players[number].parameters(), self.config.optimizer.clip_norm)
            scaler.step(optimizer)
            scaler.update()
            total, all_figures = total + loss.detach(), {**all_figures, **figures}
        return {"loss": total, **all_figures}

    def give_turn(self, number: int) -> None:
        """Enable gradients for one player only; without players, keep the gradients as the task set them."""
        if len(self.players) > 1:
            for other, player in enumerate(self.players):
                player.requires_grad_(other == number)

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)

    def evaluate(self, function: Callable[[nn.Module], Any]) -> Any:
        self.model.eval()
        with torch.no_grad(), self.autocast():
            return function(self.model)

    def save_image(self, image: np.ndarray, step: int) -> None:
        encoded = encode_png(image)
        self.events.add_image(step, "samples", encoded, image.shape)
        with whole_file(self.exp_dir / "samples" / f"{self.epoch + 1:04d}.png", "wb") as out:
            out.write(encoded)

    def refuse_infinite(self, loss: float) -> None:
        if not abs(loss) < float("inf"):
            raise InputError(f"{self.exp_dir}: the loss is {loss} in epoch {self.epoch + 1}; lower optimizer.lr")

    def save(self) -> None:
        """Write the weights, then the state that marks the epoch as done; a kill in between costs the epoch."""
        weights = {"model": self.model.state_dict()}
        errors = [record.get("eer_percent", float("inf")) for record in self.history]
        if errors[-1] < min(errors[:-1], default=float("inf")):
            write_torch(self.exp_dir / FILES["best"], weights)
        if self.config.weights == "average":
            keep_last(self.exp_dir, self.epoch, weights, self.config.average_last)
        write_torch(self.exp_dir / FILES["last"], {
            **weights,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "scalers": [scaler.state_dict() for scaler in self.scalers],
            "epoch": self.epoch,
            "history": self.history,
            "events_size": self.events.save(),
        })  # fmt: skip
        write_curves(self.exp_dir, self.history)

    def resume(self) -> int:
        """Resume from the checkpoint, or start from `config.init`; return the size of the event file at that moment.

        No random state is kept: each epoch starts from its own seed.
        """
        path = self.exp_dir / FILES["last"]
        if not path.exists():
            if self.config.init:
                start_from(self.model, self.config.init, self.exp_dir)
            return 0
        state = load_state(path)
        fill(self.model, state["model"], path)
        try:
            self.take_state(state)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError) as error:
            raise InputError(f"{path}: training cannot resume from this checkpoint: it is damaged or from another "
                            f"version of avsv ({type(error).__name__}: {error}). Delete {self.exp_dir} or choose "
                            "another exp_dir") from None  # fmt: skip
        log.info("%s: resuming after epoch %d", self.exp_dir, self.epoch)
        return state.get("events_size", 0)

    def take_state(self, state: dict) -> None:
        """Load optimisers, epoch and history from a checkpoint; raise ValueError and others if they are malformed."""
        for optimizer, scaler, of_optimizer, of_scaler in zip(
            self.optimizers, self.scalers, state["optimizers"], state["scalers"], strict=True
        ):
            refuse_other_moments(optimizer, of_optimizer)
            optimizer.load_state_dict(of_optimizer)
            scaler.load_state_dict(of_scaler)
        epoch, history, size = state["epoch"], state["history"], state.get("events_size", 0)
        figures = isinstance(history, list) and all(is_mapping(record) for record in history)
        if type(epoch) is not int or epoch < 0 or type(size) is not int or size < 0:
            raise ValueError(" ".join(f"epoch {epoch}, events_size {size}".split()))
        if not figures or not all(isinstance(v, int | float) for record in history for v in record.values()):
            raise ValueError("the history is not a list of figures")
        if any(type(record.get("epoch")) is not int for record in history):
            raise ValueError("the history has no epoch numbers")
        if len(history) != epoch:
            raise ValueError(f"the history has {len(history)} epochs, but the weights are from epoch {epoch}")
        self.epoch, self.history = epoch, history


def refuse_other_moments(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Raise ValueError if an optimiser's state has other shapes; torch would accept it and fail in the first step."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for number, moments in state["state"].items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.ndim and value.shape != parameters[number].shape:
                raise ValueError(f"{name} of parameter {number} has the shape {tuple(value.shape)}")


def turns_of(step: Step | Sequence[Step]) -> list[Step]:
    return [step] if callable(step) else list(step)
