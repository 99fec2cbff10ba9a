"""Embeddings in Kaldi's archives, for import: an ark by itself, binary or text, and an scp.

WeSpeaker (`wespeaker/bin/extract.py`) and 3D-Speaker (`speakerlab/bin/extract.py`) write them with kaldiio: vectors, or
matrices of one row.
"""

from pathlib import Path

from avsv.errors import InputError
from avsv.importers.embeddings import RawEmbeddings
from avsv.jobs.inputs import read_bytes
from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.matrices import NotKaldi, decode_any

NAME = 1 << 12  # bytes a name may have


def read_ark(path: Path | str) -> RawEmbeddings:
    """Vectors, or matrices of one row, compressed ones too, from an archive without its scp."""
    data = read_bytes(path)
    names, vectors, place = [], [], 0
    while (place := skip_white(data, place)) < len(data):
        end = data.find(b" ", place, place + NAME)
        key = data[place : end if end >= 0 else place + 20]
        where = f'{path}, record {len(names) + 1} ("{key.decode(errors="replace")}")'
        try:
            if end < 0:
                raise NotKaldi("a name and a space were expected")
            array, place = decode_any(data, end + 1)
            names.append(key.decode())
        except UnicodeDecodeError:
            raise InputError(f"{where}: the name is not UTF-8 text") from None
        except NotKaldi as error:
            raise InputError(f"{where}: {error}") from None
        if array.ndim == 2 and len(array) != 1:
            raise InputError(f"{where}: expected a vector, found a matrix of {len(array)} rows")
        vectors.append(array.reshape(-1))
    return RawEmbeddings(names, vectors, "Kaldi archive", "record")


def skip_white(data: bytes, place: int) -> int:
    """The place of the first byte from `place` on that is no white space: a text record ends with a newline."""
    while data[place : place + 1] in (b" ", b"\t", b"\r", b"\n"):
        place += 1
    return place


def read_moved_scp(path: Path | str) -> RawEmbeddings:
    """Vectors that an scp file points to, which may have come from another machine; a pipe is refused."""
    try:
        found = read_embeddings(path)
    except InputError as error:
        if "is not there" not in str(error):
            raise
        raise InputError(f"{error}. If the files were moved, import the archive itself: the .ark file") from None
    return RawEmbeddings(found.ids, found.vectors, "Kaldi scp", "line")
