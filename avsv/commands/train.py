"""avsv train: train a network from a YAML configuration: voice, face, fusion, synchrony and others.

Model, configuration, versions, log, curves and checkpoints go to exp_dir: exp/NAME for NAME.yaml. An interrupted
training resumes; a complete one is not repeated, and a second process on the same folder waits for the first. --dry-run
needs no data: it makes steps on random numbers and prints parameters, memory and the expected time on this machine.

example:
  avsv train voice.yaml
  avsv train voice.yaml epochs=20 optimizer.lr=0.002 exp_dir=exp/voice_slow
  avsv train voice.yaml --dry-run batch_size=64
  torchrun --standalone --nproc-per-node 4 --no-python avsv train voice.yaml      # 4 GPUs, one process each
"""

import importlib
import os
import pkgutil
from pathlib import Path

from avsv.commands._arguments import add_allow_pipes, at_least_one

INTERMIXED = True  # key=value may come before or after options


def all_tasks() -> dict[str, str]:
    """The tasks of the main and the further systems: name -> "module:class"."""
    import avsv.systems
    from avsv.training.tasks import TASKS

    tasks = dict(TASKS)
    for folder in pkgutil.iter_modules(avsv.systems.__path__, "avsv.systems."):
        tasks |= getattr(importlib.import_module(folder.name), "TASKS", {})
    return tasks


def task_class(name: str) -> type:
    """The class of a task."""
    module, _, kind = all_tasks()[name].partition(":")
    return getattr(importlib.import_module(module), kind)


def add_arguments(parser):
    parser.add_argument("config", type=Path, help="YAML configuration; the key task selects the network")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override configuration values")
    parser.add_argument("--task", metavar="TASK", help="refuse configurations of other tasks; for recipes")
    parser.add_argument("--dry-run", action="store_true", help="train nothing, estimate the cost")
    add_allow_pipes(parser)
    parser.add_argument("--people", type=at_least_one, help="people in a dry run (those of data_dir, or 5994)")
    parser.add_argument("--clips", type=at_least_one, help="clips in a dry run (those of data_dir, or 1092009)")


def run(args):
    from avsv.errors import InputError, OptionError
    from avsv.jobs.files import one_at_a_time
    from avsv.training.config import apply_schema, read_config
    from avsv.training.dry_run import dry_run
    from avsv.training.task import Task, train

    given = read_config(args.config, args.overrides)
    task = given.get("task")
    tasks = all_tasks()
    if args.task not in (None, *tasks):
        raise OptionError(f"--task {args.task}: expected one of {', '.join(tasks)}")
    if not isinstance(task, str) or task not in tasks:
        raise InputError(f'{args.config}: "task: {task}": expected one of {", ".join(tasks)}')
    if args.task not in (None, task):
        raise InputError(f"{args.config}: expected a configuration of task {args.task}, found task {task}")
    kind = task_class(task)
    job = kind(apply_schema(given, kind.config_class, args.config, args.allow_pipes))
    if args.dry_run and kind.random_data is Task.random_data:
        raise OptionError(f"task {task} does not support --dry-run")
    if args.dry_run:
        for line in dry_run(job, args.people, args.clips):
            print(line, flush=True)
    elif args.people or args.clips:
        raise OptionError("--people and --clips need --dry-run")
    elif os.environ.get("RANK", "0") != "0":  # under torchrun the first process holds the lock for all
        train(job)
    else:
        with one_at_a_time(Path(job.config.exp_dir) / ".lock"):
            train(job)
