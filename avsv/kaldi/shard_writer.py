"""Writing the files of one shard: archives, their scp files, tables, and the list of skipped clips."""

import logging
import math
import os
from collections.abc import Container, Iterable
from contextlib import ExitStack
from pathlib import Path

import kaldiio
import numpy as np

from avsv.jobs.files import replaced_together, whole_file
from avsv.jobs.inputs import regular_file
from avsv.kaldi.tables import read_table, write_table

log = logging.getLogger("avsv")
EMBEDDING = "embedding"  # the archive of vectors that are compared by their direction
FLOAT = None  # kaldiio's compression_method
COMPRESSED = 2  # also kaldiio's: Kaldi's default "speech feature" coding, one byte per value
TWO_BYTES = 3  # also kaldiio's: two bytes per value, evenly spaced between the extremes of the matrix


class ShardWriter:
    """Writes the archives of one shard; all appear together when the `with` block ends without an error.

    A clip with a NaN or infinite value is skipped, and so is an all-zero embedding, which has no direction. Skipped
    clips do not appear in the scp files and tables.
    """

    def __init__(self, out_dir: Path, names: Iterable[str], suffix: str, tables: Iterable[str] = ()):
        self.out_dir, self.suffix = out_dir, suffix
        names, tables = list(names), list(tables)
        with ExitStack() as opened:
            opened.enter_context(replaced_together(*shard_files(out_dir, names, tables, suffix)))
            self.arks = {name: opened.enter_context(whole_file(self.path(name), "wb")) for name in names}
            self.files = opened.pop_all()
        self.entries: dict[str, list[tuple[str, str]]] = {name: [] for name in self.arks}
        self.tables: dict[str, dict[str, str]] = {name: {} for name in tables}
        self.skipped: dict[str, str] = {}

    def path(self, name: str) -> Path:
        return (self.out_dir / f"{name}{self.suffix}.ark").absolute()

    def write(
        self, name: str, key: str, array: np.ndarray, compression: int | None = FLOAT, gaps: bool = False
    ) -> None:
        """Add a float vector or matrix under `key` to archive `name`.

        gaps : NaN marks values that do not exist by design, such as distances beyond the end of a clip
        """
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(array, dtype=np.float32)
        if not np.isfinite(array[~np.isnan(array)] if gaps else array).all():
            return self.skip(key, f"{name}: {(~np.isfinite(array)).sum()} of {array.size} values are NaN or infinite")
        if name == EMBEDDING and not array.any():
            return self.skip(key, f"{name}: all {array.size} values are 0, so it has no direction")
        self.enter(name, key)
        kaldiio.save_ark(self.arks[name], {key: array}, compression_method=compression)

    def write_bytes(self, name: str, key: str, data: bytes) -> None:
        """Add bytes that are not a Kaldi object (such as an image) under `key` to archive `name`."""
        self.enter(name, key)
        self.arks[name].write(key.encode() + b" " + data)

    def enter(self, name: str, key: str) -> None:
        offset = self.arks[name].tell() + len(key.encode()) + 1
        self.entries[name].append((key, f"{self.path(name)}:{offset}"))

    def note(self, table: str, key: str, value: float | str) -> None:
        """Add `key value` to a table; a number is written with six digits.

        NaN and infinite values are left out.
        """
        if isinstance(value, str):
            self.tables[table][key] = value
        elif math.isfinite(value):
            self.tables[table][key] = f"{value:.6g}"

    def skip(self, key: str, reason: str) -> None:
        """Record that nothing could be written for `key`, and why."""
        self.skipped[key] = " ".join(reason.split())
        log.warning("skipped %s: %s", key, self.skipped[key])

    def take_back(self, keep: Container[str] | None = None) -> None:
        """Copy vectors and table lines from the shard's present files; keys written already are not overwritten.

        Parameters
        ----------
        keep : only these keys; all by default
        """
        for name, out in self.arks.items():
            here = {key for key, _ in self.entries[name]}
            old = sorted(
                (int(place.rpartition(":")[2]) - len(key.encode()) - 1, key)
                for key, place in read_table(self.out_dir / f"{name}{self.suffix}.scp").items()
            )
            with open(regular_file(self.path(name)), "rb") as archive:
                ends = [*(begin for begin, _ in old[1:]), os.fstat(archive.fileno()).st_size]
                for (begin, key), end in zip(old, ends, strict=True):
                    if key not in here and (keep is None or key in keep):
                        self.enter(name, key)
                        archive.seek(begin)
                        out.write(archive.read(end - begin))
        for name, table in self.tables.items():
            old_table = read_table(self.out_dir / f"{name}{self.suffix}")
            kept = old_table if keep is None else {key: value for key, value in old_table.items() if key in keep}
            self.tables[name] = {**kept, **table}

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        with self.files:
            if error is not None:
                raise error
            for out in self.arks.values():
                out.flush()
            for name, entries in self.entries.items():
                write_table(self.out_dir / f"{name}{self.suffix}.scp", self.good(entries))
            for name, table in self.tables.items():
                write_table(self.out_dir / f"{name}{self.suffix}", self.good(table.items()))
            write_table(self.out_dir / f"skipped{self.suffix}", self.skipped)

    def good(self, rows: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        return [row for row in rows if row[0] not in self.skipped]


def shard_files(out_dir: Path, names: Iterable[str], tables: Iterable[str], suffix: str) -> list[Path]:
    """Files that point to a shard's archives or describe them."""
    return [out_dir / f"{name}{suffix}" for name in (*tables, "skipped")] + [
        out_dir / f"{name}{suffix}.scp" for name in names
    ]
