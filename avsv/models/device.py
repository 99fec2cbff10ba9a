"""The device that torch computes on, and whether it is fast with bfloat16."""

import re

import torch

from avsv.errors import InputError


def pick_device(name: str) -> torch.device:
    """The device of a name; `auto` is cuda if available.

    Raises
    ------
    InputError : cuda is requested and absent, or the name is not auto, cpu, cuda or cuda:NUMBER
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", name):
        raise InputError(f'device: expected auto, cpu, cuda or cuda:NUMBER, found "{name}"')
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError("device cuda: torch finds no GPU; use cpu, or install a CUDA build of torch")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; elsewhere torch emulates it, thirty times slower.

    Examples
    --------
    >>> has_bfloat16(torch.device("cpu")) in (True, False)
    True
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16") or known.get("bf16"))
