"""File formats of face-voice lists for verification, matching and retrieval.

A folder of lists has one of two layouts. Ours, written by `avsv association lists`:

    verification/GROUP         voice face target|nontarget         (a trial list)
    matching/v2f_GROUP         voice true-face other-face ...      (f2v_GROUP: face true-voice other-voice ...)
    retrieval/voices, faces    item person

The published one (VoxCeleb1: Nagrani et al., ECCV 2018, and lists added by later papers), read without conversion:

    veriflist/veriflist_test_GROUP_SET.txt      id,voice-speaker-id,face-speaker-id,label,voice-path,face-path
    matching/matching_v2f_GROUP.csv             as ours, with paths
    retrieval/wav_20k.csv, jpg_20k.csv          a header, then person, tab, path

GROUP names the traits that wrong candidates share with the true one: U none in particular (`random` in the published
lists), G gender, N nationality, A age, GN, GNA.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import whole_file
from avsv.jobs.inputs import open_regular, without_marks
from avsv.kaldi.tables import read_lines
from avsv.kaldi.trials import Trials, read_labelled_trials, refuse_contradictions

HEAD = "id,voice-speaker-id,face-speaker-id,label,voice-path,face-path"
PUBLISHED_VOICE = 2  # path components of NAME/VIDEO_0000001.wav; later lists have three: ID/VIDEO/00001.wav


@dataclass(frozen=True)
class Matching:
    """Queries of one modality with candidates of the other; the first candidate of each query is the true one.

    query_ids, candidate_ids : unique names
    queries : (n,) int32, rows in `query_ids`
    candidates : (n, N) int32, rows in `candidate_ids`
    """

    query_ids: Sequence[str]
    candidate_ids: Sequence[str]
    queries: np.ndarray
    candidates: np.ndarray

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True)
class Protocols:
    """The lists of a folder: name -> file; `retrieval` is (voices, faces) or None."""

    verification: dict[str, Path] = field(default_factory=dict)
    matching: dict[str, Path] = field(default_factory=dict)
    retrieval: tuple[Path, Path] | None = None


def find_protocols(folder: Path | str) -> Protocols:
    """Find the lists of a folder, in either layout.

    Raises
    ------
    InputError : the folder has no lists
    """
    folder = Path(folder)
    ours, published = sorted(folder.glob("verification/[A-Za-z]*")), sorted(folder.glob("veriflist/veriflist_*.txt"))
    matching = sorted(path for path in folder.glob("matching/*") if direction(path) is not None)
    pairs = [
        [folder / "retrieval" / name for name in names]
        for names in (("voices", "faces"), ("wav_20k.csv", "jpg_20k.csv"))
    ]
    retrieval = next((tuple(pair) for pair in pairs if all(path.exists() for path in pair)), None)
    if not (ours or published or matching or retrieval):
        raise InputError(f"{folder}: expected lists in verification/, veriflist/, matching/ or retrieval/, found none; "
                        "run avsv association lists DATA_DIR OUT_DIR")  # fmt: skip
    verification = {path.stem.removeprefix("veriflist_test_"): path for path in (*ours, *published)}
    return Protocols(verification, {path.stem.removeprefix("matching_"): path for path in matching}, retrieval)


def direction(path: Path) -> str | None:
    """Direction in the name of a matching list: `v2f` (queries are voices), `f2v`, or None for another name.

    Examples
    --------
    >>> direction(Path("matching/matching_f2v_GN.csv")), direction(Path("README"))
    ('f2v', None)
    """
    return next((d for d in ("v2f", "f2v") if path.stem.removeprefix("matching_").startswith(d)), None)


def read_verification(path: Path | str) -> Trials:
    """Read a verification list, in either layout: voices (enroll) and faces (test), with names as in the file.

    Raises
    ------
    InputError : a malformed line, a pair with both labels, a label that contradicts the line's speaker columns, or an
        item with two speakers
    """
    with open_regular(path) as file:
        first = without_marks(file.readline(len(HEAD) + 9)).strip()
    if first != HEAD.encode():
        return read_labelled_trials(path)
    voices, faces = Numbered(), Numbered()
    pairs, labels = [], []
    speakers: dict[tuple[int, str], tuple[str, int]] = {}  # column and item -> speaker, and the line that gives it
    for number, line in enumerate(read_lines(path)[1:], 2):
        fields = line.strip().split(",")
        if len(fields) != 6 or fields[3] not in ("0", "1"):
            raise InputError(f'{path}, line {number}: expected "{HEAD}", label 0 or 1, found "{line.strip()}"')
        if (fields[3] == "1") != (fields[1] == fields[2]):
            raise InputError(f'{path}, line {number}: label {fields[3]} contradicts speakers "{fields[1]}" and '
                            f'"{fields[2]}": "{line.strip()}"')  # fmt: skip
        for column, speaker in ((4, fields[1]), (5, fields[2])):
            before = speakers.setdefault((column, fields[column]), (speaker, number))
            if before[0] != speaker:
                raise InputError(f'{path}, line {number}: speaker "{speaker}" of {fields[column]} contradicts '
                                f'"{before[0]}" on line {before[1]}')  # fmt: skip
        pairs.append((voices.row(fields[4]), faces.row(fields[5])))
        labels.append(fields[3] == "1")
    if not pairs:
        raise InputError(f"{path}: expected pairs after the header, found none")
    trials = Trials(voices.names, faces.names, np.array(pairs, np.int32), np.array(labels))
    refuse_contradictions(trials, path, first_line=2)
    return trials


def read_matching(path: Path | str) -> Matching:
    """Read queries and their candidates, the true one first.

    Raises
    ------
    InputError : a line with fewer than two candidates, lines of different lengths, or a candidate twice on a line
    """
    queries, candidates = Numbered(), Numbered()
    asked, offered = [], []
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split()
        others = fields[1:]
        if len(others) < 2 or len(set(others)) < len(others) or (offered and len(others) != len(offered[0])):
            size = f"{len(offered[0])}" if offered else "2 or more"
            raise InputError(f'{path}, line {number}: expected "query true-candidate other-candidate ..." with {size} '
                            f'different candidates on every line, found "{line.strip()}"')  # fmt: skip
        asked.append(queries.row(fields[0]))
        offered.append([candidates.row(name) for name in others])
    if not asked:
        raise InputError(f'{path}: expected lines "query true-candidate other-candidate ...", found an empty file')
    return Matching(queries.names, candidates.names, np.array(asked, np.int32), np.array(offered, np.int32))


def write_matching(path: Path | str, matching: Matching) -> None:
    """Write one line per query, the true candidate first."""
    with whole_file(path) as out:
        for query, row in zip(matching.queries.tolist(), matching.candidates.tolist(), strict=True):
            names = " ".join(matching.candidate_ids[c] for c in row)
            out.write(f"{matching.query_ids[query]} {names}\n")


def read_gallery(path: Path | str) -> dict[str, str]:
    """Read a retrieval gallery: item -> person.

    Raises
    ------
    InputError : a malformed line, or an item listed twice
    """
    lines = read_lines(path)
    published = bool(lines) and lines[0].startswith("VoxCeleb1 ID\t")
    items: dict[str, str] = {}
    for number, line in enumerate(lines[published:], 1 + published):
        fields = line.split()
        if len(fields) != 2:
            shape = "person<tab>item" if published else "item person"
            raise InputError(f'{path}, line {number}: expected "{shape}", found "{line.strip()}"')
        item, person = reversed(fields) if published else fields
        if item in items:
            raise InputError(f'{path}, line {number}: expected each item once, found "{item}" again')
        items[item] = person
    if not items:
        raise InputError(f"{path}: expected items, found an empty list")
    return items


def item_id(name: str, ids: Mapping[str, str]) -> str:
    """Convert a path in the published lists to an utterance identifier; other names are returned unchanged.

    Parameters
    ----------
    ids : person's name in the paths -> identifier, such as "A.R._Rahman" -> "id10002"; other people keep their names

    Examples
    --------
    >>> ids = {"A.R._Rahman": "id10002"}
    >>> item_id("A.R._Rahman/1.6/QanuGhOhb9A/0067975.jpg", ids)  # an image
    'id10002-QanuGhOhb9A-0067975'
    >>> item_id("A.R._Rahman/gaQqIoV_aLY_0000002.wav", ids), item_id("id10002/gaQqIoV_aLY/00002.wav", ids)
    ('id10002-gaQqIoV_aLY-00002', 'id10002-gaQqIoV_aLY-00002')
    >>> item_id("id00012-abc-00001", {})
    'id00012-abc-00001'
    """
    path = Path(name)
    if len(path.parts) < 2:
        return name
    person, *rest = path.with_suffix("").parts
    rest = [part for part in rest if part != "1.6"]
    if path.suffix == ".wav" and len(path.parts) == PUBLISHED_VOICE:
        video, _, clip = rest[0].rpartition("_")
        rest = [video, clip[-5:]]
    return "-".join([ids.get(person, person), *rest])


class Numbered:
    """Numbers names in order of first appearance."""

    def __init__(self):
        self.rows: dict[str, int] = {}

    def row(self, name: str) -> int:
        return self.rows.setdefault(name, len(self.rows))

    @property
    def names(self) -> list[str]:
        return list(self.rows)
