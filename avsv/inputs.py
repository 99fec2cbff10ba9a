"""Files that are read: regular files only, and text in UTF-8 with or without a byte order mark.

A FIFO or a device blocks whoever opens it, and a data directory may come from anywhere: every reader of text, tables,
JSON and archives opens its files here. Windows programs begin UTF-8 text with a byte order mark; it is skipped in
reading (also in the middle, where such files were joined) and never written.
"""

import os
from pathlib import Path
from typing import BinaryIO

from avsv.errors import UserError
from avsv.regular import refuse_special

MARK = b"\xef\xbb\xbf"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
MOST_TEXT = 1 << 28  # bytes of a file that is read as one text: JSON, settings, lists


def open_regular(path: Path | str) -> BinaryIO:
    """Open a regular file for reading in binary mode, without ever waiting for it.

    Use this for every file that is not decoded as media: tables, archives, trials, scores, JSON, configurations.

    Raises
    ------
    UserError : no such file, a folder, a FIFO, a socket or a device, a file that may not be read

    Examples
    --------
    >>> open_regular("/dev/zero")
    Traceback (most recent call last):
    ...
    avsv.errors.UserError: /dev/zero: is a device, expected an ordinary file
    """
    try:
        refuse_special(path, os.stat(path).st_mode)  # before it is opened: opening one may do something already
        file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except ValueError:  # a null byte in the name
        raise UserError(f"{str(path)!r}: is no file name") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        refuse_special(path, os.fstat(file.fileno()).st_mode)
    except UserError:
        file.close()
        raise
    return file


def read_bytes(path: Path | str) -> bytes:
    """All bytes of a regular file; UserError as for `open_regular`."""
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
    """UserError where bytes that should be text hold a zero: arrays of names could not tell it from their padding."""
    if b"\0" in data:
        raise not_utf8(path, data, data.index(b"\0"))


def as_text(path: Path | str, data: bytes) -> str:
    """A file's bytes as text; UserError where they are not UTF-8, or hold a zero byte."""
    refuse_zeros(path, data)
    try:
        return without_marks(data).decode()
    except UnicodeDecodeError as error:
        raise not_utf8(path, data, error.start) from None


def not_utf8(path: Path | str, data: bytes, place: int) -> UserError:
    """The error for a file that should be text, and is not at a certain byte."""
    if data.startswith(UTF16):
        return UserError(f"{path}: is not a text file in UTF-8 but in UTF-16. Convert it: iconv -f UTF-16 -t UTF-8")
    return UserError(f"{path}: is not a text file (byte {place} is not UTF-8)")


def read_text(path: Path | str) -> str:
    """The text of a regular file, without byte order marks.

    Raises
    ------
    UserError : what `open_regular` raises; bytes that are not UTF-8; more than 256 MiB
    """
    with open_regular(path) as file:
        data = file.read(MOST_TEXT + 1)
    if len(data) > MOST_TEXT:
        raise UserError(f"{path}: has more than {MOST_TEXT >> 20} MiB of text; is this the right file?")
    return as_text(path, data)
