"""Files that appear whole: written beside, then renamed."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from avsv.errors import UserError

PATIENCE = 10.0  # seconds


@contextmanager
def whole_file(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing that takes its name only when everything was written.

    A reader never sees half a file, and a job killed at any moment leaves either the old file or the new one. What is
    not complete yet is `.NAME.part` in the same folder, locked, and taken over by the next run.

    Raises
    ------
    UserError : another process is writing the same file, and still does after ten seconds

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
        with open(path, mode) as out:
            yield out
        return
    part = path.with_name(f".{path.name}.part")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    with open(open_locked(part, path), mode, **text) as out:
        out.truncate(0)
        try:
            yield out
            out.flush()
            os.fsync(out.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def open_locked(part: Path, path: Path) -> int:
    """Open the part file for this process alone; waits a little for another, such as the one that merges as well."""
    give_up = time.monotonic() + PATIENCE
    while True:
        file = os.open(part, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_ino == os.stat(part).st_ino:  # its owner may have renamed it since it was opened
                return file
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(file)
        if time.monotonic() > give_up:
            raise UserError(f"{path}: another process is writing it; wait for that, or stop it, and run this again")
        time.sleep(0.05)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with a newline at the end."""
    with whole_file(path) as out:
        json.dump(value, out, indent=2)
        out.write("\n")
