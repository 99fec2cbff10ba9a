"""Importing embeddings written by `torch.save`: a dictionary of tensors by utterance, or of one table and its names.

SpeechBrain users save the output of `encode_batch` this way. Files are read with `weights_only=True`, which admits
tensors and plain values, but no code.
"""

from pathlib import Path
from typing import Any

import numpy as np

from avsv.errors import InputError
from avsv.importers.arrays import ALONE, Arrays, Strings
from avsv.importers.model_files import require_model_file


def read_torch(path: Path | str) -> tuple[Arrays, Strings]:
    """Read tensors as arrays, and lists of strings, by key; a single tensor has the key ALONE.

    Raises
    ------
    InputError : not a torch file, objects other than tensors and plain values, or another structure
    """
    import torch

    require_model_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # from pickle, zipfile or torch
        raise InputError(
            f"{path}: is damaged, or holds objects other than tensors and plain values, which can run any program when "
            "they are read. Save a plain dictionary instead: torch.save({name: vector, ...}, FILE)"
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
            raise InputError(f'{path}: expected tensors or lists of names, found {type(value).__name__} under "{key}"')
    return arrays, strings


def as_array(path: Path | str, name: str, tensor: Any) -> np.ndarray:
    """Convert a tensor to a numpy array, floating point to float32.

    Raises
    ------
    InputError : a type that numpy does not have, or an expanded tensor: a few bytes could exhaust the memory
    """
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        kind = "quantized" if tensor.is_quantized else f"{tensor.layout} on {tensor.device}".removeprefix("torch.")
        raise InputError(
            f"{path}: {name} is {kind}, expected a dense CPU tensor: save tensor.dequantize() or to_dense().cpu()"
        )
    if tensor.numel() > tensor.untyped_storage().nbytes() // tensor.element_size():
        raise InputError(f"{path}: {name} is an expanded tensor, which repeats its values; save tensor.clone()")
    tensor = tensor.detach().resolve_conj().resolve_neg()
    try:
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    except (TypeError, RuntimeError) as error:
        raise InputError(f"{path}: {name} has type {tensor.dtype}, which numpy lacks; save float32: {error}") from None
