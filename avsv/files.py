"""Files that appear whole: written beside, then renamed; and locks, so that one process works on a result at a time.

Locks are the kernel's (flock): they go with the process that holds them, however it ends. They hold between machines
where the file system passes them on (NFS from version 4, or 3 with its lock daemon; not where it is mounted with
`nolock`, nor on Lustre with `localflock`).
"""

import fcntl
import io
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from avsv.errors import UserError

log = logging.getLogger("avsv")
PATIENCE = 10.0  # seconds
BUFFER = 1 << 18  # bytes


class NamedFile(io.FileIO):
    """A file whose write errors say which file it is, and are remembered.

    torch.save makes another error of one, and libsndfile drops it.
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
    """Open a file for writing that takes its name only when everything was written.

    A reader never sees half a file, and a job killed at any moment leaves either the old file or the new one. What is
    not complete yet is `.NAME.part` in the same folder, locked, and taken over by the next run.

    Raises
    ------
    UserError : another process is writing the same file, and still does after ten seconds
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
    if path.exists() and not path.is_file():  # /dev/stdout, a pipe: written to, never replaced
        with buffered(NamedFile(path, "w", path), mode) as out:
            yield out
        return
    part = path.with_name(f".{path.name}.part")
    raw = NamedFile(open_locked(part, path), "w", path)
    with buffered(raw, mode) as out:
        out.truncate(0)
        try:
            yield out
            out.flush()
            if raw.failed:
                raise raw.failed
            os.fsync(raw.fileno())
            os.replace(part, path)
        except BaseException as error:
            part.unlink(missing_ok=True)
            if raw.failed and error is not raw.failed:
                raise raw.failed from None
            raise


def open_locked(part: Path, path: Path) -> int:
    """Open the part file for this process alone; waits a little for another, such as the one that merges as well."""
    give_up = time.monotonic() + PATIENCE
    while (file := lock(part)) is None:
        if time.monotonic() > give_up:
            raise UserError(f"{path}: another process is writing it; wait for that, or stop it, and run this again")
        time.sleep(0.05)
    return file


def lock(path: Path) -> int | None:
    """Open and lock a file, made where it is absent; None where another process holds it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (
            os.fstat(file).st_ino == os.stat(path).st_ino
        ):  # its owner may have renamed or removed it since it was opened
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
    """Hold a lock while the block runs; waits for as long as another process holds it, and says which.

    Parameters
    ----------
    path : the lock's file, in the folder that is worked on; says who holds it, and is gone afterwards
    every : seconds between looks

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
    told = False
    while (file := lock(path)) is None:
        if not told:
            with suppress(OSError):
                log.info("%s: another run is at work here, %s; waiting until it ends", path.parent,
                         path.read_text(encoding="utf-8").strip() or "just begun")  # fmt: skip
            told = True
        time.sleep(every)
    try:
        holder = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
        with suppress(OSError):  # a full disk: then nobody is told who it is
            os.ftruncate(file, 0)
            os.pwrite(file, holder.encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with a newline at the end."""
    with whole_file(path) as out:
        json.dump(value, out, indent=2)
        out.write("\n")
