"""Checks of single values in the description of a downloaded model.

A check takes a value and returns whether it is allowed. A description outside the limits is refused before anything is
built from it: a small file must not be able to fill the memory or run for hours.
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
    """A small number of modules; each takes time to build, even from a small file."""
    return natural(value) and value <= 64


def numbers_of_blocks(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= 8 and all(map(few, value))


def naturals(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= 64 and all(map(natural, value))


def one_of(*allowed: Any) -> Check:
    return lambda value: any(type(value) is type(each) and value == each for each in allowed)


def boolean(value: Any) -> bool:
    return type(value) is bool
