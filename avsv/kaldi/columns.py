"""Text tables of millions of short lines (trials, scores), parsed in blocks by numpy.

A line is never a Python object: the table's bytes are cut at white space all at once, and an identifier is compared or
looked up as a row of 64-bit words. This is about five times as fast as `line.split()`, and memory does not grow with
the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import UserError

BLOCK = 1 << 25  # bytes read at a time
SPACE, NEWLINE = 32, 10
MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # keeps the first n bytes of a little-endian word
MIX = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)  # the finaliser of MurmurHash3, 64 bits


@dataclass(frozen=True)
class Block:
    """Some whole lines of a table, all of the same number of fields.

    data : the lines' bytes and eight more
    starts, ends : (lines, fields) int, where each field lies in `data`
    first_line : number of the first line in the file, from 1
    """

    data: bytes
    starts: np.ndarray
    ends: np.ndarray
    first_line: int

    def __len__(self) -> int:
        return len(self.starts)

    def width(self, field: int) -> int:
        """How many 64-bit words the longest value of a field takes."""
        return int(-(-(self.ends[:, field] - self.starts[:, field]).max() // 8))

    def words(self, field: int, position: int) -> np.ndarray:
        """Bytes `8 * position` to `8 * position + 7` of a field as a number; zeros beyond its end. (lines,) uint64"""
        unaligned = np.ndarray((len(self.data) - 7,), "<u8", self.data, strides=(1,))
        start = self.starts[:, field] + 8 * position
        left = np.clip(self.ends[:, field] - start, 0, 8)
        return unaligned[np.minimum(start, len(unaligned) - 1)] & MASKS[left]

    def hashes(self, field: int) -> np.ndarray:
        """A 64-bit hash of each value of a field, (lines,) uint64."""
        total = np.zeros(len(self), np.uint64)
        for position in range(self.width(field)):
            word = self.words(field, position)
            for factor in MIX:
                word ^= word >> np.uint64(33)
                word *= factor
            word ^= word >> np.uint64(33)
            total = total * np.uint64(3) + word if position else word
        return total

    def values(self, field: int, lines: np.ndarray | slice = slice(None)) -> list[bytes]:
        """The bytes of a field, on some lines."""
        data = self.data
        places = zip(self.starts[lines, field].tolist(), self.ends[lines, field].tolist(), strict=True)
        return [data[start:end] for start, end in places]


def read_blocks(path: Path | str, fields: int, shape: str) -> Iterator[Block]:
    """Read a table block by block.

    Parameters
    ----------
    path : the table's file
    fields : how many fields each line has
    shape : what a line should look like, for the message

    Raises
    ------
    UserError : the file is absent, or a line has another number of fields
    """
    first_line = 1
    with open_table(path) as table:
        while data := table.read(BLOCK) + table.readline():
            if not data.endswith(b"\n"):
                data += b"\n"
            starts, ends = cut_fields(data, fields, path, first_line, shape)
            yield Block(data + bytes(8), starts, ends, first_line)
            first_line += len(starts)


def open_table(path: Path | str):
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, expected a text file") from None


def cut_fields(data: bytes, fields: int, path, first_line: int, shape: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the fields of each line start and end, both (lines, fields)."""
    text = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(text <= SPACE)
    starts = np.concatenate([[0], ends[:-1] + 1])
    full = ends > starts  # two separators in a row hold no field between them
    newline = text[ends] == NEWLINE
    if full.all() and np.array_equal(np.flatnonzero(newline), np.arange(fields - 1, len(ends), fields)):
        return starts.reshape(-1, fields), ends.reshape(-1, fields)  # single spaces: nearly every file
    per_line = np.diff(np.cumsum(full)[newline], prepend=0)
    if wrong := np.flatnonzero(per_line != fields)[:1].tolist():
        line = data.split(b"\n", wrong[0] + 1)[wrong[0]]
        raise bad_line(path, first_line + wrong[0], shape, line)
    return starts[full].reshape(-1, fields), ends[full].reshape(-1, fields)


def bad_line(path, number: int, shape: str, line: bytes) -> UserError:
    text = line.decode(errors="replace").strip()
    found = len(text.split())
    shown = text if len(text) <= 200 else text[:200] + "..."
    return UserError(f'{path}, line {number}: expected "{shape}", found {found} fields: "{shown}"')


def first_fields(path: Path | str) -> list[bytes]:
    """The fields of a table's first line; empty where the file is."""
    with open_table(path) as table:
        return table.readline(1 << 16).split()


class Identifiers:
    """Gives each identifier a row number, in the order of a first block-wise appearance.

    Examples
    --------
    >>> import tempfile
    >>> table = Path(tempfile.mkdtemp()) / "table"
    >>> _ = table.write_text("b 1\\na 2\\nb 3\\n")
    >>> seen = Identifiers()
    >>> [seen.rows(block, 0).tolist() for block in read_blocks(table, 2, "key number")]
    [[0, 1, 0]]
    >>> seen.names("table")
    ['b', 'a']
    """

    def __init__(self):
        self.known: dict[bytes, int] = {}

    def rows(self, block: Block, field: int) -> np.ndarray:
        """Row numbers of a field's values, (lines,) int32."""
        first, inverse = group_equal(block.hashes(field))
        if not all(
            np.array_equal(words, words[first][inverse])
            for words in (block.words(field, position) for position in range(block.width(field)))
        ):  # two identifiers share a hash: once in 10^8 files of a million identifiers
            first, inverse = np.arange(len(block)), np.arange(len(block))
        known = self.known
        numbers = [known.setdefault(value, len(known)) for value in block.values(field, first)]
        return np.array(numbers, np.int32)[inverse]

    def names(self, path: Path | str) -> list[str]:
        """The identifiers in the order of their rows."""
        try:
            return [value.decode() for value in self.known]
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: an identifier is not UTF-8 text: {error.object!r}") from None


def group_equal(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group equal numbers.

    Returns
    -------
    first : (groups,) index of each group's first member in `numbers`, ascending
    inverse : (n,) the group of each number
    """
    order = np.argsort(numbers)
    ranked = numbers[order]
    begins = np.concatenate([[True], ranked[1:] != ranked[:-1]])
    first = np.minimum.reduceat(order, np.flatnonzero(begins))
    inverse = np.empty(len(numbers), np.int64)
    by_appearance = np.argsort(first)
    place = np.empty(len(first), np.int64)
    place[by_appearance] = np.arange(len(first))
    inverse[order] = place[np.cumsum(begins) - 1]
    return first[by_appearance], inverse


def as_words(names: list[str] | tuple[str, ...]) -> np.ndarray:
    """Identifiers as rows of 64-bit words, zero-padded: (names, words) uint64, comparable with `Block.words`."""
    encoded = [name.encode() for name in names]
    width = max(1, -(-max(map(len, encoded), default=1) // 8))
    return np.array(encoded, f"S{8 * width}").view("<u8").reshape(len(names), width)
