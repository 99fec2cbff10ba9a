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
# units of the tables that embed-voice, embed-face and adapt write, by file name
UNITS = {
    "utt2dur": "s",
    "utt2speech": "share of frames",
    "utt2snr": "dB",
    "utt2magnitude": "norm of the embedding",
    "utt2face_score": "detection score",
    "utt2face_size": "pixels",
    "utt2sharpness": "variance of the Laplacian",
    "utt2num_faces": "faces",
    "utt2face_quality": "quality of the face",
    "utt2similarity": "mean cosine",
    "utt2similarity_deviation": "standard deviation of cosines",
}


@dataclass(frozen=True)
class QualityTable:
    """A table of a quality measure.

    path : Kaldi table `utterance value`
    log : take the values' natural logarithms; suits positive values that spread widely (durations, counts, sizes)
    system : name of the system that it concerns, in quality-dependent fusion
    """

    path: Path
    log: bool = False
    system: str = ""

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


@dataclass(frozen=True)
class RecordingValues:
    """Quality values of the recordings of a trial list, for one system.

    enroll : (enrolment recordings, k) float, one column for each measure; NaN for a recording without a value
    test : (test recordings, k) float
    """

    enroll: np.ndarray
    test: np.ndarray

    @property
    def n_measures(self) -> int:
        return self.enroll.shape[1]

    def features(self, pairs: np.ndarray) -> np.ndarray:
        """The lower and the higher value of each measure, (n, 2 * k) float64; NaN if a value is missing.

        Parameters
        ----------
        pairs : (n, 2) int, rows of `enroll` and of `test`

        Examples
        --------
        >>> values = RecordingValues(np.array([[5.0]]), np.array([[2.0], [9.0]]))
        >>> values.features(np.array([[0, 0], [0, 1]])).tolist()
        [[2.0, 5.0], [5.0, 9.0]]
        """
        enroll, test = self.enroll[pairs[:, 0]], self.test[pairs[:, 1]]
        features = np.empty((len(pairs), 2 * self.n_measures))
        np.minimum(enroll, test, out=features[:, 0::2])
        np.maximum(enroll, test, out=features[:, 1::2])
        return features


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
        median = measures[number].median if measures is not None else training_median(table, each_once(trials, sides))
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


def each_once(trials: Trials, sides: Sequence[np.ndarray]) -> np.ndarray:
    """Values of all recordings, each recording counted once, (recordings,) float."""
    return np.array(
        list(dict(zip([*trials.enroll_ids, *trials.test_ids], np.concatenate(sides), strict=True)).values())
    )


def training_median(table: QualityTable, values: np.ndarray) -> float:
    """Median of the recordings' values, (n,) float; raises InputError if all are NaN."""
    if np.isnan(values).all():
        raise InputError(f"{table.path}: has none of the {len(values)} recordings of the training trials")
    return float(np.nanmedian(values))


def fill(
    table: QualityTable,
    trials: Trials,
    sides: Sequence[np.ndarray],
    median: float | None,
    used: np.ndarray | None = None,
) -> int:
    """Replace missing values by `median`, in place; returns how many recordings that concerns.

    Parameters
    ----------
    used : (trials,) bool, trials whose recordings need a value; None for all

    Raises
    ------
    InputError : a value is missing and `median` is None
    """
    missing = set()
    for number, (side, ids) in enumerate(zip(sides, (trials.enroll_ids, trials.test_ids), strict=True)):
        absent = np.isnan(side)
        if used is not None:
            needed = np.zeros(len(ids), bool)
            needed[trials.pairs[used, number]] = True
            absent &= needed
        missing.update(ids[row] for row in np.flatnonzero(absent))
        if median is not None:
            side[absent] = median
    if missing and median is None:
        raise InputError(
            f"{table.path}: {len(missing)} recordings of the trials have no value, such as {min(missing)}; add them or "
            "set `missing` to rest: they get the training median"
        )
    return len(missing)


def fill_lists(
    tables: Sequence[QualityTable],
    lists: Sequence[Trials],
    used: Sequence[np.ndarray],
    fill_missing: bool,
    median: float | None = None,
) -> tuple[list[list[np.ndarray]], float]:
    """Values of one measure on several trial lists.

    Parameters
    ----------
    tables : one for each list
    used : for each list, (trials,) bool, trials whose recordings need a value
    fill_missing : replace missing values by the median of all lists' recordings
    median : of the training recordings, where a model is applied; None in training

    Returns
    -------
    sides : for each list the values of the enrolment and of the test recordings; NaN only where no value is needed
    median : of the training recordings

    Raises
    ------
    InputError : a value is missing and not filled in, or no recording has a value
    """
    sides = [read_values(table, trials) for table, trials in zip(tables, lists, strict=True)]
    if median is None:
        once = [each_once(trials, values) for trials, values in zip(lists, sides, strict=True)]
        median = training_median(tables[0], np.concatenate(once))
    for table, trials, values, which in zip(tables, lists, sides, used, strict=True):
        if n_missing := fill(table, trials, values, median if fill_missing else None, which):
            log.warning("%s: missing values: %d, replaced by the training median, %.4g", table, n_missing, median)
    return sides, median


def refuse_other_tables(tables: Sequence[QualityTable], measures: Sequence[Measure]) -> None:
    """Raise InputError unless there is one table for each measure of the model, with the same use of logarithms."""
    if len(tables) != len(measures) or any(a.log != b.log for a, b in zip(tables, measures, strict=True)):
        wanted = ", ".join(str(QualityTable(Path(measure.table), measure.log)) for measure in measures)
        given = ", ".join(map(str, tables))
        raise InputError(
            f"quality tables: expected the counterparts of {wanted or 'no table'} in this order, logarithms included, "
            f"found {given or 'none'}"
        )
