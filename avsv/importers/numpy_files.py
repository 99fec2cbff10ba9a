"""Reading npy and npz files of unknown origin: declared sizes are checked against the file before memory is allocated.

A small file can declare an array of any shape, and a zip file can expand to a thousand times its size.
"""

import math
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from avsv.errors import InputError
from avsv.jobs.inputs import open_regular

GROWTH, ALLOWANCE = 20, 1 << 26  # a zip file may expand to GROWTH times its size plus ALLOWANCE bytes
MOST_EMPTY = 1 << 20  # rows of an array without columns: no bytes, but slow to loop over
ZIP = (b"PK\3\4", b"PK\5\6")
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class PythonObjects(InputError):
    """An array contains Python objects, which are refused because reading them can run any program."""


def read_npy(path: Path | str) -> np.ndarray:
    """Read the array of an npy file.

    Raises
    ------
    InputError : not a regular file, not an npy file, less data than declared, or an array of Python objects
    """
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        return read_array(file, size, str(path))


def read_npz(source: Path | str | BinaryIO, name: str) -> dict[str, np.ndarray]:
    """Read the arrays of an npz file, by name.

    Parameters
    ----------
    source : a path or an open file
    name : of the file, for messages

    Raises
    ------
    InputError : see `read_npy`; not a zip file, or one that would expand to many times its size
    """
    if not hasattr(source, "read"):
        with open_regular(source) as file:
            return read_npz(file, name)
    source.seek(0)
    if source.read(4) not in ZIP:  # zipfile would skip leading bytes
        raise InputError(f"{name}: is not an npz file")
    size = source.seek(0, 2)
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            refuse_bomb(name, members, size)
            return {info.filename.removesuffix(".npy"): read_member(archive, info, name) for info in members}
    except InputError:
        raise
    except Exception as error:  # zipfile and zlib raise many kinds
        raise InputError(f"{name}: is damaged or truncated: {error}") from None


def refuse_bomb(name: str, members: list[zipfile.ZipInfo], size: int) -> None:
    """Raise InputError if the members of a zip file of `size` bytes expand to many times that."""
    total = sum(info.file_size for info in members)
    if total > GROWTH * size + ALLOWANCE:
        raise InputError(f"{name}: would expand from {size} to {total} bytes; save the arrays without compression")


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> np.ndarray:
    with archive.open(info) as file:
        return read_array(file, info.file_size, f'{name}: the array "{info.filename.removesuffix(".npy")}"')


def read_array(file: BinaryIO, size: int, name: str) -> np.ndarray:
    """Read an array in npy format from `size` bytes; errors begin with `name`."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:  # later versions only add field names in Unicode
            raise ValueError(f"unsupported npy version {version}")
        shape, fortran, kind = HEADERS[version](file)
        if kind.hasobject:
            raise PythonObjects(f"{name} holds Python objects, which can run any program when they are read")
        n_bytes = math.prod(shape) * kind.itemsize
        present = size - file.tell()
        longest = MOST_EMPTY if n_bytes == 0 else present
        if min(shape, default=0) < 0 or n_bytes > present or max(shape, default=0) > longest:
            raise ValueError(f"it declares {'x'.join(map(str, shape))} values of {kind}, but has {present} bytes")
        if n_bytes == 0:
            return np.empty(shape, kind)
        data = file.read(n_bytes)
        return np.frombuffer(data, kind, math.prod(shape)).reshape(shape, order="F" if fortran else "C")
    except InputError:
        raise
    except Exception as error:  # evaluating the header, or zlib, can raise anything
        raise InputError(f"{name} cannot be read, the file may be truncated: {error}") from None
