"""Everything the report shows of each trial list under each condition, as numbers."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.bootstrap import Resampled, SpeakerBootstrap, bootstrap
from avsv.evaluation.comparison import all_differences
from avsv.evaluation.measures import measure_and_resample, warn_reversed
from avsv.evaluation.report.curves import Curves, make_curves
from avsv.evaluation.report.trials import WorstTrial, worst_trials
from avsv.evaluation.results import ScoreFile
from avsv.evaluation.speakers import speakers_of
from avsv.evaluation.subsets import Grouping, measure_subsets, read_grouping
from avsv.evaluation.tables import shown
from avsv.kaldi.scores import read_scores
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import Trials, read_labelled_trials

log = logging.getLogger("avsv")
SINGLE = ("voice", "face")  # the systems that fusion is compared with where no other is named


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    by : tables that make subsets; reference : a system's name, None for the best single one
    conditions : those that are shown; none: all that have scores
    """

    p_target: Sequence[float] = (0.01, 0.05)
    utt2spk: Path | None = None
    n_resamples: int = 1000
    by: Sequence[Path] = ()
    reference: str | None = None
    conditions: Sequence[str] = ()


@dataclass(frozen=True)
class TrialList:
    """A list with what all systems share: who is on each side (trials, 2), the resamples, the subsets."""

    trials: Trials
    people: np.ndarray
    bootstrap: SpeakerBootstrap | None
    groupings: Sequence[Grouping]


@dataclass(frozen=True)
class Errors:
    """A system's worst errors: of each kind the trials, and how many there are in all."""

    curves: Curves
    accepts: tuple[list[WorstTrial], int]
    rejects: tuple[list[WorstTrial], int]


@dataclass(frozen=True)
class Subsets:
    """EER by subset of each system's best back-end: number of the system, its name, subset -> measures."""

    grouping: Grouping
    rows: list[tuple[int, str, dict[str, dict]]]


@dataclass(frozen=True)
class Table:
    """One trial list under one condition.

    records : of every system and back-end, as in results.json
    curves : of each system's best back-end, best first; empty where one class has no trial
    reference : the record that others are compared with
    """

    trials: str
    condition: str
    records: list[dict]
    n_people: int
    reference: dict | None = None
    curves: list[Curves] = field(default_factory=list)
    errors: list[Errors] = field(default_factory=list)
    subsets: list[Subsets] = field(default_factory=list)


def make_tables(
    files: Sequence[ScoreFile], lists: Mapping[str, Path], options: Options, with_errors: str
) -> Iterator[Table]:
    """The tables in the order of `files`; one trial list is in memory at a time.

    with_errors : name of the list whose worst errors are looked for
    """
    numbers = {system: number for number, system in enumerate(sorted({file.system for file in files}))}
    if options.reference is not None and options.reference not in numbers:
        raise InputError(f"--reference {options.reference}: no such system, there are {', '.join(numbers)}")
    utt2spk = read_table(options.utt2spk, 2, "utterance speaker") if options.utt2spk else None
    for name in dict.fromkeys(file.trials for file in files):
        trials = read_labelled_trials(lists[name])
        resamples = bootstrap(trials, utt2spk, options.n_resamples)
        people = resamples.people if resamples else speakers_of(trials, utt2spk)
        groupings = [read_grouping(path, trials, utt2spk) for path in options.by]
        given = TrialList(trials, people, resamples, groupings)
        for condition in dict.fromkeys(file.condition for file in files if file.trials == name):
            mine = [file for file in files if (file.trials, file.condition) == (name, condition)]
            yield make_table(mine, numbers, given, options, name == with_errors)


def make_table(
    files: Sequence[ScoreFile], numbers: Mapping[str, int], given: TrialList, options: Options, with_errors: bool
) -> Table:
    """One trial list under one condition; the scores of one file are in memory at a time."""
    records, resampled = [], []
    for file in files:
        scores = read_scores(file.path, given.trials)
        found = measure_and_resample(scores, given.trials.labels, options.p_target, given.bootstrap)
        about = {"system": file.system, "backend": file.backend, "trials": file.trials, "condition": file.condition}
        records.append(about | found[0])
        warn_reversed(file.path, found[0])
        resampled.append(found[1])
        log.info("%s: EER %s %%", file.path, shown(records[-1]["eer_percent"], 2))
    best = best_backends(records)
    reference = choose_reference(best, records, options.reference) if best else None
    if reference is not None:
        add_differences(records, resampled, reference, options.p_target)
    table = Table(
        trials=files[0].trials,
        condition=files[0].condition,
        records=records,
        n_people=int(given.people.max()) + 1,
        reference=None if reference is None else records[reference],
        subsets=[Subsets(grouping, []) for grouping in given.groupings],
    )
    for row in best:
        add_system(table, records[row], files[row], numbers[files[row].system], given, options, with_errors)
    return table


def add_system(
    table: Table,
    record: dict,
    file: ScoreFile,
    number: int,
    given: TrialList,
    options: Options,
    with_errors: bool,
) -> None:
    """Put into the table what is shown of a system's best back-end only."""
    scores = read_scores(file.path, given.trials)
    curves = make_curves(number, record, scores, given.trials.labels, given.bootstrap)
    table.curves.append(curves)
    if with_errors:
        worst = [
            worst_trials(scores, given.trials, given.people, curves.threshold, accepts) for accepts in (True, False)
        ]
        table.errors.append(Errors(curves, *worst))
    for subsets in table.subsets:
        measured = measure_subsets(scores, given.trials, subsets.grouping, options.p_target, given.bootstrap)
        subsets.rows.append((number, file.system, measured))
        record.setdefault("subsets", {})[subsets.grouping.name] = measured


def add_differences(
    records: Sequence[dict], resampled: Sequence[Resampled | None], reference: int, p_target: Sequence[float]
) -> None:
    """Give each record `reference`, [system, backend], and `against_reference` (see `compare`), None for itself."""
    of_reference = records[reference], resampled[reference]
    for row, found in enumerate(zip(records, resampled, strict=True)):
        differences = None if row == reference else all_differences(found, of_reference, p_target)
        found[0]["against_reference"] = differences
    for record in records:
        record["reference"] = [records[reference][key] for key in ("system", "backend")]


def best_backends(records: Sequence[dict]) -> list[int]:
    """Row of the best back-end of each system by EER, best first; none where no EER is defined.

    Examples
    --------
    >>> best_backends([{"system": "a", "eer_percent": 2}, {"system": "a", "eer_percent": 1},
    ...                {"system": "b", "eer_percent": 0}])
    [2, 1]
    """
    rows = [row for row, record in enumerate(records) if record["eer_percent"] is not None]
    best: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: records[row]["eer_percent"]):
        best.setdefault(records[row]["system"], row)
    return list(best.values())


def choose_reference(best: Sequence[int], records: Sequence[dict], wanted: str | None) -> int | None:
    """Row of the record that others are compared with: of the system wanted, otherwise of the best single one.

    Where no system has the name of a single modality it is the best of all.
    """
    if wanted:
        return next((row for row in best if records[row]["system"] == wanted), None)
    return next((row for row in best if records[row]["system"] in SINGLE), best[0])
