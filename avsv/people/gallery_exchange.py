"""Exporting a gallery to one file that other programs read, and importing such a file. No code comes from it.

The file is a zip archive, which numpy opens too: `np.load(FILE)["voice"]`.

gallery.json : encoders, frames per clip, and the files of calibration, adaptations and PLDA models in base64
recordings.jsonl : a line of JSON for each recording, in the order of the people; see LINE
voice.npy, face.npy : (n, d) float32 embeddings, before adaptation, of the recordings that have the modality
"""

import json
import sqlite3
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from avsv.errors import InputError, OptionError
from avsv.jobs.files import whole_file
from avsv.jobs.inputs import open_regular
from avsv.jobs.schema import check_shape, parse_json
from avsv.people.gallery_database import Database
from avsv.people.gallery_enrolment import Sample, check_name, insert_recording, new_person
from avsv.people.gallery_packed import decode_embedding, pack
from avsv.people.gallery_setup import MODALITIES, Encoder, Setup, make_setup, read_setup, write_setup
from avsv.scoring.verification import Clip

KIND, VERSION = "avsv gallery", 1
HEAD, LINES = "gallery.json", "recordings.jsonl"
LONGEST = 1 << 24  # bytes of a line
MOST_HEAD = 1 << 30  # bytes of gallery.json
LINE = {
    "person": str,
    "person_added": str,
    "path": str,
    "digest": str,
    "audio_track": (int, None),
    "consent": str,
    "added": str,
    "quality": dict,  # modality -> measure -> value, for each modality with an embedding
    "absent": dict,  # modality -> reason
}
LINE_SHAPE = {name: kind for name, kind in LINE.items() if kind is not dict}
HEAD_SHAPE = {"kind": str, "version": int, "frames_per_clip": int, "people": int, "recordings": int}


@dataclass(frozen=True)
class Imported:
    """Numbers of people and recordings that `Gallery.import_file` added, and whether it made the gallery."""

    n_people: int
    n_recordings: int
    made: bool


def export(database: Database, path: Path | str) -> int:
    """Write a gallery to one file; returns the number of recordings."""
    with database.reading() as connection, whole_file(path, "wb") as out:
        setup = read_setup(connection)
        n_people, n_recordings = (connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
                                  for table in ("people", "recordings"))  # fmt: skip
        head = {
            "kind": KIND, "version": VERSION, "people": n_people, "recordings": n_recordings,
            "frames_per_clip": setup.frames_per_clip,
            "encoders": {name: {"source": one.source, "model": one.model} for name, one in setup.encoders.items()},
            "parts": {folder: {name: b64encode(content).decode() for name, content in files.items()}
                      for folder, files in setup.parts.items()},
        }  # fmt: skip
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(HEAD, json.dumps(head, indent=2))
            with archive.open(LINES, "w", force_zip64=True) as lines:
                for record in records(connection):
                    lines.write(json.dumps(record).encode() + b"\n")
            for modality in setup.modalities:
                entry = zipfile.ZipInfo(f"{modality}.npy")
                entry.compress_type = zipfile.ZIP_STORED
                with archive.open(entry, "w", force_zip64=True) as array:
                    write_vectors(array, connection, modality)
    return n_recordings


def records(connection: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    """The lines of the recordings, in the order in which `write_vectors` takes their embeddings."""
    rows = connection.execute(
        "SELECT recordings.id, name, people.added, path, digest, audio_track, consent, recordings.added "
        "FROM recordings JOIN people ON person = people.id ORDER BY person, recordings.id"
    )
    for identifier, *values in rows:
        record = dict(zip(LINE, values, strict=False)) | {"quality": {}, "absent": {}}
        for modality, vector, quality, absent in connection.execute(
            "SELECT modality, vector, quality, absent FROM embeddings WHERE recording = ?", (identifier,)
        ):
            if absent is None:
                record["quality"][modality] = decode_embedding(vector, quality)[1]
            else:
                record["absent"][modality] = absent
        yield record


def write_vectors(out: IO[bytes], connection: sqlite3.Connection, modality: str) -> None:
    """Write the embeddings of a modality in numpy's format."""
    which = "FROM embeddings JOIN recordings ON recording = recordings.id WHERE modality = ? AND vector IS NOT NULL"
    n, size = connection.execute(f"SELECT COUNT(*), MAX(LENGTH(vector)) / 4 {which}", (modality,)).fetchone()
    header = {"descr": "<f4", "fortran_order": False, "shape": (n, size or 0)}
    np.lib.format.write_array_header_1_0(out, header)
    for (vector,) in connection.execute(f"SELECT vector {which} ORDER BY person, recordings.id", (modality,)):
        out.write(vector)


def import_file(database: Database, path: Path | str) -> Imported:
    """Add the people of an exported file, all or none; makes the gallery if it is absent.

    Raises
    ------
    InputError : not such a file, a damaged one, of other encoders, or with a name or a recording that is there already
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return read_archive(database, archive, path)
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError, RecursionError, OptionError, MemoryError) as error:
        reason = f"has no {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{path}: is not a file that avsv gallery export wrote, or is damaged: {reason}") from None
    except InputError as error:
        if str(path) in str(error) or str(database.path) in str(error):
            raise
        raise InputError(f"{path}: {error}") from None


def read_archive(database: Database, archive: zipfile.ZipFile, path: Path | str) -> Imported:
    setup, n_recordings = read_head(archive)
    if not database.exists():
        n_people = 0

        def fill(connection: sqlite3.Connection) -> None:
            nonlocal n_people
            write_setup(connection, setup)
            n_people = add_people(connection, setup, archive, n_recordings, path)

        database.create(fill)
        return Imported(n_people, n_recordings, True)
    with database.writing() as connection:
        current = read_setup(connection)
        models = [", ".join(one.model for one in which.encoders.values()) for which in (setup, current)]
        if models[0] != models[1]:
            raise InputError(f"{path}: embedded by {models[0]}, the gallery {database.path} by {models[1]}: embeddings "
                             "of different encoders cannot be compared")  # fmt: skip
        n_people = add_people(connection, current, archive, n_recordings, path)
    return Imported(n_people, n_recordings, False)


def add_people(
    connection: sqlite3.Connection, setup: Setup, archive: zipfile.ZipFile, n_recordings: int, path: Path | str
) -> int:
    """Add everybody in an exported file to the open transaction; returns the number of people."""
    ids: dict[str, int] = {}
    n = 0
    for record, sample in samples(archive, setup):
        name = check_name(record["person"])
        if name not in ids:
            if connection.execute("SELECT 1 FROM people WHERE name = ?", (name,)).fetchone():
                raise InputError(f'{path}: somebody is enrolled as "{name}" already; rename one of them (avsv gallery '
                                 "rename), or remove one")  # fmt: skip
            ids[name] = new_person(connection, name, record["person_added"])
        had = connection.execute(
            "SELECT name FROM recordings JOIN people ON person = people.id WHERE digest = ?", (sample.digest,)
        ).fetchone()
        if had and had[0] not in ids:
            raise InputError(f'{path}: {sample.path} of "{name}" is enrolled already, as "{had[0]}"')
        insert_recording(connection, setup, ids[name], sample, record["consent"], record["added"])
        n += 1
    if n != n_recordings:
        raise ValueError(f"{LINES} has {n} lines, expected {n_recordings}")
    pack(connection, setup, ids.values())
    return len(ids)


def read_head(archive: zipfile.ZipFile) -> tuple[Setup, int]:
    """The setup and the number of recordings of an exported file."""
    if archive.getinfo(HEAD).file_size > MOST_HEAD:
        raise ValueError(f"{HEAD} is too large")
    head = parse_json(archive.read(HEAD).decode())
    if not isinstance(head, dict) or head.get("kind") != KIND:
        raise ValueError(f'{HEAD}: expected "kind": "{KIND}"')
    if isinstance(head.get("version"), int) and head["version"] > VERSION:
        raise ValueError(f"{HEAD}: version {head['version']}, and this avsv reads up to {VERSION}: update avsv")
    encoders, parts = head.pop("encoders", None), head.pop("parts", None)
    check_shape(head, HEAD_SHAPE)
    check_shape(encoders, {f"{modality}?": {"source": str, "model": str} for modality in MODALITIES}, "encoders")
    if not isinstance(parts, dict) or not all(isinstance(files, dict) for files in parts.values()):
        raise ValueError("parts: expected files by folder")
    for folder, files in parts.items():
        for name, text in files.items():
            check_shape(text, str, f"parts.{folder}.{name}")
            files[name] = b64decode(text, validate=True)
    named = {name: Encoder(**one) for name, one in encoders.items()}
    return make_setup(named, parts, head["frames_per_clip"]), head["recordings"]


def samples(archive: zipfile.ZipFile, setup: Setup) -> Iterator[tuple[dict[str, Any], Sample]]:
    """The recordings of an exported file, with their lines."""
    models = {name: one.model for name, one in setup.encoders.items()}
    vectors = {modality: read_vectors(archive, modality) for modality in setup.modalities}
    with archive.open(LINES) as lines:
        while line := lines.readline(LONGEST):
            record = parse_json(line.decode())
            check_line(record, setup)
            clip = Clip({}, record["absent"], dict(models), record["quality"])
            for modality in record["quality"]:
                vector = next(vectors[modality], None)
                if vector is None:
                    raise ValueError(f"{modality}.npy has fewer rows than {LINES} names")
                clip.vectors[modality] = vector
            yield record, Sample(record["path"], record["digest"], clip, record["audio_track"])
    for modality, left in vectors.items():
        if next(left, None) is not None:
            raise ValueError(f"{modality}.npy has more rows than {LINES} names")


def check_line(record: Any, setup: Setup) -> None:
    """ValueError unless a line has the keys of LINE, and each modality either as quality or as absent."""
    if not isinstance(record, dict):
        raise ValueError(f"{LINES}: expected an object on each line")
    quality, absent = record.get("quality"), record.get("absent")
    check_shape({name: value for name, value in record.items() if LINE.get(name) is not dict}, LINE_SHAPE)
    check_shape(absent, {f"{modality}?": str for modality in setup.modalities}, "absent")
    check_shape(
        quality, {f"{modality}?": dict_of_numbers(quality, modality) for modality in setup.modalities}, "quality"
    )
    if sorted([*quality, *absent]) != sorted(setup.modalities) or not quality:
        raise ValueError(f"{LINES}: expected each modality once, in quality or absent, found {[*quality, *absent]}")


def dict_of_numbers(quality: Any, modality: str) -> dict[str, type]:
    """The shape of a modality's measures, which may have any names."""
    measures = quality.get(modality) if isinstance(quality, dict) else None
    return dict.fromkeys(measures, float) if isinstance(measures, dict) else {}


def read_vectors(archive: zipfile.ZipFile, modality: str) -> Iterator[np.ndarray]:
    """The rows of an array of a modality, (d,) float32 each."""
    name = f"{modality}.npy"
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{name}: expected version 1.0 of numpy's format, found {version}")
        shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
        if len(shape) != 2 or fortran or kind != np.dtype("<f4"):
            raise ValueError(f"{name}: expected rows of float32")
        for number in range(shape[0]):
            row = file.read(4 * shape[1])
            if len(row) != 4 * shape[1] or not row:
                raise ValueError(f"{name}: ends in row {number} of {shape[0]}")
            yield np.frombuffer(row, "<f4")
