"""Importing embeddings from Kaldi archives: an ark without its scp, binary or text, and an scp.

WeSpeaker (`wespeaker/bin/extract.py`) and 3D-Speaker (`speakerlab/bin/extract.py`) write vectors or one-row matrices
with kaldiio.
"""

from pathlib import Path

from avsv.errors import InputError
from avsv.importers.embeddings import RawEmbeddings
from avsv.jobs.inputs import read_bytes
from avsv.kaldi.embeddings import MissingArchive, read_embeddings
from avsv.kaldi.matrices import NotKaldi, decode_any

NAME = 1 << 12  # longest name, bytes


def read_ark(path: Path | str) -> RawEmbeddings:
    """Read vectors or one-row matrices, compressed ones included, from an archive without its scp."""
    data = read_bytes(path)
    names, vectors, place = [], [], 0
    while (place := skip_white(data, place)) < len(data):
        end = data.find(b" ", place, place + NAME)
        key = data[place : end if end >= 0 else place + 20]
        where = f'{path}, record {len(names) + 1} ("{key.decode(errors="replace")}")'
        try:
            if end < 0:
                raise NotKaldi("expected a name and a space")
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
    """Skip white space from `place` on, such as the newline after a text record; returns the new place."""
    while data[place : place + 1] in (b" ", b"\t", b"\r", b"\n"):
        place += 1
    return place


def read_moved_scp(path: Path | str) -> RawEmbeddings:
    """Read the vectors that an scp file points to, which may come from another machine; pipes are refused."""
    try:
        embeddings = read_embeddings(path)
    except MissingArchive as error:
        raise InputError(f"{error}. If the files were moved, import the .ark file itself") from None
    return RawEmbeddings(embeddings.ids, embeddings.vectors, "Kaldi scp", "line")
