"""Network files: `save` writes a trained network of any kind, `load` rebuilds it.

A `NetworkFile` names the file in an experiment's folder and the function that builds the network. The file is
safetensors; the key "network" of its metadata holds, as JSON, the description that the network is built from.

Loading is strict: every parameter comes from the file, or the file is refused. No network runs on random parameters.
Loading is safe: nothing is unpickled (torch.load reads tensors and plain values only), and a description that asks for
a network larger than its file is refused before any memory is allocated.
"""

import json
import logging
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from avsv.errors import InputError
from avsv.importers.model_files import require_model_file
from avsv.jobs.files import whole_file
from avsv.models.stand_in import without_compiler

log = logging.getLogger("avsv")
State = dict[str, Tensor]
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "encoder", "embedding_model")
PREFIXES = ("module.", "model.", "_orig_mod.", "embedding_model.", "encoder.", "net.", "backbone.")
LARGEST_NUMBER = 1 << 20  # in a description: limit on classes, channels, layers
BROKEN = (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError, OverflowError, AssertionError,
          NotImplementedError, MemoryError, ZeroDivisionError)  # fmt: skip


@dataclass(frozen=True)
class NetworkFile:
    """One kind of network that avsv train writes.

    name : file name in the experiment's folder
    tasks : the training tasks that write it, for messages, e.g. "avn_e or avn_j"
    build : description -> network with random weights; any exception means that another version wrote the description
    """

    name: str
    tasks: str
    build: Callable[[dict], nn.Module]

    def path(self, folder: Path | str) -> Path:
        return Path(folder) / self.name


def save(folder: Path | str, kind: NetworkFile, net: nn.Module, description: dict) -> None:
    """Write a trained network.

    Parameters
    ----------
    folder : the experiment's folder
    description : plain values from which `kind.build` rebuilds the network
    """
    state = {name: tensor.cpu().contiguous() for name, tensor in net.state_dict().items()}
    with whole_file(kind.path(folder), "wb") as out:
        out.write(to_safetensors(state, {"network": json.dumps(description)}))


def load(folder: Path | str, kind: NetworkFile) -> tuple[nn.Module, dict]:
    """Read what `save` wrote: the network in evaluation mode on the CPU, and its description.

    Raises
    ------
    InputError : the file is absent, damaged or of another version, or its weights do not fit
    """
    path = kind.path(folder)
    description, state = read_network(path, kind.tasks)
    try:
        refuse_huge(description)
        with at_most(4 * len(state) + 100):
            shapes = without_memory(lambda: kind.build(description))
    except (*BROKEN, InputError) as error:
        reason = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}: was written by another version of avsv train: {reason[:300]}; retrain it") from None
    state = matching(shapes, state, path)
    net = kind.build(description)
    net.load_state_dict({**net.state_dict(), **state})
    return net.eval(), description


class NotDrawn(TorchFunctionMode):
    """Skips drawing normal random numbers: tensors without memory need none, and torch would import sympy (1 s)."""

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return args[0] if function is torch.Tensor.normal_ else function(*args, **(kwargs or {}))


def without_memory(build: Callable[[], nn.Module]) -> nn.Module:
    """A network on the "meta" device: shapes without memory, for any sizes in the description."""
    without_compiler()
    with torch.device("meta"), NotDrawn(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sizes of 0
        return build()


def write_torch(path: Path | str, content: Any) -> None:
    """Write tensors and plain values with torch.save, atomically."""
    with whole_file(path, "wb") as out:
        torch.save(content, out)


def read_torch(path: Path | str) -> Any:
    """Read tensors and plain values that torch.save wrote, into the CPU's memory.

    Raises
    ------
    InputError : the file is absent or damaged, not written by torch, or holds other objects
    """
    refuse_compressed(require_model_file(path))
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except InputError:
        raise
    except Exception:  # of pickle, zip and torch; torch's message advises turning the check off
        raise InputError(f"{path}: is damaged or incomplete, or holds objects other than tensors and plain values, "
                         "which could run any program and are not read") from None  # fmt: skip


def refuse_compressed(path: Path) -> None:
    """Raise InputError if an archive is much smaller than its contents: torch.save does not compress."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):  # torch will report the damage
        return
    if size > 2 * path.stat().st_size + (1 << 20):
        raise InputError(f"{path}: expands to {size >> 20} MiB, many times its size; torch.save does not write such "
                         "files")  # fmt: skip


def read_state(path: Path | str) -> State:
    """The tensors of a checkpoint by name, without the dictionaries that trainers wrap around them.

    Raises
    ------
    InputError : raised by `read_torch`, or the file holds no dictionary of tensors
    """
    with suppress(OSError), open(require_model_file(path), "rb") as file:
        if file.read(9)[8:] == b"{":  # safetensors: length of a JSON header, then the header
            return read_safetensors(Path(path))[1]
    content = read_torch(path)
    for _ in WRAPPERS:
        inner = [content[name] for name in WRAPPERS if is_mapping(content) and is_mapping(content.get(name))]
        if not inner:
            break
        log.info("%s: read the weights under one of its keys", path)
        content = inner[0]
    if not is_mapping(content) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise InputError(f"{path}: expected a dictionary of a network's parameters, as torch.save(net.state_dict(), "
                         f"FILE) writes it, found {describe(content)}")  # fmt: skip
    return dict(content)


def is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def describe(content: Any) -> str:
    if isinstance(content, Mapping):
        kinds = sorted({type(value).__name__ for value in content.values()})
        return f"a dictionary of {', '.join(kinds) or 'nothing'}"
    return type(content).__name__


def matching(net: nn.Module, state: Mapping[str, Tensor], path: Path | str) -> State:
    """The weights of a file under the names that `net` uses; a known prefix is removed and logged.

    Batch norm's batch counters may be absent, as no output depends on them.

    Parameters
    ----------
    net : network of the expected architecture, on any device, including "meta"
    path : path of the file, for messages

    Raises
    ------
    InputError : parameters are missing, unexpected, of another shape or type, or not finite
    """
    wanted = net.state_dict()
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    prefix = find_prefix(needed, state)
    if prefix:
        log.info('%s: removed the prefix "%s" from its parameter names', path, prefix)
    state = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    missing = [name for name in needed if name not in state]
    if missing:
        raise InputError(f"{path}: {len(missing)} of {len(needed)} parameters are missing ({some(missing)}): these "
                         "weights belong to another network")  # fmt: skip
    left = [name for name in state if name not in wanted]
    if left:
        raise InputError(f"{path}: {len(left)} of {len(state)} parameters are unknown to this network ({some(left)})")
    differ = [name for name in state if state[name].shape != wanted[name].shape]
    if differ:
        name = differ[0]
        raise InputError(f"{path}: {len(differ)} of {len(needed)} parameters have the wrong shape: {name} is "
                         f"{tuple(state[name].shape)}, expected {tuple(wanted[name].shape)}")  # fmt: skip
    for name, tensor in state.items():
        check_values(tensor, wanted[name], f"{path}: {name}")
    return state


def find_prefix(needed: list[str], state: Mapping[str, Tensor]) -> str:
    """The known prefix, or several joined, under which the state holds every needed name; "" if none does."""
    tried = [""]
    for prefix in tried:
        if needed and all(prefix + name in state for name in needed):
            return prefix
        if prefix.count(".") < 3:
            tried += [prefix + more for more in PREFIXES if any(n.startswith(prefix + more) for n in state)]
    return ""


def check_values(tensor: Tensor, wanted: Tensor, what: str) -> None:
    """Raise InputError for a tensor of the wrong type or layout, or with values that are not finite."""
    plain = tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta or tensor.is_complex())
    if not plain or tensor.is_floating_point() != wanted.is_floating_point():
        raise InputError(f"{what}: is a tensor of {tensor.dtype} ({tensor.layout}), expected {wanted.dtype}")
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
        raise InputError(f"{what}: has values that are not finite: the file is damaged, or the training diverged")


def some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def fill(net: nn.Module, state: Mapping[str, Tensor], path: Path | str) -> nn.Module:
    """Load weights, checked by `matching`, into `net`; return `net`."""
    net.load_state_dict({**net.state_dict(), **matching(net, state, path)})
    return net


def fill_part(net: nn.Module, state: Mapping[str, Tensor], prefix: str, path: Path | str) -> nn.Module:
    """Load the weights of one part of a larger model, selected by their prefix, into `net`."""
    part = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    return fill(net, part, path)


@contextmanager
def at_most(n: int) -> Iterator[None]:
    """Raise ValueError as soon as a network under construction has more than `n` parameter tensors."""
    left = iter(range(n))

    def count(module: nn.Module, name: str, parameter: Tensor) -> None:
        if next(left, None) is None:
            raise ValueError(f"its network would have more than {n} parameter tensors, many more than the file holds")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def read_network(path: Path, tasks: str) -> tuple[dict, State]:
    """Description and tensors of a file that `save` wrote."""
    try:
        metadata, state = read_safetensors(path)
        description = json.loads(metadata["network"])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; is {path.parent} a finished training of task {tasks}?") from None
    except (*BROKEN, RecursionError) as error:
        raise InputError(f"{path}: was written by another version of avsv train: {error}; retrain it") from None
    if not isinstance(description, dict):
        raise InputError(f"{path}: was written by another version of avsv train: expected a mapping as description, "
                         f"found {type(description).__name__}; retrain it")  # fmt: skip
    return description, state


def read_safetensors(path: Path) -> tuple[dict[str, str], State]:
    """Metadata and tensors of a safetensors file; InputError if it is damaged."""
    try:
        with safe_open(require_model_file(path), "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            return file.metadata() or {}, tensors
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: is damaged: {error}") from None


def refuse_huge(value: Any) -> None:
    """Raise ValueError for a number or a list so large that the network would not fit into memory."""
    if isinstance(value, dict | list):
        if len(value) > 1000:
            raise ValueError(f"expected a few values, found {len(value)}")
        for item in value.values() if isinstance(value, dict) else value:
            refuse_huge(item)
    elif isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:
        raise ValueError(f"the number {value}")
