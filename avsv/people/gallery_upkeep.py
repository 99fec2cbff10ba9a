"""Checking a gallery against its encoders and media, and embedding everybody again by others."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.jobs.fingerprints import digest, file_digest
from avsv.people.gallery_database import Database
from avsv.people.gallery_encoders import embed_file, load_encoders
from avsv.people.gallery_enrolment import insert_embeddings
from avsv.people.gallery_packed import ROWS, decode, pack, packed_id, person_clips, person_rows
from avsv.people.gallery_setup import MODALITIES, Setup, read_setup, write_setup
from avsv.scoring.verification import Clip

GONE, CHANGED, SAME = "gone", "changed", "there"  # states of a recording's file
POLICIES = ("error", "drop")
ROUNDING = 1e-5  # of packed vectors of length 1, made on another machine


@dataclass(frozen=True)
class Checked:
    """What `Gallery.check` found.

    damage : what is wrong with the file itself; empty if it is sound
    encoders : modality -> why its embeddings must be made again, or None if its encoder is the same
    media : (person, path, state) of each recording whose file is "gone" or "changed": it cannot be embedded again
    n_people, n_recordings : how many there are
    """

    damage: list[str]
    encoders: dict[str, str | None]
    media: list[tuple[str, str, str]]
    n_people: int
    n_recordings: int

    @property
    def is_current(self) -> bool:
        """Whether nothing has to be done; recordings that are gone matter only when encoders change."""
        return not self.damage and not any(self.encoders.values())


@dataclass(frozen=True)
class Rebuilt:
    """What `Gallery.rebuild` did.

    n_embedded : recordings embedded again
    n_resumed : of these, the ones that an interrupted call had done
    dropped : (person, path, reason) of each recording that was left out
    removed : people without any recording left
    """

    n_embedded: int
    n_resumed: int
    dropped: list[tuple[str, str, str]]
    removed: list[str]


def check(database: Database, device: str = "cpu", trust: bool = False) -> Checked:
    """Compare a gallery with its encoders, its media and itself; parameters as in `Gallery`."""
    with database.reading() as connection:
        damage = [row[0] for row in connection.execute("PRAGMA integrity_check(10)") if row[0] != "ok"]
        damage += [f"table {row[0]}: refers to rows of {row[2]} that are absent"
                   for row in connection.execute("PRAGMA foreign_key_check")]  # fmt: skip
        setup = read_setup(connection)
        damage += wrong_blocks(connection, setup)
        rows = connection.execute(
            "SELECT name, path, digest FROM recordings JOIN people ON person = people.id ORDER BY name, recordings.id"
        ).fetchall()
        n_people = connection.execute("SELECT COUNT(*) FROM people").fetchone()[0]
    states = ((name, path, media_state(path, known)) for name, path, known in rows)
    media = [row for row in states if row[2] != SAME]
    return Checked(damage, changed_encoders(setup, device, trust), media, n_people, len(rows))


def media_state(path: str, known: str) -> str:
    """Whether a recording's file is gone, changed or the same."""
    try:
        return SAME if file_digest(path) == known else CHANGED
    except (OSError, InputError):
        return GONE


def changed_encoders(setup: Setup, device: str, trust: bool) -> dict[str, str | None]:
    """Modality -> why its embeddings must be made again, None if the encoder is the same."""
    reasons: dict[str, str | None] = {}
    for modality, encoder in setup.encoders.items():
        try:
            model = load_encoders({modality: encoder.source}, device, trust)[modality].model
        except InputError as error:
            reasons[modality] = f"cannot be loaded: {error}"
        else:
            changed = f"{encoder.source} is now {model}, the gallery was embedded by {encoder.model}"
            reasons[modality] = None if model == encoder.model else changed
    return reasons


def wrong_blocks(connection: sqlite3.Connection, setup: Setup) -> list[str]:
    """What the packed embeddings have wrong, compared with those that they are made from."""
    highest = connection.execute("SELECT COALESCE(MAX(id), -1) FROM people").fetchone()[0]
    last_packed = connection.execute("SELECT COALESCE(MAX(id), -1) FROM packed").fetchone()[0] // len(MODALITIES)
    wrong = []
    for block in range(max(highest // ROWS, last_packed) + 1):
        expected: dict[str, dict[int, Any]] = {modality: {} for modality in setup.modalities}
        try:
            for person, clips in person_clips(connection, block * ROWS, (block + 1) * ROWS - 1):
                for modality, row in person_rows(setup, clips).items():
                    expected[modality][person % ROWS] = row
            if not all(same_block(connection, setup, block, modality, expected[modality]) for modality in expected):
                raise InputError("the packed embeddings differ from the embeddings")
        except (InputError, ValueError) as error:
            wrong.append(f"people {block * ROWS} to {(block + 1) * ROWS - 1}: {error}")
    return wrong


def same_block(
    connection: sqlite3.Connection, setup: Setup, block: int, modality: str, expected: dict[int, Any]
) -> bool:
    """Whether a packed block has the expected rows, by place, and no other."""
    row = connection.execute("SELECT info, vectors FROM packed WHERE id = ?", (packed_id(block, modality),)).fetchone()
    if row is None:
        return not expected
    info, vectors = decode(setup, modality, *row)
    if {*np.flatnonzero(info["count"]).tolist()} != expected.keys():
        return False
    return all(
        info[place]["count"] == one.count
        and vectors.shape[1] == len(one.vector)
        and np.allclose(vectors[place], one.vector, ROUNDING, ROUNDING)
        and np.allclose([info[place]["own"], *info[place]["quality"]], [one.own, *one.quality], ROUNDING, ROUNDING)
        for place, one in expected.items()
    )


def rebuild(database: Database, setup: Setup, encoders: dict[str, Any], missing: str = "error") -> Rebuilt:
    """Replace a gallery's setup, and embed its recordings again if encoders or frames per clip differ.

    Embeddings are made beside the present ones, which serve until all are there; a call after an interrupted one goes
    on where that ended.

    Parameters
    ----------
    setup : the new one
    encoders : modality -> its loaded encoder
    missing : what to do with recordings that cannot be embedded again: "error", or "drop"

    Raises
    ------
    InputError : recordings cannot be embedded again and `missing` is "error"; the setup was replaced meanwhile
    OptionError : another policy
    """
    refuse_unknown("missing", missing, POLICIES)
    with database.reading() as connection:
        before = read_setup(connection)
    setup = replace(setup, revision=digest([before.revision, setup.revision]))
    target = target_of(setup)
    if target == target_of(before):
        with database.writing() as connection:
            refuse_replaced(database.path, connection, before)
            write_setup(connection, setup)
            pack_all(connection, setup)
        return Rebuilt(0, 0, [], [])
    lost: dict[int, tuple[str, str, str]] = {}
    embedded, resumed = 0, None
    while True:
        rows = unstaged(database, target)
        resumed = staged(database, target) if resumed is None else resumed
        waiting = [row for row in rows if row[0] not in lost]
        lost |= {row[0]: (row[1], row[2], "its file is " + state) for row in waiting
                 if (state := media_state(row[2], row[3])) != SAME}  # fmt: skip
        refuse_lost(database.path, missing, lost)
        for identifier, name, path, _, track in (row for row in waiting if row[0] not in lost):
            try:
                clip = embed_file(path, encoders, setup.frames_per_clip, track)
            except InputError as error:
                lost[identifier] = (name, path, str(error))
                refuse_lost(database.path, missing, lost)
                continue
            stage(database, setup, target, identifier, clip)
            embedded += 1
        with database.writing() as connection:
            refuse_replaced(database.path, connection, before)
            if any(row[0] not in lost for row in unstaged_rows(connection, target)):
                continue  # enrolled meanwhile
            removed = switch(connection, setup, target, lost)
        database.empty_log()
        return Rebuilt(embedded + resumed, resumed, [*lost.values()], removed)


def target_of(setup: Setup) -> str:
    """Hash of what embeddings depend on."""
    return digest([{name: one.model for name, one in setup.encoders.items()}, setup.frames_per_clip])


def refuse_replaced(path: Path, connection: sqlite3.Connection, before: Setup) -> None:
    """Raise InputError if another process has replaced the setup."""
    if read_setup(connection, before) is not before:
        raise InputError(f"{path}: another process has replaced its models meanwhile; run this again")


def refuse_lost(path: Path, missing: str, lost: dict[int, tuple[str, str, str]]) -> None:
    """Raise InputError if recordings cannot be embedded again, unless they may be dropped."""
    if missing == "drop" or not lost:
        return
    shown = "; ".join(f"{name}, {file}: {reason}" for name, file, reason in [*lost.values()][:5])
    raise InputError(f"{path}: {len(lost)} recordings cannot be embedded again ({shown}). Bring their files back, or "
                     "set `missing` to drop to leave them out; nothing was changed")  # fmt: skip


def unstaged_rows(connection: sqlite3.Connection, target: str) -> list[tuple[int, str, str, str, int | None]]:
    """Recordings that are not embedded again yet: identifier, person, path, hash, audio track."""
    return connection.execute(
        "SELECT recordings.id, name, path, digest, audio_track FROM recordings JOIN people ON person = people.id "
        "WHERE NOT EXISTS (SELECT 1 FROM staged WHERE recording = recordings.id AND target = ?) "
        "ORDER BY recordings.id", (target,),
    ).fetchall()  # fmt: skip


def unstaged(database: Database, target: str) -> list[tuple[int, str, str, str, int | None]]:
    with database.reading() as connection:
        return unstaged_rows(connection, target)


def staged(database: Database, target: str) -> int:
    """Number of recordings that an earlier, interrupted call embedded again."""
    with database.reading() as connection:
        query = "SELECT COUNT(DISTINCT recording) FROM staged WHERE target = ?"
        return connection.execute(query, (target,)).fetchone()[0]


def stage(database: Database, setup: Setup, target: str, recording: int, clip: Clip) -> None:
    """Keep a recording's new embeddings, unless it was removed meanwhile."""
    with database.writing() as connection:
        if connection.execute("SELECT 1 FROM recordings WHERE id = ?", (recording,)).fetchone():
            insert_embeddings(connection, setup, recording, clip, target)


def switch(connection: sqlite3.Connection, setup: Setup, target: str, lost: Sequence[int]) -> list[str]:
    """Put the staged embeddings and the new setup in place of the present ones; returns the people who are removed."""
    connection.executemany("DELETE FROM recordings WHERE id = ?", [(identifier,) for identifier in lost])
    empty = "FROM people WHERE NOT EXISTS (SELECT 1 FROM recordings WHERE person = people.id)"
    removed = [name for (name,) in connection.execute(f"SELECT name {empty} ORDER BY name")]
    connection.execute(f"INSERT INTO free_ids SELECT id {empty}")
    connection.execute(f"DELETE {empty}")
    connection.execute("DELETE FROM embeddings")
    connection.execute("DELETE FROM encoders")
    write_setup(connection, setup)
    connection.execute(
        "INSERT INTO embeddings SELECT recording, modality, vector, quality, absent FROM staged WHERE target = ?",
        (target,),
    )
    connection.execute("DELETE FROM staged")
    pack_all(connection, setup)
    return removed


def pack_all(connection: sqlite3.Connection, setup: Setup) -> None:
    """Make all packed blocks again."""
    connection.execute("DELETE FROM packed")
    pack(connection, setup, ids_of(connection))


def ids_of(connection: sqlite3.Connection) -> Iterator[int]:
    return (identifier for (identifier,) in connection.execute("SELECT id FROM people").fetchall())
