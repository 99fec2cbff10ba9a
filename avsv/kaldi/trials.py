"""Trial lists: which recordings are compared, and whether they are of the same person."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.files import whole_file
from avsv.kaldi.columns import (
    Block,
    Growing,
    Identifiers,
    as_bytes,
    as_words,
    bad_line,
    first_fields,
    group_equal,
    join_columns,
    read_blocks,
)

KALDI, UNLABELLED, VOXCELEB = "enroll test target|nontarget", "enroll test", "1|0 enroll.wav test.wav"
TARGET, NON, TARGET_END = (int.from_bytes(text, "little") for text in (b"target", b"nontarge", b"t"))
LINES = 1 << 16  # written at a time
MEDIA = (".wav", ".m4a", ".mp4", ".flac")


@dataclass(frozen=True)
class Trials:
    """Pairs of recordings to be compared.

    enroll_ids, test_ids : the recordings of each side, each once
    pairs : (n, 2) int32, rows in `enroll_ids` and `test_ids`
    labels : (n,) bool, True where both are of the same person; None where the list does not tell
    """

    enroll_ids: Sequence[str]
    test_ids: Sequence[str]
    pairs: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, number: int) -> tuple[str, str]:
        """The enroll and the test recording of one trial."""
        enroll, test = self.pairs[number]
        return self.enroll_ids[enroll], self.test_ids[test]

    def take(self, which: np.ndarray) -> "Trials":
        """Some of the trials, by mask or row numbers; the recordings stay as they are."""
        return Trials(
            self.enroll_ids, self.test_ids, self.pairs[which], None if self.labels is None else self.labels[which]
        )

    @property
    def keys(self) -> np.ndarray:
        """One number for each trial, equal where the recordings are. (n,) int64"""
        keys = self.pairs[:, 0].astype(np.int64)
        keys *= len(self.test_ids)  # in place: of 40 million trials each copy is 320 MB
        keys += self.pairs[:, 1]
        return keys

    @cached_property
    def repeats(self) -> tuple[np.ndarray, np.ndarray]:
        """Trials whose pair was in the list before, and the first trial of that pair. Two arrays of row numbers"""
        ranked = self.keys
        ranked.sort()  # less memory than the order, and all that most lists need
        repeated = ranked[1:][ranked[1:] == ranked[:-1]]
        if not len(repeated):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        keys = self.keys
        may_be = np.zeros(1 << 20, bool)  # by the last bits of the number: leaves few to be compared
        may_be[repeated % len(may_be)] = True
        trials = np.flatnonzero(may_be[keys % len(may_be)])
        trials = trials[np.isin(keys[trials], repeated)]
        first, inverse = group_equal(keys[trials])
        again = first[inverse] != np.arange(len(trials))
        return trials[again], trials[first][inverse[again]]

    @cached_property
    def names(self) -> tuple[np.ndarray, np.ndarray]:
        """Identifiers of the enrolment and of the test side as byte strings."""
        return as_bytes(self.enroll_ids), as_bytes(self.test_ids)

    @cached_property
    def words(self) -> tuple[np.ndarray, np.ndarray]:
        """The same as 64-bit words, (words, identifiers) each: to be compared with a file's, all at once."""
        return as_words(self.names[0]), as_words(self.names[1])


def read_trials(path: Path | str) -> Trials:
    """Read a trial list, labelled or not, in Kaldi's or VoxCeleb's form.

    The first line tells which form the file has: `enroll test target|nontarget`, `enroll test`, or VoxCeleb's
    `1 id10270/x6uYqmx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav`. Identifiers stay as written, but VoxCeleb's paths
    become utterance identifiers: `id10270-x6uYqmx31kE-00001`. A pair may occur twice, with one label.

    Raises
    ------
    UserError : no such file, no trials in it, a line of another form, a pair with both labels

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "trials"
    >>> _ = path.write_text("a-1 a-2 target\\na-1 b-1 nontarget\\n")
    >>> trials = read_trials(path)
    >>> trials.enroll_ids, trials.test_ids, trials.pairs.tolist(), trials.labels.tolist()
    (['a-1'], ['a-2', 'b-1'], [[0, 0], [0, 1]], [True, False])
    """
    fields, label_field, shape = recognise(path)
    sides = [field for field in range(fields) if field != label_field]
    enroll, test = Identifiers(), Identifiers()
    pairs, labels = Growing(np.int32, 2), Growing(bool)

    def work(block: Block):
        found = None if label_field is None else read_labels(block, label_field, path, shape)
        return [side.keys(block, field) for side, field in zip((enroll, test), sides, strict=True)], found

    for block, (keys, found) in read_blocks(path, fields, shape, work):
        rows = [side.rows(block, key, field) for side, key, field in zip((enroll, test), keys, sides, strict=True)]
        pairs.add(np.stack(rows, axis=1))
        if found is not None:
            labels.add(found)
    names = [side.names(path) for side in (enroll, test)]
    if shape == VOXCELEB:
        names = [[utterance_id(name) for name in side] for side in names]
    trials = Trials(*names, pairs.array(), None if label_field is None else labels.array())
    refuse_contradictions(trials, path)
    return trials


def read_labelled_trials(path: Path | str) -> Trials:
    """`read_trials`, and UserError where the list has no labels."""
    trials = read_trials(path)
    if trials.labels is None:
        raise UserError(f'{path}: these trials have no labels, expected "{KALDI}" or "{VOXCELEB}"')
    return trials


def recognise(path: Path | str) -> tuple[int, int | None, str]:
    """Number of fields, which of them is the label, and the form in words, from the first line."""
    first = first_fields(path)
    if not first:
        raise UserError(f'{path}: the first line is empty, expected trials: "{KALDI}"')
    if len(first) == 3 and first[2] in (b"target", b"nontarget"):
        return 3, 2, KALDI
    if len(first) == 3 and first[0] in (b"1", b"0"):
        return 3, 0, VOXCELEB
    if len(first) == 2:
        return 2, None, UNLABELLED
    raise bad_line(path, 1, f'{KALDI}" or "{UNLABELLED}" or "{VOXCELEB}', b" ".join(first))


def read_labels(block: Block, field: int, path: Path | str, shape: str) -> np.ndarray:
    words, length = block.words(field), block.lengths(field)
    if field == 0:
        positive, negative = words[0] == ord("1"), words[0] == ord("0")
    else:
        positive = (words[0] == TARGET) & (length == 6)
        negative = (words[0] == NON) & (length == 9) & ((words[1] if len(words) > 1 else 0) == TARGET_END)
    if wrong := np.flatnonzero(~(positive | negative))[:1].tolist():
        line = b" ".join(block.values(f, slice(wrong[0], wrong[0] + 1))[0] for f in range(block.starts.shape[1]))
        found = line.decode(errors="replace")
        raise UserError(f'{path}, line {block.first_line + wrong[0]}: expected "{shape}" as on line 1, found "{found}"')
    return positive


def utterance_id(name: str) -> str:
    """Utterance identifier of a path in VoxCeleb's lists.

    Examples
    --------
    >>> utterance_id("id10270/x6uYqmx31kE/00001.wav")
    'id10270-x6uYqmx31kE-00001'
    """
    stem = name[: -len(Path(name).suffix)] if name.lower().endswith(MEDIA) else name
    return stem.replace("/", "-")


def refuse_contradictions(trials: Trials, path: Path | str) -> None:
    """UserError where a pair stands in the list as target and as nontarget."""
    if trials.labels is None:
        return
    again, before = trials.repeats
    if wrong := np.flatnonzero(trials.labels[again] != trials.labels[before])[:1].tolist():
        names = " ".join(trials[again[wrong[0]]])
        raise UserError(
            f'{path}: the pair "{names}" is in the list as target and as nontarget: '
            f"trials {before[wrong[0]] + 1} and {again[wrong[0]] + 1}"
        )


def write_trials(path: Path | str, trials: Trials) -> None:
    """Write `enroll test target|nontarget`, or `enroll test` where there are no labels."""
    words = np.array([b"nontarget", b"target"])
    with whole_file(path, "wb") as out:
        for start in range(0, len(trials), LINES):
            part = slice(start, start + LINES)
            columns = [side[rows] for side, rows in zip(trials.names, trials.pairs[part].T, strict=True)]
            if trials.labels is not None:
                columns.append(words[trials.labels[part].astype(int)])
            out.write(join_columns(columns))
