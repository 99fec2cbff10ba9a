"""Training configurations: YAML with typed defaults; unknown keys are refused; key=value changes one."""

import difflib
import re
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from avsv.errors import UserError

DEEPEST, MOST_ALIASES = 20, 10  # of a configuration; those of the recipes have two levels and no alias


@dataclass
class OptimizerConfig:
    """How the weights move."""

    name: str = "adam"  # adam | adamw | sgd
    lr: float = 1e-3
    weight_decay: float = 0.0
    decay_all: bool = False  # decay biases and norms too
    schedule: str = "cosine"  # cosine | cyclic | exponential: how the rate goes from lr to final_lr
    final_lr: float = 1e-5
    warmup: float = 0.05  # share of the steps in which the rate rises from 0
    cycles: int = 1  # of the cyclic (triangular) schedule
    betas: tuple[float, float] = (0.9, 0.999)  # of adam and adamw: decay of the means of gradients and their squares
    clip_norm: float = 5.0  # gradients of a larger norm are scaled down; 0: never


@dataclass
class TrainingConfig:
    """What every kind of training has."""

    task: str = "???"  # what is trained: a name of TASKS in avsv/commands/train.py
    exp_dir: str = "???"  # where everything is written
    data_dir: str = "???"  # training data directory
    seed: int = 0
    epochs: int = 10
    batch_size: int = 64
    workers: int = 1  # processes that prepare batches; 0: the training process itself
    threads: int = 0  # of torch; 0: all cores
    device: str = "auto"  # auto | cpu | cuda
    # float32 | bfloat16 | float16 (with the loss scaled, so that small gradients survive) | auto: bfloat16 where the
    # processor has it, float32 elsewhere
    precision: str = "float32"
    init: str = ""  # an experiment whose weights are started from, such as exp/voice; empty: from random ones
    valid_dir: str = ""  # data directory of held-out people, whose EER is measured after each epoch; empty: none is
    valid_clips: int = 500  # of valid_dir at most, the same ones after each epoch
    weights: str = "last"  # last | best | average: the epochs whose weights are the outcome; best: the lowest EER
    average_last: int = 5  # epochs that `weights: average` is over
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)


Schema = TypeVar("Schema", bound=TrainingConfig)


def read_config(path: Path | str, overrides: list[str]) -> DictConfig:
    """Read YAML and put `key=value` changes over it (nested keys with dots, such as "optimizer.lr=0.01").

    Raises
    ------
    UserError : absent or unreadable file, or a change of another form
    """
    for override in overrides:
        if "=" not in override:
            raise UserError(f'"{override}": expected key=value, such as optimizer.lr=0.001')
    try:
        refuse_bombs(path)
        given = OmegaConf.merge(OmegaConf.load(path), OmegaConf.from_dotlist(overrides))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such configuration") from None
    except (OmegaConfBaseException, YAMLError, ValueError, TypeError, OSError, RecursionError) as error:
        raise UserError(f"{path}: is not a YAML mapping: {' '.join(str(error).split())}") from None
    if not OmegaConf.is_dict(given):
        raise UserError(f"{path}: is not a YAML mapping")
    return given


def refuse_bombs(path: Path | str) -> None:
    """ValueError where a small file would become a huge one: aliases of aliases double it, deep levels break it."""
    depth = aliases = 0
    with open(path, encoding="utf-8") as text:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            aliases += isinstance(event, AliasEvent)
            if depth > DEEPEST or aliases > MOST_ALIASES:
                raise ValueError(f"it has more than {DEEPEST} levels, or more than {MOST_ALIASES} aliases")


def apply_schema(given: DictConfig, schema: type[Schema], path: Path | str) -> Schema:
    """Check a configuration against its dataclass and fill in the defaults.

    Raises
    ------
    UserError : an unknown key, a value of the wrong type, or a required key that is not given
    """
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), given))
    except OmegaConfBaseException as error:
        raise UserError(f"{path}: {explain(error, schema)}") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: does not fit what task {schema.__name__} takes: {error}") from None


def explain(error: OmegaConfBaseException, schema: type) -> str:
    said = str(error).splitlines()[0]
    unknown = re.search(r"Key '(\w+)' not in '(\w+)'", said)
    if unknown:
        nested = {
            f.default_factory.__name__: f.default_factory for f in fields(schema) if is_dataclass(f.default_factory)
        }
        known = [f.name for f in fields(nested.get(unknown[2], schema))]
        near = difflib.get_close_matches(unknown[1], known, 1)
        return f'unknown key "{unknown[1]}"' + (
            f'; did you mean "{near[0]}"?' if near else f"; known: {', '.join(known)}"
        )
    missing = re.search(r"missing mandatory value: (\w+)", str(error), re.IGNORECASE)
    if missing:
        return f'"{missing[1]}" must be given, in the file or as {missing[1]}=VALUE'
    return f'"{getattr(error, "full_key", "")}": {said}'


def to_yaml(config: Any) -> str:
    """A configuration as YAML text, every key spelt out."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))
