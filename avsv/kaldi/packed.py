"""Packed images in an archive: each record is its length in 4 bytes (little endian), then that many bytes."""

import os
import struct
from collections.abc import Callable
from typing import TypeVar

from avsv.errors import InputError

Content = TypeVar("Content")


def read_packed(entry: str, decode: Callable[[bytes], Content], command: str, largest: int) -> Content:
    """Read and decode one record.

    Parameters
    ----------
    entry : `path:offset`, a value of an scp file
    decode : takes the record, length included; raises InputError for bytes of another kind
    command : the command that writes such records, for the messages
    largest : most bytes of a record to read

    Raises
    ------
    InputError : the archive is absent or truncated, or the record has another format
    """
    path, _, offset = entry.rpartition(":")
    if not os.path.isfile(path):  # a FIFO would block
        raise InputError(f"{entry}: the archive is absent; run {command} again")
    try:
        with open(path, "rb") as archive:
            archive.seek(int(offset))
            head = archive.read(4)
            size = struct.unpack("<I", head)[0] if len(head) == 4 else 0
            return decode(head + archive.read(min(size, largest)))
    except ValueError:
        raise InputError(f'{entry}: expected "path:offset", as written by {command}') from None
    except InputError as error:
        raise InputError(
            f"{entry}: {error}; the archive is truncated or has been replaced; run {command} again"
        ) from None
