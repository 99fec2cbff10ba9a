"""PLDA with uncertain embeddings on files: trial lists, embeddings, quality tables, and the model as JSON."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import write_json
from avsv.jobs.schema import read_json
from avsv.kaldi.origin import embeddings_model, same_model, trained_on
from avsv.kaldi.trials import Trials, read_labelled_trials, read_trials
from avsv.scoring.finite import write_finite
from avsv.scoring.missing import Missing, fill_missing, refuse_missing, report_missing
from avsv.scoring.plda import Plda
from avsv.scoring.plda_files import read_plda
from avsv.scoring.quality import UNITS, QualityTable, fill_lists
from avsv.scoring.quality_fusion import LIMIT, MAX_LOG_SCALE, TrainedList
from avsv.scoring.quality_training import people_of
from avsv.scoring.trial_embeddings import TrialEmbeddings, read_trial_embeddings
from avsv.scoring.uncertain_plda import UNCERTAINTY_RIDGE, PairList, Uncertainty, score_pairs, train_uncertainty

log = logging.getLogger("avsv")
KIND = "uncertain-plda"  # marks a model file
SHAPE = {
    "model": str,
    "trained_on": (str, None),
    "plda": str,
    "target_prior": float,
    "ridge": float,
    "base": float,
    "log_scale": float,
    "log_between": float,
    "measures": [{"table": str, "log": bool, "unit": (str, None), "mean": float, "deviation": float, "weight": float}],
    "lists": [{"trials": str, "people": int, "targets": int, "nontargets": int}],
}


@dataclass(frozen=True)
class EmbeddingList:
    """A trial list with the embeddings of one modality, and quality tables of the recordings."""

    trials: Path
    embeddings: Path
    quality: Sequence[QualityTable] = field(default_factory=list)


@dataclass(frozen=True)
class MeasureWeight:
    """A quality measure's weight in the variance; see `uncertain_plda.Uncertainty` for mean, deviation and weight."""

    table: str
    log: bool
    unit: str | None
    mean: float
    deviation: float
    weight: float


@dataclass(frozen=True)
class UncertainModel:
    """A trained law of the variance.

    trained_on : model that made the embeddings; None if unrecorded
    plda : name of the PLDA back-end, a hash
    base, log_scale, log_between : see `uncertain_plda.Uncertainty`
    """

    trained_on: str | None
    plda: str
    target_prior: float
    ridge: float
    base: float
    log_scale: float
    log_between: float
    measures: list[MeasureWeight]
    lists: list[TrainedList]

    @property
    def law(self) -> Uncertainty:
        """The model in the form that scoring takes."""
        mean, deviation, weight = (
            np.array([getattr(one, key) for one in self.measures], float) for key in ("mean", "deviation", "weight")
        )
        return Uncertainty(mean, deviation, self.base, weight, self.log_scale, self.log_between)


def score_uncertain(
    out: Path,
    given: EmbeddingList,
    plda: Path,
    plda_name: str,
    train: Sequence[EmbeddingList] = (),
    p_target: float = 0.01,
    model: Path | None = None,
    missing: Missing = "error",
    ridge: float = UNCERTAINTY_RIDGE,
) -> None:
    """Write log-likelihood ratios by PLDA with uncertain embeddings, and the model as OUT.json.

    Parameters
    ----------
    plda : folder of `avsv plda`, or Kaldi's file, trained on embeddings of the same model
    plda_name : hash of it
    train : lists of other people than those of `plda`, to train on together; unused with `model`
    missing : what to do with trials without an embedding, see missing.py

    Raises
    ------
    InputError : the embeddings, PLDA back-end or quality tables are not those of the model, an embedding or a quality
        value is missing, or nothing to train on is given
    """
    models = {one.embeddings: embeddings_model(one.embeddings) for one in (given, *train)}
    origin = same_model(models | {plda: trained_on(plda if plda.is_dir() else plda.parent)})
    back_end = read_plda(plda)
    if model is not None:
        trained = read_uncertain_model(model)
        refuse_other_model(trained, origin, plda_name, model)
    elif not train:
        raise InputError("PLDA with uncertain embeddings needs lists to train on, or a model")
    else:
        trained = train_on_lists(back_end, train, p_target, ridge, origin, plda_name)
    logs = [one.log for one in trained.measures]
    if [table.log for table in given.quality] != logs:
        wanted = ", ".join(str(QualityTable(Path(one.table), one.log)) for one in trained.measures)
        raise InputError(f"quality tables: expected the counterparts of {wanted or 'no table'} in this order, "
                         f"logarithms included, found {', '.join(map(str, given.quality)) or 'none'}")  # fmt: skip
    listed = read_trials(given.trials)
    pool = read_trial_embeddings(listed, given.embeddings)
    refuse_missing(missing, listed, pool, given.embeddings)
    scores = score_pairs(back_end, trained.law, read_pairs([given], [listed], [pool])[0])
    scores = fill_missing(missing, pool.complete, scores)
    report_missing(missing, out, listed, pool)
    kept = listed.take(pool.complete) if missing == "drop" else listed
    write_finite(out, kept, scores, origin and f"{origin} {KIND}-{plda_name}")
    write_json(out.with_name(out.name + ".json"), {"model": KIND} | asdict(trained))
    log.info("%s: %d log-likelihood ratios", out, len(scores))


def train_on_lists(
    plda: Plda, lists: Sequence[EmbeddingList], p_target: float, ridge: float, origin: str | None, plda_name: str
) -> UncertainModel:
    """Train the law of the variance on files; trials without an embedding are left out. See `score_uncertain`."""
    trials = [read_labelled_trials(one.trials) for one in lists]
    pools = [read_trial_embeddings(each, one.embeddings) for each, one in zip(trials, lists, strict=True)]
    pairs = read_pairs(lists, trials, pools)
    law = train_uncertainty(plda, pairs, p_target, ridge)
    measures = [
        MeasureWeight(str(table.path), table.log, UNITS.get(table.path.name), *map(float, values))
        for table, *values in zip(lists[0].quality, law.mean, law.deviation, law.weights, strict=True)
    ]
    for one in measures:
        log.info("%s: added variance times %.3g per standard deviation", one.table, np.exp(one.weight))
    records = []
    for one, each, pool in zip(lists, trials, pools, strict=True):
        kept = each.take(pool.complete)
        people, n_target = people_of([kept])[0], int(kept.labels.sum())
        records.append(TrainedList(str(one.trials), len(np.unique(people)), n_target, len(kept) - n_target))
    numbers = law.base, law.log_scale, law.log_between
    return UncertainModel(origin, plda_name, p_target, ridge, *numbers, measures, records)


def read_pairs(
    lists: Sequence[EmbeddingList], trials: Sequence[Trials], pools: Sequence[TrialEmbeddings]
) -> list[PairList]:
    """The complete trials of lists, with the embeddings and the quality of their recordings.

    Raises
    ------
    InputError : the lists have different tables, or a recording with an embedding lacks a quality value
    """
    if len({tuple(table.log for table in one.quality) for one in lists}) > 1:
        raise InputError("quality tables: expected the same ones for each list, in one order, logarithms included")
    quality = [np.full((len(pool.embeddings), len(lists[0].quality)), np.nan) for pool in pools]
    complete = [pool.complete for pool in pools]
    for column, tables in enumerate(zip(*(one.quality for one in lists), strict=True)):
        sides, _ = fill_lists(tables, trials, complete, fill_missing=False)
        for values, both, each, pool, has in zip(quality, sides, trials, pools, complete, strict=True):
            for side in range(2):
                values[pool.pairs[has, side], column] = both[side][each.pairs[has, side]]
    return [
        PairList(pool.embeddings.vectors, values, pool.pairs[has], None if each.labels is None else each.labels[has],
                 str(one.trials))
        for one, each, pool, values, has in zip(lists, trials, pools, quality, complete, strict=True)
    ]  # fmt: skip


def refuse_other_model(trained: UncertainModel, origin: str | None, plda_name: str, source: Path) -> None:
    """Raise InputError if embeddings or a PLDA back-end are not those that a model was trained on."""
    if None not in (trained.trained_on, origin) and trained.trained_on != origin:
        raise InputError(f"{source}: was trained on embeddings of {trained.trained_on}, found those of {origin}")
    if trained.plda != plda_name:
        raise InputError(f"{source}: was trained with another PLDA back-end; train it again with this one")


def read_uncertain_model(path: Path | str) -> UncertainModel:
    """Read a model that `score_uncertain` wrote.

    Raises
    ------
    InputError : the file is absent, does not have SHAPE, or holds unusable numbers
    """
    found = read_json(path, SHAPE, f"model of avsv {KIND}")
    measures = [MeasureWeight(**one) for one in found["measures"]]
    lists = [TrainedList(**one) for one in found["lists"]]
    names = {one.name for one in fields(UncertainModel)}
    values = {key: value for key, value in found.items() if key in names}
    model = UncertainModel(**values | {"measures": measures, "lists": lists})
    largest = abs(model.base) + LIMIT * sum(abs(one.weight) for one in measures)
    wrong = ""
    if found["model"] != KIND:
        wrong = f'model: expected "{KIND}", found "{found["model"][:60]}"'
    elif not 0 < model.target_prior < 1 or min((one.deviation for one in measures), default=1) <= 0:
        wrong = "expected a target_prior between 0 and 1, and deviations above 0"
    elif max(largest, abs(model.log_scale), abs(model.log_between)) > MAX_LOG_SCALE / 5:
        wrong = "its weights are too large"
    if wrong:
        raise InputError(f"{path}: expected a model of avsv {KIND}: {wrong}")
    return model
