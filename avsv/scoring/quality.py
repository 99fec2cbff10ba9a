"""Quality measures in calibration: what a trial's recordings are like, beside how they score.

A measure is a Kaldi table `utterance value`: seconds of speech, signal-to-noise ratio, length of the embedding, size of
the face ... A trial has two features of each: the lower and the higher value of its two recordings, so that it does not
matter which one is the enrolment; their difference, mean and (of logarithms) ratio are sums of these two, which the
regression forms by itself. With them the score at which a trial is accepted depends on the recordings' quality
(Mandasari, Saeidi, McLaren and van Leeuwen, "Quality measure functions for calibration of speaker recognition systems
in various duration conditions", IEEE TASLP 21(11), 2013; for embeddings Thienpondt, Desplanques and Demuynck, "The
IDLab VoxSRC-20 submission", ICASSP 2021).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.decimals import number_or_nan
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import Trials

log = logging.getLogger("avsv")
LOG = "log:"


@dataclass(frozen=True)
class QualityTable:
    """A table as the user names it: `FILE`, or `log:FILE` for the logarithm of its values.

    Logarithms suit what is positive and spread widely, such as durations, counts and sizes.
    """

    path: Path
    log: bool = False

    @classmethod
    def parse(cls, text: str) -> "QualityTable":
        """
        Examples
        --------
        >>> QualityTable.parse("log:data/vox1/utt2dur")
        QualityTable(path=PosixPath('data/vox1/utt2dur'), log=True)
        """
        return cls(Path(text.removeprefix(LOG)), text.startswith(LOG))

    def __str__(self) -> str:
        return f"{LOG if self.log else ''}{self.path}"


@dataclass(frozen=True)
class Measure:
    """A quality measure as a model knows it.

    table : the file that it was trained with
    log : the values' natural logarithms are taken
    median : of the training recordings, after the logarithm; stands for a value that is missing
    """

    table: str
    log: bool
    median: float


def read_quality(
    tables: Sequence[QualityTable], trials: Trials, rest: bool = False, measures: Sequence[Measure] | None = None
) -> tuple[np.ndarray, list[Measure]]:
    """Features of each trial, for training or for a model that knows its measures.

    Parameters
    ----------
    tables : of the trials' recordings
    rest : a recording without a value gets the median of the training recordings, which speaks neither for nor against;
        that a whole modality is missing, the maps for the systems that are present know already (see calibration.py)
    measures : of the model; None to make them of these recordings

    Returns
    -------
    features : (trials, 2 * tables) float64: lower and higher of both recordings, table by table
    measures : one for each table

    Raises
    ------
    InputError : a value is missing and `rest` is not set, is not finite, or is not positive where its logarithm is
        asked for; the tables are others than those of the model
    """
    if measures is not None:
        refuse_other_tables(tables, measures)
    features, known = np.empty((len(trials), 2 * len(tables))), []
    for number, table in enumerate(tables):
        sides = read_values(table, trials)
        median = measures[number].median if measures is not None else training_median(table, trials, sides)
        n_missing = fill(table, trials, sides, median if rest else None)
        if n_missing:
            log.warning("%s: %d recordings have no value, %.4g, training's median, is taken", table, n_missing, median)
        enroll, test = sides[0][trials.pairs[:, 0]], sides[1][trials.pairs[:, 1]]
        np.minimum(enroll, test, out=features[:, 2 * number])
        np.maximum(enroll, test, out=features[:, 2 * number + 1])
        known.append(Measure(str(table.path), table.log, float(median)))
    return features, known if measures is None else list(measures)


def read_values(table: QualityTable, trials: Trials) -> list[np.ndarray]:
    """Values of the enrolment and of the test recordings, NaN where there is none."""
    values = {}
    for name, text in read_table(table.path, 2, "utterance value").items():
        values[name] = value = finite_number(text)
        if value is None:
            raise InputError(f'{table.path}: expected "utterance value", "{text}" of {name} is no finite number')
    sides = [np.array([values.get(name, np.nan) for name in ids]) for ids in (trials.enroll_ids, trials.test_ids)]
    if not table.log:
        return sides
    for side, ids in zip(sides, (trials.enroll_ids, trials.test_ids), strict=True):
        if len(bad := np.flatnonzero(side <= 0)):
            raise InputError(f"{table}: {ids[bad[0]]} has the value {side[bad[0]]:g}, which has no logarithm")
    return [np.log(side) for side in sides]


def finite_number(text: str) -> float | None:
    value = number_or_nan(text)
    return value if np.isfinite(value) else None


def training_median(table: QualityTable, trials: Trials, sides: Sequence[np.ndarray]) -> float:
    """Median of the recordings' values, each recording once."""
    values = dict(zip([*trials.enroll_ids, *trials.test_ids], np.concatenate(sides).tolist(), strict=True))
    found = np.array(list(values.values()))
    if np.isnan(found).all():
        raise InputError(f"{table}: none of the {len(found)} recordings of the training trials is in it")
    return float(np.nanmedian(found))


def fill(table: QualityTable, trials: Trials, sides: Sequence[np.ndarray], median: float | None) -> int:
    """Put the median in place of what is missing, and count it; InputError where there is no median to be taken."""
    missing = set()
    for side, ids in zip(sides, (trials.enroll_ids, trials.test_ids), strict=True):
        absent = np.flatnonzero(np.isnan(side))
        missing.update(ids[row] for row in absent)
        if median is not None:
            side[absent] = median
    if missing and median is None:
        raise InputError(
            f"{table}: {len(missing)} recordings of the trials are not in it, the first: {min(missing)}. Add them, or "
            "take the training recordings' median with --missing rest"
        )
    return len(missing)


def refuse_other_tables(tables: Sequence[QualityTable], measures: Sequence[Measure]) -> None:
    """InputError where there are fewer or more tables than a model has, or logarithms of others."""
    wanted = [f"{LOG if measure.log else ''}{measure.table}" for measure in measures]
    if len(tables) != len(measures) or any(a.log != b.log for a, b in zip(tables, measures, strict=True)):
        given = " ".join(map(str, tables)) or "none"
        raise InputError(
            f"quality tables: expected counterparts of {' '.join(wanted) or 'none'} in this order, with log: where it "
            f"stands, found {given}"
        )
