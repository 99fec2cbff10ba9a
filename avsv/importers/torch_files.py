"""Embeddings that `torch.save` wrote: a dictionary of tensors by utterance, or of one table and its names.

SpeechBrain's users save what `encode_batch` gives so. Read with `weights_only=True`: tensors and plain values, no code.
"""

from pathlib import Path
from typing import Any

import numpy as np

from avsv.errors import InputError
from avsv.importers.arrays import ALONE, Arrays, Strings
from avsv.importers.model_files import require_model_file


def read_torch(path: Path | str) -> tuple[Arrays, Strings]:
    """Tensors as float arrays, and lists of strings, by their keys; a tensor alone has the key ALONE.

    Raises
    ------
    InputError : not torch's file, one that holds other objects than tensors and plain values, or another structure
    """
    import torch

    require_model_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # pickle's, zip's and torch's own
        raise InputError(
            f"{path}: is damaged, or holds other objects than tensors and plain values, and those can run any program "
            "when they are read. Where it was made, save a dictionary: torch.save({name: vector, ...}, FILE)"
        ) from None
    if isinstance(content, torch.Tensor):
        return {ALONE: as_array(path, "the tensor", content)}, {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(f"{path}: expected a dictionary of names and tensors, found {type(content).__name__}")
    arrays, strings = {}, {}
    for key, value in content.items():
        if isinstance(value, torch.Tensor):
            arrays[key] = as_array(path, f'the tensor "{key}"', value)
        elif isinstance(value, (list, tuple)) and value and all(isinstance(name, str) for name in value):
            strings[key] = list(value)
        else:
            raise InputError(
                f'{path}: expected tensors, or a list of names, found {type(value).__name__} under "{key}"'
            )
    return arrays, strings


def as_array(path: Path | str, name: str, tensor: Any) -> np.ndarray:
    """A tensor as numpy's array, floats as float32; InputError for kinds that numpy has not, and for unfolded ones.

    A tensor may be a small piece of memory shown again and again (`expand`), which would fill the memory here.
    """
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        kind = "quantized" if tensor.is_quantized else f"{tensor.layout} on {tensor.device}".removeprefix("torch.")
        raise InputError(
            f"{path}: {name} is {kind}, expected a plain one: save tensor.dequantize(), or to_dense().cpu()"
        )
    if tensor.numel() > tensor.untyped_storage().nbytes() // tensor.element_size():
        raise InputError(f"{path}: {name} shows the same values again and again (expand): save tensor.clone()")
    tensor = tensor.detach().resolve_conj().resolve_neg()
    try:
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    except (TypeError, RuntimeError) as error:
        raise InputError(
            f"{path}: {name} has numbers that numpy has not ({tensor.dtype}): save float32: {error}"
        ) from None
