"""Trial lists: pairs of recordings to compare, and whether both have the same speaker."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import whole_file
from avsv.kaldi.columns import (
    Block,
    Growing,
    Identifiers,
    as_bytes,
    as_words,
    group_equal,
    join_columns,
    read_blocks,
)
from avsv.kaldi.trial_formats import KALDI, VOXCELEB, TrialFormat, recognise_trials

TARGET, NON, TARGET_END = (int.from_bytes(text, "little") for text in (b"target", b"nontarge", b"t"))
FIRST_SIDES = [ord("a"), ord("A"), ord("1")]  # of a recording of two channels
LINES = 1 << 16  # written at a time
MEDIA = (".wav", ".m4a", ".mp4", ".flac")


@dataclass(frozen=True)
class Trials:
    """Pairs of recordings to be compared.

    enroll_ids, test_ids : the recordings of each side, each once
    pairs : (n, 2) int32, rows in `enroll_ids` and `test_ids`
    labels : (n,) bool, True if both have the same speaker; None if the list has no labels
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
        """Some of the trials, by mask or row numbers; the recordings stay unchanged."""
        return Trials(
            self.enroll_ids, self.test_ids, self.pairs[which], None if self.labels is None else self.labels[which]
        )

    @property
    def keys(self) -> np.ndarray:
        """One number for each trial; equal numbers mean equal recordings. (n,) int64"""
        keys = self.pairs[:, 0].astype(np.int64)
        keys *= len(self.test_ids)  # in place: of 40 million trials each copy is 320 MB
        keys += self.pairs[:, 1]
        return keys

    @property
    def spelling_keys(self) -> np.ndarray:
        """Like `keys`, but also equal if only the spelling of the recordings differs."""
        sides = [same_recordings(ids) for ids in (self.enroll_ids, self.test_ids)]
        if all(side is None for side in sides):
            return self.keys
        rows = [self.pairs[:, n] if side is None else side[self.pairs[:, n]] for n, side in enumerate(sides)]
        return rows[0].astype(np.int64) * len(self.test_ids) + rows[1]

    @cached_property
    def repeats(self) -> tuple[np.ndarray, np.ndarray]:
        """Trials that repeat an earlier pair, and the first trial of that pair: two arrays of row numbers.

        Two spellings such as `x/1.wav` and `x-1` are one recording.
        """
        keys = self.spelling_keys
        ranked = keys.copy()
        ranked.sort()  # less memory than an argsort, and enough for most lists
        repeated = ranked[1:][ranked[1:] == ranked[:-1]]
        if not len(repeated):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        may_be = np.zeros(1 << 20, bool)  # indexed by the last bits of the number: few remain to compare
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
        """The same as 64-bit words, (words, identifiers) each, to compare with a file's all at once."""
        return as_words(self.names[0]), as_words(self.names[1])


def same_recordings(ids: Sequence[str]) -> np.ndarray | None:
    """The first row of each identifier's recording, (n,) int32; None if no recording has two spellings.

    Examples
    --------
    >>> same_recordings(["x-1", "y", "x/1.wav"]).tolist()
    [0, 1, 0]
    """
    text = "".join(ids)
    if "/" not in text and "." not in text:  # the usual case, in a tenth of the time
        return None
    paths = [row for row, name in enumerate(ids) if "/" in name or name.lower().endswith(MEDIA)]
    if not paths:
        return None
    rows: dict[str, int] = {}
    utts = [utterance_id(ids[row]) for row in paths]
    if len(set(utts)) == len(utts) and set(utts).isdisjoint(ids):
        return None
    return np.array([rows.setdefault(utterance_id(name), row) for row, name in enumerate(ids)], np.int32)


def read_trials(path: Path | str) -> Trials:
    """Read a trial list, labelled or not, in any form of trial_formats.py.

    Identifiers stay as written, but the paths of VoxCeleb's form become utterance identifiers:
    `id10270/x6uYqmx31kE/00001.wav` is `id10270-x6uYqmx31kE-00001`. A pair may occur twice, with one label.

    Raises
    ------
    InputError : no such file, no trials, a malformed line, a pair with both labels

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "trials"
    >>> _ = path.write_text("a-1 a-2 target\\na-1 b-1 nontarget\\n")
    >>> trials = read_trials(path)
    >>> trials.enroll_ids, trials.test_ids, trials.pairs.tolist(), trials.labels.tolist()
    (['a-1'], ['a-2', 'b-1'], [[0, 0], [0, 1]], [True, False])
    """
    form = recognise_trials(path)
    sides = (form.enroll, form.test)
    enroll, test = Identifiers(), Identifiers()
    pairs, labels = Growing(np.int32, 2), Growing(bool)

    def work(block: Block):
        block = form.without_head(block)
        if not len(block):
            return block, None, None
        block_labels = None if form.label is None else read_labels(block, form, path)
        refuse_sides(block, form, path)
        return block, [side.keys(block, field) for side, field in zip((enroll, test), sides, strict=True)], block_labels

    for _, (block, keys, block_labels) in read_blocks(path, form.fields, form.shape, work, form.separator):
        if keys is None:
            continue
        rows = [side.rows(block, key, field) for side, key, field in zip((enroll, test), keys, sides, strict=True)]
        pairs.add(np.stack(rows, axis=1))
        if block_labels is not None:
            labels.add(block_labels)
    if not pairs.n:
        raise InputError(f"{path}: has a header line but no trials")
    names = [side.names(path) for side in (enroll, test)]
    if form.paths:
        names = [[utterance_id(name) for name in side] for side in names]
        names = [merge_equal(side, pairs.array()[:, column]) for column, side in enumerate(names)]
    trials = Trials(*names, pairs.array(), None if form.label is None else labels.array())
    refuse_contradictions(trials, path, 2 if form.head else 1)
    return trials


def merge_equal(names: list[str], rows: np.ndarray) -> list[str]:
    """The names, each once; `rows`, numbers of names, are renumbered in place."""
    numbers: dict[str, int] = {}
    merged = np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int32)
    if len(numbers) < len(names):
        rows[:] = merged[rows]
    return list(numbers)


def read_labelled_trials(path: Path | str) -> Trials:
    """`read_trials`; InputError if the list has no labels."""
    trials = read_trials(path)
    if trials.labels is None:
        raise InputError(f'{path}: these trials have no labels, expected "{KALDI}" or "{VOXCELEB}"')
    return trials


def read_labels(block: Block, form: TrialFormat, path: Path | str) -> np.ndarray:
    """The label of each line, (lines,) bool; InputError if one is invalid."""
    words, length = block.words(form.label), block.lengths(form.label)
    if form.digits:
        positive, negative = words[0] == ord("1"), words[0] == ord("0")
    else:
        positive = (words[0] == TARGET) & (length == 6)
        negative = (words[0] == NON) & (length == 9) & ((words[1] if len(words) > 1 else 0) == TARGET_END)
    if wrong := np.flatnonzero(~(positive | negative))[:1].tolist():
        line = b" ".join(block.values(f, slice(wrong[0], wrong[0] + 1))[0] for f in range(block.starts.shape[1]))
        found = line.decode(errors="replace")
        raise InputError(
            f'{path}, line {block.first_line + wrong[0]}: expected "{form.shape}" as on line 1, found "{found}"'
        )
    return positive


def refuse_sides(block: Block, form: TrialFormat, path: Path | str) -> None:
    """InputError if a trial uses the second channel of its segment: identifiers do not distinguish the channels."""
    if form.side is None:
        return
    if wrong := np.flatnonzero(~np.isin(block.words(form.side)[0], FIRST_SIDES))[:1].tolist():
        found = block.values(form.side, wrong)[0].decode(errors="replace")
        raise InputError(f'{path}, line {block.first_line + wrong[0]}: side "{found}" of a segment; expected a or 1: '
                        "write each channel to its own recording, and name those")  # fmt: skip


def utterance_id(name: str) -> str:
    """Utterance identifier of a path in VoxCeleb's lists.

    Examples
    --------
    >>> utterance_id("id10270/x6uYqmx31kE/00001.wav")
    'id10270-x6uYqmx31kE-00001'
    """
    stem = name[: -len(Path(name).suffix)] if name.lower().endswith(MEDIA) else name
    return stem.replace("/", "-")


def refuse_contradictions(trials: Trials, path: Path | str, first_line: int = 1) -> None:
    """InputError if a pair is in the list as target and as nontarget, in one spelling or two."""
    if trials.labels is None:
        return
    again, before = trials.repeats
    if wrong := np.flatnonzero(trials.labels[again] != trials.labels[before])[:1].tolist():
        numbers = int(before[wrong[0]]), int(again[wrong[0]])
        names = " ".join(trials[numbers[0]])
        other = " ".join(trials[numbers[1]])
        spelling = "" if names == other else f' (also spelt "{other}")'
        raise InputError(
            f'{path}: the pair "{names}"{spelling} is in the list as target and as nontarget: trials {numbers[0] + 1} '
            f"and {numbers[1] + 1}, on lines {numbers[0] + first_line} and {numbers[1] + first_line}"
        )


def write_trials(path: Path | str, trials: Trials) -> None:
    """Write `enroll test target|nontarget`, or `enroll test` if there are no labels."""
    words = np.array([b"nontarget", b"target"])
    with whole_file(path, "wb") as out:
        for start in range(0, len(trials), LINES):
            part = slice(start, start + LINES)
            columns = [side[rows] for side, rows in zip(trials.names, trials.pairs[part].T, strict=True)]
            if trials.labels is not None:
                columns.append(words[trials.labels[part].astype(int)])
            out.write(join_columns(columns))
