"""JSON files with a known shape: read strictly; errors name the invalid place."""

import json
import math
from pathlib import Path
from typing import Any

from avsv.errors import InputError
from avsv.jobs.inputs import read_text

NAMES = {str: "a string", bool: "true or false", int: "an integer", float: "a finite number", None: "null"}


class Misshapen(ValueError):
    """A value has the wrong shape; the message names its place and what was expected."""


def read_json(path: Path | str, shape: Any, what: str = "JSON file") -> Any:
    """Read a JSON file and check its shape.

    NaN, Infinity and repeated keys, which Python's reader accepts, are refused.

    Parameters
    ----------
    shape : what `check_shape` takes
    what : kind of file, for the message

    Raises
    ------
    InputError : the file is absent, is not JSON, or has another shape

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.json"
    >>> _ = path.write_text('{"offset": 1}')
    >>> read_json(path, {"offset": float})
    {'offset': 1}
    """
    text = read_text(path)
    try:
        value = parse_json(text)
        check_shape(value, shape)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not a {what}: {error or 'it is nested too deeply'}") from None
    return value


def parse_json(text: str) -> Any:
    """The value of JSON text; ValueError or RecursionError for invalid text, NaN, Infinity and repeated keys."""
    return json.loads(text, parse_constant=refuse_constant, object_pairs_hook=unique_keys)


def check_shape(value: Any, shape: Any, place: str = "") -> None:
    """Raise Misshapen unless `value` has the shape.

    Parameters
    ----------
    shape : str, bool, int, float (any finite number) or None; a list of one shape, for a list of any length; a
        dictionary of the required keys (optional with "?" at their end); a tuple of alternatives
    place : of the value, for the message

    Examples
    --------
    >>> check_shape({"weights": [1.0, True]}, {"weights": [float], "name?": str})
    Traceback (most recent call last):
    avsv.jobs.schema.Misshapen: weights[1]: expected a finite number, found true
    """
    if isinstance(shape, tuple):
        if not any(fits(value, one) for one in shape):
            check_shape(value, max(shape, key=lambda one: n_shared_keys(value, one)), place)  # the first of equals
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise expected("a list", value, place)
        for number, item in enumerate(value):
            check_shape(item, shape[0], f"{place}[{number}]")
    elif isinstance(shape, dict):
        check_keys(value, shape, place)
    elif not is_a(value, shape):
        raise expected(NAMES[shape], value, place)


def fits(value: Any, shape: Any) -> bool:
    try:
        check_shape(value, shape)
    except Misshapen:
        return False
    return True


def n_shared_keys(value: Any, shape: Any) -> int:
    """Number of keys that a value and a shape share: of several shapes, the intended one shares the most.

    Examples
    --------
    >>> n_shared_keys({"weights": 1, "name": 2}, {"weights": float, "offset?": float})
    1
    """
    if not isinstance(value, dict) or not isinstance(shape, dict):
        return 0
    return len(value.keys() & {key.removesuffix("?") for key in shape})


def check_keys(value: Any, shape: dict, place: str) -> None:
    if not isinstance(value, dict):
        raise expected("an object", value, place)
    shapes = {key.removesuffix("?"): one for key, one in shape.items()}
    if unknown := sorted(value.keys() - shapes.keys()):
        raise Misshapen(f'{place}{": " if place else ""}unknown key "{unknown[0][:60]}"')
    for key in shape:
        if key.removesuffix("?") in value:
            check_shape(value[key.removesuffix("?")], shapes[key.removesuffix("?")], f"{place}.{key}".strip(".?"))
        elif not key.endswith("?"):
            raise Misshapen(f'{place}{": " if place else ""}the key "{key}" is missing')


def is_a(value: Any, kind: type | None) -> bool:
    if kind is float:
        try:
            return type(value) in (int, float) and math.isfinite(float(value))
        except OverflowError:  # an integer beyond all floats
            return False
    return value is None if kind is None else type(value) is kind


def expected(what: str, value: Any, place: str) -> Misshapen:
    shown = json.dumps(value, default=str)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return Misshapen(f"{place}{': ' if place else ''}expected {what}, found {shown}")


def refuse_constant(name: str) -> None:
    raise Misshapen(f"it contains {name}, expected finite numbers")


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for number, key in enumerate(names) if key in names[:number])
        raise Misshapen(f'the key "{twice[:60]}" occurs twice')
    return mapping
