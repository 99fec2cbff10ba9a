"""Values of an scp file: `archive:offset` or a separate file, either with an optional range.

Ranges are Kaldi's: `[0:9]` means rows 0 to 9 of a matrix, both included (or values of a vector), `[0:9,2:3]` rows and
columns; an empty range or `:` means all. As in Kaldi, an end up to 3 rows beyond the matrix means its last row.
"""

import re
from typing import NamedTuple

import numpy as np

RANGE = re.compile(r"\[(\d{1,18}:\d{1,18}|:?)(?:,(\d{1,18}:\d{1,18}|:?))?\]$")
TOLERATED = 3  # rows


class Range(NamedTuple):
    """First and last row, first and last column, both included; None: all."""

    rows: tuple[int, int] | None
    columns: tuple[int, int] | None


class Place(NamedTuple):
    """A file, the offset in it, and the range of the object there."""

    path: str
    offset: int
    part: Range | None


def parse_place(text: str) -> Place:
    """Parse the value of a line of an scp file; ValueError for a pipe, an empty value, or an invalid range.

    Examples
    --------
    >>> parse_place("a.ark:15[0:9]")
    Place(path='a.ark', offset=15, part=Range(rows=(0, 9), columns=None))
    >>> parse_place("mean.vec").offset
    0
    """
    text, part = text.strip(), None
    if text.endswith("]"):
        found = RANGE.search(text)
        if not found:
            raise ValueError(f"{text[text.rfind('[') :]} is not a range such as [0:9] or [0:9,0:3]")
        part = Range(bounds(found[1]), bounds(found[2] or ""))
        text = text[: found.start()].rstrip()
    if not text or text.endswith("|") or text.startswith("|") or text == "-":
        raise ValueError(
            "is a command (commands are not run here: write the archive to a file)" if text else "is empty"
        )
    path, _, offset = text.rpartition(":")
    if path and is_offset(offset):
        return Place(path, int(offset), part)
    return Place(text, 0, part)


def archive_of(text: str) -> str:
    """The file of a place; the text itself if it is not a place."""
    path, _, offset = text.rpartition(":")
    if path and is_offset(offset):
        return path
    try:
        return parse_place(text).path
    except ValueError:
        return text


def is_offset(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) < 20  # Python refuses numbers of thousands of digits


def bounds(text: str) -> tuple[int, int] | None:
    if text in ("", ":"):
        return None
    first, last = map(int, text.split(":"))
    if first > last:
        raise ValueError(f"[{text}] begins after its end")
    return first, last


def row_slice(part: Range | None, n_rows: int) -> slice:
    """The rows of a part; ValueError if the matrix does not have them."""
    return limits(part and part.rows, n_rows, TOLERATED)


def limits(given: tuple[int, int] | None, n: int, tolerated: int) -> slice:
    if given is None:
        return slice(n)
    first, last = given
    if first >= n or last >= n + tolerated:
        raise ValueError(f"the range [{first}:{last}] is not within 0 to {n - 1}")
    return slice(first, min(last + 1, n))


def take(array: np.ndarray, part: Range | None) -> np.ndarray:
    """The part of a vector or matrix; ValueError if it has no such part.

    Examples
    --------
    >>> take(np.arange(12).reshape(4, 3), Range((1, 2), (0, 1)))
    array([[3, 4],
           [6, 7]])
    """
    if part is None:
        return array
    if array.ndim == 1:
        if part.columns:
            raise ValueError("a vector has no columns")
        return array[limits(part.rows, len(array), 0)]
    return array[row_slice(part, len(array)), limits(part.columns, array.shape[1], 0)]
