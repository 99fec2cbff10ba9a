"""Lists the files of a folder of media: by folders of people, by a table, or without names of people."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from avsv.errors import InputError
from avsv.media.contents import is_image_name
from avsv.people.identifiers import is_unknown
from avsv.people.people_table import Row

SYSTEM_NAMES = ("__MACOSX", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Entry:
    """A file or folder of images, or a segment of a file, and what is known of it.

    path : absolute
    parts : its folders and its name without the ending, below the person's folder or the collection's
    person, session : "" if unknown
    span : begin and end of a segment in seconds; None for a whole file
    columns : further columns of the table
    """

    path: str
    parts: Sequence[str]
    person: str = ""
    session: str = ""
    span: tuple[float, float] | None = None
    columns: dict[str, str] = field(default_factory=dict)


@dataclass
class Listing:
    """Entries of a collection, and the files that are left out, each with the reason.

    left_out : (path, part of it: "all", "voice" or "face", reason, detail that is particular to this file)
    n_hidden : files of an operating system, not listed
    """

    entries: list[Entry] = field(default_factory=list)
    left_out: list[tuple[str, str, str, str]] = field(default_factory=list)
    n_hidden: int = 0

    def leave_out(self, path: str, reason: str, detail: str = "", part: str = "all") -> None:
        self.left_out.append((path, part, reason, detail))


def list_media(
    folder: Path, out_dir: Path, rows: Sequence[Row] | None = None, table: Path | None = None, unlabelled: bool = False
) -> Listing:
    """List the media of a folder.

    Without a table, the first folder names the person (none for files at the top, and in a folder named "unknown"), and
    further folders the session. A folder with nothing but images is one clip, unless it is a person's.

    Parameters
    ----------
    out_dir : left out if it lies in the folder
    rows : of a table of people, if there is one; then only its files are listed, and images beside them
    table : its file, for messages
    unlabelled : folders do not name people

    Raises
    ------
    InputError : no such folder
    """
    folder = Path(os.path.abspath(folder))
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, expected one with recordings, videos or images")
    listing = Listing()
    files = walk(folder, Path(os.path.abspath(out_dir)), listing)
    if rows is not None:
        listing.entries = by_table(folder, files, rows, table, listing)
        return listing
    for path in join_images(folder, files, depth=1 if unlabelled else 2):
        parts = parts_of(folder, path)
        entry = Entry(path, parts)
        if not unlabelled and len(parts) > 1:
            session = "/".join(parts[:-1]) if len(parts) > 2 else ""
            person = "" if is_unknown(parts[0]) else parts[0]
            entry = Entry(path, parts[1:] if person else parts, person, session)
        listing.entries.append(entry)
    return listing


def parts_of(folder: Path, path: str) -> list[str]:
    """Folders and name of a file below a folder; the name without its ending."""
    *folders, name = Path(path).relative_to(folder).parts
    return [*folders, name if os.path.isdir(path) else Path(name).stem]


def walk(folder: Path, out_dir: Path, listing: Listing) -> list[str]:
    """Absolute paths of all files below a folder, sorted; what cannot be listed goes to `listing`."""
    found: list[str] = []

    def failed(error: OSError) -> None:
        listing.leave_out(error.filename, "cannot be listed", str(error.strerror))

    for place, folders, names in os.walk(folder, onerror=failed):
        for name in list(folders):
            path = os.path.join(place, name)
            if Path(path) == out_dir or is_hidden(name):
                listing.n_hidden += is_hidden(name)
                folders.remove(name)
            elif os.path.islink(path):
                listing.leave_out(path, "is a link to a folder, which is not followed; put the folder itself here")
        for name in names:
            path = os.path.join(place, name)
            if is_hidden(name):
                listing.n_hidden += 1
            elif reason := unusable_path(path):
                listing.leave_out(path, reason)
            else:
                found.append(path)
    return sorted(found)


def is_hidden(name: str) -> bool:
    """Whether an operating system made the file: "._00001.wav" beside 00001.wav (macOS), .DS_Store, Thumbs.db.

    Examples
    --------
    >>> [is_hidden(name) for name in ("._00001.wav", "Thumbs.db", "-_x.jpg")]
    [True, True, False]
    """
    return name.startswith(".") or name in SYSTEM_NAMES


def unusable_path(path: str) -> str:
    """Why a table cannot hold a path, or a file cannot be read; "" if nothing is wrong.

    Examples
    --------
    >>> unusable_path("/media/take 1.wav"), unusable_path("/media/take.wav ")
    ('', 'its name ends in white space; rename it')
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8; rename it"
    if not path.isprintable() and any(ord(c) < 32 or 127 <= ord(c) < 160 for c in path):
        return "its name has a line end, a tab or another control character; rename it"
    if path != path.rstrip():
        return "its name ends in white space; rename it"
    if path.endswith("|"):
        return "its name ends in |, which marks a command in Kaldi's tables; rename it"
    if os.path.lexists(path) and not os.path.isfile(path):
        return "is not a file, or a link to nothing"
    return ""


def join_images(folder: Path, paths: Sequence[str], depth: int) -> list[str]:
    """The paths, with those of a folder that has nothing but images replaced by the folder.

    Parameters
    ----------
    depth : of such a folder below `folder`, at least
    """
    inside: dict[str, list[str]] = {}
    for path in paths:
        for parent in Path(path).parents:
            if parent == folder:
                break
            inside.setdefault(str(parent), []).append(path)
    joined = {place for place, files in inside.items() if len(Path(place).relative_to(folder).parts) >= depth
              and all(os.path.dirname(path) == place and is_image_name(Path(path).name) for path in files)}  # fmt: skip
    return sorted({parent if (parent := os.path.dirname(path)) in joined else path for path in paths})


def by_table(folder: Path, files: Sequence[str], rows: Sequence[Row], table: Path, listing: Listing) -> list[Entry]:
    """The entries of a table's rows, and the files beside them that have the same name."""
    entries, used = [], set()
    whole: dict[str, Entry] = {}
    for row in rows:
        path = os.path.normpath(os.path.join(folder, row.file))
        if not os.path.exists(path):
            listing.leave_out(path, "no such file, but the table names it", f"line {row.line}")
            continue
        if reason := "" if os.path.isdir(path) else unusable_path(path):
            listing.leave_out(path, reason)
            continue
        inside = Path(path).is_relative_to(folder)
        parts = parts_of(folder, path) if inside else [path]
        entry = Entry(path, parts, "" if is_unknown(row.person) else row.person, row.session, row.span, row.columns)
        entries.append(entry)
        used.add(path)
        if row.span is None:
            whole[os.path.splitext(path)[0]] = entry
    for path in files:
        if path in used or any(str(parent) in used for parent in Path(path).parents):
            continue
        if entry := whole.get(os.path.splitext(path)[0]):
            entries.append(replace(entry, path=path))
        elif path != os.path.abspath(table):
            listing.leave_out(path, "is not in the table")
    return entries
