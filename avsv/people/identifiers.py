"""Identifiers of people and recordings, made from the names of folders and files.

An identifier depends on the name alone, never on the other files, and so stays the same when files are added. Letters,
digits and underscores (of ASCII) stay, a space becomes a dot, and a hyphen stays in the names of files. Any other name
(other letters or signs, a dot, a hyphen in a person's name, more than 60 characters) is spelt with what ASCII has, and
ends in eight characters of its hash, which keep different names apart. People have no hyphen, nor any character that
sorts before it: utterances then sort like their people, as Kaldi's tables require.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

UNKNOWN = "unknown"  # takes the person's place in identifiers of recordings of unknown people
PLAIN_PERSON = re.compile(r"[A-Za-z0-9_]+( [A-Za-z0-9_]+)*")
PLAIN_FILE = re.compile(r"[A-Za-z0-9_]+([ -][A-Za-z0-9_]+)*")
MARKED = re.compile(r".*_[0-9a-f]{8}")
LONGEST = 60  # characters of a name


def person_id(name: str) -> str:
    """Identifier of a person.

    Examples
    --------
    >>> person_id("id10270"), person_id("Ada Lovelace"), person_id("Müller"), person_id("a/b")
    ('id10270', 'Ada.Lovelace', 'Muller_a7842989', 'a_b_c14cddc0')
    """
    return plain_or_marked(name, PLAIN_PERSON, is_special=is_unknown(name))


def recording_id(person: str, parts: Sequence[str], span: tuple[float, float] | None = None) -> str:
    """Identifier of a recording.

    Parameters
    ----------
    person : identifier of the person, UNKNOWN if nobody knows
    parts : folders and name of the file, below the person's folder or the whole collection's
    span : begin and end of a segment in seconds; an end below 0 is the recording's

    Examples
    --------
    >>> recording_id("ada", ["monday", "take 1"]), recording_id("ada", ["tape"], (1.5, -1))
    ('ada-monday--take.1', 'ada-tape--00001500_end')
    """
    parts = [plain_or_marked(part, PLAIN_FILE) for part in parts]
    if span is not None:
        begin, end = (round(1000 * seconds) for seconds in span)
        parts.append(f"{begin:08d}_{f'{end:08d}' if end >= 0 else 'end'}")
    return f"{person}-{'--'.join(parts)}"


def session_id(name: str) -> str:
    """Identifier of a session: of a column of a table, or of the folders of a person.

    Examples
    --------
    >>> session_id("ada/day 1")
    'ada--day.1'
    """
    return "--".join(plain_or_marked(part, PLAIN_FILE) for part in name.split("/"))


def is_unknown(name: str) -> bool:
    """Whether a person's name says that nobody knows the person.

    Examples
    --------
    >>> is_unknown("Unknown"), is_unknown(""), is_unknown("Ada")
    (True, True, False)
    """
    return name.strip().lower() in ("", UNKNOWN)


def plain_or_marked(name: str, plain: re.Pattern, is_special: bool = False) -> str:
    """The name as it is, spaces as dots, if it is plain; otherwise what ASCII has of it, and its hash."""
    name = unicodedata.normalize("NFC", name)
    if plain.fullmatch(name) and not MARKED.fullmatch(name) and len(name) <= LONGEST and not is_special:
        return name.replace(" ", ".")
    letters = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    spelt = re.sub("[^A-Za-z0-9_]+", "_", letters).strip("_")[: LONGEST - 20] or "x"
    return f"{spelt}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
