"""Records of how outputs were made: their format and location.

The record of `scores/test.cosine` is `scores/.test.cosine.made_from.json`; a folder that is one output, such as a
training, has `made_from.json`, and a shard of an archive `done.J.json` (shards.py). All have the same form: command,
options, seed, version of avsv, number of the command's code, and every input with its role, its path from the output,
size, modification time and hash. A record is valid while its file has the recorded size and time: a file that another
program wrote in the same place has no record.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsv.errors import InputError
from avsv.jobs.fingerprints import state_of

FORMAT = 2  # of records; 1 had neither command nor options
FOLDER_RECORD = "made_from.json"
LARGEST_RECORD = 1 << 20  # bytes


@dataclass(frozen=True)
class Input:
    """An input as it was when the command read it.

    role : what the command used it for, such as "trials"
    path : from the folder of the output; "" for an input known by its hash alone, such as the media of a training
    size, mtime_ns : bytes, ns
    digest : hash of the content; "" where it could not be read
    """

    role: str
    path: str
    size: int
    mtime_ns: int
    digest: str


@dataclass(frozen=True)
class Record:
    """How an output was made.

    code : version number of the command's code, see `CODE`
    avsv : version of the package
    chosen : the options of a training that are not the defaults; None for other commands
    """

    command: str
    options: Mapping[str, Any]
    seed: int | None
    avsv: str
    code: int
    inputs: Sequence[Input]
    chosen: Mapping[str, Any] | None = None


def read_record(path: Path | str) -> Record | None:
    """A file's record; None if it has none, or if the record belongs to an earlier file in the same place.

    Raises
    ------
    InputError : the record is damaged, or of an earlier version of avsv
    """
    place, value = find_record(path)
    if value is None:
        return None
    if value.get("format") != FORMAT:
        raise earlier_version(path, place)
    return parse_record(path, place, value)


def find_record(path: Path | str) -> tuple[Path, dict | None]:
    """The path of a file's record and its JSON; None if it has no record, or only that of an earlier file."""
    path = Path(path)
    state = state_of(path)
    place = record_path(path)
    if state is not None and (value := load_record(path, place)) is not None:
        return place, value if (value.get("size"), value.get("mtime_ns")) == state else None
    folder = path / FOLDER_RECORD if path.is_dir() else path.with_name(FOLDER_RECORD)
    if (value := load_record(path, folder)) is None:
        return place, None
    outputs = value.get("outputs")
    if not isinstance(outputs, dict):
        raise damaged(path, folder)
    return folder, value if state is None or outputs.get(path.name) == list(state) else None


def load_record(path: Path | str, place: Path) -> dict | None:
    """The JSON of a record; None if the file is absent."""
    state = state_of(place)
    if state is None:
        return None
    if state[0] > LARGEST_RECORD:
        raise InputError(f"{place}: is too large for a record; delete it")
    try:
        value = json.loads(place.read_bytes())
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not value:
        raise damaged(path, place)
    return value


def parse_record(path: Path | str, place: Path, value: Mapping[str, Any]) -> Record:
    """The record in a JSON object; InputError if avsv cannot have written it."""
    try:
        inputs = [Input(**one) for one in value["made_from"]]
        record = Record(*(value[key] for key in ("command", "options", "seed", "avsv", "code")), inputs,
                        value.get("chosen"))  # fmt: skip
    except (TypeError, KeyError):
        raise damaged(path, place) from None
    types = [*zip(vars(record).values(), (str, dict, int | None, str, int, list, dict | None), strict=True)]
    types += [pair for one in inputs for pair in zip(vars(one).values(), (str, str, int, int, str), strict=True)]
    if not all(isinstance(each, kind) for each, kind in types):
        raise damaged(path, place)
    return record


def damaged(path: Path | str, place: Path) -> InputError:
    return InputError(f"{place}: is damaged; delete it, and make {path} again")


def earlier_version(path: Path | str, place: Path) -> InputError:
    """The error for an output of an earlier version: its record cannot prove that it is current."""
    return InputError(f"{shown(Path(os.path.abspath(path)))}: was made by an earlier version of avsv, whose record "
                      f"({place.name}) does not show whether it is current; make it again, or delete the record to "
                      "use the file anyway")  # fmt: skip


def record_path(path: Path | str) -> Path:
    return Path(path).with_name(f".{Path(path).name}.made_from.json")


def source_path(file: Path, source: Input) -> Path:
    """The path of an input of `file`; `file` may be a folder that is one output."""
    return Path(os.path.normpath((file if file.is_dir() else file.parent) / source.path))


def recorded_values(folder: Path | str) -> dict[str, str]:
    """Role -> hash of the inputs of a folder that are not files; empty if it has no record."""
    record = read_record(folder)
    return {source.role: source.digest for source in record.inputs if not source.path} if record else {}


def shown(path: Path) -> str:
    """A path as a user would write it: relative if it lies below the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
