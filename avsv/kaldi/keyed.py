"""A data directory's table as arrays of positions of keys and values in the file's bytes: a million lines in a second.

A line becomes a Python object only if it is invalid. The value is the rest of the line after the key, which may be a
path with spaces or a command. White space is any byte with a value up to that of the space.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.jobs.inputs import as_text, read_bytes, refuse_zeros, without_marks
from avsv.kaldi.columns import NEWLINE, SPACE, Block

PIECE = 1 << 18  # bytes cut at a time: the arrays stay in the cache, and memory is reused


@dataclass(frozen=True)
class KeyedTable:
    """The good lines of a table, in the file's order.

    path : the table's file
    data : its bytes, with a newline at the end
    keys : (n,) byte strings
    starts, ends : (n,) int64, where each line lies in `data`, without its newline
    values : (n, 2) int64, where each value lies
    bad : lines without a key and a value: number from 1, fields, text
    numbers : (n,) int64, the lines' numbers from 1
    complete : whether the last line had a line end
    marked : whether the file had byte order marks; `data` has none
    """

    path: Path
    data: bytes
    keys: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray
    bad: list[tuple[int, int, str]]
    numbers: np.ndarray
    complete: bool
    marked: bool = False

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def ascending(self) -> bool:
        """Whether the keys are in LC_ALL=C order without repeats."""
        return bool((self.keys[1:] > self.keys[:-1]).all())

    def text(self, row: int) -> str:
        return self.data[self.values[row, 0] : self.values[row, 1]].decode()

    def value_block(self) -> Block:
        """The values as a block of one field."""
        return Block(self.path, self.data + bytes(8), self.values[:, :1], self.values[:, 1:], 1)

    def value_strings(self) -> np.ndarray:
        """The values as byte strings, (n,); meant for short values."""
        return strings(self.value_block(), 0) if len(self) else np.zeros(0, "S1")

    def without(self, rows: np.ndarray, bad: list[tuple[int, int, str]]) -> "KeyedTable":
        """The table without rows that turned out to be invalid."""
        keep = np.ones(len(self), bool)
        keep[rows] = False
        columns = (column[keep] for column in (self.keys, self.starts, self.ends, self.values))
        return KeyedTable(
            self.path, self.data, *columns, [*self.bad, *bad], self.numbers[keep], self.complete, self.marked
        )

    def superseded(self) -> np.ndarray:
        """Rows with a key that occurs again later, (n,) bool."""
        again = np.zeros(len(self), bool)
        if not self.ascending:
            order = np.argsort(self.keys, kind="stable")
            ranked = self.keys[order]
            again[order[:-1][ranked[1:] == ranked[:-1]]] = True
        return again


def read_keyed(path: Path, two_fields: bool) -> KeyedTable:
    """Read a table.

    Parameters
    ----------
    two_fields : whether a line must have exactly two fields; otherwise it may have more

    Raises
    ------
    InputError : the file is absent, not a regular file, or not UTF-8 text
    """
    raw = read_bytes(path)
    refuse_zeros(path, raw)
    data = without_marks(raw)
    if not data.isascii():
        as_text(path, data)
    complete = not data or data.endswith(b"\n")
    data = data if complete else data + b"\n"
    parts, bad, begin, first_line = [], [], 0, 1
    while begin < len(data):
        end = data.find(b"\n", begin + PIECE) + 1 or len(data)
        part, n_lines = cut_lines(path, data[begin:end], begin, first_line, two_fields, bad)
        parts.append(part)
        begin, first_line = end, first_line + n_lines
    if not parts:
        nothing = np.zeros(0, np.int64)
        parts = [(np.zeros(0, "S1"), nothing, nothing, np.zeros((0, 2), np.int64), nothing)]
    keys, starts, ends, values, numbers = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return KeyedTable(
        path, data, keys, starts, ends, values, bad, numbers, complete, len(data) - (not complete) < len(raw)
    )


def cut_lines(path: Path, data: bytes, offset: int, first_line: int, two_fields: bool, bad: list) -> tuple:
    """Keys, starts, ends, values and numbers of the good lines of some whole lines, and the number of lines."""
    text = np.frombuffer(data, np.uint8)
    blank = text <= SPACE
    ends = np.flatnonzero(text == NEWLINE)
    starts = np.concatenate([[0], ends[:-1] + 1])
    edges = np.flatnonzero(np.diff(blank, prepend=True))  # alternately the begin and the end of a field
    field_starts, field_ends = edges[0::2], edges[1::2]
    first = np.searchsorted(field_starts, starts)
    n_fields = np.diff(first, append=len(field_starts))
    good = n_fields == 2 if two_fields else n_fields >= 2
    for row in np.flatnonzero(~good).tolist():
        bad.append((first_line + row, int(n_fields[row]), data[starts[row] : ends[row]].decode()))
    first, last = first[good], first[good] + n_fields[good] - 1
    block = Block(path, data + bytes(8), field_starts[first][:, None], field_ends[first][:, None], first_line)
    keys = strings(block, 0) if len(block) else np.zeros(0, "S1")
    values = np.stack([field_starts[first + 1], field_ends[last]], axis=1) + offset
    numbers = np.flatnonzero(good) + first_line
    return (keys, starts[good] + offset, ends[good] + offset, values, numbers), len(starts)


def strings(block: Block, field: int) -> np.ndarray:
    """The values of a field as byte strings of one size, (lines,)."""
    words = block.words(field)
    return np.stack(words, axis=1).astype("<u8", copy=False).view(f"S{8 * len(words)}").reshape(-1)


def rows_of(keys: np.ndarray, ranked: np.ndarray) -> np.ndarray:
    """Position of each key in the sorted `ranked`; -1 if absent. (n,) int64"""
    if len(keys) == len(ranked) and (keys == ranked).all():  # true for nearly every table of a data directory
        return np.arange(len(keys))
    if not len(ranked):
        return np.full(len(keys), -1)
    rows = np.minimum(np.searchsorted(ranked, keys), len(ranked) - 1)
    return np.where(ranked[rows] == keys, rows, -1)


def join_runs(table: KeyedTable, rows: np.ndarray) -> bytes:
    """The lines of `rows` in order, each as "key value"; runs of lines in that form are copied at once."""
    if not len(rows):
        return b""
    plain = table.values[rows, 0] - table.starts[rows] == np.strings.str_len(table.keys[rows]) + 1
    plain &= table.values[rows, 1] == table.ends[rows]
    plain &= np.frombuffer(table.data, np.uint8)[table.values[rows, 0] - 1] == SPACE  # and no tab
    follows = plain[1:] & plain[:-1] & (table.ends[rows[:-1]] + 1 == table.starts[rows[1:]])
    begins = np.flatnonzero(np.concatenate([[True], ~follows]))
    ends = np.append(begins[1:], len(rows)) - 1
    pieces = []
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        if plain[begin]:
            pieces.append(table.data[table.starts[rows[begin]] : table.ends[rows[end]] + 1])
        else:
            row = rows[begin]
            value = table.data[table.values[row, 0] : table.values[row, 1]]
            pieces.append(bytes(table.keys[row]) + b" " + value + b"\n")
    return b"".join(pieces)
