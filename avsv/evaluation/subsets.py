"""Measures on subsets of the trials: by gender pair, nationality, duration, or any table of recordings or speakers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.measures import FMR, P_TARGET, measure, table
from avsv.kaldi.decimals import number_or_nan
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import Trials

FEW = 6  # numbers with more distinct values than this are binned
BINS = 4
PAIRED = 8  # with more distinct values than this, all unequal pairs form one subset
MOST = 200  # largest number of subsets
UNKNOWN = "unknown"
SIDES = ("enrolment", "test")


@dataclass(frozen=True)
class Grouping:
    """A division of the trials into subsets.

    name : file name of the table
    labels : names of the subsets, in display order; each has at least one trial
    group : (trials,) int, each trial's index in `labels`
    note : how the subsets were made, for the reader
    """

    name: str
    labels: Sequence[str]
    group: np.ndarray
    note: str


def read_grouping(path: Path | str, trials: Trials, utt2spk: Mapping[str, str] | None = None) -> Grouping:
    """Divide the trials by a table `recording value`, or `speaker value` if `utt2spk` is given.

    Text values: the subset is the unordered pair of the two sides' values, such as "f-f", "f-m", "m-m". With more than
    eight distinct values, all unequal pairs form the subset "different". Numbers (throughout the table, with more than
    six distinct values): a trial gets the lower value of its two sides, and the trials are split at its quartiles.
    Trials with a recording that is not in the table form the subset "unknown". If a table has values for one side only,
    such as the number of recordings of each enrolment model, or the durations of test recordings, the trials are
    divided by that side alone.

    Raises
    ------
    InputError : not a table, no recording of the trials in it, or more than 200 subsets

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "spk2gender"
    >>> _ = path.write_text("a m\\nb f\\n")
    >>> trials = Trials(["a-1"], ["a-2", "b-1", "c-1"], np.array([[0, 0], [0, 1], [0, 2]]))
    >>> grouping = read_grouping(path, trials, {"a-1": "a", "a-2": "a", "b-1": "b"})
    >>> grouping.labels, grouping.group.tolist()
    (['f-m', 'm-m', 'unknown'], [1, 0, 2])
    """
    sides = values_of_sides(path, read_table(path, 2, "recording value"), trials, utt2spk)
    values = sorted({value for side in sides for value in side if value is not None})
    used = [number for number, side in enumerate(sides) if any(value is not None for value in side)]
    if len(values) > FEW and all(is_finite(value) for value in values):
        labels, group, note = by_number(sides, trials, used)
    elif len(used) == 1:
        labels, group, note = by_value(sides[used[0]], values, trials.pairs[:, used[0]], SIDES[used[0]])
    else:
        labels, group, note = by_pair(sides, values, trials)
    if len(labels) > MOST:
        raise InputError(f"{path}: expected at most {MOST} subsets of the trials, found {len(labels)}; merge values")
    ids = (trials.enroll_ids, trials.test_ids)
    recordings = {name: value for side in used for name, value in zip(ids[side], sides[side], strict=True)}
    if absent := sum(value is None for value in recordings.values()):
        note += f"; {absent} of {len(recordings)} recordings are not in the table (their trials: {UNKNOWN})"
    return Grouping(Path(path).name, labels, group, note)


def values_of_sides(
    path: Path | str, values: Mapping[str, str], trials: Trials, utt2spk: Mapping[str, str] | None
) -> list[list[str | None]]:
    """Values of the enrolment and of the test recordings, None if absent.

    The table is read as one of recordings or of speakers, whichever gives more recordings a value.
    """
    both = (trials.enroll_ids, trials.test_ids)
    readings = [[[values.get(name) for name in ids] for ids in both]]
    if utt2spk is not None:
        readings.append([[values.get(utt2spk.get(name)) for name in ids] for ids in both])
    best = max(readings, key=lambda sides: sum(value is not None for side in sides for value in side))
    if not any(value is not None for side in best for value in side):
        hint = " or their speakers" if utt2spk is not None else "; a table of speakers needs utt2spk"
        raise InputError(
            f'{path}: expected lines "recording value" with recordings of the trials, such as "{trials.enroll_ids[0]}"'
            f"{hint}"
        )
    return best


def is_finite(text: str) -> bool:
    """Whether the text is a finite number."""
    return math.isfinite(number_or_nan(text))


def by_pair(sides: Sequence[Sequence[str | None]], values: Sequence[str], trials: Trials):
    """Labels, subset of each trial, and a note: by the unordered pair of the two sides' values."""
    place = {value: number for number, value in enumerate(values)} | {None: -1}
    both = [np.array([place[value] for value in side])[trials.pairs[:, i]] for i, side in enumerate(sides)]
    low, high = np.minimum(*both), np.maximum(*both)
    n, all_pairs = len(values), len(values) <= PAIRED
    code = low * n + high
    if not all_pairs:
        code[low != high] = n * n
    code[low < 0] = n * n + 1
    codes, group = np.unique(code, return_inverse=True)
    names = {n * n: "different", n * n + 1: UNKNOWN}
    between = " / " if any("-" in value for value in values) else "-"
    labels = [names.get(c) or f"{values[c // n]}{between}{values[c % n]}" for c in codes.tolist()]
    note = "by the values of the two sides, in either order"
    if not all_pairs:
        note += f'; with {n} values, all pairs of unequal ones form the subset "different"'
    return labels, group, note


def by_value(of_side: Sequence[str | None], values: Sequence[str], rows: np.ndarray, side: str):
    """Labels, subset of each trial, and a note: by the value of one side; `rows` are the trials' recordings on it."""
    place = {value: number for number, value in enumerate(values)} | {None: len(values)}
    present, group = np.unique(np.array([place[value] for value in of_side])[rows], return_inverse=True)
    return [[*values, UNKNOWN][number] for number in present.tolist()], group, f"by the value of the {side} side"


def by_number(sides: Sequence[Sequence[str | None]], trials: Trials, used: Sequence[int]):
    """Labels, subset of each trial, and a note: by the lower value of the `used` sides, split at its quartiles."""
    columns = [
        np.array([np.nan if value is None else float(value) for value in sides[i]])[trials.pairs[:, i]] for i in used
    ]
    lower = np.minimum(columns[0], columns[-1])  # NaN if either is
    known = lower[~np.isnan(lower)]
    limits = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.empty(0)
    # a quartile without values below it gives no bin; equal quartiles give one
    limits = limits[limits > known.min(initial=np.inf)]
    bins = np.searchsorted(limits, lower, side="right")
    bins[np.isnan(lower)] = len(limits) + 1
    used, group = np.unique(bins, return_inverse=True)
    texts = next(t for digits in range(4, 18) if len(set(t := [f"{x:.{digits}g}" for x in limits])) == len(limits))
    middle = [f"{low} to {high}" for low, high in pairwise(texts)]
    names = [f"below {texts[0]}", *middle, f"from {texts[-1]} on"] if texts else ["all"]
    labels = [[*names, UNKNOWN][number] for number in used.tolist()]
    which = "lower value of the two sides" if len(used) > 1 else f"value of the {SIDES[used[0]]} side"
    note = f"by the {which}, split at its quartiles over the trials: {', '.join(texts) or 'none'}"
    return labels, group, note


def measure_subsets(
    scores: np.ndarray,
    trials: Trials,
    grouping: Grouping,
    p_target: Sequence[float] = P_TARGET,
    bootstrap: SpeakerBootstrap | None = None,
    fmr: Sequence[float] = FMR,
) -> dict[str, dict]:
    """Name of the subset -> `measure` of its trials, in the grouping's order.

    No subset is left out; measures that it is too small for, or that need both classes, are None.

    Parameters
    ----------
    scores : (trials,) float, NaN for trials to leave out
    trials : with labels
    grouping : from `read_grouping`
    p_target, fmr : as for `measure`
    bootstrap : from `bootstrap`, of all trials; None for no intervals
    """
    rows, present = {}, ~np.isnan(scores)
    for number, label in enumerate(grouping.labels):
        inside = present & (grouping.group == number)
        part = bootstrap.take(inside) if bootstrap else None
        rows[label] = measure(scores[inside], trials.labels[inside], p_target, part, fmr)
    return rows


def read_groupings(paths: Sequence[Path], trials: Trials, utt2spk: Path | None = None) -> dict[str, Grouping]:
    """Name -> grouping for several tables; the name is the file's, or its path if two files share a name."""
    speakers = read_table(utt2spk, 2, "utterance speaker") if paths and utt2spk else None
    names = [path.name for path in paths]
    return {
        path.name if names.count(path.name) == 1 else str(path): read_grouping(path, trials, speakers) for path in paths
    }


def subset_table(name: str, grouping: Grouping, rows: Mapping[str, Mapping[str, dict]]) -> str:
    """Measures of the subsets as aligned text, below a line that explains how they were made.

    Parameters
    ----------
    rows : score file -> result of `measure_subsets`
    """
    several = len(rows) > 1
    flat = {f"{path}, {label}" if several else label: row for path, of in rows.items() for label, row in of.items()}
    return f"{name}: {grouping.note}\n{table(flat, 'subset')}"
