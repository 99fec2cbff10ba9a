"""A task: everything that distinguishes one kind of training from another; `train` and `dry_run` do the rest.

Subclasses are listed in the registries, avsv/training/tasks/__init__.py and avsv/systems/NAME/__init__.py, under the
name that configurations give in their key `task`. `train` calls the methods in this order:

    read                the training data, and the inputs that the result depends on
    make_model          network and losses
    prepare             data sets, statistics of the training set
    make_step           from a batch to a loss
    plan, batches       the examples of each batch of an epoch, the same on every call
    make_validation     the error on held-out speakers
    save                the files that other commands use

A dry run calls `random_data` in place of `read`, then `make_model` and `make_step`; it needs no data.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.utils.data import Dataset

from avsv.errors import InputError
from avsv.kaldi.segments import Source
from avsv.training.batches import load_batches
from avsv.training.config import TrainingConfig
from avsv.training.experiment import finish_experiment, start_experiment
from avsv.training.model_card import write_model_card
from avsv.training.trainer import Draw, Step, Trainer, Validate


@dataclass(frozen=True)
class Inputs:
    """The inputs that the result of a training depends on, besides its configuration.

    keys : name -> hash or hashes of the data; a changed hash makes another training
    media : tables of the recordings and images that are read; a file replaced under the same name is another input
    """

    keys: Mapping[str, Any]
    media: Sequence[Mapping[str, Source]] = ()


@dataclass(frozen=True)
class RandomData:
    """Random numbers in place of data, for a dry run.

    make_batch : number of examples -> a batch in the form of the data set's batches
    examples : number of examples in an epoch
    example : description of one example, such as "3 s of audio"
    """

    make_batch: Callable[[int], Any]
    examples: int
    example: str


class Task(ABC):
    """One kind of training.

    Parameters
    ----------
    config : an instance of `config_class`

    Attributes
    ----------
    title : one sentence on what is trained, for the model card
    use : lines of Python that use it, for the model card; FOLDER stands for its folder
    model : the result of `make_model`
    dataset : has the items of `plan`; tasks that keep their data in memory override `batches` instead
    """

    config_class: ClassVar[type[TrainingConfig]]
    title: ClassVar[str] = "A network."
    use: ClassVar[tuple[str, ...]] = ()
    model: nn.Module
    dataset: Dataset

    def __init__(self, config: TrainingConfig):
        self.config: Any = config

    @abstractmethod
    def read(self) -> Inputs:
        """Read the training's inputs; InputError if data are insufficient or options contradict each other."""

    def random_data(self, n_people: int, n_clips: int) -> RandomData:
        """Set the attributes that `make_model` and `make_step` need, without data.

        Raises
        ------
        InputError : the task has no dry run
        """
        raise InputError(f"task {self.config.task} has no dry run")

    @abstractmethod
    def make_model(self) -> nn.Module:
        """Network and losses, with all trained parameters. Random numbers follow config.seed."""

    def players(self) -> Sequence[nn.Module]:
        """Parts of the model that are trained against each other; empty if the model is trained as a whole."""
        return ()

    def prepare(self, trainer: Trainer) -> None:
        """Open data sets and set the statistics of the training set; the experiment's folder exists by then."""
        return

    @abstractmethod
    def make_step(self, trainer: Trainer) -> Step | list[Step]:
        """The step from a batch to its mean loss and figures; one step for each player."""

    def plan(self, epoch: int) -> list:
        """The items of each batch of an epoch (counted from 0), as planned by the data set."""
        return self.dataset.plan(epoch)

    def n_batches(self) -> int:
        """Number of batches in each epoch."""
        return len(self.plan(0))

    def batches(self, epoch: int) -> Iterable:
        """The batches of an epoch, prepared by worker processes."""
        return load_batches(self.dataset, self.plan(epoch), self.config)

    def make_validation(self, trainer: Trainer) -> Validate | None:
        """A function that measures the error on held-out speakers; None without held-out speakers."""
        return None

    def make_drawing(self, trainer: Trainer) -> Draw | None:
        """A function that draws an image after each epoch; None for no image."""
        return None

    @abstractmethod
    def save(self) -> None:
        """Write the files that other commands use to config.exp_dir."""


def train(task: Task) -> None:
    """Train in `config.exp_dir`: resume from the last checkpoint, or do nothing if the training is complete.

    Raises
    ------
    InputError : unreadable or insufficient data, contradictory options, another training in the folder
    """
    config = task.config
    torch.manual_seed(config.seed)
    inputs = task.read()
    if not start_experiment(config, inputs.keys, inputs.media):
        return
    task.model = task.make_model()
    trainer = Trainer(task.model, config, task.players())
    task.prepare(trainer)
    history = trainer.fit(task.make_step(trainer), task.batches, task.n_batches(), task.make_validation(trainer),
                          task.make_drawing(trainer))  # fmt: skip
    task.save()
    write_model_card(config, task.title, task.use, sum(p.numel() for p in task.model.parameters()), history)
    finish_experiment(config)
