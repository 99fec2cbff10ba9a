"""Which processor torch works on, and which numbers it is quick with."""

import re

import torch

from avsv.errors import InputError


def pick_device(name: str) -> torch.device:
    """`auto` is cuda where there is one.

    Raises
    ------
    InputError : cuda is asked for and absent, or the name is none of auto, cpu, cuda and cuda:NUMBER
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", name):
        raise InputError(f'device: expected auto, cpu, cuda or cuda:NUMBER, found "{name}"')
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError("device cuda: torch finds no GPU here; use cpu, or install a CUDA build of torch")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 by itself; torch imitates it elsewhere, thirty times slower.

    Examples
    --------
    >>> has_bfloat16(torch.device("cpu")) in (True, False)
    True
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16") or known.get("bf16"))
