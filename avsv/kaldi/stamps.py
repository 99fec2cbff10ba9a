"""Stamps of media: what tells, without reading them, that the files behind a table are others now.

A file's stamp is its size and the time of its last change; a folder of pictures has those of all its pictures. A file
that is replaced by one of the same size and time (by `touch -r`, say) is not noticed; a command (`... |`) has no stamp.
"""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from avsv.kaldi.places import archive_of
from avsv.kaldi.segments import Segment, Source, is_pipe
from avsv.kaldi.shards import Shard

ABSENT, COMMAND = "absent", ""
DIGITS = tuple("0123456789]")  # how a place in an archive ends
AT_A_TIME = 1000  # files that a thread looks at before it comes back
THREADS = 16  # a file system that waits for a network answers many at a time
QUICK = 1e-4  # seconds a file; where all are in memory, threads would only wait for each other


def with_stamps(inputs: Mapping[str, Any], media: Callable[[str], Iterable[Source]], shard: Shard) -> dict[str, Any]:
    """What `make_archives` gets as inputs, with the stamps of the files that this shard's clips depend on.

    Parameters
    ----------
    inputs : key -> what the result depends on
    media : key -> the sources of its sound, its pictures, the noises added to it; an archive counts as a whole
    shard : only its keys' files are looked at
    """
    files = {key: [file_of(source) for source in media(key)] for key in shard.take(sorted(inputs))}
    stamps = stamp_files({file for of_clip in files.values() for file in of_clip})
    return {**inputs, **{key: [inputs[key], [stamps[file] for file in of_clip]] for key, of_clip in files.items()}}


def file_of(source: Source) -> str:
    """The file or folder that a source is in; "" for a command, whose result nobody knows before it runs.

    Examples
    --------
    >>> file_of("faces.2.ark:1033"), file_of("sph2pipe a.sph |"), file_of(Segment("a.wav", 0.5, 2.0))
    ('faces.2.ark', '', 'a.wav')
    """
    if is_pipe(source):
        return ""
    path = source.path if isinstance(source, Segment) else source
    if path[-1:] not in DIGITS or os.path.lexists(path):
        return path
    return archive_of(path)


def stamp_files(paths: Iterable[str]) -> dict[str, str]:
    """The stamp of each file or folder."""
    paths = list(paths)
    begun = time.monotonic()
    stamps = {path: stamp(path) for path in paths[:AT_A_TIME]}
    paths = paths[AT_A_TIME:]
    if time.monotonic() - begun < QUICK * AT_A_TIME:
        return stamps | {path: stamp(path) for path in paths}
    with ThreadPoolExecutor(THREADS) as pool:
        parts = [paths[begin : begin + AT_A_TIME] for begin in range(0, len(paths), AT_A_TIME)]
        for part in pool.map(lambda part: [(path, stamp(path)) for path in part], parts):
            stamps.update(part)
    return stamps


def stamp(path: str) -> str:
    """Size in bytes and time of change in ns of a file; a hash of those of all files in a folder."""
    if not path:
        return COMMAND
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(path) as entries:
                listing = sorted(f"{entry.name} {of(entry.stat())}" for entry in entries)
            return hashlib.sha256("\n".join(listing).encode(errors="surrogateescape")).hexdigest()[:16]
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return ABSENT
    return of(found)


def of(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns}"
