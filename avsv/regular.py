"""Only ordinary files are read: opening a FIFO waits for a writer that never comes, and a device never ends."""

import os
import stat
from pathlib import Path

from avsv.errors import UserError

KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
         stat.S_IFDIR: "a folder"}  # fmt: skip


def regular_file(path: Path | str) -> Path:
    """The path itself, after a look at what it is; an absent file is left to whoever opens it.

    Raises
    ------
    UserError : the path, or what it links to, is a FIFO, a socket, a device or a folder

    Examples
    --------
    >>> regular_file("/dev/null")
    Traceback (most recent call last):
    avsv.errors.UserError: /dev/null: is a device, expected an ordinary file
    """
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):  # absent, or no path at all: a zero byte
        return Path(path)
    if kind != stat.S_IFREG:
        raise UserError(f"{path}: is {KINDS.get(kind, 'no file')}, expected an ordinary file")
    return Path(path)
