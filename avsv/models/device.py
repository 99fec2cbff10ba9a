"""Which processor torch works on."""

import torch

from avsv.errors import UserError


def pick_device(name: str) -> torch.device:
    """`auto` is cuda where there is one.

    Raises
    ------
    UserError : cuda is asked for and absent
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda: torch finds no GPU here; use cpu, or install a CUDA build of torch")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
