"""Score files: `enroll test score`, written in the order of a trial list and matched to one."""

from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.files import whole_file
from avsv.kaldi.columns import Block, Identifiers, read_blocks
from avsv.kaldi.trials import Trials, format_lines, side_names

SHAPE = "enroll test score"
LINES = 1 << 16  # formatted at a time


def write_scores(path: Path | str, trials: Trials, scores: np.ndarray) -> None:
    """Write `enroll test score`, seven significant digits (what a float32 holds), in the order of the trials.

    Parameters
    ----------
    scores : (len(trials),) float
    """
    enroll, test = side_names(trials)
    with whole_file(path) as out:
        for start in range(0, len(trials), LINES):
            part = slice(start, start + LINES)
            names = [enroll[trials.pairs[part, 0]].tolist(), test[trials.pairs[part, 1]].tolist()]
            out.write(format_lines("%s %s %.7g\n", [*names, scores[part].tolist()]))


def read_scores(path: Path | str, trials: Trials, incomplete: bool = False) -> np.ndarray:
    """Read the scores of `trials`, whatever the order of the file's lines.

    Parameters
    ----------
    incomplete : give NaN to a trial without a score instead of refusing the file

    Returns
    -------
    (len(trials),) float64, in the order of the trials; may be infinite

    Raises
    ------
    UserError : a line of another form, a score that is not a number, a trial without a score, a score of no trial, a
        trial with two scores that differ

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores"
    >>> trials = Trials(["a"], ["b", "c"], np.array([[0, 0], [0, 1]]))
    >>> _ = path.write_text("a c 2.5\\na b -1\\n")
    >>> read_scores(path, trials)
    array([-1. ,  2.5])
    """
    scores = read_in_order(path, trials)
    if scores is None:
        return match_scores(path, trials, incomplete)
    again, before = trials.repeats
    refuse_conflicts(path, trials, scores, again, before)
    return scores


def read_in_order(path: Path | str, trials: Trials) -> np.ndarray | None:
    """The scores of a file whose lines are the trials in their order; None where they are not."""
    parts, done = [], 0
    for block in read_blocks(path, 3, SHAPE):
        if not lines_agree(block, trials, done):
            return None
        parts.append(read_numbers(block, path))
        done += len(block)
    return np.concatenate(parts) if done == len(trials) else None


def lines_agree(block: Block, trials: Trials, done: int) -> bool:
    """Whether the block's lines name the trials from number `done` on, in the same order."""
    pairs = trials.pairs[done : done + len(block)]
    if len(pairs) < len(block):
        return False
    for field, words in enumerate((trials.enroll_words, trials.test_words)):
        if block.width(field) > words.shape[1]:
            return False
        rows = pairs[:, field]
        if any(not np.array_equal(block.words(field, w), words[rows, w]) for w in range(words.shape[1])):
            return False
    return True


def read_numbers(block: Block, path: Path | str) -> np.ndarray:
    """The scores of a block's lines, (lines,) float64; UserError where one is not a number."""
    values = block.values(2)
    try:
        scores = np.fromiter(map(float, values), np.float64, len(values))
    except ValueError:
        scores = np.array([number_or_nan(value) for value in values])
    if wrong := np.flatnonzero(np.isnan(scores))[:1].tolist():
        text = values[wrong[0]].decode(errors="replace")
        raise UserError(f'{path}, line {block.first_line + wrong[0]}: expected "{SHAPE}", "{text}" is no score')
    return scores


def number_or_nan(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def match_scores(path: Path | str, trials: Trials, incomplete: bool = False) -> np.ndarray:
    """The scores of `trials` from a file in another order."""
    names, scores = read_all(path)
    known = [dict(zip(ids, range(len(ids)), strict=True)) for ids in (trials.enroll_ids, trials.test_ids)]
    rows = [
        np.array([known[0].get(name, -1) for name in names.enroll_ids], np.int64)[names.pairs[:, 0]],
        np.array([known[1].get(name, -1) for name in names.test_ids], np.int64)[names.pairs[:, 1]],
    ]
    keys = np.where((rows[0] < 0) | (rows[1] < 0), -1, rows[0] * len(trials.test_ids) + rows[1])
    refuse_extra(path, names, keys, trials)
    refuse_conflicts(path, names, scores, *names.repeats)
    order = np.argsort(keys)
    wanted, ranked = trials.keys, keys[order]
    found = np.minimum(np.searchsorted(ranked, wanted), len(keys) - 1)
    matched = scores[order][found]
    missing = np.flatnonzero(ranked[found] != wanted)
    if len(missing) and not incomplete:
        first = pair(trials, missing)
        raise UserError(f"{path}: {len(missing)} of {len(trials)} trials have no score, the first: {first}")
    matched[missing] = np.nan
    return matched


def read_all(path: Path | str) -> tuple[Trials, np.ndarray]:
    """A score file as it stands: the trials it names, and their scores."""
    enroll, test = Identifiers(), Identifiers()
    pairs, scores = [np.empty((0, 2), np.int32)], [np.empty(0)]
    for block in read_blocks(path, 3, SHAPE):
        pairs.append(np.stack([enroll.rows(block, 0), test.rows(block, 1)], axis=1))
        scores.append(read_numbers(block, path))
    if len(scores) == 1:
        raise UserError(f'{path}: there are no scores in it, expected "{SHAPE}"')
    return Trials(enroll.names(path), test.names(path), np.concatenate(pairs)), np.concatenate(scores)


def refuse_extra(path: Path | str, names: Trials, keys: np.ndarray, trials: Trials) -> None:
    extra = np.flatnonzero(~np.isin(keys, trials.keys))
    if len(extra):
        raise UserError(
            f"{path}: {len(extra)} of {len(keys)} scores are of no trial in the list, "
            f"the first on line {extra[0] + 1}: {pair(names, extra)}"
        )


def refuse_conflicts(path: Path | str, trials: Trials, scores: np.ndarray, again: np.ndarray, before: np.ndarray):
    """UserError where two lines of a score file give one pair differing scores."""
    differ = np.flatnonzero(scores[again] != scores[before])
    if len(differ):
        lines = f"{before[differ[0]] + 1} and {again[differ[0]] + 1}"
        raise UserError(f"{path}: the trial {pair(trials, again[differ])} has differing scores on lines {lines}")


def pair(trials: Trials, which: np.ndarray) -> str:
    return '"{} {}"'.format(*trials[int(which[0])])
