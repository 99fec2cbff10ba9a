"""Checkpoints: the state to resume from, the weights of the best and of the last epochs, and their average.

    checkpoint.pt            everything after the last epoch: model, optimiser, history
    epochs/0012.pt           weights only, of the last `average_last` epochs, with `weights: average`
    best.pt, average.pt      weights only, of the epoch with the lowest EER; averaged over the last epochs

Each is written completely or not at all: a training killed at any moment resumes after its last finished epoch.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from avsv.errors import InputError, refuse_unknown
from avsv.jobs.records import recorded_values
from avsv.losses.heads import Softmax
from avsv.losses.margin import AAMSoftmax
from avsv.models.checkpoint import fill, is_mapping, read_torch, write_torch
from avsv.training.config import read_config

log = logging.getLogger("avsv")
Weights = dict[str, Tensor]
FILES = {"last": "checkpoint.pt", "best": "best.pt", "average": "average.pt"}


def load_state(path: Path) -> dict:
    """Read a training's state into CPU memory; InputError if the file is damaged or not a checkpoint."""
    if not Path(path).exists():
        raise InputError(f"{path}: no such checkpoint")
    try:
        state = read_torch(path)
    except InputError as error:
        raise InputError(f"{path}: is damaged, or not a checkpoint ({str(error).removeprefix(f'{path}: ')})") from None
    if not is_mapping(state) or not is_mapping(state.get("model")):
        raise InputError(f"{path}: is not a checkpoint of avsv train: expected weights under the key model")
    if not all(isinstance(tensor, Tensor) for tensor in state["model"].values()):
        raise InputError(f"{path}: is not a checkpoint of avsv train: expected tensors as weights")
    return state


def weights_file(exp_dir: Path | str) -> Path:
    """The checkpoint with the final weights of a finished experiment.

    Raises
    ------
    InputError : the folder has no experiment, or an unfinished one
    """
    folder = Path(exp_dir)
    if not (folder / "config.yaml").exists() or not (folder / "done").exists():
        raise InputError(f"{folder}: is not a finished experiment of avsv train (no config.yaml, or no file done)")
    which = read_config(folder / "config.yaml", []).get("weights", "last")
    if which not in FILES:
        raise InputError(f"{folder}/config.yaml: weights: {which}: expected one of {', '.join(FILES)}")
    return folder / FILES[which]


def load_weights(exp_dir: Path | str) -> Weights:
    """The final weights of a finished experiment, by their names in the trained model."""
    return load_state(weights_file(exp_dir))["model"]


def start_from(model: nn.Module, source: Path | str, exp_dir: Path | str) -> None:
    """Put another experiment's weights into `model`.

    The centres of a margin loss and the classes of a softmax are copied only if both experiments have the same data.
    Otherwise they start from random values, and the log says so; so does a layer that only the new network has, if its
    module allows that (`may_be_new`). Layers that only the earlier network has, such as its classifier, are left out.

    Raises
    ------
    InputError : the networks have different shapes
    """
    given, own = load_weights(source), model.state_dict()
    data = [recorded_values(folder).get("data") for folder in (source, exp_dir)]
    differ = [name for name in own if name not in given or given[name].shape != own[name].shape]
    centres = parameters_of(model, lambda module: isinstance(module, (AAMSoftmax, Softmax)))
    if data[0] != data[1]:
        differ = sorted({*differ, *(centres & own.keys())})
    free = centres | parameters_of(model, lambda module: getattr(module, "may_be_new", False))
    other = [name for name in differ if name not in free]
    if other:
        shape = f"has the shape {tuple(given[other[0]].shape)}" if other[0] in given else "is absent"
        raise InputError(f"init={source}: is another network: its {other[0]} {shape}, expected the shape "
                        f"{tuple(own[other[0]].shape)}")  # fmt: skip
    kept = {name: given[name] for name in own if name not in differ}
    fill(model, {**own, **kept}, weights_file(source))
    log.info("%s: starts from %s%s", exp_dir, source, f"; random: {', '.join(differ)}" if differ else "")


def parameters_of(model: nn.Module, chosen: Callable[[nn.Module], bool]) -> set[str]:
    """Names of the parameters and buffers of the modules that `chosen` selects."""
    return {f"{name}.{key}" for name, module in model.named_modules() if chosen(module) for key in module.state_dict()}


def keep_last(folder: Path, epoch: int, weights: dict, n: int) -> None:
    """Save the weights after `epoch` (counted from 1); delete those from more than `n` - 1 epochs earlier."""
    write_torch(folder / "epochs" / f"{epoch:04d}.pt", weights)
    for path in (folder / "epochs").glob("[0-9]*.pt"):
        if path.stem.isdecimal() and int(path.stem) <= epoch - n:
            path.unlink()


def average_weights(paths: list[Path]) -> Weights:
    """The mean of checkpoints' weights and running statistics; counts are taken from the last one.

    Only one checkpoint is in memory at a time.
    """
    sums: Weights = {}
    for path in paths:
        weights = load_state(path)["model"]
        if sums and {n: w.shape for n, w in weights.items()} != {n: w.shape for n, w in sums.items()}:
            raise InputError(f"{path}: has other parameters than {paths[0]}; delete the folder epochs of one of them")
        for name, value in weights.items():
            if not value.is_floating_point():
                sums[name] = value
            elif name in sums:
                sums[name] += value
            else:
                sums[name] = value.double()
    return {name: (total / len(paths)).to(weights[name].dtype) if total.is_floating_point() else total
            for name, total in sums.items()}  # fmt: skip


def final_weights(exp_dir: Path, which: str) -> Weights:
    """The final weights: of the last epoch, of the best epoch, or the average, which is also written to its file."""
    refuse_unknown("weights", which, FILES)
    if which == "average":
        epochs = sorted((exp_dir / "epochs").glob("[0-9]*.pt"))
        if not epochs:
            raise InputError(f"{exp_dir}/epochs: has no weights of the last epochs to average; delete {exp_dir} and "
                            "train again")  # fmt: skip
        model = average_weights(epochs)
        write_torch(exp_dir / FILES[which], {"model": model})
    return load_state(exp_dir / FILES[which])["model"]
