"""Kaldi's vectors and matrices as bytes: float or double in binary form, compressed matrices, and the text form.

Binary: NUL `B`, a token (`FV `, `DV `, `FM `, `DM `), each size as byte 4 and an int32, then the values, little-endian.
Compressed (read only): a token (`CM `, `CM2 `, `CM3 `), the least value and the range as floats, rows and columns as
int32 without marks, then integers that place each value in the range.
"""

import mmap
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import whole_file
from avsv.jobs.inputs import open_regular, read_bytes
from avsv.kaldi.places import Range, parse_place, row_slice, take

BINARY = b"\0B"
KINDS = {b"FV ": ("<f4", 1), b"DV ": ("<f8", 1), b"FM ": ("<f4", 2), b"DM ": ("<f8", 2)}
TOKENS = {kind: token for token, kind in KINDS.items()}
COMPRESSED = {b"CM ": 1, b"CM2": 2, b"CM3": 1}  # bytes a value takes
NUMBERS = re.compile(rb"\s*\[([^\]]*)\]")


Rows = Callable[[int], slice]


def every_row(n_rows: int) -> slice:
    return slice(n_rows)


class NotKaldi(ValueError):
    """The bytes are not a vector or matrix in a known form, or are cut short."""


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
    """Number type, shape and position of the first value of the object at `start`; raises NotKaldi."""
    token = bytes(data[start : start + 3])
    if token not in KINDS:
        raise NotKaldi(f"expected a float or double vector or matrix, found {token!r}")
    number_type, dimensions = KINDS[token]
    end = start + 3 + 5 * dimensions
    sizes = bytes(data[start + 3 : end])
    if len(sizes) < 5 * dimensions:
        raise NotKaldi("the file ends in the middle of it")
    marks_and_sizes = struct.unpack("<" + "bi" * dimensions, sizes)
    if set(marks_and_sizes[0::2]) != {4} or min(marks_and_sizes[1::2]) < 0:
        raise NotKaldi("its sizes make no sense")
    return number_type, marks_and_sizes[1::2], end


def decode(data: bytes, start: int = 0, pick: Rows = every_row) -> tuple[np.ndarray, int]:
    """The binary vector or matrix whose token is at `start`, and the position after it; raises NotKaldi.

    Only the rows that `pick` (number of rows -> slice) chooses are decoded.
    """
    if bytes(data[start : start + 3]) in COMPRESSED:
        return decode_compressed(data, start, pick)
    number_type, shape, first = read_header(data, start)
    size = int(np.prod(shape, dtype=np.int64))
    end = first + size * np.dtype(number_type).itemsize
    if end > len(data):
        raise NotKaldi("the file ends in the middle of it")
    return np.frombuffer(data, number_type, size, first).reshape(shape)[pick(shape[0])], end


def encode_symmetric(matrix: np.ndarray) -> bytes:
    """A symmetric float or double matrix as Kaldi's packed matrix: `FP ` or `DP `, size, lower triangle by rows.

    Examples
    --------
    >>> encode_symmetric(np.array([[1.0]], "<f4"))
    b'FP \\x04\\x01\\x00\\x00\\x00\\x00\\x00\\x80?'
    """
    token = {"<f4": b"FP ", "<f8": b"DP "}[matrix.dtype.str]
    triangle = matrix[np.tril_indices(len(matrix))]
    return token + struct.pack("<bi", 4, len(matrix)) + triangle.tobytes()


def decode_symmetric(data: bytes, start: int = 0) -> tuple[np.ndarray, int]:
    """The packed symmetric matrix whose token is at `start`, and the position after it; raises NotKaldi."""
    token, mark_and_size = bytes(data[start : start + 3]), bytes(data[start + 3 : start + 8])
    if token not in (b"FP ", b"DP "):
        raise NotKaldi(f"expected a packed symmetric matrix, found {token!r}")
    if len(mark_and_size) < 5:
        raise NotKaldi("the file ends in the middle of it")
    mark, size = struct.unpack("<bi", mark_and_size)
    if mark != 4 or size < 0:
        raise NotKaldi("its sizes make no sense")
    kind = np.dtype("<f4" if token == b"FP " else "<f8")
    n = size * (size + 1) // 2
    end = start + 8 + n * kind.itemsize
    if end > len(data):
        raise NotKaldi("the file ends in the middle of it")
    triangle = np.frombuffer(data, kind, n, start + 8)
    matrix = np.empty((size, size), kind)
    rows, columns = np.tril_indices(size)
    matrix[rows, columns] = triangle
    matrix[columns, rows] = triangle
    return matrix, end


def decode_compressed(data: bytes, start: int = 0, pick: Rows = every_row) -> tuple[np.ndarray, int]:
    """The compressed matrix whose token is at `start`, as float32, and the position after it; raises NotKaldi.

    Kaldi's `CompressedMatrix`: `CM2` and `CM3` hold each value as a share of the matrix's range, in 16 or 8
    bits, row by row. `CM` holds columns: first four percentiles of each column (0, 25, 75, 100) as 16 bits of the
    range, then a byte a value that is linear between them: 0-64, 64-192, 192-255.

    Examples
    --------
    >>> one_row = b"CM3 " + struct.pack("<ffii", -1.0, 2.0, 1, 3) + bytes([0, 51, 255])
    >>> decode_compressed(one_row)[0].round(4).tolist()
    [[-1.0, -0.6000000238418579, 1.0]]
    """
    token = bytes(data[start : start + 3])
    first = start + (3 if token == b"CM " else 4) + 16
    fields = bytes(data[first - 16 : first])
    if len(fields) < 16:
        raise NotKaldi("the file ends in the middle of it")
    least, extent, rows, columns = struct.unpack("<ffii", fields)
    if min(rows, columns) < 0:
        raise NotKaldi("its sizes make no sense")
    n_percentiles = 4 * columns if token == b"CM " else 0
    end = first + 2 * n_percentiles + COMPRESSED[token] * rows * columns
    if end > len(data):
        raise NotKaldi("the file ends in the middle of it")
    least, extent = np.float32(least), np.float32(extent)
    numbers = np.frombuffer(data, f"<u{COMPRESSED[token]}", rows * columns, first + 2 * n_percentiles)
    if token != b"CM ":
        steps = np.float32(65535 if token == b"CM2" else 255)
        return least + numbers.reshape(rows, columns)[pick(rows)] * (extent / steps), end
    percentiles = np.frombuffer(data, "<u2", n_percentiles, first).reshape(columns, 4, 1)
    p0, p25, p75, p100 = np.moveaxis(least + percentiles * (extent / np.float32(65535)), 1, 0)
    numbers = numbers.reshape(columns, rows)[:, pick(rows)].astype(np.float32)
    low = p0 + (p25 - p0) * (numbers / 64)
    middle = p25 + (p75 - p25) * ((numbers - 64) / 128)
    high = p75 + (p100 - p75) * ((numbers - 192) / 63)
    return np.where(numbers <= 64, low, np.where(numbers <= 192, middle, high)).T, end


def decode_text(data: bytes, start: int = 0) -> tuple[np.ndarray, int]:
    """The vector or matrix `[ 1 2 ]` that starts at `start`, as float64; several lines make a matrix."""
    match = NUMBERS.match(data, start)
    if not match:
        raise NotKaldi(f"expected numbers in [ ], found {bytes(data[start : start + 20])!r}")
    rows = [line.split() for line in match[1].split(b"\n") if line.strip()]
    try:
        if b"_" in match[1]:  # Python reads 1_0 as 10
            raise ValueError
        values = np.array(rows, float)
    except ValueError:
        raise NotKaldi("the text in [ ] is not rows of numbers of equal length") from None
    is_vector = len(rows) == 1 and not match[1].lstrip(b" ").startswith(b"\n")
    return (values[0] if is_vector else values), match.end()


def decode_any(data: bytes, start: int = 0) -> tuple[np.ndarray, int]:
    """The object at `start`, binary with its NUL `B` or text, and the position after it; raises NotKaldi."""
    return decode(data, start + 2) if data[start : start + 2] == BINARY else decode_text(data, start)


def read_array(path: Path | str) -> np.ndarray:
    """A file with one vector or matrix (`mean.vec`, `transform.mat`), binary or text."""
    try:
        return decode_any(read_bytes(path))[0]
    except NotKaldi as error:
        raise InputError(f"{path}: {error}") from None


def read_entry(entry: str, pick: Rows = every_row) -> np.ndarray:
    """The vector or matrix that a line of an scp file points to, or the rows of it that `pick` chooses.

    Parameters
    ----------
    entry : `path:offset`, or a file without offset; either may have a range `[0:9]`, from which `pick` then chooses

    Raises
    ------
    InputError : no such archive, another form of entry, or no vector or matrix at that place
    """
    try:
        path, offset, part = parse_place(entry)
    except ValueError as error:
        raise InputError(f'{entry}: expected "path:offset": {error}') from None
    if part:
        return read_range(f"{path}:{offset}", part, pick)
    try:
        os.stat(path)
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[offset : offset + 2] == BINARY:
                return decode(data, offset + 2, pick)[0].copy()
            whole = decode_text(data, offset)[0]  # text has no offsets: all of it is read
            return whole[pick(len(whole))]
    except OSError as error:
        raise InputError(f"{entry}: {error.strerror or error}") from None
    except InputError as error:
        raise InputError(f"{entry}: {error}") from None
    except NotKaldi as error:
        raise InputError(f"{entry}: {error}; the archive is cut short, or was replaced") from None
    except ValueError:  # an empty file cannot be mapped
        raise InputError(f"{entry}: the archive is empty") from None


def read_range(entry: str, part: Range, pick: Rows) -> np.ndarray:
    """The rows that `pick` chooses from a range of the matrix at `path:offset`; no other rows are decoded."""

    def pick_rows(n_rows: int) -> slice:
        try:
            return row_slice(part, n_rows)
        except ValueError as error:
            raise InputError(str(error)) from None

    rows = read_entry(entry, pick_rows)
    try:
        matrix = take(rows, Range(None, part.columns))
    except ValueError as error:
        raise InputError(f"{entry}: {error}") from None
    return matrix[pick(len(matrix))]


def read_crop(entry: str, begin: float, n_rows: int) -> np.ndarray:
    """Consecutive rows of a matrix in an archive, such as a random crop of features; other rows are not read.

    Parameters
    ----------
    entry : `path:offset`, a value of an scp file: a float, double or compressed matrix, or a vector
    begin : start of the rows as a share of the matrix, 0 to 1
    n_rows : how many; a shorter matrix is repeated

    Returns
    -------
    (n_rows, columns) float

    Raises
    ------
    InputError : what `read_entry` raises; a matrix without rows

    Examples
    --------
    >>> import tempfile
    >>> ark = Path(tempfile.mkdtemp()) / "feats.ark"
    >>> _ = ark.write_bytes(b"a " + BINARY + encode(np.arange(8, dtype="<f4").reshape(4, 2)))
    >>> read_crop(f"{ark}:2", 0.5, 2)
    array([[2., 3.],
           [4., 5.]], dtype=float32)
    """

    def pick(total: int) -> slice:
        start = min(int(begin * (total - n_rows + 1)), total - n_rows) if total > n_rows else 0
        return slice(start, start + n_rows)

    rows = read_entry(entry, pick)
    if not len(rows):
        raise InputError(f"{entry}: the matrix has no rows")
    return rows if len(rows) == n_rows else np.resize(rows, (n_rows, *rows.shape[1:]))


def encode_text(array: np.ndarray) -> bytes:
    """A vector or matrix as Kaldi's tools print it with --binary=false: seven digits.

    Examples
    --------
    >>> encode_text(np.array([1.0, 2.5])), encode_text(np.eye(2))
    (b' [ 1 2.5 ]\\n', b' [\\n  1 0 \\n  0 1 ]\\n')
    """
    if not array.size:
        return b" [ ]\n"
    rows = [("%.7g " * len(row)) % tuple(row) for row in np.atleast_2d(array).tolist()]
    return f" [{' ' if array.ndim == 1 else chr(10) + '  '}{(chr(10) + '  ').join(rows)}]\n".encode()


def write_array(path: Path | str, array: np.ndarray, text: bool = False) -> None:
    """Write a file with one vector or matrix, in binary form or as text."""
    with whole_file(path, "wb") as out:
        out.write(encode_text(array) if text else BINARY + encode(array))
