"""Provenance: records how outputs were made, and decides (only here) whether they are still current.

Records (records.py) hold command, options, seed, the number of the command's code (`CODE`) and every input. A check
costs one stat() an input; only a file whose time has changed is hashed again. Absent inputs (deleted to save space, or
left behind when an experiment was copied) cannot be checked and do not count as changed.
"""

import errno
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsv import __version__
from avsv.errors import InputError
from avsv.jobs.files import write_json
from avsv.jobs.fingerprints import digest_of, state_of
from avsv.jobs.records import (
    FOLDER_RECORD,
    FORMAT,
    Input,
    Record,
    find_record,
    parse_record,
    read_record,
    record_path,
    recorded_values,
    shown,
    source_path,
)
from avsv.jobs.run_log import KEPT, MADE, REDONE, note
from avsv.jobs.shards import refuse_earlier_version

log = logging.getLogger("avsv")
# Command -> version number of its code, 1 if not listed. Raise it when a code change alters a command's result: outputs
# of the earlier code are then redone or refused.
CODE: dict[str, int] = {"fuse": 2, "calibrate": 2}
MOST_ARCHIVES = 1000  # of an scp file; with more, only the text of the scp file counts
Paths = Path | str | Sequence[Path | str | None] | None


@dataclass(frozen=True)
class Stale:
    """A file that is not current.

    file : made from an input that has changed, or by code that has changed
    role, source : the input; "" and None if the code has changed
    """

    file: Path
    role: str
    source: Path | None


class MadeFrom:
    """Records the inputs of a command before it reads them, and writes the record when the output is complete.

    Parameters
    ----------
    command : the verb
    inputs : role -> path, or paths, or None; an scp file's archives are recorded too. Anything except a regular file
        (a pipe, a model's public name) is left out
    options : options that change the result
    values : role -> hash, for inputs that are not files
    chosen : the options that a reader should see, if there are many; all by default

    Raises
    ------
    InputError : an input is stale itself (see `refuse_stale`)

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "embeddings").write_text("1")
    >>> made = MadeFrom("score", {"enroll": folder / "embeddings"}, {"backend": "cosine"})
    >>> _ = (folder / "scores").write_text("2")
    >>> made.write(folder / "scores")
    >>> refuse_stale(folder / "scores")
    >>> _ = (folder / "embeddings").write_text("other")
    >>> find_stale(folder / "scores").role
    'enroll'
    """

    def __init__(
        self,
        command: str,
        inputs: Mapping[str, Paths],
        options: Mapping[str, Any] | None = None,
        seed: int | None = None,
        values: Mapping[str, str] | None = None,
        chosen: Mapping[str, Any] | None = None,
    ):
        given = [(role, path) for role, paths in inputs.items() for path in each(paths)]
        refuse_stale(*(path for _, path in given))
        self.command, self.options, self.seed = command, plain(options or {}), seed
        self.values, self.chosen = dict(values or {}), None if chosen is None else plain(chosen)
        self.files = [(role, file, state) for role, path in given for file in with_archives(path)
                      if (state := state_of(file))]  # fmt: skip
        self.unchecked = any(path.exists() and not path.is_file() for _, path in given)
        hasher = ThreadPoolExecutor(1)  # runs alongside the command's own work
        self.digests = [hasher.submit(digest_of, file, state) for _, file, state in self.files]
        hasher.shutdown(wait=False)

    def record(self, folder: Path | str) -> dict:
        """The record of an output in `folder`, without the keys that identify the output."""
        here = Path(folder).absolute()
        inputs = [
            {"role": role, "path": os.path.relpath(file.absolute(), here), "size": size, "mtime_ns": mtime_ns,
             "digest": digest.result()}
            for (role, file, (size, mtime_ns)), digest in zip(self.files, self.digests, strict=True)
        ]  # fmt: skip
        inputs += [{"role": role, "path": "", "size": 0, "mtime_ns": 0, "digest": value}
                   for role, value in self.values.items()]  # fmt: skip
        chosen = {} if self.chosen is None else {"chosen": self.chosen}
        return {"format": FORMAT, "command": self.command, "options": self.options, **chosen, "seed": self.seed,
                "avsv": __version__, "code": code_of(self.command), "made_from": inputs}  # fmt: skip

    def write(self, out: Path | str, beside: Iterable[Path] = ()) -> None:
        """Write the record of the complete file `out`, unless it is not a regular file (such as /dev/stdout).

        Parameters
        ----------
        beside : files in the same folder that belong to `out`, such as OUT.missing
        """
        out = Path(out)
        state = state_of(out)
        if state is not None:
            outputs = states(out.parent, [path.name for path in beside])
            record = {"size": state[0], "mtime_ns": state[1], **self.record(out.parent)}
            record |= {"outputs": outputs} if outputs else {}
            if outcome := replace_record(record_path(out), record, lambda: read_record(out) and not find_stale(out)):
                note(outcome, out)

    def write_folder(self, folder: Path | str, names: Iterable[str] | None = None) -> None:
        """Write the record of a folder that is one output, with these files (None: as recorded)."""
        folder = Path(folder)
        known = (find_record(folder)[1] or {}).get("outputs", {})
        record = {"outputs": known if names is None else states(folder, names), **self.record(folder)}
        replace_record(folder / FOLDER_RECORD, record, lambda: read_record(folder) and not find_stale(folder))

    def changes(self, out: Path | str) -> list[str] | None:
        """The reasons to make a file again; empty if it is current, None if it was not made before."""
        out = Path(out)
        folder = out.is_dir()
        if not out.exists() or (folder and not any(out.iterdir())):
            return None
        try:
            place, value = find_record(out)
            if value is None or value.get("format") != FORMAT:
                return ["it has no record of its inputs"]
            before = parse_record(out, place, value)
        except InputError as error:
            return [str(error)]
        here = out if folder else out.parent
        now = parse_record(out, place, self.record(here))
        why = [f"{name} was changed or removed" for name, state in parts_of(out).items()
               if state_of(here / name) != tuple(state)]  # fmt: skip
        why += [] if before.command == now.command else [f"it was made by avsv {before.command}"]
        why += [] if before.code == now.code else [f"the code of avsv {now.command} has changed"]
        why += differences({**before.options, "seed": before.seed}, {**now.options, "seed": now.seed})
        why += [f"{role} changed" for role in sorted({one.role for one in (*before.inputs, *now.inputs)})
                if hashes(before, role) != hashes(now, role)]  # fmt: skip
        return why + ["inputs that are not files cannot be checked"] * self.unchecked

    def is_current(self, *outs: Path | str) -> bool:
        """Whether outputs are present and were made from the same inputs, options and code; logs why not."""
        if any(self.tell_changes(out) != [] for out in outs):
            return False
        log.info("%s: made already, from the same inputs", outs[0])
        for out in map(Path, outs):  # inputs may have moved, or been written again with the same content
            if out.is_dir():
                self.write_folder(out)
            else:
                self.write(out, [out.parent / name for name in parts_of(out)])
            note(KEPT, out)
        return True

    def tell_changes(self, out: Path | str) -> list[str] | None:
        """`changes`, also logged."""
        if why := self.changes(out):
            log.info("%s: making it again: %s", out, "; ".join(why))
            note(REDONE, out, "; ".join(why))
        return why

    def changed_values(self, folder: Path | str) -> list[str]:
        """Roles whose hashes differ from those in a folder's record; "code" if the command's code has changed.

        Raises
        ------
        InputError : the record is absent, damaged, or of an earlier version of avsv
        """
        record = read_record(folder)
        if record is None:
            raise InputError(f"{folder}: was made by an earlier version of avsv, which wrote no {FOLDER_RECORD}; "
                            "delete or move it, and redo it; to keep it, skip this command")  # fmt: skip
        before = recorded_values(folder)
        differ = [role for role in {**before, **self.values} if before.get(role) != self.values.get(role)]
        return differ + ["code"] * (record.code != code_of(self.command))


def replace_record(place: Path, record: dict, is_current: Any) -> str:
    """Write a record unless it is already there; a read-only folder may keep one that differs only in times.

    Returns
    -------
    MADE, REDONE if it replaced another record, "" if it was already there
    """
    try:
        known = json.loads(place.read_bytes())
    except (OSError, ValueError, RecursionError):
        known = None
    if known == record:
        return ""
    try:
        write_json(place, record)
        return MADE if known is None else REDONE
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EROFS) or not is_current():
            raise
        return ""


def hashes(record: Record, role: str) -> list[str]:
    """Hashes of the inputs in one role, in the order given; the files' paths do not count."""
    return [one.digest for one in record.inputs if one.role == role]


def states(folder: Path, names: Iterable[str]) -> dict[str, list[int]]:
    return {name: list(state) for name in sorted(names) if (state := state_of(folder / name))}


def parts_of(out: Path) -> dict[str, list[int]]:
    """The files of a folder, or those that belong to a file, with their size and time, as its record has them."""
    place, record = find_record(out)
    return (record or {}).get("outputs", {}) if out.is_dir() == (place.name == FOLDER_RECORD) else {}


def add_outputs(folder: Path, names: Iterable[str]) -> None:
    """Complete the record of a folder, written when the work began, with the files that the work produced."""
    place, record = find_record(folder)
    if record is not None:
        write_json(place, {**record, "outputs": states(folder, names)})


def differences(before: Any, now: Mapping[str, Any]) -> list[str]:
    """The options that differ, each as "name: before -> now".

    Examples
    --------
    >>> differences({"top_n": 300, "method": "as-norm"}, {"top_n": 100, "method": "as-norm", "missing": "drop"})
    ['missing: not given -> drop', 'top_n: 300 -> 100']
    """
    before = before if isinstance(before, Mapping) else {}
    pairs = ((name, before.get(name, "not given"), now.get(name, "not given")) for name in {**before, **now})
    return sorted(f"{name}: {short(old)} -> {short(new)}" for name, old, new in pairs if old != new)


def short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def code_of(command: str) -> int:
    return CODE.get(command, 1)


def refuse_stale(*paths: Path | str) -> None:
    """InputError if a file, or anything it was made from, is not current."""
    for path in paths:
        if Path(path).suffix == ".scp":
            refuse_earlier_version(Path(path).parent)
        if stale := find_stale(path):
            relation = "" if stale.file == Path(os.path.abspath(path)) else f", on which {path} depends,"
            why = f"from an earlier version of {shown(stale.source)}" if stale.source else "by earlier code of avsv"
            place, _ = find_record(stale.file)
            raise InputError(f"{shown(stale.file)}{relation} was made {why}; make it again, or delete "
                            f"{shown(place)} to use it anyway")  # fmt: skip


def find_stale(path: Path | str) -> Stale | None:
    """The first file that is not current, among `path` and everything it was made from; None if all are.

    Raises
    ------
    InputError : a record that is damaged, or of an earlier version of avsv
    """
    for file, record in chain(path):
        if record.code != code_of(record.command):
            return Stale(file, "", None)
        for source in record.inputs:
            if changed(file, source):
                return Stale(file, source.role, source_path(file, source))
    return None


def changed(file: Path, source: Input) -> bool:
    """Whether an input of `file` is present but its content has changed."""
    if not source.path:
        return False
    where = source_path(file, source)
    now = state_of(where)
    if now is None or now == (source.size, source.mtime_ns):
        return False
    return now[0] != source.size or not source.digest or digest_of(where, now) != source.digest


def sources_of(path: Path | str, role: str | None = None) -> dict[Path, str]:
    """Everything that a file was made from, according to records (in one role, such as "model"): path -> hash."""
    return {
        source_path(file, source): source.digest
        for file, record in chain(path)
        for source in record.inputs
        if source.path and role in (None, source.role)
    }


def chain(path: Path | str) -> Iterator[tuple[Path, Record]]:
    """A file and everything it was made from, each with its record; files without a record are left out."""
    waiting = [Path(os.path.abspath(path))]
    seen = set(waiting)
    while waiting:
        file = waiting.pop(0)
        record = read_record(file)
        if record is None:
            continue
        yield file, record
        for source in record.inputs:
            if source.path and (where := source_path(file, source)) not in seen:
                seen.add(where)
                waiting.append(where)


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON values, without those that were not given (None)."""
    return json.loads(json.dumps({k: v for k, v in options.items() if v is not None}, default=str))


def each(paths: Paths) -> list[Path]:
    if paths is None:
        return []
    return [Path(paths)] if isinstance(paths, Path | str) else [Path(path) for path in paths if path is not None]


def with_archives(path: Path) -> Iterable[Path]:
    """A file, and for an scp file the archives that its lines point to, each once."""
    if path.suffix != ".scp" or state_of(path) is None:
        return [path]
    data = path.read_bytes()
    if b":" not in data:  # a million files of their own
        return [path]
    archives, last = {}, b"\n"
    for line in data.split(b"\n"):
        if last not in line:  # nearly always the same archive as on the line before, for a million lines
            archive = line.partition(b" ")[2].rpartition(b":")[0]
            last = b" " + archive + b":"
            if archive:
                archives[archive] = None
            if len(archives) > MOST_ARCHIVES:
                return [path]
    return [path, *(Path(os.fsdecode(archive)) for archive in archives)]
