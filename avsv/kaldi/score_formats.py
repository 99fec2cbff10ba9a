"""Recognises the toolkit's form of a score file from its first lines.

    Kaldi        enroll test score
    WeSpeaker    enroll test score [target|nontarget], after as-norm with four columns more: the magnitudes of both
                 embeddings and the means of both sides' cohort scores; its table of calibration factors has the label
                 before the score and twelve columns more
    3D-Speaker   enroll test target|nontarget score, or 1|0: the trial list's line and the score
    SpeechBrain  enroll test 1|0 score
    ESPnet       enroll*test score [1|0]

The first line sets the number of fields. With four or more, the label is the third or the fourth: the one that reads 1,
0, target or nontarget on every line checked. If both do, or neither, the file is refused: a wrong guess would give an
error rate that looks like any other.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.inputs import open_regular, without_marks
from avsv.kaldi.columns import bad_line
from avsv.kaldi.decimals import is_number

LINES = 1000  # checked
LABELS = {b"target": True, b"1": True, b"True": True, b"nontarget": False, b"0": False, b"False": False}
KALDI = "enroll test score"
FORMS = f'{KALDI}" or "{KALDI} label" or "enroll test label score" or "enroll*test score label'
AS_NORM = 4  # columns that WeSpeaker's normalisation adds


@dataclass(frozen=True)
class ScoreFormat:
    """What the fields of each line are.

    fields : their number, cut at white space (and at `*` if `star`)
    enroll, test, score : their positions, from 0
    label : position of the label; None if there is none. LABELS has its words
    star : ESPnet's `enroll*test`: the `*` separates two fields
    shape : the form as text, for messages
    """

    fields: int
    enroll: int
    test: int
    score: int
    label: int | None
    star: bool
    shape: str


def recognise_scores(path: Path | str) -> ScoreFormat:
    """The form of a score file, from its first thousand lines.

    The reader refuses lines with another number of fields than the first, and scores that are not numbers.

    Raises
    ------
    InputError : no such file, an empty one, a trial list, fields that fit no form or several; it shows the line

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores"
    >>> _ = path.write_text("a b 1 0.31\\nc d 0 -1\\n")
    >>> recognise_scores(path)
    ScoreFormat(fields=4, enroll=0, test=1, score=3, label=2, star=False, shape='enroll test label score')
    """
    with open_regular(path) as table:
        lines = [without_marks(line).split() for line in islice(table, LINES)]
    if not lines:
        raise InputError(f'{path}: has no scores, expected "{KALDI}"')
    if form := espnet(path, lines):
        return form
    if len(lines[0]) == 3:
        refuse_trials(path, lines[0])
        return ScoreFormat(3, 0, 1, 2, None, False, KALDI)
    if len(lines[0]) > 3:
        return with_label(path, lines)
    raise bad_line(path, 1, FORMS, b" ".join(lines[0]))


def espnet(path: Path | str, lines: list[list[bytes]]) -> ScoreFormat | None:
    """The form `enroll*test score [label]`; None if the lines have another form."""
    first = lines[0]
    if len(first) not in (2, 3) or b"*" not in first[0] or not is_number(first[1]):
        return None
    labels = [line[2] for line in lines if len(line) == 3]
    if any(label not in LABELS and is_number(label) for label in labels):
        return None  # Kaldi's form, of identifiers with a star and test sides that are numbers
    if first[0].count(b"*") > 1:
        raise InputError(
            f'{path}, line 1: expected "enroll*test score label", but in "{text(first)}" any of several * may separate '
            f'the names. Write the file as "{KALDI}"'
        )
    if len(first) == 2:
        return ScoreFormat(3, 0, 1, 2, None, True, "enroll*test score")
    return ScoreFormat(4, 0, 1, 2, 3, True, "enroll*test score label")


def with_label(path: Path | str, lines: list[list[bytes]]) -> ScoreFormat:
    """The form of lines of four or more fields, by which of the third and the fourth is a label on all of them."""
    first = lines[0]
    lines = [line if len(line) == len(first) else None for line in lines]  # the reader refuses all other lines
    is_label = [all(line[field] in LABELS for line in lines if line) for field in (2, 3)]
    more = len(first) - 4
    also = f" and {more} numbers" if more else ""
    if all(is_label):
        raise InputError(
            f"{path}, line 1: the third and the fourth field could both be the label (here and on all of the first "
            f'{sum(line is not None for line in lines)} lines): "{text(first)}". Keep three columns: '
            f"awk '{{print $1, $2, $3}}', or $4, whichever is the score"
        )
    if not all(is_number(value) for value in first[4:]):
        raise bad_line(path, 1, FORMS, b" ".join(first))
    if is_label[0]:
        return ScoreFormat(len(first), 0, 1, 3, 2, False, f"enroll test label score{also}")
    if is_label[1]:
        return ScoreFormat(len(first), 0, 1, 2, 3, False, f"{KALDI} label{also}")
    if len(first) == 3 + AS_NORM and all(is_number(value) for value in first[2:]):
        return ScoreFormat(len(first), 0, 1, 2, None, False, f"{KALDI} and {AS_NORM} numbers")
    raise no_label(path, lines)


def no_label(path: Path | str, lines: list[list[bytes] | None]) -> InputError:
    """The error for lines without a label in the third or the fourth field; shows the first such line."""
    places = [{field for field in (2, 3) if line[field] in LABELS} if line else {2, 3} for line in lines]
    possible, number = {2, 3}, 0
    while possible:
        possible &= places[number]
        number += 1
    return InputError(
        f'{path}, line {number}: expected "{KALDI} label" or "enroll test label score", with a label that is one of '
        f'{", ".join(map(bytes.decode, LABELS))}, the same field on each line; found "{text(lines[number - 1])}"'
    )


def refuse_trials(path: Path | str, first: list[bytes]) -> None:
    voxceleb = first[0] in (b"0", b"1") and not is_number(first[2])
    if voxceleb or first[2] in (b"target", b"nontarget"):
        raise InputError(f'{path}, line 1: expected "{KALDI}", but "{text(first)}" is a trial without a score')


def text(fields: list[bytes]) -> str:
    return b" ".join(fields).decode(errors="replace")[:200]
