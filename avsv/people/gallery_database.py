"""The SQLite file of a gallery: its tables, versions, transactions, and errors that a user understands.

Tables hold the people, their recordings and embeddings; `packed` holds the same embeddings in the form that a search
reads (see gallery_search.py) and changes in the same transaction. SQLite's write-ahead log allows many readers beside
one writer, and a process killed at any moment leaves the last complete transaction. Deleted content is overwritten with
zeros (secure_delete), and the log is emptied after a removal.
"""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from avsv.errors import InputError
from avsv.jobs.fingerprints import state_of
from avsv.jobs.inputs import regular_file

APPLICATION = 0x61767376  # "avsv", in SQLite's header
VERSION = 1
# For each version before the current one, the statements that lead to the next version.
UPGRADES: dict[int, str] = {}
PAGE = 65536  # bytes; blobs of 200 KB and more are read twice as fast as with SQLite's 4096
PATIENCE = 30.0  # seconds that a writer waits for another one
BRIEF = 5.0  # seconds that the emptying of the log waits for readers
SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE encoders (modality TEXT PRIMARY KEY, source TEXT NOT NULL, model TEXT NOT NULL);
CREATE TABLE parts (folder TEXT, name TEXT, content BLOB NOT NULL, PRIMARY KEY (folder, name));
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, added TEXT NOT NULL);
CREATE TABLE free_ids (id INTEGER PRIMARY KEY);
CREATE TABLE recordings (
    id INTEGER PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES people ON DELETE CASCADE,
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    audio_track INTEGER,
    consent TEXT NOT NULL,
    added TEXT NOT NULL
);
CREATE INDEX recordings_of_person ON recordings (person);
CREATE INDEX recordings_by_digest ON recordings (digest);
CREATE TABLE embeddings (
    recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
    modality TEXT NOT NULL REFERENCES encoders,
    vector BLOB,
    quality TEXT NOT NULL,
    absent TEXT,
    PRIMARY KEY (recording, modality)
);
CREATE TABLE staged (
    recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
    modality TEXT NOT NULL,
    vector BLOB,
    quality TEXT NOT NULL,
    absent TEXT,
    target TEXT NOT NULL,
    PRIMARY KEY (recording, modality)
);
CREATE TABLE packed (id INTEGER PRIMARY KEY, info BLOB NOT NULL, vectors BLOB NOT NULL);
"""


class DamagedGallery(InputError):
    """The content of a gallery contradicts itself; `explained` adds the file's name."""

    def __init__(self, what: str, advice: str = "import what avsv gallery export wrote, or restore a copy"):
        super().__init__(f"is damaged: {what}; {advice}")


class Database:
    """A gallery's file. Every block of `reading` or `writing` has its own connection, so threads may share an object.

    Parameters
    ----------
    path : the file
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent state of the gallery, whatever others write meanwhile.

        On a disk that is read-only or full, the file is read without locks, and checked to be unchanged at the end.

        Raises
        ------
        InputError : no gallery, a damaged one, or one of another version
        """
        with explained(self.path):
            connection, state = self.connect(), None
            try:
                try:
                    self.check(connection)
                except sqlite3.OperationalError as error:
                    if not cannot_lock(error):
                        raise
                    connection.close()
                    connection, state = self.connect_without_locks()
                    self.check(connection)
                connection.execute("BEGIN")
                yield connection
                if state is not None and state != state_of(self.path):
                    raise InputError(f"{self.path}: was changed while it was read; run this again")
            finally:
                connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: everything in the block is written, or nothing.

        Raises
        ------
        InputError : as in `reading`; the file cannot be written, or another process is writing it for 30 s
        OSError : the disk is full
        """
        with explained(self.path):
            connection = self.connect()
            try:
                self.check(connection)
                begin_writing(connection)
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()  # rolls back what was not committed

    def create(self, fill: Callable[[sqlite3.Connection], None]) -> None:
        """Create the tables in an absent or empty file, and fill them.

        A process killed meanwhile leaves an empty file or a complete gallery.

        Parameters
        ----------
        fill : writes into the tables

        Raises
        ------
        InputError : the file has content, or its folder cannot be written
        """
        regular_file(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with explained(self.path):
            connection = sqlite3.connect(self.uri("rwc"), timeout=PATIENCE, isolation_level=None, uri=True)
            try:
                connection.execute(f"PRAGMA page_size = {PAGE}")
                connection.execute("BEGIN EXCLUSIVE")
                if connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                    raise InputError(f"{self.path}: exists already; leave out the models to enrol into it, or give "
                                     "another path")  # fmt: skip
                for statement in SCHEMA.split(";"):
                    connection.execute(statement)
                fill(connection)
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
                connection.execute("COMMIT")
            finally:
                connection.close()

    def exists(self) -> bool:
        """Whether the file has content: its creation is over."""
        state = state_of(regular_file(self.path))
        return state is not None and state[0] > 0

    def uri(self, mode: str) -> str:
        return f"file:{quote(str(self.path.absolute()))}?{'immutable=1' if mode == 'immutable' else f'mode={mode}'}"

    def connect(self, patience: float | None = None) -> sqlite3.Connection:
        """Open the existing file; waits `patience` seconds for other processes, PATIENCE if it is None."""
        if not self.exists():
            raise InputError(f"{self.path}: no such gallery; avsv enroll makes one")
        patience = PATIENCE if patience is None else patience
        return sqlite3.connect(self.uri("rw"), timeout=patience, isolation_level=None, uri=True)

    def connect_without_locks(self) -> tuple[sqlite3.Connection, tuple[int, int] | None]:
        """Open a file in a folder that cannot be written, with its size and time; InputError if its log is needed."""
        log = state_of(f"{self.path}-wal")
        if log and log[0]:
            raise InputError(f"{self.path}: its latest changes are in {self.path}-wal, and this folder cannot be "
                             "written, which reading them needs; copy both files to another folder")  # fmt: skip
        state = state_of(self.path)
        return sqlite3.connect(self.uri("immutable"), isolation_level=None, uri=True), state

    def check(self, connection: sqlite3.Connection) -> None:
        """Raise InputError unless the file is a gallery of this version, or can be upgraded to it."""
        connection.execute("PRAGMA trusted_schema = OFF")  # the file may be somebody else's
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION:
            raise InputError(f"{self.path}: is not a gallery; avsv enroll makes one at a path that does not exist yet")
        if version > VERSION:
            raise InputError(f"{self.path}: a gallery of format {version}, and this avsv knows formats up to "
                             f"{VERSION}: update avsv")  # fmt: skip
        while version < VERSION:
            version = self.upgrade(connection, version)

    def upgrade(self, connection: sqlite3.Connection, version: int) -> int:
        """Bring a gallery from `version` to the next one; returns the version afterwards."""
        if version not in UPGRADES:
            raise InputError(f"{self.path}: a gallery of format {version}, which this avsv cannot upgrade to format "
                             f"{VERSION}")  # fmt: skip
        begin_writing(connection)
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found == version:  # no other process has just done it
            for statement in UPGRADES[version].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("COMMIT")
        return max(found, version + 1)

    def empty_log(self) -> bool:
        """Move the log's content to the file and empty the log; False if a reader still needs it."""
        with explained(self.path):
            connection = self.connect(BRIEF)
            try:
                return connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
            finally:
                connection.close()


def begin_writing(connection: sqlite3.Connection) -> None:
    """Begin a transaction that is on disk when it is committed, and whose deletions overwrite what they delete."""
    for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute("BEGIN IMMEDIATE")


def cannot_lock(error: sqlite3.OperationalError) -> bool:
    """Whether SQLite could not make the files beside the gallery that its locks need: a read-only or full disk."""
    return any(text in str(error) for text in ("unable to open database file", "readonly", "disk I/O", "disk is full"))


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has no room for a page."""
    return folder.exists() and shutil.disk_usage(folder).free < PAGE


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise errors of SQLite and of damaged content as errors that name the file and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise as_avsv_error(path, error) from None
    except DamagedGallery as error:
        raise InputError(f"{path}: {error}") from None


def as_avsv_error(path: Path, error: sqlite3.Error) -> Exception:
    """An InputError, or an OSError for a full disk, in place of SQLite's error.

    Examples
    --------
    >>> as_avsv_error(Path("g"), sqlite3.OperationalError("database is locked"))
    InputError('g: another process has been writing it for 30 s; run this again when it is done')
    """
    text = str(error)
    if "disk is full" in text or ("disk I/O" in text and is_full(path.absolute().parent)):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    if "locked" in text or "busy" in text:
        reason = f"another process has been writing it for {PATIENCE:.0f} s; run this again when it is done"
    elif "readonly" in text or "unable to open" in text:
        reason = "cannot be written (a read-only disk, or no permission for the file or its folder); reading it works"
    elif "not a database" in text:
        reason = "is not a gallery, or its beginning is damaged"
    elif "malformed" in text or "no such table" in text or "no such column" in text:
        reason = f"is damaged ({text}); restore it from a copy, or import what avsv gallery export wrote"
    elif "disk I/O" in text:
        reason = f"the disk failed, or a limit on file sizes was reached ({text}); what was there before is kept"
    else:
        reason = text
    return InputError(f"{path}: {reason}")
