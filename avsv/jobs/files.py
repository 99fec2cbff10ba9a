"""Atomic writing of files, alone or as a set, and locks: one process works on a result at a time.

A file is written beside its final path, then renamed. Files that belong together (an archive and its scp, the files of
a back-end, a data directory) are written within `replaced_together`: a reader sees the old set, the new one, or an
error.

Links: folders and files that a user names may be links. Under names that avsv chooses itself (`.NAME.part`, `.lock`,
`.backup`, `media`, logs) a link is refused, because a folder from elsewhere may contain one that leads to the user's
files. A link in the place of a result is replaced, not followed.

Locks are the kernel's (flock) and end with the process that holds them. They work between machines if the file system
supports that (NFS 4, or NFS 3 with its lock daemon; not with the mount option `nolock`, nor on Lustre with
`localflock`).
"""

import errno
import fcntl
import io
import json
import logging
import os
import shutil
import socket
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from avsv.errors import InputError
from avsv.jobs.inputs import regular_file

log = logging.getLogger("avsv")
PATIENCE = 10.0  # seconds
BRIEF = 0.3  # seconds
BUFFER = 1 << 18  # bytes


class NamedFile(io.FileIO):
    """A file that adds its path to write errors, and remembers them.

    torch.save replaces such an error by another one, and libsndfile drops it.
    """

    def __init__(self, file: Path | int, mode: str, path: Path):
        super().__init__(file, mode)
        self.path, self.failed = path, None

    def write(self, data: Any) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            self.failed = self.failed or OSError(error.errno, error.strerror, str(self.path))
            raise self.failed from None


def buffered(raw: NamedFile, mode: str) -> IO[Any]:
    out = io.BufferedWriter(raw, BUFFER)
    return out if "b" in mode else io.TextIOWrapper(out, encoding="utf-8", newline="\n")


@contextmanager
def whole_file(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing that gets its name only when it is complete.

    A reader never sees half a file, and a job killed at any moment leaves either the old file or the new one. Until
    then the file is `.NAME.part` in the same folder, locked; the next run takes it over.

    Raises
    ------
    InputError : another process is still writing the same file after ten seconds
    OSError : names the file that could not be written: a full disk, no permission

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "scores"
    >>> with whole_file(target) as out:
    ...     _ = out.write("a b 0.5\\n")
    >>> target.read_text()
    'a b 0.5\\n'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_stream(path):  # /dev/stdout, a pipe: written to, never replaced
        with buffered(NamedFile(path, "w", path), mode) as out:
            yield out
        return
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    files = WAITING.get()
    if files is not None:
        files.drop(path)
    part = path.with_name(f".{path.name}.part")
    raw = NamedFile(open_locked(part, path), "w", path)
    out = buffered(raw, mode)
    try:
        out.truncate(0)
        try:
            yield out
            out.flush()
        except BaseException as error:
            if raw.failed and error is not raw.failed:
                raise raw.failed from None
            raise
        if raw.failed:
            raise raw.failed
        os.fsync(raw.fileno())
        if files is not None:
            files.add(part, path, out)
            return
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        if files is None or path not in files.parts:
            close_quietly(out)


def close_quietly(out: IO[Any]) -> None:
    """Close a file without raising: its errors have been raised already, or its content is on disk."""
    with suppress(OSError):
        out.close()


def is_stream(path: Path) -> bool:
    """Whether a path is written to directly: a device or a pipe, but not through a link outside /dev."""
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except OSError:
        return False
    if kind in (stat.S_IFREG, stat.S_IFDIR):
        return False
    return not path.is_symlink() or path.absolute().parts[1] in ("dev", "proc")


class Parts:
    """Files of one set, written but not yet renamed.

    gates : removed before any file gets its name, and renamed last
    """

    def __init__(self) -> None:
        self.gates: list[Path] = []
        self.parts: dict[Path, tuple[Path, IO[Any]]] = {}

    def add(self, part: Path, path: Path, out: IO[Any]) -> None:
        self.parts[path] = (part, out)

    def drop(self, path: Path) -> None:
        """Drop a file that was written twice: the later one counts."""
        if path in self.parts:
            close_quietly(self.parts.pop(path)[1])

    def commit(self) -> None:
        for gate in self.gates:
            gate.unlink(missing_ok=True)
        sync_folders(self.gates)
        gates = [gate for gate in reversed(self.gates) if gate in self.parts]
        for path in [*(path for path in self.parts if path not in gates), *gates]:
            os.replace(self.parts[path][0], path)
        sync_folders(self.parts)

    def close(self) -> None:
        for part, out in self.parts.values():
            with suppress(OSError):
                if os.fstat(out.fileno()).st_ino == os.stat(part).st_ino:  # not renamed
                    part.unlink()
            close_quietly(out)


WAITING: ContextVar[Parts | None] = ContextVar("WAITING", default=None)


def sync_folders(paths: Iterable[Path]) -> None:
    """Flush removals and renames in these folders to disk, in this order, in case the power fails."""
    for folder in sorted({path.parent for path in paths}):
        with suppress(OSError):  # not supported by the file system, or no such folder
            file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)


@contextmanager
def replaced_together(*gates: Path | str) -> Iterator[None]:
    """Give all files written in the block (by `whole_file`) their names at its end, as one set.

    Everything is written first: a full disk changes nothing. Then the gates are removed and the files renamed, gates
    last, in reverse order. Whenever the process ends, a reader that needs a gate finds the old set, the new one, or no
    gate. A nested block joins the outer one.

    Parameters
    ----------
    gates : files that the set cannot be read without, or that mark it as complete

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replaced_together(folder / "a.scp"):
    ...     with whole_file(folder / "a.scp") as scp, whole_file(folder / "a.ark") as ark:
    ...         _ = ark.write("x"), scp.write("a a.ark:0")
    ...     before = sorted(os.listdir(folder))
    >>> before, sorted(os.listdir(folder))
    (['.a.ark.part', '.a.scp.part'], ['a.ark', 'a.scp'])
    """
    outer = WAITING.get()
    parts = outer or Parts()
    parts.gates += [path for path in map(Path, gates) if path not in parts.gates]
    if outer:
        yield
        return
    token = WAITING.set(parts)
    try:
        yield
        parts.commit()
    finally:
        WAITING.reset(token)
        parts.close()


def refuse_link(path: Path | str) -> Path:
    """The path itself; InputError if it is a link: avsv chose this name and does not follow links there.

    Examples
    --------
    >>> refuse_link("/dev/stdout")
    Traceback (most recent call last):
    avsv.errors.InputError: /dev/stdout: is a link, which avsv does not follow here; delete it
    """
    if os.path.islink(path):
        raise InputError(f"{path}: is a link, which avsv does not follow here; delete it")
    return Path(path)


def own_folder(path: Path | str) -> Path:
    """A folder that avsv fills and empties itself, created if absent; InputError if it is a link or a file."""
    path = refuse_link(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file, but avsv keeps a folder of this name; delete it")
    path.mkdir(parents=True, exist_ok=True)
    return path


def open_locked(part: Path, path: Path) -> int:
    """Open the part file for this process alone; waits briefly for another one, such as a concurrent merge."""
    give_up = time.monotonic() + PATIENCE
    while (file := lock(part)) is None:
        if time.monotonic() > give_up:
            raise InputError(f"{path}: another process is writing it; wait for that, or stop it, and run this again")
        time.sleep(0.05)
    return file


def lock(path: Path) -> int | None:
    """Open and lock a file, created if absent; None if another process holds it.

    Raises
    ------
    InputError : the file is a link, has a second name, or is not a regular file: it may be the user's
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP or path.is_symlink():
            refuse_link(path)
        raise
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(file)
        if status.st_ino == os.stat(path).st_ino:  # its owner may have renamed or removed it meanwhile
            if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
                raise InputError(f"{path}: was not made by avsv (a pipe, or a second name of a file); delete it")
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(file)
        raise
    os.close(file)
    return None


@contextmanager
def one_at_a_time(path: Path | str, every: float = 0.2) -> Iterator[None]:
    """Hold a lock while the block runs; waits while another process holds it, and logs which.

    Parameters
    ----------
    path : the lock's file, in the folder of the result; names its holder, and is removed afterwards
    every : seconds between attempts

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / ".lock"
    >>> with one_at_a_time(path):
    ...     path.read_text().startswith(f"process {os.getpid()} on ")
    True
    >>> path.exists()
    False
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    logged, begun = False, time.monotonic()
    while (file := lock(path)) is None:
        if not logged and time.monotonic() - begun > BRIEF:  # shards that end together wait only briefly
            with suppress(OSError):
                log.info("%s: another run is working here, %s; waiting until it ends", path.parent,
                         path.read_text(encoding="utf-8").strip() or "just begun")  # fmt: skip
            logged = True
        time.sleep(every)
    try:
        holder = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
        with suppress(OSError):  # a full disk: the lock works without its holder's name
            os.ftruncate(file, 0)
            os.pwrite(file, holder.encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


@contextmanager
def if_free(path: Path | str) -> Iterator[bool]:
    """Hold a lock while the block runs, unless another process holds it; yields whether this one does.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / ".lock"
    >>> with if_free(path) as mine, if_free(path) as again:
    ...     mine, again
    (True, False)
    """
    path = Path(path)
    file = lock(path)
    try:
        yield file is not None
    finally:
        if file is not None:
            path.unlink(missing_ok=True)
            os.close(file)


def copy_file(source: Path | str, target: Path | str) -> None:
    """Copy a file's content; InputError if the source is not a regular file."""
    with open(regular_file(source), "rb") as content, whole_file(target, "wb") as out:
        shutil.copyfileobj(content, out, 1 << 20)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with a newline at the end."""
    with whole_file(path) as out:
        json.dump(value, out, indent=2)
        out.write("\n")
