"""Recognises the form of a trial list from its first lines.

    Kaldi       enroll test target|nontarget, or enroll test
    VoxCeleb    1|0 enroll.wav test.wav
    CN-Celeb    enroll test 1|0
    NIST        a table with a header line, separated by tabs, commas or spaces: modelid (or imageid), segmentid,
                targettype and others, in any order; lists published before their keys have no targettype (no labels)

If the first and the last field could both be the label, the label is the one that reads 1 or 0 on every line checked;
if both do, the list is refused.
"""

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.inputs import open_regular, without_marks
from avsv.kaldi.columns import Block, bad_line

KALDI, UNLABELLED = "enroll test target|nontarget", "enroll test"
VOXCELEB, LABEL_LAST = "1|0 enroll.wav test.wav", "enroll test 1|0"
NIST = "modelid segmentid targettype"
LINES = 1000  # checked
LONGEST = 1 << 16  # bytes of a line


@dataclass(frozen=True)
class TrialFormat:
    """What the fields of each line are.

    fields : their number
    enroll, test : their positions, from 0
    label : position of the label; None if there is none
    shape : the form as text, for messages
    digits : whether labels are 1 and 0 instead of target and nontarget
    paths : whether identifiers are paths of media
    separator : another byte that separates fields
    head : whether the first line names the columns
    side : position of the column with the channel of the recording
    """

    fields: int
    enroll: int
    test: int
    label: int | None
    shape: str
    digits: bool = False
    paths: bool = False
    separator: bytes = b""
    head: bool = False
    side: int | None = None

    def without_head(self, block: Block) -> Block:
        """The lines of a block that are trials."""
        if not self.head or block.first_line > 1:
            return block
        return replace(block, starts=block.starts[1:], ends=block.ends[1:], first_line=2)


def recognise_trials(path: Path | str) -> TrialFormat:
    """The form of a trial list.

    Raises
    ------
    InputError : no such file, an empty one, or a first line of another form

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "trials"
    >>> _ = path.write_text("modelid,segmentid,side,targettype\\n1001,a.sph,a,target\\n")
    >>> form = recognise_trials(path)
    >>> form.enroll, form.test, form.label, form.separator
    (0, 1, 3, b',')
    """
    with open_regular(path) as table:
        raw = [without_marks(line) for line in islice(iter(lambda: table.readline(LONGEST), b""), LINES)]
    lines = [line.split() for line in raw]
    first = lines[0] if lines else []
    if not first:
        raise InputError(f'{path}: the first line is empty, expected trials: "{KALDI}"')
    if nist := nist_table(path, raw[0]):
        return nist
    if len(first) == 3 and first[2] in (b"target", b"nontarget"):
        return TrialFormat(3, 0, 1, 2, KALDI)
    if len(first) == 3 and (first[0] in (b"1", b"0") or first[2] in (b"1", b"0")):
        return with_digits(path, lines)
    if len(first) == 2:
        return TrialFormat(2, 0, 1, None, UNLABELLED)
    raise bad_line(path, 1, f'{KALDI}" or "{UNLABELLED}" or "{VOXCELEB}" or "{LABEL_LAST}" or "{NIST}',
                   b" ".join(first))  # fmt: skip


def with_digits(path: Path | str, lines: list[list[bytes]]) -> TrialFormat:
    """The form of lines of three fields with a label 1 or 0 first or last."""
    full = [line for line in lines if len(line) == 3]
    could_be = [all(line[field] in (b"1", b"0") for line in full) for field in (0, 2)]
    if all(could_be):
        raise InputError(f'{path}, line 1: the first and the last field could both be the label (on all of the first '
                        f'{len(full)} lines): "{b" ".join(full[0]).decode()}". Write target and nontarget as the last '
                        "field")  # fmt: skip
    if could_be[1] or (not could_be[0] and full[0][0] not in (b"1", b"0")):
        return TrialFormat(3, 0, 1, 2, LABEL_LAST, digits=True)
    return TrialFormat(3, 1, 2, 0, VOXCELEB, digits=True, paths=True)


def nist_table(path: Path | str, head: bytes) -> TrialFormat | None:
    """The form of a table with a header line as in NIST's evaluations; None if the first line is not one."""
    separator = b"," if b"," in head else b""
    names = [name.strip(b'"').lower() for name in head.replace(b",", b" ").split()]
    enroll = next((names.index(name) for name in (b"modelid", b"imageid") if name in names), None)
    if enroll is None or b"segmentid" not in names:
        return None
    if b"modelid" in names and b"imageid" in names:
        raise InputError(f"{path}: each line names a voice (modelid), an image (imageid) and a segment, but trials "
                        "have two names: keep modelid and segmentid for voices, imageid and segmentid for faces, and "
                        "fuse the scores")  # fmt: skip
    label = names.index(b"targettype") if b"targettype" in names else None
    side = names.index(b"side") if b"side" in names else None
    shape = " ".join(name.decode(errors="replace") for name in names)
    return TrialFormat(len(names), enroll, names.index(b"segmentid"), label, shape, separator=separator, head=True,
                       side=side)  # fmt: skip
