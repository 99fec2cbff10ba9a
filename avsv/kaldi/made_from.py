"""What a file was made from: a small record beside it, by which a stale result is told from a current one.

The record of `scores/test.cosine` is `scores/.test.cosine.made_from.json`. It holds size, modification time and hash of
every input, so that a check costs one stat() an input; only an input whose time has changed is hashed again. A record
belongs to its file as long as size and time of the file are those that it notes: a file that something else wrote in
the same place has no record. Inputs that are absent (removed to save space, left behind when an experiment was copied)
cannot be checked, and do not count as changed.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.files import write_json
from avsv.kaldi.segments import Segment, Source

LARGE = 1 << 30  # bytes; of a larger file only pieces are hashed: all of it would take longer than its use
PIECE = 1 << 20  # bytes hashed at a time
PIECES = 256  # of a large file, spread evenly
LARGEST_RECORD = 1 << 20  # bytes
MOST_ARCHIVES = 1000  # of an scp file; of one with more its own text alone counts
Paths = Path | str | Sequence[Path | str | None] | None
State = tuple[int, int]  # size in bytes, modification time in ns


@dataclass(frozen=True)
class Input:
    """An input as it was: its path from the folder of the output, its size, its time, its hash ("": not hashed)."""

    role: str
    path: str
    size: int
    mtime_ns: int
    digest: str


class MadeFrom:
    """Notes the inputs of a command before it reads them, and writes the record when the output is complete.

    Parameters
    ----------
    inputs : role -> path, or paths, or None; with an scp file its archives are noted too. What is no regular file (a
        pipe, a model by its public name) is left out

    Raises
    ------
    InputError : an input is stale itself (see `refuse_stale`)

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "embeddings").write_text("1")
    >>> made = MadeFrom({"enroll": folder / "embeddings"})
    >>> _ = (folder / "scores").write_text("2")
    >>> made.write(folder / "scores")
    >>> refuse_stale(folder / "scores")
    >>> _ = (folder / "embeddings").write_text("other")
    >>> find_stale(folder / "scores").role
    'enroll'
    """

    def __init__(self, inputs: Mapping[str, Paths]):
        given = [(role, path) for role, paths in inputs.items() for path in each(paths)]
        refuse_stale(*(path for _, path in given))
        self.files = [(role, file, state) for role, path in given for file in with_archives(path)
                      if (state := state_of(file))]  # fmt: skip
        self.hasher = ThreadPoolExecutor(1)  # beside the command's own work
        self.digests = [self.hasher.submit(digest_of, file, state) for _, file, state in self.files]
        self.hasher.shutdown(wait=False)

    def write(self, out: Path | str) -> None:
        """Write the record of `out`, which is complete; nothing where it is no regular file, such as /dev/stdout."""
        out = Path(out)
        state = state_of(out)
        if state is None:
            return
        here = out.parent.absolute()
        sources = [
            {"role": role, "path": os.path.relpath(file.absolute(), here), "size": size, "mtime_ns": mtime_ns,
             "digest": digest.result()}
            for (role, file, (size, mtime_ns)), digest in zip(self.files, self.digests, strict=True)
        ]  # fmt: skip
        record = {"size": state[0], "mtime_ns": state[1], "made_from": sources}
        try:
            known = json.loads(record_path(out).read_bytes())
        except (OSError, ValueError, RecursionError):
            known = None
        if known == record:
            return
        try:
            write_json(record_path(out), record)
        except OSError as error:
            # what is complete already may lie in a folder that cannot be written: its record is right but for times
            if error.errno not in (errno.EACCES, errno.EROFS) or not read_record(out) or find_stale(out):
                raise


@dataclass(frozen=True)
class Stale:
    """A file whose input has changed since it was made."""

    file: Path
    role: str
    source: Path


def refuse_stale(*paths: Path | str) -> None:
    """InputError where a file, or what it was made from, was made from an input that has changed since."""
    for path in paths:
        if found := find_stale(path):
            whose = "" if found.file == Path(os.path.abspath(path)) else f", which {path} rests on,"
            raise InputError(
                f"{shown(found.file)}{whose} was made from another {shown(found.source)} than is there now; make it "
                f"again, or delete {shown(record_path(found.file))} to use it nevertheless"
            )


def find_stale(path: Path | str) -> Stale | None:
    """The first file, of `path` and all that it was made from, with an input that has changed; None: all are current.

    Raises
    ------
    InputError : a record that is not as `MadeFrom` writes it
    """
    for file, sources in chain(path):
        for source in sources:
            where = source_path(file, source)
            now = state_of(where)
            if now is None or now == (source.size, source.mtime_ns):
                continue
            if now[0] != source.size or not source.digest or digest_of(where, now) != source.digest:
                return Stale(file, source.role, where)
    return None


def sources_of(path: Path | str, role: str | None = None) -> dict[Path, str]:
    """All that a file was made from (in one role, such as "model"), as far as records tell: path -> hash."""
    return {
        source_path(file, source): source.digest
        for file, sources in chain(path)
        for source in sources
        if role in (None, source.role)
    }


def chain(path: Path | str) -> Iterator[tuple[Path, Sequence[Input]]]:
    """A file and all that it was made from, each with its inputs; those without a record are left out."""
    waiting = [Path(os.path.abspath(path))]
    seen = set(waiting)
    while waiting:
        file = waiting.pop(0)
        sources = read_record(file)
        if sources:
            yield file, sources
        for source in sources:
            if (where := source_path(file, source)) not in seen:
                seen.add(where)
                waiting.append(where)


def read_record(path: Path | str) -> Sequence[Input]:
    """A file's inputs; none where it has no record, or one that is of an earlier file in the same place.

    Raises
    ------
    InputError : the record is not as `MadeFrom` writes it
    """
    place = record_path(path)
    state = state_of(place)
    if state is None or (of_file := state_of(path)) is None:
        return []
    if state[0] > LARGEST_RECORD:
        raise InputError(f"{place}: is too large for a record; delete it")
    try:
        said = json.loads(place.read_bytes())
        if (said["size"], said["mtime_ns"]) != of_file:
            return []
        sources = [Input(**one) for one in said["made_from"]]
        wrong = any(
            not isinstance(value, kind)
            for one in sources
            for value, kind in zip(vars(one).values(), (str, str, int, int, str), strict=True)
        )
    except (OSError, ValueError, RecursionError, TypeError, KeyError):
        wrong = True
    if wrong:
        raise InputError(f"{place}: is not as avsv writes it; delete it, and make {path} again")
    return sources


def record_path(path: Path | str) -> Path:
    return Path(path).with_name(f".{Path(path).name}.made_from.json")


def source_path(file: Path, source: Input) -> Path:
    return Path(os.path.normpath(file.parent / source.path))


def shown(path: Path) -> str:
    """A path as a user would write it: from the working directory where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def state_of(path: Path | str) -> State | None:
    """Size and modification time of a regular file; None for anything else."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def digest_of(path: Path | str, state: State) -> str:
    """Hash of a file's bytes, of a large file of pieces of it; "" where it cannot be read."""
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


def each(paths: Paths) -> list[Path]:
    if paths is None:
        return []
    return [Path(paths)] if isinstance(paths, Path | str) else [Path(path) for path in paths if path is not None]


def with_archives(path: Path) -> Iterable[Path]:
    """A file, and where it is an scp file the archives that its lines point to, each once."""
    if path.suffix != ".scp" or state_of(path) is None:
        return [path]
    archives, last = {}, b"\n"
    for line in path.read_bytes().split(b"\n"):
        if last not in line:  # a million lines, nearly all of the archive of the line before
            archive = line.partition(b" ")[2].rpartition(b":")[0]
            last = b" " + archive + b":"
            if archive:
                archives[archive] = None
            if len(archives) > MOST_ARCHIVES:
                return [path]
    return [path, *(Path(os.fsdecode(archive)) for archive in archives)]
