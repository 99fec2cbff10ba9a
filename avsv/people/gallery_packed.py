"""A gallery's people in the form that a search reads: blocks of 256 rows, one for each modality.

Person i is row i % 256 of block i // 256. A row holds the enrolment side of the person's recordings (see
gallery_sides.py) in float32, their number, and the quality that the calibration uses. Blocks are made from the
embeddings in the same transaction that changes these, so they are never out of date.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from avsv.errors import InputError
from avsv.people.gallery_database import DamagedGallery
from avsv.people.gallery_setup import MODALITIES, Setup
from avsv.people.several import average_clips, template_weights
from avsv.scoring.verification import Clip

ROWS = 256  # people in a block; smaller ones would cost time in Python, larger ones the writing of more than changes
REPACK = "avsv gallery rebuild packs them again"
CHUNK = 16  # blocks that are calibrated at a time


def info_type(setup: Setup, modality: str) -> np.dtype:
    """Type of what a block has for each person beside the vector: number of recordings, `Enrolled.own`, quality."""
    n_measures = len(setup.measures(modality))
    return np.dtype([("count", "<i8"), ("own", "<f8"), ("quality", "<f8", (n_measures,))])


def person_clips(connection: sqlite3.Connection, first: int, last: int) -> Iterator[tuple[int, list[Clip]]]:
    """The people with identifiers from `first` to `last`, with the embeddings of their recordings as stored."""
    models = dict(connection.execute("SELECT modality, model FROM encoders"))
    rows = connection.execute(
        "SELECT person, recordings.id, modality, vector, quality, embeddings.absent FROM recordings "
        "JOIN embeddings ON recording = recordings.id WHERE person BETWEEN ? AND ? ORDER BY person, recordings.id",
        (first, last),
    )
    for person, of_person in groupby(rows, key=lambda row: row[0]):
        clips = []
        for _, of_recording in groupby(of_person, key=lambda row: row[1]):
            clip = Clip(models=dict(models))
            for _, _, modality, vector, quality, absent in of_recording:
                if vector is None:
                    clip.absent[modality] = absent
                else:
                    clip.vectors[modality], clip.quality[modality] = decode_embedding(vector, quality)
            clips.append(clip)
        yield person, clips


def decode_embedding(vector: bytes, quality: str) -> tuple[np.ndarray, dict[str, float]]:
    """An embedding, (d,) float32, and its quality measures; InputError if they are damaged.

    Examples
    --------
    >>> decode_embedding(np.float32([1, 2]).tobytes(), '{"utt2snr": 12.5}')
    (array([1., 2.], dtype=float32), {'utt2snr': 12.5})
    """
    try:
        return np.frombuffer(vector, "<f4"), {name: float(value) for name, value in json.loads(quality).items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedGallery(f"an embedding or its quality cannot be read ({error})") from None


@dataclass(frozen=True)
class PersonRow:
    """One modality of a person: vector (d,), `Enrolled.own`, number of recordings with it, quality (k,)."""

    vector: np.ndarray
    own: float
    count: int
    quality: np.ndarray


def person_rows(setup: Setup, clips: Iterable[Clip]) -> dict[str, PersonRow]:
    """Each modality of a person; those that no recording has are left out.

    Raises
    ------
    InputError : an embedding cannot be compared, or lacks a quality measure of the calibration
    """
    adapted = [setup.adapt(clip) for clip in clips]
    rows, average = {}, average_clips(adapted)
    for modality in average.vectors:
        vectors = np.stack([clip.vectors[modality] for clip in adapted if modality in clip.vectors])
        enrolled = setup.sides(modality).enrol(vectors, template_weights(adapted, modality))
        quality = setup.quality(modality, average)
        rows[modality] = PersonRow(enrolled.vector, enrolled.own, len(vectors), quality)
    return rows


def pack(connection: sqlite3.Connection, setup: Setup, people: Iterable[int]) -> None:
    """Make the rows of these people again from their embeddings; a person who is gone gets an empty row."""
    for block, of_block in groupby(sorted(people), key=lambda person: person // ROWS):
        changed = list(of_block)
        arrays = {modality: read_block(connection, setup, block, modality) for modality in setup.modalities}
        for pair in arrays.values():
            if pair is not None:
                for part in pair:
                    part[[person % ROWS for person in changed]] = 0
        wanted = set(changed)
        for person, clips in person_clips(connection, changed[0], changed[-1]):
            if person in wanted:
                for modality, row in person_rows(setup, clips).items():
                    if arrays[modality] is None:
                        arrays[modality] = (np.zeros(ROWS, info_type(setup, modality)),
                                            np.zeros((ROWS, len(row.vector)), np.float32))  # fmt: skip
                    put(arrays[modality], person % ROWS, row)
        for modality, pair in arrays.items():
            write_block(connection, block, modality, pair)


def put(block: tuple[np.ndarray, np.ndarray], place: int, row: PersonRow) -> None:
    info, vectors = block
    if len(row.vector) != vectors.shape[1]:
        raise InputError(f"expected embeddings of {vectors.shape[1]} values, as in the gallery, found "
                         f"{len(row.vector)}")  # fmt: skip
    vectors[place] = row.vector
    info[place] = (row.count, row.own, row.quality)


def read_block(
    connection: sqlite3.Connection, setup: Setup, block: int, modality: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """A block of one modality, to be changed; None if nobody in it has the modality."""
    found = connection.execute("SELECT info, vectors FROM packed WHERE id = ?", (packed_id(block, modality),))
    row = found.fetchone()
    return None if row is None else tuple(part.copy() for part in decode(setup, modality, *row))


def write_block(
    connection: sqlite3.Connection, block: int, modality: str, pair: tuple[np.ndarray, np.ndarray] | None
) -> None:
    """Write a block, or delete it if it is empty."""
    if pair is None or not pair[0]["count"].any():
        connection.execute("DELETE FROM packed WHERE id = ?", (packed_id(block, modality),))
    else:
        blobs = [part.tobytes() for part in pair]
        connection.execute("INSERT OR REPLACE INTO packed VALUES (?, ?, ?)", (packed_id(block, modality), *blobs))


def packed_id(block: int, modality: str) -> int:
    return block * len(MODALITIES) + MODALITIES.index(modality)


def decode(setup: Setup, modality: str, info: bytes, vectors: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Arrays of a block's blobs: (256,) of `info_type`, and (256, d) float32; InputError if they have other sizes."""
    kind = info_type(setup, modality)
    if len(info) != ROWS * kind.itemsize or not vectors or len(vectors) % (ROWS * 4):
        raise DamagedGallery("a block of packed embeddings has the wrong size", REPACK)
    return np.frombuffer(info, kind), np.frombuffer(vectors, "<f4").reshape(ROWS, -1)


@dataclass
class Chunk:
    """The scores of some people to one or several files.

    first : identifier of the first person
    present : (n,) bool, whether there is such a person
    scores : (files, n, modalities) float64, NaN where a person or the file lacks the modality
    quality : modality -> (n, k) float64
    """

    first: int
    present: np.ndarray
    scores: np.ndarray
    quality: dict[str, np.ndarray]


def scored(
    connection: sqlite3.Connection, setup: Setup, probes: Mapping[str, Mapping[int, np.ndarray]], n_files: int
) -> Iterator[Chunk]:
    """Score files against everybody, chunk by chunk, in constant memory.

    Parameters
    ----------
    probes : modality -> number of the file -> its side of the comparison, (d,) float64
    n_files : number of files
    """
    n = ROWS * CHUNK
    sides = {modality: setup.sides(modality) for modality in setup.modalities}
    queries = {modality: np.stack([*of_files.values()], axis=1).astype(np.float32)
               for modality, of_files in probes.items() if of_files}  # fmt: skip
    blocks = connection.execute("SELECT id, info, vectors FROM packed ORDER BY id")
    for number, rows in groupby(blocks, key=lambda row: row[0] // len(MODALITIES) // CHUNK):
        quality = {modality: np.full((n, len(setup.measures(modality))), np.nan) for modality in setup.modalities}
        chunk = Chunk(number * n, np.zeros(n, bool), np.full((n_files, n, len(setup.columns)), np.nan), quality)
        for identifier, info_blob, vectors_blob in rows:
            block, modality = identifier // len(MODALITIES), MODALITIES[identifier % len(MODALITIES)]
            info, vectors = decode(setup, modality, info_blob, vectors_blob)
            begin = block % CHUNK * ROWS
            part, here = slice(begin, begin + ROWS), info["count"] > 0
            chunk.present[part] |= here
            quality[modality][part] = info["quality"]
            if modality not in queries:
                continue
            if vectors.shape[1] != len(queries[modality]):
                raise InputError(f"the file's {modality} embedding has another size than those of the gallery")
            products = vectors @ queries[modality]
            for column, (file, probe) in enumerate(probes[modality].items()):
                scores = products[:, column] + info["own"] + sides[modality].offsets(probe, info["count"])
                chunk.scores[file, part, setup.columns[modality]] = np.where(here, scores, np.nan)
        yield chunk
