"""Keys of the media behind a data directory's tables (see jobs/fingerprints.py)."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from avsv.jobs.fingerprints import State, stamp_files
from avsv.jobs.shards import Shard
from avsv.kaldi.places import archive_of
from avsv.kaldi.segments import Segment, Source, is_pipe

DIGITS = tuple("0123456789]")  # how a place in an archive ends


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


def media_stamp(tables: Iterable[Mapping[str, Source | str]]) -> str:
    """A hash of the media that tables name, by size and modification time: another one where a file was replaced.

    Where the files lie does not count: a corpus that was moved is the same.

    Parameters
    ----------
    tables : utterance -> path, `archive:offset`, folder of pictures, segment of a recording, or command

    Examples
    --------
    >>> import tempfile
    >>> wav = Path(tempfile.mkdtemp()) / "a.wav"
    >>> _ = wav.write_bytes(b"1")
    >>> before = media_stamp([{"a": str(wav)}])
    >>> _ = wav.write_bytes(b"another")
    >>> media_stamp([{"a": str(wav)}]) == before
    False
    """
    total, archives = hashlib.sha256(), {}
    for table in tables:
        for utt, entry in table.items():
            place, part = (entry.path, entry[1:]) if isinstance(entry, Segment) else (entry, "")
            found = times_of(place)
            if found is None:
                archive, _, part = place.rpartition(":")
                if archive not in archives:
                    archives[archive] = times_of(archive)
                found = archives[archive]
            total.update(f"{utt} {part if found else entry} {found}\n".encode())
    return total.hexdigest()[:16]


def times_of(path: str) -> State | None:
    """Size and modification time of a file or folder; None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (0 if stat.S_ISDIR(found.st_mode) else found.st_size, found.st_mtime_ns)
