"""Keys of the media behind a data directory's tables (see jobs/fingerprints.py)."""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from avsv.jobs.fingerprints import State, as_json, in_blocks, stamp
from avsv.jobs.shards import Shard
from avsv.kaldi.places import archive_of
from avsv.kaldi.segments import Segment, Source, is_pipe

DIGITS = tuple("0123456789]")  # last characters of a place in an archive
SPECIAL_ENDS = {*DIGITS, "|", "", *" \t\n\r\v\f"}  # last characters of a source that may be more than a path


class ClipInputs(Mapping[str, Any]):
    """Clip -> what its result depends on: [other inputs, [[path, part, stamp] of each media file]].

    The clips of this shard are kept as the JSON that is hashed, a thousand in a text: a million small lists, or texts,
    would take longer to make than to check.

    inputs : clip -> its other inputs; alone for clips of other shards
    blocks : JSON of some [clip, value] each, in the clips' order
    root : the common folder of all paths; if it differs from an earlier run's, the corpus may have moved
    """

    def __init__(self, inputs: Mapping[str, Any], blocks: Sequence[str], root: str):
        self.inputs, self.blocks, self.root = inputs, blocks, root

    @cached_property
    def stamped(self) -> dict[str, Any]:
        """The clips of this shard; made only if something has changed."""
        return {key: value for block in self.blocks for key, value in json.loads(f"[{block}]")}

    def __getitem__(self, key: str) -> Any:
        return self.stamped[key] if key in self.stamped else self.inputs[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.inputs)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def digest(self) -> str:
        """`digest_pairs` of the clips of this shard."""
        total = hashlib.sha256(b"[")
        for number, block in enumerate(self.blocks):
            total.update(f"{', ' if number else ''}{block}".encode())
        total.update(b"]")
        return total.hexdigest()[:16]

    def moved_to(self, root: str) -> dict[str, Any]:
        """The inputs of this shard's clips with their media below `root` instead."""
        cut = len(self.root)
        return {key: [other, [[root + path[cut:], *rest] if path.startswith(self.root) else [path, *rest]
                              for path, *rest in media]] for key, (other, media) in self.stamped.items()}  # fmt: skip


def with_stamps(inputs: Mapping[str, Any], media: Callable[[str], Sequence[Source]], shard: Shard) -> ClipInputs:
    """The inputs of `make_archives`: each clip's other inputs, and its media with their stamps.

    Parameters
    ----------
    inputs : key -> anything else that the result depends on, such as damage
    media : key -> the sources of its waveform, its images, the noises added to it; an archive counts as a whole
    shard : only files of its clips are checked
    """
    shared: dict[str, str] = {}  # stamps of files that may belong to many clips: archives, noises
    bounds: list[str] = []  # the first and last path of each block

    def describe(keys: Sequence[str]) -> str:
        """JSON of the [clip, value] of each clip."""
        pairs, files = [], []
        for key in keys:
            sources, other = media(key), inputs[key]
            if len(sources) == 1 and type(source := sources[0]) is str and source[-1:] not in SPECIAL_ENDS:
                files.append(source)  # nearly all of a million: one path
                rows = f'[{quoted(source)}, "", "{stamp(source)}"]'
            else:
                rows = ", ".join([describe_shared(source, shared) for source in sources])
            pairs.append(f"[{quoted(key)}, [{'null' if other is None else as_json(other)}, [{rows}]]]")
        bounds.extend((min(files), max(files)) if files else ())
        return ", ".join(pairs)

    blocks = list(in_blocks(describe, shard.take(sorted(inputs))))
    return ClipInputs(inputs, blocks, common_root([*bounds, *shared]))


def describe_shared(source: Source, stamps: dict[str, str]) -> str:
    """JSON of the path, part and stamp of a source; files that are not in `stamps` are added to it."""
    file = file_of(source)
    if file not in stamps:
        stamps[file] = stamp(file)
    return f'[{quoted(file)}, {quoted(part_of(source, file))}, "{stamps[file]}"]'


def part_of(source: Source, file: str) -> str:
    """The part of a file that a source refers to: an offset or a segment; for a command, the whole command.

    Examples
    --------
    >>> part_of("faces.ark:17", "faces.ark"), part_of(Segment("a.wav", 0.5, 2.0), "a.wav")
    (':17', '0.5 2.0 -1')
    """
    if isinstance(source, Segment) and file:
        return f"{source.start} {source.end} {source.channel}"
    return str(source)[len(file) :]


def common_root(files: Iterable[str]) -> str:
    """The common folder of all files, with a trailing slash; "" if they have none.

    Examples
    --------
    >>> common_root(["/corpus/wav/a/1.wav", "/corpus/wav/b/1.wav"]), common_root(["x.wav"])
    ('/corpus/wav/', '')
    """
    named = [file for file in files if file]
    prefix = os.path.commonprefix([min(named), max(named)]) if named else ""  # noqa: RUF071 (cut at a slash below)
    return prefix[: prefix.rfind("/") + 1]


def file_of(source: Source) -> str:
    """The file or folder that holds a source; "" for a command, whose output is unknown until it runs.

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
    """A hash of the media in tables by size and modification time; it changes if a file is replaced.

    Paths are ignored: a corpus that was moved keeps its hash.

    Parameters
    ----------
    tables : utterance -> path, `archive:offset`, folder of images, segment of a recording, or command

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
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
            times = times_of(place)
            if times is None:
                archive, _, part = place.rpartition(":")
                if archive not in archives:
                    archives[archive] = times_of(archive)
                times = archives[archive]
            total.update(f"{utt} {part if times else entry} {times}\n".encode())
    return total.hexdigest()[:16]


def times_of(path: str) -> State | None:
    """Size and modification time of a file or folder; None if it is absent."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (0 if stat.S_ISDIR(status.st_mode) else status.st_size, status.st_mtime_ns)
