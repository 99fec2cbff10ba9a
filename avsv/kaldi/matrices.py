"""Kaldi's vectors and matrices as bytes: float or double in binary form, and the text form.

Binary: NUL `B`, a token (`FV `, `DV `, `FM `, `DM `), each size as byte 4 and an int32, then the values, little-endian.
"""

import re
import struct
from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.files import whole_file

BINARY = b"\0B"
KINDS = {b"FV ": ("<f4", 1), b"DV ": ("<f8", 1), b"FM ": ("<f4", 2), b"DM ": ("<f8", 2)}
TOKENS = {kind: token for token, kind in KINDS.items()}
NUMBERS = re.compile(rb"\s*\[([^\]]*)\]")


class NotKaldi(ValueError):
    """The bytes hold no vector or matrix in a known form, or too few of them."""


def header(array: np.ndarray) -> bytes:
    """Token and sizes of a vector or matrix, without the NUL `B` before."""
    return TOKENS[array.dtype.str, array.ndim] + b"".join(struct.pack("<bi", 4, size) for size in array.shape)


def encode(array: np.ndarray) -> bytes:
    """A float or double vector or matrix in binary form, without the NUL `B` before.

    Examples
    --------
    >>> encode(np.array([1.0], "<f4"))
    b'FV \\x04\\x01\\x00\\x00\\x00\\x00\\x00\\x80?'
    """
    return header(array) + np.ascontiguousarray(array).tobytes()


def read_header(data: bytes, start: int) -> tuple[str, tuple[int, ...], int]:
    """Number type, shape and place of the first value of what starts at `start`; raises NotKaldi."""
    token = bytes(data[start : start + 3])
    if token not in KINDS:
        raise NotKaldi(f"a float or double vector or matrix was expected, found {token!r}")
    number_type, dimensions = KINDS[token]
    end = start + 3 + 5 * dimensions
    sizes = bytes(data[start + 3 : end])
    if len(sizes) < 5 * dimensions:
        raise NotKaldi("the file ends in the middle of it")
    marks_and_sizes = struct.unpack("<" + "bi" * dimensions, sizes)
    if set(marks_and_sizes[0::2]) != {4} or min(marks_and_sizes[1::2]) < 0:
        raise NotKaldi("its sizes make no sense")
    return number_type, marks_and_sizes[1::2], end


def decode(data: bytes, start: int = 0) -> tuple[np.ndarray, int]:
    """The binary vector or matrix whose token is at `start`, and the place behind it; raises NotKaldi."""
    number_type, shape, first = read_header(data, start)
    size = int(np.prod(shape, dtype=np.int64))
    end = first + size * np.dtype(number_type).itemsize
    if end > len(data):
        raise NotKaldi("the file ends in the middle of it")
    return np.frombuffer(data, number_type, size, first).reshape(shape), end


def decode_text(data: bytes, start: int = 0) -> tuple[np.ndarray, int]:
    """The vector or matrix `[ 1 2 ]` that starts at `start`; several lines are a matrix. Float64."""
    found = NUMBERS.match(data, start)
    if not found:
        raise NotKaldi(f"numbers in [ ] were expected, found {bytes(data[start : start + 20])!r}")
    rows = [line.split() for line in found[1].split(b"\n") if line.strip()]
    try:
        values = np.array(rows, float)
    except ValueError:
        raise NotKaldi("what stands in [ ] is not rows of numbers of equal length") from None
    is_vector = len(rows) == 1 and not found[1].lstrip(b" ").startswith(b"\n")
    return (values[0] if is_vector else values), found.end()


def read_array(path: Path | str) -> np.ndarray:
    """A file with one vector or matrix (`mean.vec`, `transform.mat`), binary or text."""
    try:
        data = Path(path).read_bytes()
        return (decode(data, 2) if data.startswith(BINARY) else decode_text(data))[0]
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except NotKaldi as error:
        raise UserError(f"{path}: {error}") from None


def write_array(path: Path | str, array: np.ndarray) -> None:
    """Write a file with one vector or matrix, in binary form."""
    with whole_file(path, "wb") as out:
        out.write(BINARY + encode(array))
