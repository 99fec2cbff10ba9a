"""Text tables of millions of short lines (trials, scores), parsed and written in blocks by numpy.

Lines do not become Python objects: the table's bytes are cut at white space all at once, and an identifier is compared
or looked up as a row of 64-bit words. This is many times as fast as `line.split()`; memory does not grow with the file,
and several threads share the work.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from avsv.errors import InputError
from avsv.jobs.inputs import open_regular, refuse_zeros, without_marks
from avsv.jobs.threads import map_ahead

BLOCK = 1 << 20  # bytes read at a time: the arrays made from them stay in the processor's cache
SPACE, NEWLINE = 32, 10
MOST_WORDS = 128  # in an identifier; a longer one is an error, and would fill the memory
MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # keeps the first n bytes of a little-endian word
MIX = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)  # odd factors, of MurmurHash3's finaliser
HALF = np.uint64(32)
Made = TypeVar("Made")


@dataclass(frozen=True)
class Block:
    """Some whole lines of a table, all with the same number of fields.

    path : the table's file
    data : the lines' bytes, and eight bytes more
    starts, ends : (lines, fields) int, where each field lies in `data`
    first_line : number of the first line in the file, from 1
    """

    path: Path | str
    data: bytes
    starts: np.ndarray
    ends: np.ndarray
    first_line: int

    def __len__(self) -> int:
        return len(self.starts)

    def lengths(self, field: int) -> np.ndarray:
        """Bytes of each value of a field, (lines,) int64."""
        return self.ends[:, field] - self.starts[:, field]

    def eight_bytes(self, places: np.ndarray) -> np.ndarray:
        """Eight bytes from each place in `data`, as little-endian numbers, uint64."""
        unaligned = np.ndarray((len(self.data) - 7,), "<u8", self.data, strides=(1,))
        return unaligned.take(places, mode="clip")

    def words(self, field: int) -> list[np.ndarray]:
        """The values of a field as rows of 64-bit numbers, zeros beyond their end: a (lines,) uint64 array a word."""
        start, length = self.starts[:, field], self.lengths(field)
        shortest, n_words = int(length.min()), -(-int(length.max()) // 8)
        if n_words > MOST_WORDS:
            line = self.first_line + int(length.argmax())
            raise InputError(f"{self.path}, line {line}: field {field + 1} has {length.max()} bytes; is it a table?")
        words = []
        for position in range(n_words):
            word = self.eight_bytes(start + 8 * position)
            if shortest < 8 * position + 8:
                word &= MASKS[np.clip(length - 8 * position, 0, 8)]
            words.append(word)
        return words

    def values(self, field: int, lines: np.ndarray | slice = slice(None)) -> list[bytes]:
        """The bytes of a field, on some lines."""
        data = self.data
        places = zip(self.starts[lines, field].tolist(), self.ends[lines, field].tolist(), strict=True)
        return [data[start:end] for start, end in places]


def read_blocks(
    path: Path | str, fields: int, shape: str, work: Callable[[Block], Made], also: bytes = b""
) -> Iterator[tuple[Block, Made]]:
    """Read a table block by block, in order; several threads run `work(block)` ahead of the caller.

    Parameters
    ----------
    path : the table's file
    fields : how many fields each line has
    shape : what a line should look like, for the message
    also : another byte that separates fields

    Raises
    ------
    InputError : the file is absent, a line has the wrong number of fields, or `work` raises it
    """

    def cut(piece: tuple[bytes, int]) -> tuple[Block, Made]:
        data, first_line = piece
        if also:
            data = data.replace(also, b" ")
        starts, ends = cut_fields(data, fields, path, first_line, shape)
        block = Block(path, data + bytes(8), starts, ends, first_line)
        return block, work(block)

    yield from map_ahead(cut, read_pieces(path))


def read_pieces(path: Path | str) -> Iterator[tuple[bytes, int]]:
    """Whole lines of a file, about BLOCK bytes at a time, and the number of the first of them, from 1."""
    first_line = 1
    with open_regular(path) as table:
        while data := table.read(BLOCK) + table.readline():
            refuse_zeros(path, data)
            data = without_marks(data)
            if not data.endswith(b"\n"):
                data += b"\n"
            yield data, first_line
            first_line += data.count(b"\n")


def cut_fields(data: bytes, fields: int, path, first_line: int, shape: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the fields of each line start and end, both (lines, fields)."""
    text = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(text <= SPACE)
    starts = np.concatenate([[0], ends[:-1] + 1])
    full = ends > starts  # two separators in a row hold no field between them
    newline = text[ends] == NEWLINE
    if full.all() and single_spaced(newline, fields):
        return starts.reshape(-1, fields), ends.reshape(-1, fields)
    per_line = np.diff(np.cumsum(full)[newline], prepend=0)
    if wrong := np.flatnonzero(per_line != fields)[:1].tolist():
        line = data.split(b"\n", wrong[0] + 1)[wrong[0]]
        raise bad_line(path, first_line + wrong[0], shape, line)
    return starts[full].reshape(-1, fields), ends[full].reshape(-1, fields)


def single_spaced(newline: np.ndarray, fields: int) -> bool:
    """Whether every `fields`-th separator, and no other, ends a line; true for nearly every file."""
    if len(newline) % fields:
        return False
    by_line = newline.reshape(-1, fields)
    return bool(by_line[:, -1].all()) and not by_line[:, :-1].any()


def bad_line(path, number: int, shape: str, line: bytes) -> InputError:
    text = line.decode(errors="replace").strip()
    n_fields = len(text.split())
    shown = text if len(text) <= 200 else text[:200] + "..."
    return InputError(f'{path}, line {number}: expected "{shape}", found {n_fields} fields: "{shown}"')


def first_fields(path: Path | str) -> list[bytes]:
    """The fields of a table's first line; empty if the file is."""
    with open_regular(path) as table:
        return without_marks(table.readline(1 << 16)).split()


@dataclass(frozen=True)
class Keys:
    """The values of a field, ready to be looked up.

    words : as of `Block.words`
    hashes : (lines,) uint64
    rows : (lines,) int32, row numbers if known when the keys were made, otherwise -1
    """

    words: list[np.ndarray]
    hashes: np.ndarray
    rows: np.ndarray

    def take(self, lines: np.ndarray) -> "Keys":
        return Keys([word[lines] for word in self.words], self.hashes[lines], self.rows[lines])


def hash_words(words: Sequence[np.ndarray]) -> np.ndarray:
    """A 64-bit hash of each row; words of zeros at its end do not change it."""
    total = np.zeros(len(words[0]), np.uint64)
    for position, word in enumerate(words):
        mixed = word * MIX[0]
        mixed ^= mixed >> HALF
        mixed *= MIX[1] + np.uint64(2 * position)
        total += mixed
    total ^= total >> HALF
    total *= MIX[0]
    return total


class Identifiers:
    """Numbers identifiers in the order in which blocks first contain them.

    Threads look up known identifiers (`keys`) while the caller's thread adds the others, block after block (`rows`). An
    identifier's words are written before `ready` counts it, and threads only use identifiers that are counted.

    Examples
    --------
    >>> import tempfile
    >>> table = Path(tempfile.mkdtemp()) / "table"
    >>> _ = table.write_text("b 1\\na 2\\nb 3\\n")
    >>> seen = Identifiers()
    >>> [seen.rows(*made, 0).tolist() for made in read_blocks(table, 2, "key number", lambda b: seen.keys(b, 0))]
    [[0, 1, 0]]
    >>> seen.names("table")
    ['b', 'a']
    """

    def __init__(self):
        self.known: dict[bytes, int] = {}
        self.words = np.zeros((0, 1 << 10), np.uint64)  # (words of the longest, identifiers or more)
        self.hashes = np.zeros(1 << 10, np.uint64)
        self.slots = np.full(
            1 << 12, -1, np.int32
        )  # row number by the first bits of the hash, or in the next free slot
        self.ready = 0

    def keys(self, block: Block, field: int) -> Keys:
        """A field's values; any thread may ask."""
        words = block.words(field)
        hashes = hash_words(words)
        return Keys(words, hashes, self.find(words, hashes))

    def rows(self, block: Block, keys: Keys, field: int) -> np.ndarray:
        """Row numbers of a field's values, (lines,) int32; new ones get the next numbers."""
        if len(lines := np.flatnonzero(keys.rows < 0)):
            late = keys.take(lines)  # some were added since the keys were made
            keys.rows[lines] = self.find(late.words, late.hashes)
        if len(lines := np.flatnonzero(keys.rows < 0)):
            keys.rows[lines] = self.add(block, keys.take(lines), field, lines)
        return keys.rows

    def find(self, words: Sequence[np.ndarray], hashes: np.ndarray) -> np.ndarray:
        """Row numbers of known identifiers, -1 for the others."""
        ready, slots, known = self.ready, self.slots, self.words
        places = first_slots(hashes, slots)
        rows = slots[places]
        differ = others(known, ready, rows, words)
        rest = np.flatnonzero(differ & (rows >= 0))
        rows[differ] = -1
        while len(rest):  # another identifier is in that slot: look into the next ones, up to an empty one
            places[rest] = (places[rest] + 1) % len(slots)
            candidates = slots[places[rest]]
            differ = others(known, ready, candidates, [word[rest] for word in words])
            rows[rest[~differ]] = candidates[~differ]
            rest = rest[differ & (candidates >= 0)]
        return rows

    def add(self, block: Block, keys: Keys, field: int, lines: np.ndarray) -> np.ndarray:
        """Number the identifiers on some lines, none of them known; (lines,) int32."""
        first, inverse = group_equal(keys.hashes)
        if not all(np.array_equal(word, word[first][inverse]) for word in keys.words):
            first = inverse = np.arange(len(lines))  # two identifiers have one hash, which is very unlikely
        known = self.known
        numbers = np.array([known.setdefault(v, len(known)) for v in block.values(field, lines[first])], np.int32)
        self.make_room(len(known), len(keys.words))
        for position, word in enumerate(keys.words):
            self.words[position, numbers] = word[first]
        self.hashes[numbers] = keys.hashes[first]
        enter(self.slots, numbers, keys.hashes[first])
        self.ready = len(known)
        return numbers[inverse]

    def make_room(self, n: int, n_words: int) -> None:
        """Arrays for `n` identifiers of `n_words`; at most a quarter of the slots are used, for fast look-ups."""
        size = 2 * n if n > len(self.hashes) else len(self.hashes)
        if size > len(self.hashes) or n_words > len(self.words):
            words = np.zeros((max(n_words, len(self.words)), size), np.uint64)
            words[: len(self.words), : len(self.hashes)] = self.words
            self.words = words
            self.hashes = np.concatenate([self.hashes, np.zeros(size - len(self.hashes), np.uint64)])
        if 4 * n > len(self.slots):
            slots = np.full(1 << (8 * n).bit_length(), -1, np.int32)
            entered = np.arange(self.ready, dtype=np.int32)
            enter(slots, entered, self.hashes[entered])
            self.slots = slots

    def names(self, path: Path | str) -> list[str]:
        """The identifiers in the order of their rows."""
        try:
            return [value.decode() for value in self.known]
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: an identifier is not UTF-8 text: {error.object!r}") from None


def first_slots(hashes: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """The first slot to try for each hash: its first bits."""
    return (hashes >> np.uint64(65 - len(slots).bit_length())).view(np.int64)


def enter(slots: np.ndarray, rows: np.ndarray, hashes: np.ndarray) -> None:
    """Put rows into the slots of their hashes, or into the next free ones."""
    places = first_slots(hashes, slots)
    while len(rows):
        free = slots[places] < 0
        slots[places[free]] = rows[free]  # of several rows for one slot, the last stays
        left = slots[places] != rows
        rows, places = rows[left], (places[left] + 1) % len(slots)


def others(known: np.ndarray, ready: int, rows: np.ndarray, words: Sequence[np.ndarray]) -> np.ndarray:
    """Whether known identifiers differ from these, word by word: equal hashes alone prove nothing."""
    differ = (rows < 0) | (rows >= ready)
    rows = np.where(differ, 0, rows)
    for position in range(max(len(known), len(words))):
        of_known = known[position][rows] if position < len(known) else 0
        differ |= of_known != (words[position] if position < len(words) else 0)
    return differ


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


class Growing:
    """An array that rows are appended to; it doubles when it is full.

    Joining a list of parts would need twice the memory, and fragment it.

    Examples
    --------
    >>> rows = Growing(np.int32, 2)
    >>> for part in ([[1, 2]], [[3, 4], [5, 6]]):
    ...     rows.add(np.array(part))
    >>> rows.array().tolist()
    [[1, 2], [3, 4], [5, 6]]
    """

    def __init__(self, kind: type, *shape: int):
        self.rows, self.n = np.empty((1 << 16, *shape), kind), 0

    def add(self, part: np.ndarray) -> None:
        end = self.n + len(part)
        if end > len(self.rows):
            more = np.empty((2 * end, *self.rows.shape[1:]), self.rows.dtype)  # takes memory only once it is written to
            more[: self.n] = self.rows[: self.n]
            self.rows = more
        self.rows[self.n : end] = part
        self.n = end

    def array(self) -> np.ndarray:
        return self.rows[: self.n]


def as_bytes(names: Sequence[str]) -> np.ndarray:
    """Identifiers as an array of byte strings of one size, in whole words, zeros at their ends."""
    encoded = [name.encode() for name in names]
    return np.array(encoded, f"S{8 * max(1, -(-max(map(len, encoded), default=1) // 8))}")


def as_words(names: np.ndarray) -> np.ndarray:
    """The result of `as_bytes` as rows of 64-bit words, (words, names) uint64, comparable with `Block.words`."""
    return np.ascontiguousarray(names.view("<u8").reshape(len(names), -1).T)


def join_columns(columns: Sequence[np.ndarray]) -> bytes:
    """Lines of a table from its columns, arrays of byte strings: separated by spaces, ended by a newline.

    Examples
    --------
    >>> join_columns([np.array([b"a", b"bcd"]), np.array([b"10", b"2"])])
    b'a 10\\nbcd 2\\n'
    """
    kinds = [(f"{kind}{number}", column.dtype if kind == "field" else "S1")
             for number, column in enumerate(columns) for kind in ("field", "end")]  # fmt: skip
    lines = np.empty(len(columns[0]), kinds)
    for number, column in enumerate(columns):
        lines[f"field{number}"] = column
        lines[f"end{number}"] = b" " if number < len(columns) - 1 else b"\n"
    text = lines.view(np.uint8)
    return text[text != 0].tobytes()
