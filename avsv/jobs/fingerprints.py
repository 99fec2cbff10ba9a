"""Keys that show whether a file, a value or a medium has changed.

Tables, vectors, models, configurations and noises are keyed by content. Media are too many and too large for that: the
key of a media file is its size and modification time; the key of a folder of images covers all its files. A medium that
is replaced by one of equal size and time (`touch -r`) goes unnoticed; a command (`... |`) has no key.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from avsv.jobs.inputs import regular_file

LARGE = 1 << 30  # bytes; larger files are sampled: hashing one whole would take longer than using it
PIECE = 1 << 20  # bytes hashed at a time
PIECES = 256  # samples of a large file, evenly spaced
ABSENT, COMMAND = "absent", ""  # stamps of media without a key
AT_A_TIME = 1000  # files or clips that one thread stats per task
THREADS = 16  # a network file system answers many requests at once
QUICK = 1e-4  # seconds a file; below this the entries are cached, and threads would only wait for each other
Made = TypeVar("Made")
State = tuple[int, int]  # size in bytes, modification time in ns


def state_of(path: Path | str) -> State | None:
    """Size and modification time of a regular file; None for anything else."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def digest_of(path: Path | str, state: State) -> str:
    """Hash of a file's content, sampled if the file is large; "" if it cannot be read."""
    total = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            if state[0] > LARGE:
                for number in range(PIECES):
                    file.seek((state[0] - PIECE) * number // (PIECES - 1))
                    total.update(file.read(PIECE))
                return total.hexdigest()[:32]
            while piece := file.read(PIECE):
                total.update(piece)
    except OSError:
        return ""
    return total.hexdigest()[:32]


def file_digest(path: Path | str) -> str:
    """Short hash of a file's content, or of all files in a folder; OSError if one cannot be read."""
    path = Path(path)
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        with open(regular_file(file), "rb") as content:
            while part := content.read(PIECE):
                total.update(part)
    return total.hexdigest()[:16]


def as_json(value: Any) -> str:
    """The JSON of a value in the form that is hashed: keys sorted, values that JSON does not support as text."""
    return json.dumps(value, sort_keys=True, default=str)


def digest(value: Any) -> str:
    """Short hash of any value that JSON can hold."""
    return hashlib.sha256(as_json(value).encode()).hexdigest()[:16]


def digest_pairs(keys: Sequence[str], values: Mapping[str, Any]) -> str:
    """`digest` of the list of [key, value], in blocks: one list of a million pairs is slow and large.

    Examples
    --------
    >>> digest_pairs(["a", "b"], {"a": 1, "b": "x"}) == digest([["a", 1], ["b", "x"]])
    True
    """
    total = hashlib.sha256(b"[")
    for begin in range(0, len(keys), 1000):
        text = as_json([[key, values[key]] for key in keys[begin : begin + 1000]])[1:-1]
        total.update(f"{', ' if begin else ''}{text}".encode())
    total.update(b"]")
    return total.hexdigest()[:16]


def stamp_files(paths: Iterable[str]) -> dict[str, str]:
    """The key of each media file or folder of images."""
    blocks = in_blocks(lambda block: [(path, stamp(path)) for path in block], list(paths))
    return dict(chain.from_iterable(blocks))


def in_blocks(work: Callable[[Sequence[str]], Made], items: Sequence[str]) -> Iterator[Made]:
    """The results of work that stats files, for a thousand items at a time; in threads if the file system is slow."""
    begun = time.monotonic()
    first = work(items[:AT_A_TIME])
    quick = time.monotonic() - begun < QUICK * AT_A_TIME
    blocks = (items[begin : begin + AT_A_TIME] for begin in range(AT_A_TIME, len(items), AT_A_TIME))
    yield first
    if quick:
        yield from map(work, blocks)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(work, blocks)


def stamp(path: str) -> str:
    """Size in bytes and modification time in ns of a file; for a folder, a hash of all its files' sizes and times."""
    if not path:
        return COMMAND
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(path) as entries:
                listing = sorted(f"{entry.name} {size_and_time(entry.stat())}" for entry in entries)
            return hashlib.sha256("\n".join(listing).encode(errors="surrogateescape")).hexdigest()[:16]
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return ABSENT
    return size_and_time(status)


def size_and_time(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns}"
