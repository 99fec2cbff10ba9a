"""Ranges of options, declared with their fields and checked before the options are used.

    epochs: int = within(10, 1, 100_000)
    device: str = choice("auto", "auto", "cpu", "cuda")

For a list, the range holds for each value; a pair declared `rising` must have its smaller value first.
"""

import math
from collections.abc import Iterator
from dataclasses import field, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Options = TypeVar("Options")


def within(default: Any, low: float = 0, high: float = math.inf, *, above: float | None = None,
           below: float | None = None, rising: bool = False, why: str = "") -> Any:  # fmt: skip
    """A field of numbers from `low` to `high`, or above `above` and below `below`.

    Parameters
    ----------
    rising : the field is a pair (smallest, largest)
    why : reason for the range, appended to the message
    """
    bounds = {"low": low if above is None else above, "high": high if below is None else below,
              "open_low": above is not None, "open_high": below is not None, "rising": rising, "why": why}  # fmt: skip
    return field(default=default, metadata={"within": bounds})


def choice(default: Any, *allowed: str) -> Any:
    """A field that takes one of the allowed words, or a list of them."""
    return field(default=default, metadata={"choice": allowed})


def options_of(kind: type[Options], config: Any) -> Options:
    """The fields that a dataclass shares with a configuration, which has further ones, as an instance of it."""
    return kind(**{f.name: getattr(config, f.name) for f in fields(kind)})


def check_ranges(options: Any, prefix: str = "") -> None:
    """Raise ValueError, naming the key, if a value of a dataclass is outside the range of its field.

    In any field, numbers must be finite, pairs must have two values, and text must be printable.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Options:
    ...     share: float = within(0.5, 0, 1)
    >>> check_ranges(Options(5.0))
    Traceback (most recent call last):
    ValueError: share=5.0: expected a number from 0 to 1
    """
    hints = get_type_hints(type(options))
    for f in fields(options):
        value, key = getattr(options, f.name), prefix + f.name
        if is_dataclass(value):
            check_ranges(value, f"{key}.")
            continue
        values = list(flat(value))
        sizes = get_args(hints[f.name]) if get_origin(hints[f.name]) is tuple else ()
        if sizes and Ellipsis not in sizes and len(values) != len(sizes):
            raise ValueError(f"{key}={value}: expected {len(sizes)} values")
        if sizes and Ellipsis in sizes and not 1 <= len(values) <= 100:
            raise ValueError(f"{key}={value}: expected a list of 1 to 100 values")
        for number, each in enumerate(values):
            if is_dataclass(each):
                check_ranges(each, f"{key}[{number}].")
            else:
                check_value(key, value, each, f.metadata)
        if f.metadata.get("within", {}).get("rising") and values[0] > values[-1]:
            raise ValueError(f"{key}={value}: expected the smaller value first")


def flat(value: Any) -> Iterator[Any]:
    """All values of nested lists and mappings, and the keys of the mappings."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from flat(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from flat(each)
    else:
        yield value


def check_value(key: str, shown: Any, value: Any, declared: Any) -> None:
    if isinstance(value, str):
        if not value.isprintable():
            raise ValueError(f"{key}={value!r}: expected text without control characters")
        if "choice" in declared and value not in declared["choice"]:
            raise ValueError(f"{key}={value}: expected one of {', '.join(declared['choice'])}")
        return
    if isinstance(value, bool) or value is None:
        return
    if not math.isfinite(value):
        raise ValueError(f"{key}={shown}: expected finite numbers")
    bounds = declared.get("within")
    if bounds and not is_inside(value, bounds):
        raise ValueError(f"{key}={shown}: expected {describe(bounds, isinstance(value, int))}"
                         + (f"; {bounds['why']}" if bounds["why"] else ""))  # fmt: skip


def is_inside(value: float, bounds: dict) -> bool:
    above = value > bounds["low"] if bounds["open_low"] else value >= bounds["low"]
    return above and (value < bounds["high"] if bounds["open_high"] else value <= bounds["high"])


def describe(bounds: dict, whole: bool) -> str:
    """The range as text.

    Examples
    --------
    >>> describe(within(1, 1, 9).metadata["within"], True), describe(within(1.0, above=0).metadata["within"], False)
    ('an integer from 1 to 9', 'a number above 0')
    """
    kind = "an integer" if whole else "a number"
    low, high = (str(int(n)) if float(n).is_integer() else f"{n:g}" for n in (bounds["low"], bounds["high"]))
    from_low = f"above {low}" if bounds["open_low"] else f"from {low}"
    if bounds["high"] == math.inf:
        return f"{kind} {from_low}" if bounds["open_low"] else f"{kind} >= {low}"
    return f"{kind} {from_low} {'below' if bounds['open_high'] else 'to'} {high}"
