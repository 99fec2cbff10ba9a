"""Embeddings in Kaldi archives: thousands of vectors of one size, read at once."""

import mmap
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import replaced_together, whole_file, write_json
from avsv.jobs.inputs import as_text, open_regular, read_bytes
from avsv.jobs.records import FORMAT
from avsv.jobs.shards import MERGED
from avsv.kaldi.matrices import BINARY, NotKaldi, decode_any, encode, read_header
from avsv.kaldi.places import Place, Range, is_offset, parse_place, take
from avsv.kaldi.records import records_of
from avsv.kaldi.trials import utterance_id

LOOKED_AT = 4096  # records of an archive checked for their names
LONGEST_NAME = 512  # bytes
RECORDS = 1024  # copied out of an archive at a time: they stay in the processor's cache


class MissingArchive(InputError):
    """An scp file points to an archive that does not exist."""


@dataclass(frozen=True)
class Embeddings:
    """One vector for each recording.

    ids : (n,) names of the recordings
    vectors : (n, d) float32
    """

    ids: Sequence[str]
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def read_embeddings(scp: Path | str, only: Iterable[str] | None = None) -> Embeddings:
    """Read vectors, or matrices of one row, from the archives that an scp file points to.

    The vectors of an archive normally have one type, float or double, and one size, and are copied in bulk; text and
    compressed matrices are read one by one.

    Parameters
    ----------
    scp : lines `utterance archive:offset`, or a file without offset; either may end in Kaldi's range `[0:0]`. Commands
        are never run, so a pipe is refused
    only : read these, in this order, under these names; those that are not in the scp are left out. A path such as
        `id10270/x6uYqmx31kE/00001.wav` matches the utterance identifier that trials.py derives from it

    Returns
    -------
    Embeddings, float32, in the order of `only`, or of the scp by default

    Raises
    ------
    InputError : names the utterance whose archive is absent or cut short, whose vector differs in size from the first
        or has a value that is not finite; shards of different runs

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_embeddings(folder / "e.ark", folder / "e.scp", ["a", "b"], np.eye(2))
    >>> read_embeddings(folder / "e.scp", ["b"]).vectors
    array([[0., 1.]], dtype=float32)
    """
    names, archives, offsets, parts = read_scp(scp)
    if only is None:
        ids, rows = names, range(len(names))
    else:
        row_of = dict(zip(names, range(len(names)), strict=True))
        rows_by_name = {name: row_of[name] if name in row_of else row_of.get(utterance_id(name)) for name in only}
        ids = [name for name, row in rows_by_name.items() if row is not None]
        rows = [rows_by_name[name] for name in ids]
    if not ids:
        return Embeddings([], np.empty((0, 0), np.float32))
    records_of(archives)  # raises InputError if the result is incomplete
    parts = {place: parts[row] for place, row in enumerate(rows) if row in parts} if parts else {}
    vectors = read_vectors(scp, ids, [archives[row] for row in rows], [offsets[row] for row in rows], parts)
    refuse_not_finite(scp, ids, vectors)
    return Embeddings(ids, vectors)


def read_together(scps: Sequence[Path | str]) -> Embeddings:
    """Read the vectors of several scp files as one set; a recording may be in several, as when versions of it differ.

    Raises
    ------
    InputError : raised by `read_embeddings`, or the vectors of two files differ in size
    """
    parts = [read_embeddings(scp) for scp in scps]
    full = [(scp, part) for scp, part in zip(scps, parts, strict=True) if len(part)] or [(scps[0], parts[0])]
    for scp, part in full:
        if part.vectors.shape[1] != full[0][1].vectors.shape[1]:
            raise InputError(f"{scp}: embeddings of {part.vectors.shape[1]} values, those of {full[0][0]} have "
                            f"{full[0][1].vectors.shape[1]}")  # fmt: skip
    return Embeddings([name for _, part in full for name in part.ids], np.concatenate([p.vectors for _, p in full]))


def read_vectors(
    scp: Path | str, ids: Sequence[str], archives: Sequence[str], offsets: Sequence[int], parts: Mapping[int, Range]
) -> np.ndarray:
    """Vectors of `ids` from their archives, (n, d) float32; `parts`: ranges of some of them, by row."""
    by_archive: dict[str, list[int]] = {}
    for row, archive in enumerate(archives):
        by_archive.setdefault(archive, []).append(row)
    vectors = np.empty((len(ids), 0), np.float32)
    for archive, rows in by_archive.items():
        with open_archive(scp, archive, ids[rows[0]]) as data:
            if not vectors.size:
                size = decode_record(scp, archive, ids[0], data, offsets[0], parts.get(0)).size
                vectors = np.empty((len(ids), size), np.float32)
            refuse_other_names(scp, archive, data, ids, offsets, rows)
            for start in range(0, len(rows), RECORDS):
                part = rows[start : start + RECORDS]
                places = [offsets[row] for row in part]
                if (parts and not parts.keys().isdisjoint(part)) or not copy_alike(data, places, vectors, part):
                    copy_one_by_one(scp, archive, data, places, ids, vectors, part, parts)
    return vectors


def refuse_other_names(scp, archive, data: mmap.mmap, ids, offsets, rows: Sequence[int]) -> None:
    """InputError if an archive was rewritten after its scp: the offsets then belong to other utterances.

    A name that is nowhere in the archive counts as renamed. In a large archive only some records are checked: once one
    record differs, all later ones have moved.
    """
    row_of: dict[str, int] = {}
    for row in rows[:: max(1, len(rows) // LOOKED_AT)]:
        end, name = offsets[row] - 1, ids[row].encode()
        if end <= 0 or data[max(0, end - len(name)) : end] == name:
            continue
        row_of = row_of or dict(zip(ids, range(len(ids)), strict=True))
        before = data[max(0, end - LONGEST_NAME) : end].split(b" ")[-1]
        endings = (before[start:].decode(errors="replace") for start in range(len(before)))
        other = next((ending for ending in endings if ending in row_of), None)
        if other is not None and offsets[row_of[other]] != offsets[row]:
            raise InputError(f"{scp}: {ids[row]}: {archive} was rewritten since: at this offset it has {other}. Make "
                            f"{scp} again")  # fmt: skip


def read_scp(scp: Path | str) -> tuple[list[str], list[str], list[int], dict[int, Range]]:
    """Utterances, their archives and offsets, and the ranges by row, for rows that have a range.

    Raises
    ------
    InputError : a line that is not `utterance archive:offset`, or an utterance twice
    """
    lines = as_text(scp, read_bytes(scp)).split("\n")
    if lines[-1] == "":
        lines.pop()
    names, archives, offsets, parts = [], [], [], {}
    for number, line in enumerate(lines, 1):
        name, _, place = line.partition(" ")
        archive, _, offset = place.rpartition(":")
        if not archive or not is_offset(offset):
            name, (archive, offset, part) = odd_line(scp, number, line)
            parts |= {} if part is None else {len(names): part}
        names.append(name)
        archives.append(archive)
        offsets.append(int(offset))
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(number for number, name in enumerate(names) if name in seen or seen.add(name))
        raise InputError(f'{scp}, line {twice + 1}: "{names[twice]}" occurs twice in the table')
    return names, archives, offsets, parts


def odd_line(scp: Path | str, number: int, line: str) -> tuple[str, Place]:
    """Name and position of a line with unusual white space, no offset, or a range; otherwise InputError."""
    fields = line.split(None, 1)
    try:
        if len(fields) == 2:
            return fields[0], parse_place(fields[1])
        hint = ""
    except ValueError as error:
        hint = f": {error}"
    raise InputError(f'{scp}, line {number}: expected "utterance archive:offset", found "{line.strip()}"{hint}')


def open_archive(scp: Path | str, archive: str, name: str) -> mmap.mmap:
    if not os.path.exists(archive):
        here = Path(scp).absolute().parent / os.path.basename(archive)
        hint = (
            f', but {here} exists: if the folder was moved, correct the paths: sed -i "s#{os.path.dirname(archive)}/#'
            f'{here.parent}/#" {scp}'
            if os.path.exists(here)
            else ""
        )
        raise MissingArchive(f"{scp}: {name}: its archive {archive} does not exist{hint}")
    try:
        with open_regular(archive) as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except InputError as error:
        raise InputError(f"{scp}: {name}: its archive cannot be used: {error}") from None
    except (OSError, ValueError) as error:  # ValueError: an empty file
        raise InputError(f"{scp}: {name}: cannot read its archive {archive}: {error}") from None


def copy_alike(data: mmap.mmap, offsets: Sequence[int], vectors: np.ndarray, rows: Sequence[int]) -> bool:
    """Copy records with the header of the first one in bulk; False if one differs or is cut short."""
    try:
        number_type, shape, first = read_header(data, offsets[0] + len(BINARY))
    except NotKaldi:
        return False
    if shape[-1] != vectors.shape[1] or (len(shape) == 2 and shape[0] != 1):
        return False
    n_header, n_values = first - offsets[0], shape[-1] * np.dtype(number_type).itemsize
    copied = b"".join([data[offset : offset + n_header + n_values] for offset in offsets])
    if len(copied) != len(offsets) * (n_header + n_values) or not copied.startswith(BINARY):
        return False
    records = np.frombuffer(copied, np.uint8).reshape(len(offsets), -1)
    if (records[:, :n_header] != records[0, :n_header]).any():
        return False
    vectors[rows] = np.ascontiguousarray(records[:, n_header:]).view(number_type)
    return True


def copy_one_by_one(scp, archive, data, offsets, ids, vectors, rows, parts) -> None:
    """Copy records of several kinds; the error names the invalid one."""
    for row, offset in zip(rows, offsets, strict=True):
        vector = decode_record(scp, archive, ids[row], data, offset, parts.get(row))
        if vector.size != vectors.shape[1]:
            raise InputError(
                f"{scp}: embeddings of differing size: {ids[row]} has {vector.size} values, "
                f"{ids[0]} has {vectors.shape[1]}"
            )
        vectors[row] = vector


def decode_record(scp, archive, name, data, offset, part) -> np.ndarray:
    """The vector of one utterance; InputError names it if it cannot be read."""
    try:
        if offset >= len(data):
            raise NotKaldi("the file ends before it")
        array = take(decode_any(data, offset)[0].copy(), part)  # a copy: the archive is closed later
    except ValueError as error:  # NotKaldi, or a range outside the vector
        raise InputError(f"{scp}: {name}: cannot read {archive}:{offset}: {error}") from None
    if array.ndim == 2 and len(array) != 1:
        raise InputError(f"{scp}: {name}: expected a vector, found a matrix of {len(array)} rows at {archive}:{offset}")
    if not array.size:
        raise InputError(f"{scp}: {name}: the vector at {archive}:{offset} is empty")
    return array.reshape(-1)


def refuse_not_finite(scp: Path | str, ids: Sequence[str], vectors: np.ndarray) -> None:
    finite = np.isfinite(vectors.sum(axis=1))
    if not finite.all():  # a sum of finite terms may overflow
        bad = [row for row in np.flatnonzero(~finite) if not np.isfinite(vectors[row]).all()]
        if bad:
            raise InputError(
                f"{scp}: {ids[bad[0]]}: the embedding has NaN or infinite values ({len(bad)} such embeddings in all)"
            )


def write_embeddings(
    ark: Path | str, scp: Path | str, ids: Sequence[str], vectors: np.ndarray, model: str | None = None
) -> None:
    """Write float vectors as `copy-vector` and kaldiio do: an archive, and an scp that is sorted by name.

    Both replace older files together; proofs of other runs in the folder are removed.

    Parameters
    ----------
    vectors : (len(ids), d), stored as float32
    model : its name (see origin.py), for the proof `done.json`; if None (unknown), no proof is written

    Raises
    ------
    InputError : a vector has NaN, infinite or only zero values (no direction); nothing is written
    """
    with np.errstate(over="ignore"):
        vectors = np.ascontiguousarray(vectors, "<f4")
    refuse_not_finite(scp, ids, vectors)
    if len(zero := np.flatnonzero(~vectors.any(axis=1))):
        raise InputError(f"{scp}: {ids[zero[0]]}: all values are 0, so the vector has no direction "
                        f"({len(zero)} such vectors in all)")  # fmt: skip
    ark, scp, entries, place = Path(ark).absolute(), Path(scp), [], 0
    records = [ark.parent / "done.json", *ark.parent.glob("done.*.json"), ark.parent / MERGED]
    with replaced_together(*records, scp):
        with whole_file(ark, "wb") as out:
            for name, vector in zip(ids, vectors, strict=True):
                key = name.encode() + b" "
                record = BINARY + encode(vector)
                out.write(key + record)
                entries.append((name.encode(), place + len(key)))
                place += len(key) + len(record)
        with whole_file(scp) as out:
            out.writelines(f"{name.decode()} {ark}:{offset}\n" for name, offset in sorted(entries))
        if model is not None:
            write_json(records[0], {"format": FORMAT, "shards": 1, "settings": model, "inputs": "", "model": model})
