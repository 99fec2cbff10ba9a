"""Quality-dependent fusion of score files: reads lists, scores and quality tables, trains or applies, and writes."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.origin import describe
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import Trials, read_labelled_trials, read_trials
from avsv.scoring.calibration import read_fusion, write_fusion
from avsv.scoring.quality import Measure, QualityTable, RecordingValues, fill_lists
from avsv.scoring.quality_fusion import QualityFusion
from avsv.scoring.quality_training import QUALITY_RIDGE, TrainingList, people_of, softening, train_quality_fusion
from avsv.scoring.quality_validation import choose_ridge
from avsv.scoring.score_lists import (
    ScoreList,
    fused_system,
    log_patterns,
    read_score_columns,
    warn_reversed,
    write_fused,
)

log = logging.getLogger("avsv")
Tables = list[list[QualityTable]]  # for each system, its tables


def fuse_by_quality(
    out: Path,
    given: ScoreList,
    train: Sequence[ScoreList] = (),
    p_target: float = 0.01,
    model: Path | None = None,
    missing: str = "error",
    ridges: Sequence[float] = (QUALITY_RIDGE,),
    utt2spk: Path | None = None,
) -> None:
    """Write scores fused by quality-dependent fusion, or calibrated if there is one system, and the model as OUT.json.

    The model is read from `model`, or else trained on all lists of `train` together, or else on the trials themselves.

    Parameters
    ----------
    given, train : lists with `names`, the name of each system; each quality table names its system
    missing : with "rest", a trial is scored with the systems that it has, 0 without any, and a missing quality value of
        a recording that has a score is replaced by the median of the training recordings
    ridges : penalties on the influence of quality; one of several is chosen by cross-validation over people
    utt2spk : table of the speakers of all training recordings; without it, target trials connect recordings of one

    Raises
    ------
    InputError : the lists differ in their systems, the models behind these, or their quality tables, or a fused score
        is not finite
    """
    if model is not None:
        fusion = read_quality_fusion(model)
        names = [system.name for system in fusion.systems]
        given = in_order_of(names, given, model)
        refuse_other_origins(fusion.trained_on, given, model)
        measures = [system.measures for system in fusion.systems]
        wanted = [[QualityTable(Path(one.table), one.log) for one in each] for each in measures]
        medians = [[one.median for one in each] for each in measures]
    else:
        if not train:
            log.warning("%s: trained on the trials it is applied to, so its costs are optimistic; give training trials",
                        out)  # fmt: skip
        train = [in_order_of(given.names, one, "the scores") for one in train] or [given]
        for one in train:
            refuse_other_origins(given.origins, one, "the scores")
        fusion = train_by_quality(train, p_target, missing, ridges, utt2spk)
        wanted, medians = tables_of(train[0]), [[one.median for one in system.measures] for system in fusion.systems]
    listed = read_trials(given.trials)
    columns = read_score_columns(listed, given.scores, missing)
    refuse_other_tables(wanted, given)
    values = read_lists([given], [listed], [columns], missing == "rest", medians)[0]
    write_fused(out, listed, fusion.apply(columns, listed.pairs, values[0]), fused_system(given.origins, "quality"))
    write_fusion(out.with_name(out.name + ".json"), fusion)
    log_patterns(out, given.scores, columns)
    log.info("%s: %d log-likelihood ratios", out, len(listed))


def train_by_quality(
    lists: Sequence[ScoreList],
    p_target: float = 0.01,
    missing: str = "error",
    ridges: Sequence[float] = (QUALITY_RIDGE,),
    utt2spk: Path | None = None,
) -> QualityFusion:
    """Train quality-dependent fusion on score files, in which the systems are in one order; see `fuse_by_quality`."""
    trials = [read_labelled_trials(one.trials) for one in lists]
    columns = [read_score_columns(each, one.scores, missing) for each, one in zip(trials, lists, strict=True)]
    for one, each, scores in zip(lists, trials, columns, strict=True):
        warn_reversed(one, scores, each.labels)
        refuse_other_tables(tables_of(lists[0]), one)
    values, medians = read_lists(lists, trials, columns, missing == "rest")
    people = people_of(trials, None if utt2spk is None else read_table(utt2spk, 2, "utterance speaker"), utt2spk or "")
    parts = [TrainingList(str(one.trials), *rest)
             for one, *rest in zip(lists, trials, columns, values, people, strict=True)]  # fmt: skip
    names, tables = lists[0].names, tables_of(lists[0])
    measures = [[Measure(str(table.path), table.log, median) for table, median in zip(*both, strict=True)]
                for both in zip(tables, medians, strict=True)]  # fmt: skip
    ridge = ridges[0] if len(ridges) == 1 else choose_ridge(parts, names, p_target, ridges, measures)
    fusion = train_quality_fusion(parts, names, p_target, ridge, measures, lists[0].origins)
    log_influences(fusion)
    return fusion


def read_quality_fusion(path: Path | str) -> QualityFusion:
    """Read a model; InputError if it is not one of quality-dependent fusion."""
    fusion = read_fusion(path)
    if not isinstance(fusion, QualityFusion):
        raise InputError(f"{path}: a model of logistic regression; set `method` to logistic")
    return fusion


def in_order_of(names: Sequence[str], given: ScoreList, source: Path | str) -> ScoreList:
    """A list with its systems in the order `names`.

    A single system takes the wanted name, whatever its own.

    Raises
    ------
    InputError : its systems have other names
    """
    if len(names) == len(given.names) == 1:
        tables = [replace(table, system=names[0]) for table in given.quality]
        given = replace(given, names=[*names], quality=tables)
    if sorted(given.names) != sorted(names):
        raise InputError(f"{source}: expected scores named {', '.join(names)}, found {', '.join(given.names)} for "
                        f"{given.trials}")  # fmt: skip
    return replace(given, names=[*names], scores=[given.scores[given.names.index(name)] for name in names])


def refuse_other_origins(wanted: Sequence[str | None], given: ScoreList, source: Path | str) -> None:
    """Raise InputError if a score file was made by another model or back-end than the system of its name."""
    for name, system, found, path in zip(given.names, wanted, given.origins, given.scores, strict=True):
        if None not in (system, found) and system != found:
            raise InputError(f"{source}: expects {name} scores of {describe([system])}, found {found} in {path}")
    if None in (*wanted, *given.origins):
        log.info("%s: not all score files have a record of their model, so avsv cannot check them against %s",
                 ", ".join(map(str, given.scores)), source)  # fmt: skip


def tables_of(given: ScoreList) -> Tables:
    """Quality tables of each system; InputError if a table names no system of the list."""
    if unknown := [table for table in given.quality if table.system not in given.names]:
        raise InputError(f"{unknown[0].path}: a quality table of {unknown[0].system or 'no system'}, expected one of "
                        f"{', '.join(given.names)}")  # fmt: skip
    return [[table for table in given.quality if table.system == name] for name in given.names]


def refuse_other_tables(wanted: Tables, given: ScoreList) -> None:
    """Raise InputError unless a list has as many quality tables of each system, with the same use of logarithms."""
    for name, wants, found in zip(given.names, wanted, tables_of(given), strict=True):
        if [table.log for table in wants] != [table.log for table in found]:
            listed = [", ".join(map(str, tables)) or "none" for tables in (wants, found)]
            raise InputError(f"quality tables of {name} for {given.trials}: expected the counterparts "
                            f"of {listed[0]} in this order, logarithms included, found {listed[1]}")  # fmt: skip


def read_lists(
    lists: Sequence[ScoreList],
    trials: Sequence[Trials],
    columns: Sequence[np.ndarray],
    fill_missing: bool,
    medians: Sequence[Sequence[float]] | None = None,
) -> tuple[list[list[RecordingValues]], list[list[float]]]:
    """Quality values of several lists, whose tables correspond to each other.

    Parameters
    ----------
    columns : scores of each list, (trials, systems) with NaN where absent; only recordings with a score need a value
    fill_missing, medians : see `fill_lists`; medians of each system's measures

    Returns
    -------
    values : for each list and each system, the values of its recordings
    medians : of each system's measures
    """
    values: list[list[RecordingValues]] = [[] for _ in lists]
    found: list[list[float]] = []
    for number in range(len(lists[0].names)):
        used = [~np.isnan(scores[:, number]) for scores in columns]
        empty = [([np.empty((len(one.enroll_ids), 0))], [np.empty((len(one.test_ids), 0))]) for one in trials]
        found.append([])
        for place, tables in enumerate(zip(*(tables_of(one)[number] for one in lists), strict=True)):
            known = None if medians is None else medians[number][place]
            sides, median = fill_lists(tables, trials, used, fill_missing, known)
            found[-1].append(median)
            for parts, both in zip(empty, sides, strict=True):
                for part, side in zip(parts, both, strict=True):
                    part.append(side[:, None])
        for each, (enroll, test) in zip(values, empty, strict=True):
            each.append(RecordingValues(np.hstack(enroll), np.hstack(test)))
    return values, found


def log_influences(fusion: QualityFusion) -> None:
    """Log each system's map at average quality, how its quality measures change the scale, and what people allow."""
    n_people = max(one.people for one in fusion.lists)
    log.info("trained on %d people: labels are softened, so that the evidence of a system is at most about %d to 1",
             n_people, round(1 / softening(n_people)) - 1)  # fmt: skip
    for system in fusion.systems:
        log.info("%s: log-likelihood ratio = %.4g (score - %.4g) %+.4g at average quality",
                 system.name, np.exp(system.log_scale), system.pivot, system.offset)  # fmt: skip
        for one in system.measures:
            log.info("%s: %s: scale times %.3g and %.3g, per standard deviation of the lower and the higher value",
                     system.name, QualityTable(Path(one.table), one.log), *np.exp(one.scale_weights))  # fmt: skip
