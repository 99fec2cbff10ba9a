"""Only ordinary files are read: opening a FIFO waits for a writer that never comes, and a device never ends."""

import os
import stat
from pathlib import Path

from avsv.errors import UserError

PIPE = "a pipe, which can be read only once; write it to a file first"
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


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
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # absent, or no path at all: a zero byte
        return Path(path)
    refuse_special(path, mode)
    return Path(path)


def refuse_special(path: Path | str, mode: int) -> None:
    """UserError where a file's mode (`st_mode`) is not that of a regular file."""
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "something else")
        raise UserError(f"{path}: is {PIPE if stat.S_ISFIFO(mode) else f'{kind}, expected an ordinary file'}")
