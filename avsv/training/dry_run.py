"""A dry run: estimates the cost of a training on this machine from steps on random numbers, without data.

A network of the configured size is run on batches of growing size. Time and memory grow as a + b x batch, so two small
batches predict whether a full one fits into memory and ends soon. If so, a full step is measured; otherwise the figures
are extrapolated from the small batches, and the output says so.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from avsv.kaldi.tables import read_table
from avsv.training.clock import duration
from avsv.training.config import TrainingConfig
from avsv.training.task import Task
from avsv.training.trainer import Step, Trainer, name_of

VOXCELEB2 = (5994, 1_092_009)  # people and clips in its training part
PATIENCE = 120.0  # seconds; a longer step is estimated, not run. Several short steps take a sixth of this
GIB = 2**30


def count_data(config: TrainingConfig, people: int | None, clips: int | None) -> tuple[int, int, str]:
    """Numbers of people and clips, and their origin as text: given, counted in data_dir, or VoxCeleb2's."""
    path = Path(config.data_dir) / "utt2spk"
    if people and clips:
        return people, clips, "as given"
    if path.exists():
        utt2spk = read_table(path, fields=2, shape="utterance speaker")
        counted, source = (len(set(utt2spk.values())), len(utt2spk)), f"counted in {path}"
    else:
        counted, source = VOXCELEB2, f"VoxCeleb2's, as {config.data_dir} is absent"
    return people or counted[0], clips or counted[1], source


def dry_run(task: Task, people: int | None = None, clips: int | None = None) -> Iterator[str]:
    """Make steps on random numbers and report parameters, memory, steps per epoch and the estimated time, line by line.

    Parameters
    ----------
    people, clips : in the training set; None: as in data_dir, or as in VoxCeleb2

    Raises
    ------
    InputError : the task has no dry run
    """
    config = task.config
    n_people, n_clips, source = count_data(config, people, clips)
    torch.manual_seed(config.seed)
    data = task.random_data(n_people, n_clips)
    busy, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if busy > cores / 2:
        yield f"other programs are busy on this machine (load {busy:.1f} on {cores} cores): alone, steps are faster"
    yield f"data: {n_clips} clips of {n_people} people, {source}"
    task.model = task.make_model()
    trainer = Trainer(task.model, config, task.players())
    trainer.model.train()
    step = task.make_step(trainer)
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in trainer.model.named_children()}
    total = sum(p.numel() for p in trainer.model.parameters())
    yield f"parameters: {total / 1e6:.2f} M ({', '.join(f'{name} {n / 1e6:.2f} M' for name, n in parts.items() if n)})"
    size = min(config.batch_size, data.examples)
    seconds, memory, how = measure(trainer, step, data.make_batch, size)
    on = f"{torch.get_num_threads()} threads" if trainer.device.type == "cpu" else torch.cuda.get_device_name()
    on = f"{on}, {name_of(trainer.precision)}"
    yield (f"a step: {size} x {data.example}, {duration(seconds)} on {trainer.device} ({on}), "
           f"{memory / GIB:.2f} GiB at its peak; {how}")  # fmt: skip
    one = data.examples // size
    every = config.epochs * one
    yield f"an epoch: {one} steps, {duration(one * seconds)}"
    yield (f"all {config.epochs} epochs: {every} steps, {duration(every * seconds)}; excluding reading and preparing "
           "data, and validation")  # fmt: skip


def measure(
    trainer: Trainer, step: Step | Sequence[Step], make_batch: Callable[[int], Any], size: int
) -> tuple[float, float, str]:
    """Seconds and peak bytes of a step of `size` examples, and how they were obtained, as text."""
    sizes = [max(2, size // 16), max(4, size // 8)]
    if size > sizes[1]:
        small = [time_step(trainer, step, make_batch(n)) for n in sizes]
        seconds, memory = (max(b, b + (size - sizes[1]) * (b - a) / (sizes[1] - sizes[0])) for a, b in zip(*small))
        room = memory_free(trainer.device)
        if memory - small[1][1] > 0.9 * room:
            return seconds, memory, f"estimated from {sizes[0]} and {sizes[1]}: it needs more than the free memory"
        if seconds > PATIENCE:
            return seconds, memory, f"estimated from {sizes[0]} and {sizes[1]}"
    return *time_step(trainer, step, make_batch(size)), "measured"


def time_step(trainer: Trainer, step: Step | Sequence[Step], batch: Any) -> tuple[float, float]:
    """Seconds per step and peak bytes so far; short steps are repeated, and the first one (warm-up) is excluded."""
    on_gpu, times = trainer.device.type == "cuda", []
    while len(times) < 10 and sum(times) < PATIENCE / 6:
        begin = time.monotonic()
        trainer.update(step, batch)
        if on_gpu:
            torch.cuda.synchronize()
        times.append(time.monotonic() - begin)
    peak = torch.cuda.max_memory_allocated() if on_gpu else kernel_says("/proc/self/status", "VmHWM")
    return median(times[1:] or times), peak


def memory_free(device: torch.device) -> int:
    return torch.cuda.mem_get_info()[0] if device.type == "cuda" else kernel_says("/proc/meminfo", "MemAvailable")


def kernel_says(path: str, key: str) -> int:
    """A line of one of the kernel's memory tables, in bytes."""
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return 1024 * int(value.split()[0])
    return 0
