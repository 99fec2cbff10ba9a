"""Training configurations: YAML with typed defaults; unknown keys are refused; key=value overrides a key."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from avsv.errors import InputError
from avsv.jobs.yaml_files import read_yaml_text
from avsv.models.ranges import check_ranges, choice, within

OPTIONS = ("allow_pipes",)  # fields that no configuration may set


@dataclass
class OptimizerConfig:
    """Optimiser and learning-rate schedule."""

    name: str = choice("adam", "adam", "adamw", "sgd")  # adam | adamw | sgd
    lr: float = within(1e-3, above=0, high=1000)
    weight_decay: float = within(0.0, 0, 1000)
    decay_all: bool = False  # decay biases and norms too
    # cosine | cyclic | exponential: the course of the rate from lr to final_lr
    schedule: str = choice("cosine", "cosine", "cyclic", "exponential")
    final_lr: float = within(1e-5, 0, 1000)
    warmup: float = within(0.05, 0, 1)  # share of the steps in which the rate rises from 0
    cycles: int = within(1, 1, 1_000_000)  # of the cyclic (triangular) schedule
    # of adam and adamw: decay of the means of gradients and their squares
    betas: tuple[float, float] = within((0.9, 0.999), 0, below=1)
    momentum: float = within(0.9, above=0, below=1)  # of sgd (Nesterov)
    clip_norm: float = within(5.0, 0)  # gradients with a larger norm are scaled down; 0: never


@dataclass
class TrainingConfig:
    """Options common to all trainings."""

    task: str = "???"  # kind of training: a key of TASKS in avsv/training/tasks, or of a system's TASKS
    exp_dir: str = "???"  # where everything is written
    data_dir: str = "???"  # training data directory
    seed: int = within(0, 0, 2**31)
    epochs: int = within(10, 1, 1_000_000)
    batch_size: int = within(64, 2, 1_000_000, why="batch norm and pairs need two examples")
    workers: int = within(1, 0, 1024)  # processes that prepare batches; 0: the training process does it
    threads: int = within(0, 0, 1024)  # of torch; 0: all cores
    device: str = choice("auto", "auto", "cpu", "cuda")  # auto | cpu | cuda
    # float32 | bfloat16 | float16 (with a scaled loss, which preserves small gradients) | auto: bfloat16 if the
    # processor supports it, otherwise float32
    precision: str = choice("float32", "float32", "bfloat16", "float16", "auto")
    init: str = ""  # experiment with the initial weights, such as exp/voice; empty: random weights
    valid_dir: str = ""  # data directory of held-out people, for an EER after each epoch; empty: no validation
    valid_clips: int = within(500, 2)  # largest number of clips from valid_dir, the same after each epoch
    # last | best | average: epochs of the final weights; best: lowest EER
    weights: str = choice("last", "last", "best", "average")
    average_last: int = within(5, 1, 100_000)  # number of epochs in `weights: average`
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    allow_pipes: bool = False  # run commands in data directories; only from the command line, see OPTIONS

    def check(self) -> None:
        """ValueError if values contradict each other."""
        if not self.exp_dir or not self.data_dir:
            raise ValueError("exp_dir and data_dir must not be empty")
        people = getattr(self, "clips_per_person", 0)
        if people > self.batch_size // 2:
            raise ValueError(f"clips_per_person={people}, batch_size={self.batch_size}: a batch needs clips of two "
                             "people or more")  # fmt: skip


Schema = TypeVar("Schema", bound=TrainingConfig)
Settings = TypeVar("Settings")


def read_config(path: Path | str, overrides: list[str]) -> DictConfig:
    """Read the configuration of an `avsv train`, see `read_settings`; exp_dir is exp/NAME for NAME.yaml by default."""
    given = read_settings(path, overrides)
    if "exp_dir" not in given:
        given.exp_dir = f"exp/{Path(path).stem}"
    return given


def read_settings(path: Path | str, overrides: list[str]) -> DictConfig:
    """Read YAML and apply `key=value` overrides (nested keys with dots, such as "optimizer.lr=0.01").

    The key `base` names another configuration, relative to this one; its values apply to keys that this file leaves
    out, except `exp_dir`. Mappings are merged key by key; lists and single values are replaced.

    `${other.key}` stands for another key's value. OmegaConf's resolvers, such as `${oc.env:HOME}`, are refused:
    their values would appear in the experiment's folder and in reports.

    Raises
    ------
    InputError : absent or unreadable file, a base that is absolute or leads back to itself, a resolver, a repeated key,
                 or a malformed override
    """
    for override in overrides:
        if "=" not in override:
            raise InputError(f'"{override}": expected key=value, such as optimizer.lr=0.001')
        refuse_resolvers(override.partition("=")[2], f'"{override}"')
    layers = read_layers(path)
    try:
        return OmegaConf.merge(*layers, OmegaConf.from_dotlist(overrides))
    except (OmegaConfBaseException, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: is not a YAML mapping: {' '.join(str(error).split())[:300]}") from None


def read_layers(path: Path | str) -> list[DictConfig]:
    """A configuration and its chain of bases, without the keys `base`; the last layer is the file itself."""
    layers: list[DictConfig] = []
    read: list[Path] = []  # resolved, to detect a cycle
    file, named_by = Path(path), ""
    while True:
        if file.resolve() in read:
            raise InputError(f"{named_by}: base: {file}: the chain of bases leads back here; remove one of the keys")
        read.append(file.resolve())
        layer = read_layer(file, named_by)
        base = layer.pop("base", None)
        if layers:
            layer.pop("exp_dir", None)
        layers.insert(0, layer)
        if base is None:
            return layers
        if not isinstance(base, str) or not base or base.startswith(("/", "~")):
            raise InputError(f'{file}: "base: {base}": expected the path of another file, relative to this one')
        file, named_by = file.parent / base, str(file)


def read_layer(path: Path, named_by: str = "") -> DictConfig:
    """Read one YAML mapping, and refuse resolvers; `named_by` is the configuration that has it as base."""
    try:
        text = read_yaml_text(path)
        for key, value in scalars(yaml.compose(text, Loader=yaml.SafeLoader)):
            refuse_resolvers(value, f"{path}: {key}")
        given = OmegaConf.create(text)
    except FileNotFoundError:
        raise InputError(f"{named_by + ': base: ' if named_by else ''}{path}: no such configuration") from None
    except (OmegaConfBaseException, YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: is not a YAML mapping: {' '.join(str(error).split())[:300]}") from None
    if not OmegaConf.is_dict(given):
        raise InputError(f"{path}: is not a YAML mapping")
    return given


def scalars(node: yaml.Node | None, key: str = "") -> Iterator[tuple[str, str]]:
    """All scalars below a node, keys too, each with the key that it belongs to."""
    if isinstance(node, yaml.ScalarNode):
        yield key, node.value
    elif isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            inner = f"{key}.{name.value}" if key else str(name.value)
            yield from (*scalars(name, inner), *scalars(value, inner))
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from scalars(value, key)


def refuse_resolvers(text: str, where: str) -> None:
    """InputError if text contains an interpolation of anything except another key."""
    for found in re.finditer(r"\$\{", text):
        if not re.match(r"\$\{[\w.\[\]]*\}", text[found.start() :]):
            raise InputError(f"{where}: {text[found.start() :][:60]}: resolvers are not run; only references to "
                            "other keys are, such as ${exp_dir}. Write the value itself")  # fmt: skip


def apply_schema(given: DictConfig, schema: type[Schema], path: Path | str, allow_pipes: bool = False) -> Schema:
    """Check a configuration against its dataclass, and the values against their ranges; fill in the defaults.

    Parameters
    ----------
    allow_pipes : run the commands in data directories; a configuration cannot set this, only the command line can

    Raises
    ------
    InputError : an unknown key, a value of the wrong type or out of range, or a missing required key
    """
    for key in OPTIONS:
        if key in given:
            raise InputError(f"{path}: {key}: cannot be set in a configuration, which may be untrusted; give "
                            f"`{key}` on the command line")  # fmt: skip
    config = check_settings(given, schema, path)
    config.allow_pipes = allow_pipes
    return config


def check_settings(given: DictConfig, schema: type[Settings], path: Path | str) -> Settings:
    """Settings as an instance of any dataclass whose method `check` raises ValueError for values that contradict.

    Raises
    ------
    InputError : an unknown key, a value of the wrong type or out of range, or a missing required key
    """
    try:
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), given))
        check_ranges(config)
        config.check()
    except OmegaConfBaseException as error:
        raise InputError(f"{path}: {explain(error, schema)}") from None
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())[:300]}") from None
    return config


def explain(error: OmegaConfBaseException, schema: type) -> str:
    message = str(error).splitlines()[0]
    unknown = re.search(r"Key '(\w+)' not in '(\w+)'", message)
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
    key = getattr(error, "full_key", "")
    if "Incompatible value 'None'" in message:  # key= on the command line, or a YAML key without a value
        return f"\"{key}\" has no value; write one, or '' for empty text (on the command line: \"{key}=''\")"
    return f'"{key}": {message}'


def to_yaml(config: Any) -> str:
    """A configuration as YAML text with every key except the command-line options."""
    structured = OmegaConf.structured(config)
    OmegaConf.set_struct(structured, False)
    for key in OPTIONS:
        structured.pop(key, None)
    return OmegaConf.to_yaml(structured)
