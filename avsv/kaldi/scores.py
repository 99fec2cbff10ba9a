"""Score files: `enroll test score`, written in the order of a trial list and matched to one.

Score files of other toolkits are read too; score_formats.py has the forms.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import whole_file
from avsv.jobs.threads import map_ahead
from avsv.kaldi.columns import Block, Identifiers, join_columns, read_blocks
from avsv.kaldi.decimals import format_decimals, read_decimals
from avsv.kaldi.score_formats import LABELS, ScoreFormat, recognise_scores
from avsv.kaldi.trials import Trials, utterance_id

LINES = 1 << 16  # formatted at a time
NO_LABEL = -1


def write_scores(path: Path | str, trials: Trials, scores: np.ndarray) -> None:
    """Write `enroll test score`, seven significant digits (what a float32 holds), in the order of the trials.

    Parameters
    ----------
    scores : (len(trials),) float
    """
    enroll, test = trials.names

    def lines(start: int) -> bytes:
        rows = trials.pairs[start : start + LINES]
        return join_columns([enroll[rows[:, 0]], test[rows[:, 1]], format_decimals(scores[start : start + LINES])])

    with whole_file(path, "wb") as out:
        out.writelines(map_ahead(lines, range(0, len(trials), LINES)))


def read_scores(path: Path | str, trials: Trials, incomplete: bool = False) -> np.ndarray:
    """Read the scores of `trials` from a file of any toolkit, with lines in any order.

    A path such as `id10270/x6uYqmx31kE/00001.wav` stands for the utterance identifier that trials.py derives from it,
    unless the trials use the path itself.

    Parameters
    ----------
    incomplete : give NaN to a trial without a score instead of refusing the file

    Returns
    -------
    (len(trials),) float64, in the order of the trials; may be infinite

    Raises
    ------
    InputError : a line of another form, a score that is not a number, a label that contradicts the trial's, a trial
        without a score, a score without a trial, or two different scores of one trial

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores"
    >>> trials = Trials(["a"], ["b", "c"], np.array([[0, 0], [0, 1]]))
    >>> _ = path.write_text("a c 2.5\\na b -1\\n")
    >>> read_scores(path, trials)
    array([-1. ,  2.5])
    """
    form = recognise_scores(path)
    scores = read_in_order(path, form, trials)
    if scores is None:
        return match_scores(path, form, trials, incomplete)
    refuse_conflicts(path, trials, scores, *trials.repeats)
    return scores


def read_in_order(path: Path | str, form: ScoreFormat, trials: Trials) -> np.ndarray | None:
    """The scores of a file that lists the trials in their own order; None if the order differs."""

    def work(block: Block) -> np.ndarray | None:
        done = block.first_line - 1
        if not lines_agree(block, form, trials, done):
            return None
        if trials.labels is not None:
            refuse_label(path, block, read_truth(path, block, form), trials.labels[done : done + len(block)])
        return read_numbers(path, block, form)

    parts = []
    for _, scores in read_blocks(path, form.fields, form.shape, work, b"*" if form.star else b""):
        if scores is None:
            return None
        parts.append(scores)
    return np.concatenate(parts) if sum(map(len, parts)) == len(trials) else None


def lines_agree(block: Block, form: ScoreFormat, trials: Trials, done: int) -> bool:
    """Whether the block's lines name the trials from number `done` on, in the same order."""
    pairs = trials.pairs[done : done + len(block)]
    if len(pairs) < len(block):
        return False
    for field, rows, known in zip((form.enroll, form.test), pairs.T, trials.words, strict=True):
        words = block.words(field)
        if len(words) > len(known):
            return False
        words += [np.zeros(1, np.uint64)] * (len(known) - len(words))
        if not all((word == of_known[rows]).all() for word, of_known in zip(words, known, strict=True)):
            return False
    return True


def read_numbers(path: Path | str, block: Block, form: ScoreFormat) -> np.ndarray:
    """The scores of a block's lines, (lines,) float64; InputError if one is not a number."""
    scores = read_decimals(block, form.score)
    if wrong := np.flatnonzero(np.isnan(scores))[:1].tolist():
        text = block.values(form.score, wrong)[0].decode(errors="replace")
        raise InputError(f'{path}, line {block.first_line + wrong[0]}: expected "{form.shape}", bad score "{text}"')
    return scores


def read_truth(path: Path | str, block: Block, form: ScoreFormat) -> np.ndarray:
    """Label of each line, 1 target, 0 nontarget, or NO_LABEL throughout, (lines,) int8; InputError for another word."""
    truth = np.full(len(block), NO_LABEL, np.int8)
    if form.label is None:
        return truth
    words, length = block.words(form.label), block.lengths(form.label)
    for text, is_target in LABELS.items():
        truth[(words[0] == int.from_bytes(text[:8], "little")) & (length == len(text))] = is_target
    if wrong := np.flatnonzero(truth == NO_LABEL)[:1].tolist():
        found = block.values(form.label, wrong)[0].decode(errors="replace")
        raise InputError(f'{path}, line {block.first_line + wrong[0]}: expected "{form.shape}", bad label "{found}"')
    return truth


def refuse_label(path: Path | str, block: Block, truth: np.ndarray, labels: np.ndarray) -> None:
    """InputError if a label in the file contradicts that of its trial."""
    if wrong := np.flatnonzero((truth != NO_LABEL) & (truth != labels))[:1].tolist():
        line = block.first_line + wrong[0]
        kinds = ["nontarget", "target"]
        raise InputError(
            f"{path}, line {line}: says {kinds[truth[wrong[0]]]}, the trial list says {kinds[int(labels[wrong[0]])]}"
        )


def match_scores(path: Path | str, form: ScoreFormat, trials: Trials, incomplete: bool = False) -> np.ndarray:
    """The scores of `trials` from a file in another order."""
    names, scores = read_all(path, form)
    enroll, test = row_numbers(names.enroll_ids, trials.enroll_ids), row_numbers(names.test_ids, trials.test_ids)
    rows = enroll[names.pairs[:, 0]], test[names.pairs[:, 1]]
    keys = np.where((rows[0] < 0) | (rows[1] < 0), -1, rows[0] * len(trials.test_ids) + rows[1])
    refuse_extra(path, names, keys, trials)
    refuse_conflicts(path, names, scores, *Trials(trials.enroll_ids, trials.test_ids, np.stack(rows, axis=1)).repeats)
    order = np.argsort(keys)
    wanted, ranked = trials.keys, keys[order]
    nearest = np.minimum(np.searchsorted(ranked, wanted), len(keys) - 1)
    present = ranked[nearest] == wanted
    if trials.labels is not None and names.labels is not None:
        refuse_labels(path, names, order[nearest], present & (names.labels[order[nearest]] != trials.labels))
    matched = np.where(present, scores[order[nearest]], np.nan)
    missing = np.flatnonzero(~present)
    if len(missing) and not incomplete:
        first = pair(trials, missing)
        raise InputError(f"{path}: {len(missing)} of {len(trials)} trials have no score, the first: {first}")
    return matched


def row_numbers(names: Sequence[str], ids: Sequence[str]) -> np.ndarray:
    """Row in `ids` of each name, or of its utterance identifier; -1 if absent. (names,) int64"""
    rows = dict(zip(ids, range(len(ids)), strict=True))
    return np.array(
        [rows.get(name, -1) if name in rows else rows.get(utterance_id(name), -1) for name in names], np.int64
    )


def read_all(path: Path | str, form: ScoreFormat) -> tuple[Trials, np.ndarray]:
    """A whole score file: its trials, with labels if it has them, and their scores."""
    enroll, test = Identifiers(), Identifiers()
    pairs, truths, scores = [], [], []

    def work(block: Block):
        keys = enroll.keys(block, form.enroll), test.keys(block, form.test)
        return *keys, read_truth(path, block, form), read_numbers(path, block, form)

    for block, made in read_blocks(path, form.fields, form.shape, work, b"*" if form.star else b""):
        rows = [enroll.rows(block, made[0], form.enroll), test.rows(block, made[1], form.test)]
        pairs.append(np.stack(rows, axis=1))
        truths.append(made[2])
        scores.append(made[3])
    labels = None if form.label is None else np.concatenate(truths) == 1
    return Trials(enroll.names(path), test.names(path), np.concatenate(pairs), labels), np.concatenate(scores)


def refuse_labels(path: Path | str, names: Trials, lines: np.ndarray, wrong: np.ndarray) -> None:
    """InputError if a line's label contradicts that of its trial."""
    if len(first := lines[wrong][:1]):
        kinds = ["target", "nontarget"] if names.labels[first[0]] else ["nontarget", "target"]
        raise InputError(
            f"{path}, line {first[0] + 1}: says {kinds[0]} of {pair(names, first)}, the trial list says {kinds[1]}"
        )


def refuse_extra(path: Path | str, names: Trials, keys: np.ndarray, trials: Trials) -> None:
    extra = np.flatnonzero(~np.isin(keys, trials.keys))
    if len(extra):
        raise InputError(
            f"{path}: {len(extra)} of {len(keys)} scores belong to no trial in the list, "
            f"the first on line {extra[0] + 1}: {pair(names, extra)}"
        )


def refuse_conflicts(path: Path | str, trials: Trials, scores: np.ndarray, again: np.ndarray, before: np.ndarray):
    """InputError if two lines of a score file give one pair different scores."""
    differ = np.flatnonzero(scores[again] != scores[before])
    if len(differ):
        lines = f"{before[differ[0]] + 1} and {again[differ[0]] + 1}"
        raise InputError(f"{path}: the trial {pair(trials, again[differ])} has different scores on lines {lines}")


def pair(trials: Trials, which: np.ndarray) -> str:
    return '"{} {}"'.format(*trials[int(which[0])])
