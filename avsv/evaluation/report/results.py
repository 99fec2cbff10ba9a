"""All numbers in the report, by trial list and condition."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avsv.errors import OptionError, refuse_unknown
from avsv.evaluation.bootstrap import Resampled, SpeakerBootstrap, bootstrap
from avsv.evaluation.comparison import Compared, all_differences
from avsv.evaluation.estimates import Measured
from avsv.evaluation.measures import warn_reversed
from avsv.evaluation.report.curves import Curves, make_curves
from avsv.evaluation.report.trials import WorstTrial, worst_trials
from avsv.evaluation.results import ScoreFile
from avsv.evaluation.subsets import Grouping, measure_subsets, read_grouping
from avsv.evaluation.tables import shown
from avsv.kaldi.scores import read_scores
from avsv.kaldi.speakers import speakers_of
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import Trials, read_labelled_trials

log = logging.getLogger("avsv")


@dataclass(frozen=True)
class Options:
    """Options of a report.

    by : tables that split the trials into subsets
    reference : the recommended system, "SYSTEM" or "SYSTEM.BACKEND"; None for the lowest EER on the main list
    systems, conditions : names to show; empty for all that have scores
    rivals : systems that the headline compares the reference with; empty for all others
    """

    p_target: Sequence[float] = (0.01, 0.05)
    utt2spk: Path | None = None
    n_resamples: int = 1000
    by: Sequence[Path] = ()
    reference: str | None = None
    conditions: Sequence[str] = ()
    systems: Sequence[str] = ()
    rivals: Sequence[str] = ()


@dataclass(frozen=True)
class Reference:
    """The recommended system, the reference of all differences; `backend` is None until it is chosen."""

    system: str
    backend: str | None = None

    def is_of(self, record: dict) -> bool:
        return record["system"] == self.system and self.backend in (None, record["backend"])


@dataclass(frozen=True)
class TrialList:
    """A trial list with the data that all systems share: speakers of both sides (trials, 2), resamples, subsets."""

    trials: Trials
    people: np.ndarray
    bootstrap: SpeakerBootstrap | None
    groupings: Sequence[Grouping]


@dataclass(frozen=True)
class Errors:
    """A system's worst errors: trials of each kind, and the total number."""

    curves: Curves
    accepts: tuple[list[WorstTrial], int]
    rejects: tuple[list[WorstTrial], int]


@dataclass(frozen=True)
class Subsets:
    """EER by subset of each system's best back-end: its curves, subset -> measures."""

    grouping: Grouping
    rows: list[tuple[Curves, dict[str, dict]]]


@dataclass(frozen=True)
class Table:
    """One trial list under one condition.

    records : of every system and back-end, as in results.json
    curves : of each system's best back-end, and of the reference with its own; best first; empty if one class has no
        trials
    reference : the record that the others are compared with; None if the reference has no scores or no EER
    rivals : systems that the headline compares it with; empty for all others
    """

    trials: str
    condition: str
    records: list[dict]
    n_people: int
    reference: dict | None = None
    curves: list[Curves] = field(default_factory=list)
    errors: list[Errors] = field(default_factory=list)
    subsets: list[Subsets] = field(default_factory=list)
    rivals: Sequence[str] = ()


def make_tables(files: Sequence[ScoreFile], lists: Mapping[str, Path], options: Options, main: str) -> list[Table]:
    """All tables, in the order of `files`; one trial list is in memory at a time.

    Parameters
    ----------
    main : name of the list on which the reference's back-end is chosen, and for which the worst errors are shown

    Raises
    ------
    OptionError : the reference or a rival is not among the systems
    """
    for rival in options.rivals:
        refuse_unknown("rival", rival, sorted({file.system for file in files}))
    reference = find_reference(files, options.reference)
    numbers = number_systems(files)
    utt2spk = read_table(options.utt2spk, 2, "utterance speaker") if options.utt2spk else None
    tables: dict[tuple[str, str], Table] = {}
    for name in sorted(dict.fromkeys(file.trials for file in files), key=lambda name: name != main):
        trials = read_labelled_trials(lists[name])
        resamples = bootstrap(trials, utt2spk, options.n_resamples)
        people = resamples.speakers if resamples else speakers_of(trials, utt2spk)
        groupings = [read_grouping(path, trials, utt2spk) for path in options.by]
        given = TrialList(trials, people, resamples, groupings)
        for condition in dict.fromkeys(file.condition for file in files if file.trials == name):
            mine = [file for file in files if (file.trials, file.condition) == (name, condition)]
            table = make_table(mine, numbers, given, options, reference, name == main)
            if table.reference:  # chosen once, on the main list, and kept in all other tables
                reference = Reference(table.reference["system"], table.reference["backend"])
            tables[name, condition] = table
    return [tables[key] for key in dict.fromkeys((file.trials, file.condition) for file in files)]


def find_reference(files: Sequence[ScoreFile], name: str | None) -> Reference | None:
    """The reference named by "SYSTEM" or "SYSTEM.BACKEND"; None without a name.

    Examples
    --------
    >>> files = [ScoreFile(Path("exp/a/scores/t.cosine_as-norm"), "a", "t", "clean", "cosine+as-norm")]
    >>> find_reference(files, "a.cosine_as-norm")
    Reference(system='a', backend='cosine+as-norm')
    """
    if name is None:
        return None
    systems = {file.system for file in files}
    named = {f"{file.system}.{file.backend}": Reference(file.system, file.backend) for file in files}
    reference = Reference(name) if name in systems else named.get(backend_spelt(name))
    if reference is None:
        known = ", ".join(sorted(systems)) or "no system"
        raise OptionError(f"reference: expected SYSTEM or SYSTEM.BACKEND of {known}, found {name!r}")
    return reference


def backend_spelt(name: str) -> str:
    """`avn_e.cosine_shared` as `avn_e.cosine+shared`, the spelling of back-ends in tables."""
    system, _, backend = name.rpartition(".")
    return f"{system}.{backend.replace('_', '+')}"


def number_systems(files: Sequence[ScoreFile]) -> dict[str, int]:
    """System -> the number that gives its colour, the same in all tables and figures."""
    return {system: number for number, system in enumerate(sorted({file.system for file in files}))}


def make_table(
    files: Sequence[ScoreFile],
    numbers: Mapping[str, int],
    given: TrialList,
    options: Options,
    reference: Reference | None,
    with_errors: bool,
) -> Table:
    """One trial list under one condition; the scores of one file are in memory at a time."""
    records, resampled = [], []
    for file in files:
        scores = read_scores(file.path, given.trials)
        compared = Compared.of(scores, given.trials.labels, options.p_target, given.bootstrap)
        measures = compared.measures
        about = {"system": file.system, "backend": file.backend, "trials": file.trials, "condition": file.condition}
        records.append(about | measures)
        warn_reversed(file.path, measures)
        resampled.append(compared.resampled)
        log.info("%s: EER %s %%", file.path, shown(records[-1]["eer_percent"], 2))
    best = best_backends(records, reference)
    row = next((row for row in best if reference is None or reference.is_of(records[row])), None)
    if row is not None:
        add_differences(files, records, resampled, row, given, options.p_target)
    table = Table(
        trials=files[0].trials,
        condition=files[0].condition,
        records=records,
        n_people=int(given.people.max()) + 1,
        reference=None if row is None else records[row],
        subsets=[Subsets(grouping, []) for grouping in given.groupings],
        rivals=options.rivals,
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
    """Add curves, worst errors and subsets, which are shown for a system's best back-end only."""
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
        subsets.rows.append((curves, measured))
        record.setdefault("subsets", {})[subsets.grouping.name] = measured


def add_differences(
    files: Sequence[ScoreFile],
    records: Sequence[dict],
    resampled: Sequence[Resampled | None],
    reference: int,
    given: TrialList,
    p_target: Sequence[float],
) -> None:
    """Give each record `reference`, [system, backend], and `against_reference` (see `compare`), None for itself."""

    def compared(row: int) -> Compared:
        scores = read_scores(files[row].path, given.trials)
        return Compared(Measured.of(scores, given.trials.labels), records[row], resampled[row])

    of_reference = compared(reference)
    for row, record in enumerate(records):
        record["against_reference"] = (
            None if row == reference else all_differences(compared(row), of_reference, p_target, given.bootstrap)
        )
    for record in records:
        record["reference"] = [records[reference][key] for key in ("system", "backend")]


def best_backends(records: Sequence[dict], reference: Reference | None = None) -> list[int]:
    """Row of each system's best back-end by EER, best system first; the reference keeps its own back-end.

    Empty if no EER is defined.

    Examples
    --------
    >>> rows = [{"system": "a", "backend": "cosine", "eer_percent": 2}, {"system": "a", "backend": "plda",
    ...         "eer_percent": 1}, {"system": "b", "backend": "cosine", "eer_percent": 0}]
    >>> best_backends(rows)
    [2, 1]
    >>> best_backends(rows, Reference("a", "cosine"))
    [2, 0]
    """
    rows = sorted(
        (row for row, record in enumerate(records) if record["eer_percent"] is not None),
        key=lambda row: records[row]["eer_percent"],
    )
    best: dict[str, int] = {}
    for row in rows:
        best.setdefault(records[row]["system"], row)
    if own := [row for row in rows if reference and reference.is_of(records[row])]:
        best[records[own[0]]["system"]] = own[0]
    return sorted(best.values(), key=rows.index)
