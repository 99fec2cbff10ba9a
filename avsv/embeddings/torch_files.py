"""Embeddings that `torch.save` wrote: a dictionary of tensors by utterance, or of one table and its names.

SpeechBrain's users save what `encode_batch` gives so. Read with `weights_only=True`: tensors and plain values, no code.
"""

from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.kaldi.foreign_arrays import ALONE, Arrays, Strings
from avsv.model_files import refuse_no_model


def read_torch(path: Path | str) -> tuple[Arrays, Strings]:
    """Tensors as float arrays, and lists of strings, by their keys; a tensor alone has the key ALONE.

    Raises
    ------
    UserError : not torch's file, one that holds other objects than tensors and plain values, or another structure
    """
    import torch

    refuse_no_model(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # pickle's, zip's and torch's own
        raise UserError(
            f"{path}: is damaged, or holds other objects than tensors and plain values, and those can run any program "
            "when they are read. Where it was made, save a dictionary: torch.save({name: vector, ...}, FILE)"
        ) from None
    if isinstance(content, torch.Tensor):
        return {ALONE: as_array(content)}, {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f"{path}: expected a dictionary of names and tensors, found {type(content).__name__}")
    arrays, strings = {}, {}
    for key, value in content.items():
        if isinstance(value, torch.Tensor):
            arrays[key] = as_array(value)
        elif isinstance(value, (list, tuple)) and value and all(isinstance(name, str) for name in value):
            strings[key] = list(value)
        else:
            raise UserError(f'{path}: expected tensors, or a list of names, found {type(value).__name__} under "{key}"')
    return arrays, strings


def as_array(tensor) -> np.ndarray:
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
