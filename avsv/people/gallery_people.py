"""The people of a gallery and their recordings, as they are listed and shown."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from avsv.people.gallery_packed import decode_embedding


@dataclass(frozen=True)
class Recording:
    """A recording of an enrolled person.

    path : where it was read from
    digest : hash of its content then
    added : time of enrolment, UTC
    consent : note on the person's consent
    modalities : those that it has an embedding of
    absent : modality -> reason why it has none
    quality : modality -> quality measures
    audio_track : number of the audio track that was read; None for the file's default
    """

    path: str
    digest: str
    added: str
    consent: str
    modalities: tuple[str, ...]
    absent: dict[str, str]
    quality: dict[str, dict[str, float]]
    audio_track: int | None


@dataclass(frozen=True)
class Person:
    """An enrolled person: name, time of the first enrolment (UTC), and number of recordings with each modality."""

    name: str
    added: str
    n_recordings: int
    n_with: dict[str, int]


@dataclass(frozen=True)
class Removal:
    """What `Gallery.remove` removed: the person's recordings, and the number of embeddings of each modality.

    emptied : whether the log beside the file is empty; False if a reader still uses it, and the next writer empties it
    """

    name: str
    recordings: list[Recording]
    n_embeddings: dict[str, int]
    emptied: bool


def list_people(connection: sqlite3.Connection, modalities: Sequence[str]) -> list[Person]:
    """Everybody enrolled, by name."""
    counts = "".join(f", SUM(modality = '{modality}' AND vector IS NOT NULL)" for modality in modalities)
    rows = connection.execute(
        f"SELECT name, people.added, COUNT(DISTINCT recordings.id){counts} FROM people "
        "LEFT JOIN recordings ON person = people.id LEFT JOIN embeddings ON recording = recordings.id "
        "GROUP BY people.id ORDER BY name"
    )
    return [Person(name, added, n, dict(zip(modalities, (count or 0 for count in n_with), strict=True)))
            for name, added, n, *n_with in rows]  # fmt: skip


def recordings_of(connection: sqlite3.Connection, person: int) -> list[Recording]:
    """The recordings of a person, oldest first."""
    found = []
    rows = connection.execute(
        "SELECT id, path, digest, added, consent, audio_track FROM recordings WHERE person = ? ORDER BY id", (person,)
    )
    for identifier, path, digest, added, consent, track in rows:
        absent, quality = {}, {}
        for modality, vector, measures, reason in connection.execute(
            "SELECT modality, vector, quality, absent FROM embeddings WHERE recording = ?", (identifier,)
        ):
            if reason is None:
                quality[modality] = decode_embedding(vector, measures)[1]
            else:
                absent[modality] = reason
        found.append(Recording(path, digest, added, consent, tuple(quality), absent, quality, track))
    return found
