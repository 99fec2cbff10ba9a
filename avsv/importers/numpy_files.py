"""npy and npz files from anywhere: what a header declares is compared with what the file has before memory is taken.

A small file can declare an array of any shape, and a zip file can expand to a thousand times its size.
"""

import math
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from avsv.errors import InputError
from avsv.jobs.inputs import open_regular

GROWTH, ALLOWANCE = 20, 1 << 26  # a zip file may expand to so many times its size, and so many bytes more
MOST_EMPTY = 1 << 20  # rows of an array without columns: it takes no bytes, but loops over its rows take time
ZIP = (b"PK\3\4", b"PK\5\6")
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class PythonObjects(InputError):
    """An array holds Python objects, which are not read: they can run any program."""


def read_npy(path: Path | str) -> np.ndarray:
    """The array of an npy file.

    Raises
    ------
    InputError : no regular file, no npy file, one that has less data than it declares, an array of Python objects
    """
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        return read_array(file, size, str(path))


def read_npz(source: Path | str | BinaryIO, name: str) -> dict[str, np.ndarray]:
    """The arrays of an npz file, by name.

    Raises
    ------
    InputError : as for `read_npy`; a file that is no zip file, or would take many times its size
    """
    if not hasattr(source, "read"):
        with open_regular(source) as file:
            return read_npz(file, name)
    source.seek(0)
    if source.read(4) not in ZIP:  # zipfile would skip what is before one
        raise InputError(f"{name}: is no npz file")
    size = source.seek(0, 2)
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            refuse_bomb(name, members, size)
            return {info.filename.removesuffix(".npy"): read_member(archive, info, name) for info in members}
    except InputError:
        raise
    except Exception as error:  # zipfile's and zlib's own, of many kinds
        raise InputError(f"{name}: is damaged, the file may be cut short: {error}") from None


def refuse_bomb(name: str, members: list[zipfile.ZipInfo], size: int) -> None:
    """InputError where the members of a zip file of `size` bytes take many times that."""
    total = sum(info.file_size for info in members)
    if total > GROWTH * size + ALLOWANCE:
        raise InputError(f"{name}: would expand from {size} to {total} bytes; save the arrays without compression")


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> np.ndarray:
    with archive.open(info) as file:
        return read_array(file, info.file_size, f'{name}: the array "{info.filename.removesuffix(".npy")}"')


def read_array(file: BinaryIO, size: int, name: str) -> np.ndarray:
    """The array in npy form of which `size` bytes are there; InputError begins with `name`."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:  # a later one is for names of fields only
            raise ValueError(f"version {version} of the form")
        shape, fortran, kind = HEADERS[version](file)
        if kind.hasobject:
            raise PythonObjects(f"{name} holds Python objects, which are not read: they can run any program")
        n_bytes = math.prod(shape) * kind.itemsize
        there = size - file.tell()
        longest = MOST_EMPTY if n_bytes == 0 else there
        if min(shape, default=0) < 0 or n_bytes > there or max(shape, default=0) > longest:
            raise ValueError(f"it declares {'x'.join(map(str, shape))} values of {kind}, and {there} bytes are there")
        if n_bytes == 0:
            return np.empty(shape, kind)
        data = file.read(n_bytes)
        return np.frombuffer(data, kind, math.prod(shape)).reshape(shape, order="F" if fortran else "C")
    except InputError:
        raise
    except Exception as error:  # whatever reading the header as Python's text raises, and zlib's own
        raise InputError(f"{name} cannot be read, the file may be cut short: {error}") from None
