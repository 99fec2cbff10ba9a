"""Batches: which examples each one has, and their preparation by worker processes, with clear errors when one fails."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from avsv.errors import InputError
from avsv.jobs.processes import end_with_parent
from avsv.models.device import pick_device
from avsv.training.config import TrainingConfig
from avsv.training.distributed import share

NO_SHARED_MEMORY = re.compile(r"shared memory|shm|Bus error|No space left on device")
KILLED = re.compile(r"DataLoader worker .*(killed by signal|exited unexpectedly)", re.DOTALL)

FULL = (
    "/dev/shm, through which processes pass batches, is full. Give the container more (docker run --shm-size 8g, or "
    "--ipc host), or train with fewer workers; workers=0 does not use it"
)
OUT_OF_MEMORY = (
    "a process that prepares batches was killed, most likely because memory ran out. Train with fewer workers, "
    "or a smaller cache_mib"
)


class Batches:
    """The batches of a plan, in order; `len` is their number.

    Raises
    ------
    InputError : during iteration: the shared memory is full, a process was killed, an example cannot be read
    """

    def __init__(self, loader: DataLoader, workers: int):
        self.loader, self.workers = loader, workers

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self.loader
        except InputError as error:  # torch wraps a worker's error in a traceback
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise InputError(lines[-1].partition("InputError: ")[2] or lines[-1] if lines else "") from None
        except (RuntimeError, OSError) as error:
            if self.workers and NO_SHARED_MEMORY.search(str(error)):
                raise InputError(f"workers={self.workers}: {FULL}") from None
            if self.workers and KILLED.search(str(error)):
                raise InputError(f"workers={self.workers}: {OUT_OF_MEMORY}") from None
            raise


def load_batches(dataset: Dataset, plan: list[list], config: TrainingConfig) -> Batches:
    """This process's share of each batch of a plan, prepared by `config.workers` worker processes."""
    on_gpu = pick_device(config.device).type == "cuda"
    loader = DataLoader(dataset, batch_sampler=[share(b) for b in plan], num_workers=config.workers, pin_memory=on_gpu,
                        worker_init_fn=start_worker)  # fmt: skip
    return Batches(loader, config.workers)


def start_worker(number: int) -> None:
    """Make a worker end with its training, even while it waits."""
    end_with_parent()


def plan_by_person(labels: Tensor, size: int, clips_per_person: int, seed: list[int]) -> list[Tensor]:
    """Rows of each batch of an epoch; the number of batches is that of full batches of clips.

    With `clips_per_person` k, a batch has k clips of each of size / k people, drawn without replacement if a person has
    that many; people take turns, so people with few clips are seen as often as people with many.
    """
    rng = np.random.default_rng(seed)
    n_batches = len(labels) // size
    if not clips_per_person:
        order = torch.from_numpy(rng.permutation(len(labels)))
        return list(order[: n_batches * size].split(size))
    order = np.argsort(labels.numpy(), kind="stable")
    clips = np.split(order, np.cumsum(np.bincount(labels.numpy()))[:-1])
    n_people = min(len(clips), max(2, size // clips_per_person))
    turns = np.concatenate([rng.permutation(len(clips)) for _ in range(n_batches * n_people // len(clips) + 1)])
    batches = []
    for people in turns[: n_batches * n_people].reshape(n_batches, n_people):
        drawn = [rng.choice(clips[p], clips_per_person, replace=len(clips[p]) < clips_per_person) for p in people]
        batches.append(torch.from_numpy(np.concatenate(drawn)))
    return batches
