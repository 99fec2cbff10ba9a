"""Measures by subset of the trials: gender pair, nationality, duration, any table of recordings or of people."""

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

FEW = 6  # numbers of more different values than this are binned
BINS = 4
PAIRED = 8  # with more different values than this, two different ones are not told apart
MOST = 200  # subsets
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Grouping:
    """Which subset each trial is in.

    name : the table's file name
    labels : names of the subsets, in the order to show them; each has at least one trial
    group : (trials,) int, row in `labels`
    note : how the subsets were made, one sentence for the reader
    """

    name: str
    labels: Sequence[str]
    group: np.ndarray
    note: str


def read_grouping(path: Path | str, trials: Trials, utt2spk: Mapping[str, str] | None = None) -> Grouping:
    """Subsets of the trials by a table `recording value`, or `person value` where `utt2spk` is given.

    Text gives a trial the unordered pair of its two sides' values: "f-f", "f-m", "m-m". Of more than eight different
    values only equal pairs are told apart, and the rest is "different". Numbers of more than six different values (and
    nothing else in the table) give a trial the lower one of its two sides, and the trials are cut at the quartiles of
    that. A trial of a recording that is not in the table is in the subset "unknown".

    Raises
    ------
    InputError : the table is none, names nobody in the trials, or makes more than 200 subsets

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
    if len(values) > FEW and all(is_finite(value) for value in values):
        labels, group, note = by_number(sides, trials)
    else:
        labels, group, note = by_pair(sides, values, trials)
    if len(labels) > MOST:
        raise InputError(f"{path}: makes {len(labels)} subsets of the trials, at most {MOST} can be told: join values")
    recordings = dict(zip(trials.enroll_ids, sides[0], strict=True)) | dict(zip(trials.test_ids, sides[1], strict=True))
    if absent := sum(value is None for value in recordings.values()):
        note += f"; {absent} of {len(recordings)} recordings are not in the table, and their trials {UNKNOWN}"
    return Grouping(Path(path).name, labels, group, note)


def values_of_sides(
    path: Path | str, values: Mapping[str, str], trials: Trials, utt2spk: Mapping[str, str] | None
) -> list[list[str | None]]:
    """Value of each enrolment and of each test recording, None where the table has none.

    The table is of recordings or of people, whichever of the two finds more of the recordings.
    """
    both = (trials.enroll_ids, trials.test_ids)
    readings = [[[values.get(name) for name in ids] for ids in both]]
    if utt2spk is not None:
        readings.append([[values.get(utt2spk.get(name)) for name in ids] for ids in both])
    best = max(readings, key=lambda sides: sum(value is not None for side in sides for value in side))
    if not any(value is not None for side in best for value in side):
        hint = " or people of --utt2spk" if utt2spk is not None else "; a table of people needs --utt2spk"
        raise InputError(
            f'{path}: names no recording of the trials, such as "{trials.enroll_ids[0]}": expected "recording value" '
            f"lines with their recordings{hint}"
        )
    return best


def is_finite(text: str) -> bool:
    return math.isfinite(number_or_nan(text))


def by_pair(sides: Sequence[Sequence[str | None]], values: Sequence[str], trials: Trials):
    """Labels, subset of each trial and a note: by the unordered pair of both sides' values."""
    place = {value: number for number, value in enumerate(values)} | {None: -1}
    both = [np.array([place[value] for value in side])[trials.pairs[:, i]] for i, side in enumerate(sides)]
    low, high = np.minimum(*both), np.maximum(*both)
    n, told_apart = len(values), len(values) <= PAIRED
    code = low * n + high
    if not told_apart:
        code[low != high] = n * n
    code[low < 0] = n * n + 1
    found, group = np.unique(code, return_inverse=True)
    names = {n * n: "different", n * n + 1: UNKNOWN}
    between = " / " if any("-" in value for value in values) else "-"
    labels = [names.get(c) or f"{values[c // n]}{between}{values[c % n]}" for c in found.tolist()]
    note = "by the values of both sides, in either order"
    if not told_apart:
        note += f'; there are {n} values, so that all pairs of different ones are one subset, "different"'
    return labels, group, note


def by_number(sides: Sequence[Sequence[str | None]], trials: Trials):
    """Labels, subset of each trial and a note: the lower value of both sides, cut at its quartiles."""
    both = [
        np.array([np.nan if value is None else float(value) for value in side])[trials.pairs[:, i]]
        for i, side in enumerate(sides)
    ]
    lower = np.minimum(*both)  # NaN where either is
    known = lower[~np.isnan(lower)]
    limits = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.empty(0)
    # a quartile with nothing below it, or equal to its neighbour, makes no bin
    limits = limits[limits > known.min(initial=np.inf)]
    bins = np.searchsorted(limits, lower, side="right")
    bins[np.isnan(lower)] = len(limits) + 1
    found, group = np.unique(bins, return_inverse=True)
    texts = next(t for digits in range(4, 18) if len(set(t := [f"{x:.{digits}g}" for x in limits])) == len(limits))
    middle = [f"{low} to {high}" for low, high in pairwise(texts)]
    names = [f"below {texts[0]}", *middle, f"from {texts[-1]} on"] if texts else ["all"]
    labels = [[*names, UNKNOWN][number] for number in found.tolist()]
    note = f"by the lower value of both sides, cut at its quartiles over the trials: {', '.join(texts) or 'none'}"
    return labels, group, note


def measure_subsets(
    scores: np.ndarray,
    trials: Trials,
    grouping: Grouping,
    p_target: Sequence[float] = P_TARGET,
    bootstrap: SpeakerBootstrap | None = None,
    fmr: Sequence[float] = FMR,
) -> dict[str, dict]:
    """Subset's name -> what `measure` gives for its trials, in the grouping's order.

    What a subset is too small for, or has one class only for, is None there; no subset is left out.

    Parameters
    ----------
    scores : (trials,) float; a trial whose score is NaN is left out
    trials : labelled
    bootstrap : the resamples of all the trials, or None for no intervals
    """
    rows, there = {}, ~np.isnan(scores)
    for number, label in enumerate(grouping.labels):
        inside = there & (grouping.group == number)
        part = bootstrap.take(inside) if bootstrap else None
        rows[label] = measure(scores[inside], trials.labels[inside], p_target, part, fmr)
    return rows


def read_groupings(paths: Sequence[Path], trials: Trials, utt2spk: Path | None = None) -> dict[str, Grouping]:
    """Name -> grouping of several tables: the file's name, or its path where two have one name."""
    people = read_table(utt2spk, 2, "utterance speaker") if paths and utt2spk else None
    names = [path.name for path in paths]
    return {
        path.name if names.count(path.name) == 1 else str(path): read_grouping(path, trials, people) for path in paths
    }


def subset_table(name: str, grouping: Grouping, rows: Mapping[str, Mapping[str, dict]]) -> str:
    """Measures of the subsets as aligned text below a line that says how they were made.

    rows : score file -> what `measure_subsets` gives
    """
    several = len(rows) > 1
    flat = {f"{path}, {label}" if several else label: row for path, of in rows.items() for label, row in of.items()}
    return f"{name}: {grouping.note}\n{table(flat, 'subset')}"
