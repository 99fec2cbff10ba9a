"""Opening files for reading: regular files only, and text in UTF-8 with or without a byte order mark.

Opening a FIFO or a device can block for ever, and data directories may come from untrusted sources, so every reader of
text, tables, JSON and archives opens its files here. Windows programs start UTF-8 text with a byte order mark; readers
skip it (also in the middle, if such files were joined), and it is never written.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from avsv.errors import InputError

MARK = b"\xef\xbb\xbf"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
MOST_TEXT = 1 << 28  # bytes of a file that is read as one text: JSON, settings, lists
PIPE = "a pipe, which can be read only once; write it to a file first"
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def regular_file(path: Path | str) -> Path:
    """The path itself, checked to be a regular file; an absent file fails when it is opened.

    Raises
    ------
    InputError : the path, or what it links to, is a FIFO, a socket, a device or a folder

    Examples
    --------
    >>> regular_file("/dev/null")
    Traceback (most recent call last):
    avsv.errors.InputError: /dev/null: is a device, expected an ordinary file
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # absent, or not a path (it has a zero byte)
        return Path(path)
    refuse_special(path, mode)
    return Path(path)


def refuse_special(path: Path | str, mode: int) -> None:
    """InputError if a file's mode (`st_mode`) is not that of a regular file."""
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "a special file")
        raise InputError(f"{path}: is {PIPE if stat.S_ISFIFO(mode) else f'{kind}, expected an ordinary file'}")


def open_regular(path: Path | str) -> BinaryIO:
    """Open a regular file for reading in binary mode, without ever waiting for it.

    Use this for every file that is not decoded as media: tables, archives, trials, scores, JSON, configurations.

    Raises
    ------
    InputError : no such file, a folder, a FIFO, a socket or a device, a file that may not be read

    Examples
    --------
    >>> open_regular("/dev/zero")
    Traceback (most recent call last):
    ...
    avsv.errors.InputError: /dev/zero: is a device, expected an ordinary file
    """
    try:
        refuse_special(path, os.stat(path).st_mode)  # check first: merely opening a device may have an effect
        file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except ValueError:  # a null byte in the name
        raise InputError(f"{str(path)!r}: is not a file name") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        refuse_special(path, os.fstat(file.fileno()).st_mode)
    except InputError:
        file.close()
        raise
    return file


def read_bytes(path: Path | str) -> bytes:
    """All bytes of a regular file; InputError as for `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def without_marks(data: bytes) -> bytes:
    """Whole lines of text without byte order marks at the beginning of any line.

    Examples
    --------
    >>> without_marks(MARK + b"a 1\\n" + MARK + b"b 2\\n")
    b'a 1\\nb 2\\n'
    """
    if MARK not in data:
        return data
    return data.removeprefix(MARK).replace(b"\n" + MARK, b"\n")


def refuse_zeros(path: Path | str, data: bytes) -> None:
    """InputError if text contains a zero byte: in arrays of names it would look like padding."""
    if b"\0" in data:
        raise not_utf8(path, data, data.index(b"\0"))


def as_text(path: Path | str, data: bytes) -> str:
    """A file's bytes as text; InputError if they are not UTF-8 or contain a zero byte."""
    refuse_zeros(path, data)
    try:
        return without_marks(data).decode()
    except UnicodeDecodeError as error:
        raise not_utf8(path, data, error.start) from None


def not_utf8(path: Path | str, data: bytes, place: int) -> InputError:
    """The error for a file that should be text but has an invalid byte at `place`."""
    if data.startswith(UTF16):
        return InputError(f"{path}: is not a text file in UTF-8 but in UTF-16. Convert it: iconv -f UTF-16 -t UTF-8")
    return InputError(f"{path}: is not a text file (byte {place} is not UTF-8)")


def read_text(path: Path | str) -> str:
    """The text of a regular file, without byte order marks.

    Raises
    ------
    InputError : what `open_regular` raises; bytes that are not UTF-8; more than 256 MiB
    """
    with open_regular(path) as file:
        data = file.read(MOST_TEXT + 1)
    if len(data) > MOST_TEXT:
        raise InputError(f"{path}: has more than {MOST_TEXT >> 20} MiB of text; is this the right file?")
    return as_text(path, data)
