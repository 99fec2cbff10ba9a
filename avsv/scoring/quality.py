"""Quality measures of recordings as features of calibration, beside the scores.

A measure is a Kaldi table `utterance value`: seconds of speech, signal-to-noise ratio, norm of the embedding, size of
the face ... It gives a trial two features, the lower and the higher value of its two recordings, so the order of the
recordings does not matter. Their difference, mean and (of logarithms) ratio are sums of these two, which the regression
can form. The features make the score threshold depend on the recordings' quality (Mandasari, Saeidi, McLaren and van
Leeuwen, "Quality measure functions for calibration of speaker recognition systems in various duration conditions", IEEE
TASLP 21(11), 2013; for embeddings Thienpondt, Desplanques and Demuynck, "The IDLab VoxSRC-20 submission", ICASSP 2021).
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


@dataclass(frozen=True)
class QualityTable:
    """A table of a quality measure.

    path : Kaldi table `utterance value`
    log : take the values' natural logarithms; suits positive values that spread widely (durations, counts, sizes)
    """

    path: Path
    log: bool = False

    def __str__(self) -> str:
        return f"log of {self.path}" if self.log else str(self.path)


@dataclass(frozen=True)
class Measure:
    """A quality measure as a trained model stores it.

    table : path of the training table
    log : values are natural logarithms
    median : of the training recordings, after the logarithm; replaces missing values
    """

    table: str
    log: bool
    median: float


def read_quality(
    tables: Sequence[QualityTable],
    trials: Trials,
    fill_missing: bool = False,
    measures: Sequence[Measure] | None = None,
) -> tuple[np.ndarray, list[Measure]]:
    """Quality features of each trial, to train a model or to apply one.

    Parameters
    ----------
    tables : of the trials' recordings
    fill_missing : replace a missing value by the median of the training recordings, which favours neither class. A
        missing modality needs no separate feature: each set of present systems has its own map (see calibration.py)
    measures : measures of the model that is applied; None in training

    Returns
    -------
    features : (trials, 2 * tables) float64, the lower and the higher value of each table
    measures : one for each table

    Raises
    ------
    InputError : a value is missing and `fill_missing` is False, a value is not finite, or not positive although its
        logarithm is to be taken; or the tables do not match the model's measures

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "utt2dur"
    >>> _ = path.write_text("a 8.0\\nb 2.5\\n")
    >>> features, _ = read_quality([QualityTable(path)], Trials(["a"], ["b"], np.array([[0, 0]])))
    >>> features.tolist()
    [[2.5, 8.0]]
    """
    if measures is not None:
        refuse_other_tables(tables, measures)
    features, trained = np.empty((len(trials), 2 * len(tables))), []
    for number, table in enumerate(tables):
        sides = read_values(table, trials)
        median = measures[number].median if measures is not None else training_median(table, trials, sides)
        n_missing = fill(table, trials, sides, median if fill_missing else None)
        if n_missing:
            log.warning("%s: missing values: %d, replaced by the training median, %.4g", table, n_missing, median)
        enroll, test = sides[0][trials.pairs[:, 0]], sides[1][trials.pairs[:, 1]]
        np.minimum(enroll, test, out=features[:, 2 * number])
        np.maximum(enroll, test, out=features[:, 2 * number + 1])
        trained.append(Measure(str(table.path), table.log, float(median)))
    return features, trained if measures is None else list(measures)


def read_values(table: QualityTable, trials: Trials) -> list[np.ndarray]:
    """Values of the enrolment and of the test recordings, two float64 arrays; NaN where the table has none."""
    values = {}
    for name, text in read_table(table.path, 2, "utterance value").items():
        value = number_or_nan(text)
        if not np.isfinite(value):
            raise InputError(f'{table.path}: expected "utterance value" with a finite number, found "{name} {text}"')
        values[name] = value
    sides = [np.array([values.get(name, np.nan) for name in ids]) for ids in (trials.enroll_ids, trials.test_ids)]
    if not table.log:
        return sides
    for side, ids in zip(sides, (trials.enroll_ids, trials.test_ids), strict=True):
        if len(bad := np.flatnonzero(side <= 0)):
            raise InputError(f"{table.path}: the logarithm needs values > 0, found {side[bad[0]]:g} for {ids[bad[0]]}")
    return [np.log(side) for side in sides]


def training_median(table: QualityTable, trials: Trials, sides: Sequence[np.ndarray]) -> float:
    """Median of the recordings' values, each recording counted once."""
    values = dict(zip([*trials.enroll_ids, *trials.test_ids], np.concatenate(sides).tolist(), strict=True))
    of_recordings = np.array(list(values.values()))
    if np.isnan(of_recordings).all():
        raise InputError(f"{table.path}: has none of the {len(of_recordings)} recordings of the training trials")
    return float(np.nanmedian(of_recordings))


def fill(table: QualityTable, trials: Trials, sides: Sequence[np.ndarray], median: float | None) -> int:
    """Replace missing values by `median`, in place; returns how many recordings that concerns.

    Raises
    ------
    InputError : a value is missing and `median` is None
    """
    missing = set()
    for side, ids in zip(sides, (trials.enroll_ids, trials.test_ids), strict=True):
        absent = np.flatnonzero(np.isnan(side))
        missing.update(ids[row] for row in absent)
        if median is not None:
            side[absent] = median
    if missing and median is None:
        raise InputError(
            f"{table.path}: {len(missing)} recordings of the trials have no value, such as {min(missing)}; add them or "
            "set `missing` to rest: they get the training median"
        )
    return len(missing)


def refuse_other_tables(tables: Sequence[QualityTable], measures: Sequence[Measure]) -> None:
    """Raise InputError unless there is one table for each measure of the model, with the same use of logarithms."""
    if len(tables) != len(measures) or any(a.log != b.log for a, b in zip(tables, measures, strict=True)):
        wanted = ", ".join(str(QualityTable(Path(measure.table), measure.log)) for measure in measures)
        given = ", ".join(map(str, tables))
        raise InputError(
            f"quality tables: expected the counterparts of {wanted or 'no table'} in this order, logarithms included, "
            f"found {given or 'none'}"
        )
