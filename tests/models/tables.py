"""Reads the layer tables in docstrings, for tests that compare them with the networks."""

import re

from torch import nn


def layer_table(text: str) -> dict[str, list[int]]:
    """Layer -> the integers in its line, in order; the name ends at the first two spaces."""
    rows = {}
    for line in text.splitlines():
        name, gap, rest = line.strip().partition("  ")
        if gap and re.search(r"\d", rest):
            rows[name] = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", rest)]
    return rows


def n_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
