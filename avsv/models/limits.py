"""Checks of single values in a model's description: what a network from anywhere may be asked to be.

A check takes a value and says whether it is allowed. A description outside the limits is refused before anything is
built from it, so that a small file cannot fill the memory or run for hours.
"""

from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]


def natural(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 1 << 14


def number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= 1 << 20


def between(low: float, high: float) -> Check:
    return lambda value: number(value) and low <= value <= high


def few(value: Any) -> bool:
    """A number of modules: each takes time to build, whatever weights the file holds."""
    return natural(value) and value <= 64


def numbers_of_blocks(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= 8 and all(map(few, value))


def naturals(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= 64 and all(map(natural, value))


def one_of(*allowed: Any) -> Check:
    return lambda value: any(type(value) is type(each) and value == each for each in allowed)


def boolean(value: Any) -> bool:
    return type(value) is bool
