"""Enrolment: names, the checks on new recordings, and writing them.

The limits of the checks are our choice. With `force`, only recordings that the person already has are refused.
"""

import json
import sqlite3
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

import numpy as np

from avsv.errors import InputError, OptionError
from avsv.people.gallery_packed import pack, person_clips, person_rows
from avsv.people.gallery_search import identify
from avsv.people.gallery_setup import Setup
from avsv.people.several import average_clips
from avsv.scoring.verification import Clip

LONGEST_NAME = 200  # characters
JOINERS = "\u200c\u200d"  # zero-width, part of Persian names and of scripts of India
MISMATCH = -float(np.log(20))  # log-likelihood ratio: odds of 20 to 1 that two recordings show different people
ENROLLED = 0.05  # prior probability that a new person is in the gallery already, under another name


@dataclass(frozen=True)
class Sample:
    """An embedded file.

    path : where it was read from
    digest : hash of its content
    clip : its embeddings and quality, before adaptation
    audio_track : number of the audio track that was read; None for the file's default
    """

    path: str
    digest: str
    clip: Clip = field(repr=False)
    audio_track: int | None = None


@dataclass(frozen=True)
class Enrolment:
    """What `Gallery.enroll` wrote.

    name : the person, as stored
    is_new : whether the person was not in the gallery before
    samples : the new recordings
    warnings : what to know about them, for people
    """

    name: str
    is_new: bool
    samples: list[Sample]
    warnings: list[str]


class EnrolmentRefused(InputError):
    """A check refuses to enrol recordings; nothing was written. `reasons` lists why, for people."""

    def __init__(self, reasons: Sequence[str]):
        super().__init__("; ".join(reasons))
        self.reasons = list(reasons)


def check_name(name: str) -> str:
    """A person's name in Unicode's composed form (NFC).

    Raises
    ------
    OptionError : an empty name, one of over 200 characters, with spaces at its ends, or with characters that do not
        print, such as line ends and those that change the direction of writing

    Examples
    --------
    >>> check_name('Zoe\\u0308 "Z" O\\'Neil / \\u05d3\\u05d5\\u05d3') == 'Zo\\xeb "Z" O\\'Neil / \\u05d3\\u05d5\\u05d3'
    True
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise OptionError(f"name: expected text in UTF-8, found {name!r}") from None
    name = unicodedata.normalize("NFC", name)
    if wrong := [c for c in name if not c.isprintable() and c not in JOINERS]:
        raise OptionError(f"name: expected letters, digits and signs that print, found {ascii(wrong[0])[1:-1]} in it")
    if not name or name != name.strip() or len(name) > LONGEST_NAME:
        raise OptionError(f'name: expected 1 to {LONGEST_NAME} characters without spaces at the ends, found "{name}"')
    return name


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def enroll(
    connection: sqlite3.Connection,
    setup: Setup,
    name: str,
    samples: Sequence[Sample],
    remarks: Sequence[Sequence[str]],
    doubts: Sequence[Sequence[str]],
    consent: str = "",
    force: bool = False,
) -> Enrolment:
    """Check new recordings of a person, and write them into the open transaction.

    Parameters
    ----------
    samples : one or more
    remarks : for each sample, what to warn of
    doubts : for each sample, why it should not be enrolled

    Raises
    ------
    EnrolmentRefused : a check refuses them
    InputError, OptionError : a wrong name, no samples, or embeddings that cannot be compared
    """
    name = check_name(name)
    if not samples:
        raise OptionError("expected one or more recordings")
    row = connection.execute("SELECT id FROM people WHERE name = ?", (name,)).fetchone()
    refuse_repeated(connection, name, samples)
    warnings, reasons = (
        [f"{one.path}: {text.replace(f'{one.path}: ', '')}" for one, of_one in zip(samples, texts, strict=True)
         for text in of_one] for texts in (remarks, doubts)
    )  # fmt: skip
    reasons += enrolled_elsewhere(connection, name, samples)
    own = [] if row is None else next((clips for _, clips in person_clips(connection, row[0], row[0])), [])
    against, doubtful = mismatches(setup, name, samples, own)
    reasons, warnings = reasons + against, warnings + doubtful
    reasons += same_person_elsewhere(connection, setup, name, samples)
    if reasons and not force:
        raise EnrolmentRefused(reasons)
    person = new_person(connection, name) if row is None else row[0]
    for sample in samples:
        insert_recording(connection, setup, person, sample, consent, now())
    pack(connection, setup, [person])
    return Enrolment(name, row is None, list(samples), warnings + reasons)


def refuse_repeated(connection: sqlite3.Connection, name: str, samples: Sequence[Sample]) -> None:
    """Raise InputError if the person has one of the recordings already, or one is given twice."""
    seen: dict[str, str] = {}
    for sample in samples:
        if sample.digest in seen:
            raise InputError(f"{sample.path}: has the same content as {seen[sample.digest]}; give each recording once")
        seen[sample.digest] = sample.path
        had = connection.execute(
            "SELECT path FROM recordings JOIN people ON person = people.id WHERE digest = ? AND people.name = ?",
            (sample.digest, name),
        ).fetchone()
        if had:
            raise InputError(f"{sample.path}: is already enrolled as {name} ({had[0]})")


def enrolled_elsewhere(connection: sqlite3.Connection, name: str, samples: Sequence[Sample]) -> list[str]:
    """Recordings that other people have with the same content."""
    query = "SELECT people.name FROM recordings JOIN people ON person = people.id WHERE digest = ? AND people.name != ?"
    others = [(sample, connection.execute(query, (sample.digest, name)).fetchone()) for sample in samples]
    return [f"{sample.path}: is already enrolled as {other[0]}" for sample, other in others if other]


def mismatches(
    setup: Setup, name: str, samples: Sequence[Sample], enrolled: Sequence[Clip]
) -> tuple[list[str], list[str]]:
    """Recordings that do not match the person's others: those to refuse, and those to warn of."""
    against, doubtful = [], []
    for number, sample in enumerate(samples):
        others = [*enrolled, *(other.clip for place, other in enumerate(samples) if place != number)]
        if not others:
            continue
        ratio, _ = compare(setup, others, sample.clip)
        text = (f"{sample.path}: does not match the other recordings of {name} (log-likelihood ratio {ratio:.1f}); "
                "another person?")  # fmt: skip
        if ratio < MISMATCH:
            against.append(text)
        elif ratio < 0:
            doubtful.append(text)
    return against, doubtful


def compare(setup: Setup, person: Sequence[Clip], clip: Clip) -> tuple[float, dict[str, float]]:
    """Compare a file with the recordings of a person.

    Returns
    -------
    ratio : natural-log likelihood ratio; 0 without a common modality
    scores : modality -> cosine, or PLDA's log-likelihood ratio, for the common modalities
    """
    rows, clip = person_rows(setup, person), setup.adapt(clip)
    scores = np.full((1, len(setup.columns)), np.nan)
    quality = {name: np.full((1, len(setup.measures(name))), np.nan) for name in setup.modalities}
    common = {}
    for modality, row in rows.items():
        quality[modality][0] = row.quality
        if modality in clip.vectors:
            sides = setup.sides(modality)
            probe = sides.probe(clip.vectors[modality])
            offset = np.ravel(sides.offsets(probe, np.array([row.count])))[0]
            common[modality] = float(row.vector @ probe + row.own + offset)
            scores[0, setup.columns[modality]] = common[modality]
    ratios = setup.ratios(scores, quality, {name: setup.quality(name, clip) for name in setup.modalities})
    return float(ratios[0]), common


def same_person_elsewhere(
    connection: sqlite3.Connection, setup: Setup, name: str, samples: Sequence[Sample]
) -> list[str]:
    """Another person of the gallery whom the new recordings show more probably than nobody, at the prior ENROLLED."""
    clip = average_clips([sample.clip for sample in samples])
    result = identify(connection, setup, [clip], ENROLLED, top=2)[0]
    other = next((one for one in result.candidates if one.name != name), None)
    if other is None or other.ratio <= result.threshold:
        return []
    return [f"seems to be enrolled already, as {other.name} (log-likelihood ratio {other.ratio:.1f})"]


def new_person(connection: sqlite3.Connection, name: str, added: str | None = None) -> int:
    """Insert a person under the lowest identifier that is free; returns it."""
    free = connection.execute("SELECT MIN(id) FROM free_ids").fetchone()[0]
    if free is None:
        free = connection.execute("SELECT COALESCE(MAX(id) + 1, 0) FROM people").fetchone()[0]
    else:
        connection.execute("DELETE FROM free_ids WHERE id = ?", (free,))
    connection.execute("INSERT INTO people VALUES (?, ?, ?)", (free, name, added or now()))
    return free


def insert_recording(
    connection: sqlite3.Connection, setup: Setup, person: int, sample: Sample, consent: str, added: str
) -> int:
    """Insert a recording with its embeddings; returns its identifier."""
    recording = connection.execute(
        "INSERT INTO recordings (person, path, digest, audio_track, consent, added) VALUES (?, ?, ?, ?, ?, ?)",
        (person, sample.path, sample.digest, sample.audio_track, consent, added),
    ).lastrowid
    insert_embeddings(connection, setup, recording, sample.clip)
    return recording


def insert_embeddings(
    connection: sqlite3.Connection, setup: Setup, recording: int, clip: Clip, target: str | None = None
) -> None:
    """Insert each modality of a recording, or why it is absent.

    target : to stage them, see gallery_upkeep.py; None to use them
    """
    for modality in setup.modalities:
        vector = clip.vectors.get(modality)
        if vector is not None and not np.isfinite(vector).all():
            raise InputError(f"the {modality} embedding is not finite: the network is damaged or not trained")
        blob = None if vector is None else vector.astype("<f4").tobytes()
        row = [recording, modality, blob, json.dumps(clip.quality.get(modality, {})),
               None if blob else clip.absent.get(modality, "not measured")]  # fmt: skip
        if target is None:
            connection.execute("INSERT INTO embeddings VALUES (?, ?, ?, ?, ?)", row)
        else:
            connection.execute("INSERT OR REPLACE INTO staged VALUES (?, ?, ?, ?, ?, ?)", [*row, target])
