"""Enrolment maps: the recordings of each enrolled person or model, in the forms that corpora publish.

Kaldi, CN-Celeb   model recording recording ...   (spk2utt, enroll.map)
NIST              a table with a header line, separated by tabs, commas or spaces: modelid and segmentid (or
                  imageid), one recording a line, and others, in any order
VoxBlink2         recording label, where the labels are the numbers from 0 on (a gallery of its open-set task)
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from avsv.errors import InputError
from avsv.kaldi.tables import read_lines, read_table
from avsv.kaldi.trials import utterance_id

SHAPE = "model recording recording ..."
RECORDINGS = ("segmentid", "imageid")  # columns of a NIST table


def read_enrolment_map(path: Path | str, only: Iterable[str] | None = None) -> dict[str, list[str]]:
    """Model -> its recordings, in the file's order; names stay as written.

    Parameters
    ----------
    only : return and check these models, in this order, with [] for one that is not in the file; None for all

    Raises
    ------
    InputError : no models, a model without recordings or with one of them twice, or a malformed line

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "map"
    >>> _ = path.write_text("modelid\\tsegmentid\\n1001\\ta.sph\\n1001\\tb.sph\\n")
    >>> read_enrolment_map(path)
    {'1001': ['a.sph', 'b.sph']}
    >>> _ = path.write_text("id1/v/1.wav 0\\nid2/v/1.wav 1\\nid1/w/1.wav 0\\n")
    >>> read_enrolment_map(path)
    {'0': ['id1/v/1.wav', 'id1/w/1.wav'], '1': ['id2/v/1.wav']}
    """
    lines = read_lines(path)
    if not any(line.strip() for line in lines):
        raise InputError(f'{path}: is empty, expected "{SHAPE}"')
    models = read_nist(path, lines) or read_labels(lines)
    if models is None:
        models = {name: members.split() for name, members in read_table(path, None, SHAPE).items()}
    chosen = models if only is None else {name: models.get(name, []) for name in only}
    for name, members in chosen.items():
        if name in models:
            refuse_members(path, name, members)
    return chosen


def refuse_members(path: Path | str, name: str, members: list[str]) -> None:
    """InputError if a model has no recordings, or one of them twice."""
    if not members:
        raise InputError(f'{path}: expected "{SHAPE}", found no recordings of "{name}"')
    utts = [utterance_id(member) for member in members]  # a path and an identifier may name the same recording
    if len(set(utts)) < len(utts):
        repeated = next(members[number] for number, utt in enumerate(utts) if utt in utts[:number])
        raise InputError(f'{path}: the model "{name}" lists the recording {repeated} twice')


def read_nist(path: Path | str, lines: list[str]) -> dict[str, list[str]] | None:
    """The models of a table with a header line; None if the first line is not one."""
    separator = "," if "," in lines[0] else None
    head = [name.strip('" ').lower() for name in lines[0].split(separator)]
    column = next((head.index(name) for name in RECORDINGS if name in head), None)
    if "modelid" not in head or column is None:
        return None
    rows = ((number, [field.strip('" ') for field in line.split(separator)]) for number, line in enumerate(lines, 1))
    shape = " ".join(head)
    models: dict[str, list[str]] = {}
    for number, fields in rows:
        if number == 1 or fields in ([], [""]):
            continue
        if len(fields) != len(head):
            raise InputError(f'{path}, line {number}: expected "{shape}", found {len(fields)} fields')
        models.setdefault(fields[head.index("modelid")], []).append(fields[column])
    if not models:
        raise InputError(f'{path}: has a header line but no models, expected "{shape}"')
    return models


def read_labels(lines: list[str]) -> dict[str, list[str]] | None:
    """The models of lines `recording label`, if the labels are the numbers from 0 on; otherwise None."""
    rows = [line.split() for line in lines if line.strip()]
    if any(len(row) != 2 or not row[1].isdecimal() for row in rows):
        return None
    numbers = {row[1] for row in rows}
    if numbers != {str(number) for number in range(len(numbers))} or len({row[0] for row in rows}) < len(rows):
        return None
    return dict(sorted(grouped(rows).items(), key=lambda item: int(item[0])))


def grouped(rows: Iterable[list[str]]) -> Mapping[str, list[str]]:
    """Rows `recording label` by label."""
    models: dict[str, list[str]] = {}
    for recording, label in rows:
        models.setdefault(label, []).append(recording)
    return models
