"""Weights from files into networks: all of them, or none and an error. No network runs on parameters of chance.

Files are of torch.save or safetensors. Nothing is unpickled: torch.load reads tensors and plain values alone.
"""

import json
import logging
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from avsv.errors import InputError
from avsv.importers.model_files import require_model_file

log = logging.getLogger("avsv")
State = dict[str, Tensor]
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "encoder", "embedding_model")
PREFIXES = ("module.", "model.", "_orig_mod.", "embedding_model.", "encoder.", "net.", "backbone.")
LARGEST_NUMBER = 1 << 20  # in what is known of a network beside its weights: the most classes, channels, layers
BROKEN = (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError, OverflowError, AssertionError,
          NotImplementedError, MemoryError, ZeroDivisionError)  # fmt: skip


def read_torch(path: Path | str) -> Any:
    """What torch.save wrote, tensors and plain values only, in memory of the CPU.

    Raises
    ------
    InputError : the file is absent or damaged, no file of torch, or holds other objects
    """
    refuse_swelling(require_model_file(path))
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except InputError:
        raise
    except Exception:  # pickle's, zip's and torch's own; torch advises to switch its check off
        raise InputError(f"{path}: is damaged or only half there, or holds other objects than tensors and plain "
                        "values, which are not read, for they could run any program") from None  # fmt: skip


def refuse_swelling(path: Path) -> None:
    """InputError where an archive is much smaller than what it holds: torch packs nothing."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):  # torch will say that it is damaged
        return
    if size > 2 * path.stat().st_size + (1 << 20):
        raise InputError(f"{path}: would take {size >> 20} MiB of memory, many times its size; torch.save writes no "
                        "such file")  # fmt: skip


def read_state(path: Path | str) -> State:
    """The tensors of a checkpoint by their names, taken out of the wrappers that trainers put around them.

    Raises
    ------
    InputError : what `read_torch` raises, or no tensors by name
    """
    with suppress(OSError), open(require_model_file(path), "rb") as file:
        if file.read(9)[8:] == b"{":  # the length of a header of JSON, and the header
            return read_safetensors(Path(path))[1]
    content = read_torch(path)
    for _ in WRAPPERS:
        inner = [content[name] for name in WRAPPERS if is_mapping(content) and is_mapping(content.get(name))]
        if not inner:
            break
        log.info("%s: the weights are those under one of its keys", path)
        content = inner[0]
    if not is_mapping(content) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise InputError(f"{path}: expected the parameters of a network by name, as torch.save(net.state_dict(), FILE) "
                        f"writes them, found {describe(content)}")  # fmt: skip
    return dict(content)


def is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def describe(content: Any) -> str:
    if isinstance(content, Mapping):
        kinds = sorted({type(value).__name__ for value in content.values()})
        return f"a dictionary of {', '.join(kinds) or 'nothing'}"
    return type(content).__name__


def fit(net: nn.Module, state: Mapping[str, Tensor], path: Path | str) -> State:
    """The weights by the names that `net` has for them, with a known prefix taken off, which the log tells.

    Running counts of batch norm, which nothing computes with, may be absent.

    Parameters
    ----------
    net : of the right architecture, on any device, "meta" too
    path : of the file, for messages

    Raises
    ------
    InputError : parameters are missing or left over, of another shape or kind, or not finite
    """
    wanted = net.state_dict()
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    prefix = find_prefix(needed, state)
    if prefix:
        log.info('%s: the prefix "%s" of its parameters is taken off', path, prefix)
    state = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    missing = [name for name in needed if name not in state]
    if missing:
        raise InputError(f"{path}: {len(missing)} of {len(needed)} parameters are missing ({some(missing)}): these are "
                        "not the weights of this network")  # fmt: skip
    left = [name for name in state if name not in wanted]
    if left:
        raise InputError(f"{path}: {len(left)} of {len(state)} parameters have no place in this network ({some(left)})")
    differ = [name for name in state if state[name].shape != wanted[name].shape]
    if differ:
        name = differ[0]
        raise InputError(f"{path}: {len(differ)} of {len(needed)} parameters have another shape: {name} is "
                        f"{tuple(state[name].shape)}, expected {tuple(wanted[name].shape)}")  # fmt: skip
    for name, tensor in state.items():
        refuse_odd(tensor, wanted[name], f"{path}: {name}")
    return state


def find_prefix(needed: list[str], state: Mapping[str, Tensor]) -> str:
    """The known prefixes, one or several, with which all needed names are there; "" where none helps."""
    tried = [""]
    for prefix in tried:
        if needed and all(prefix + name in state for name in needed):
            return prefix
        if prefix.count(".") < 3:
            tried += [prefix + more for more in PREFIXES if any(n.startswith(prefix + more) for n in state)]
    return ""


def refuse_odd(tensor: Tensor, wanted: Tensor, what: str) -> None:
    """InputError where numbers are not such as a network computes with."""
    plain = tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta or tensor.is_complex())
    if not plain or tensor.is_floating_point() != wanted.is_floating_point():
        raise InputError(f"{what}: is a tensor of {tensor.dtype} ({tensor.layout}), expected {wanted.dtype}")
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
        raise InputError(f"{what}: holds numbers that are not finite: the file is damaged, or the training diverged")


def some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def put(net: nn.Module, state: Mapping[str, Tensor], path: Path | str) -> nn.Module:
    """Put weights into `net` after `fit` has checked them, and return it."""
    net.load_state_dict({**net.state_dict(), **fit(net, state, path)})
    return net


def part_of(net: nn.Module, state: Mapping[str, Tensor], prefix: str, path: Path | str) -> nn.Module:
    """Put the weights of one part of a larger model into `net`: those whose names begin with `prefix`."""
    return put(net, {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)},
               path)  # fmt: skip


def load_trained(path: Path, tasks: str, build: Callable[[dict], nn.Module]) -> tuple[nn.Module, dict]:
    """A network that avsv train wrote as safetensors, in evaluation mode, and what is known of it.

    Parameters
    ----------
    tasks : of avsv train that write such a file, in words, such as "avn_e or avn_j"
    build : what the file says of the network (JSON in its metadata) -> the network with any weights

    Raises
    ------
    InputError : no such file, a damaged one, one of another version, or weights that do not fit
    """
    network, state = read_network(path, tasks)
    try:
        refuse_huge(network)
        # takes no memory, whatever sizes the file claims, and no time for layers that it has no weights for
        with torch.device("meta"), at_most(4 * len(state) + 100), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes of 0
            shapes = build(network)
    except (*BROKEN, InputError) as error:
        said = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}: is not of this version of avsv train: {said[:300]}; train it again") from None
    state = fit(shapes, state, path)
    net = build(network)
    net.load_state_dict({**net.state_dict(), **state})
    return net.eval(), network


@contextmanager
def at_most(n: int) -> Iterator[None]:
    """Have a network with more than n parameter tensors be a ValueError while it is built."""
    left = iter(range(n))

    def count(module: nn.Module, name: str, parameter: Tensor) -> None:
        if next(left, None) is None:
            raise ValueError(f"its network would have more than {n} parameters, many more than the file holds")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def read_network(path: Path, tasks: str) -> tuple[dict, State]:
    """Metadata and tensors of a safetensors file that avsv train wrote."""
    try:
        metadata, state = read_safetensors(path)
        network = json.loads(metadata["network"])
    except FileNotFoundError:
        raise InputError(f"{path}: is absent; is {path.parent} a finished training of task {tasks}?") from None
    except (*BROKEN, RecursionError) as error:
        raise InputError(f"{path}: is not of this version of avsv train: {error}; train it again") from None
    if not isinstance(network, dict):
        raise InputError(f"{path}: is not of this version of avsv train: its metadata are no mapping; train it again")
    return network, state


def read_safetensors(path: Path) -> tuple[dict[str, str], State]:
    """Metadata and tensors of a safetensors file; InputError where it is damaged."""
    try:
        with safe_open(require_model_file(path), "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            return file.metadata() or {}, tensors
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: is damaged: {error}") from None


def refuse_huge(value: Any) -> None:
    """ValueError where a number would make a network that no machine holds, or a list that never ends."""
    if isinstance(value, dict | list):
        if len(value) > 1000:
            raise ValueError(f"{len(value)} values where a few are expected")
        for item in value.values() if isinstance(value, dict) else value:
            refuse_huge(item)
    elif isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:
        raise ValueError(f"the number {value}")
