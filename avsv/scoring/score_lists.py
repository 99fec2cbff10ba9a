"""Scores of several systems on one trial list, side by side, made one score."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.fingerprints import digest
from avsv.kaldi.origin import match_systems, read_system
from avsv.kaldi.scores import read_scores
from avsv.kaldi.trials import Trials, read_labelled_trials, read_trials
from avsv.scoring.calibration import ScoreFusion, pattern_codes, read_fusion, train_fusion, write_fusion
from avsv.scoring.finite import write_finite
from avsv.scoring.missing import made_up, missing_list
from avsv.scoring.quality import QualityTable, read_quality

log = logging.getLogger("avsv")
ALL_SETS = 4  # systems; of more, not every set of them gets a map, but those that some trial has


@dataclass(frozen=True)
class ScoreList:
    """Files of one trial list.

    trials : the list
    scores : one file a system
    quality : tables of the recordings
    """

    trials: Path
    scores: Sequence[Path]
    quality: Sequence[QualityTable] = field(default_factory=list)

    @property
    def origins(self) -> list[str | None]:
        """For each system the model and back-end that made the scores, None where there is no record."""
        return [read_system(Path(path)) for path in self.scores]

    def in_order_of(self, wanted: Sequence[str | None], source: Path | str) -> "ScoreList":
        """The same with the systems in the order `wanted`; InputError where one of them is not here (see origin.py)."""
        order = match_systems(wanted, self.origins, [str(path) for path in self.scores], source)
        if order != list(range(len(order))):
            log.info("%s: the scores are put into the order of %s", ", ".join(map(str, self.scores)), source)
        return replace(self, scores=[self.scores[place] for place in order])


def read_score_columns(trials: Trials, paths: Sequence[Path], rest: bool = False) -> np.ndarray:
    """(trials, systems) float64.

    A score is absent where the file has no line for the trial, and where the list of recordings without an embedding
    beside the file (see missing.py) names one of the trial's: what the file has there is made up.

    Parameters
    ----------
    rest : give NaN to what is absent; otherwise a missing line is an error, and a made-up score is taken and told
    """
    columns = np.empty((len(trials), len(paths)))
    for number, path in enumerate(paths):
        columns[:, number] = read_scores(path, trials, incomplete=rest)
        absent = made_up(path, trials)
        if rest:
            columns[absent, number] = np.nan
        elif absent.any():
            listing = missing_list(path)
            text = "%s: %d scores are of recordings that %s lists; --missing rest does without them"
            log.warning(text, path, absent.sum(), listing)
    return columns


def average_files(out: Path, given: ScoreList, rest: bool = False) -> None:
    """Write the mean of several systems' scores; with `rest` of those that a trial has, 0 where it has none."""
    listed = read_trials(given.trials)
    columns = read_score_columns(listed, given.scores, rest)
    warn_reversed(given, columns, listed.labels)
    here = ~np.isnan(columns)
    with np.errstate(invalid="ignore"):  # opposite infinities, refused below
        means = np.where(here, columns, 0).sum(axis=1) / np.maximum(here.sum(axis=1), 1)
    write_fused(out, listed, means, fused_system(given.origins, "mean"))
    tell_patterns(out, given.scores, columns)
    log.info("%s: %d scores, mean of %d systems", out, len(listed), len(given.scores))


def fuse_files(
    out: Path,
    given: ScoreList,
    train: ScoreList | None = None,
    target_prior: float = 0.01,
    model: Path | None = None,
    rest: bool = False,
) -> None:
    """Write the calibrated scores of one system, or the fused ones of several, and the model as OUT.json.

    The model is read from `model`; otherwise trained on `train`; otherwise on the trials themselves.

    Parameters
    ----------
    rest : judge a trial by what it has: scores of some systems by a map for these, none at all as 0, and a quality
        measure that is missing as its median in training

    Raises
    ------
    InputError : the model, the training scores or the quality tables are of another number
    """
    if train is not None:
        if len(train.scores) != len(given.scores):
            raise InputError(f"--scores has {len(given.scores)} systems, --train-scores {len(train.scores)}")
        train = train.in_order_of(given.origins, "--scores")
    if model is not None:
        fusion = read_fusion(model)
        if len(fusion.systems) != len(given.scores):
            raise InputError(f"{model}: is a model of {len(fusion.systems)} systems, --scores has {len(given.scores)}")
        given = given.in_order_of(fusion.trained_on, model)
    listed = read_trials(given.trials)
    columns = read_score_columns(listed, given.scores, rest)
    if model is None:
        if train is None:
            log.warning("%s: trained on the trials it is applied to, which flatters it; see --train-trials", out)
        fusion = train_on_files(train or given, target_prior, columns if rest else None)
    quality = read_quality(given.quality, listed, rest, fusion.measures)[0]
    write_fused(out, listed, fusion.apply(columns, quality), fused_system(given.origins, "logistic"))
    write_fusion(out.with_name(out.name + ".json"), fusion)
    tell_patterns(out, given.scores, columns)
    log.info("%s: %d log-likelihood ratios", out, len(listed))


def fused_system(origins: Sequence[str | None], how: str) -> str | None:
    """The origin of scores made of several systems' scores; None where one of theirs is not known."""
    return None if None in origins else f"fused:{digest([*origins])} {how}"


def train_on_files(train: ScoreList, target_prior: float, applied: np.ndarray | None = None) -> ScoreFusion:
    """Train the calibration or fusion of score files.

    Parameters
    ----------
    applied : scores that it is for, with NaN, so that there are maps for the systems that a trial has; None where every
        trial has all
    """
    labelled = read_labelled_trials(train.trials)
    rest = applied is not None
    columns = read_score_columns(labelled, train.scores, rest)
    names = [str(path) for path in train.scores]
    if np.isinf(columns).any():
        raise InputError(f"{', '.join(names)}: some scores are infinite; logistic regression needs finite ones")
    if labelled.labels.all() or not labelled.labels.any():
        raise InputError(
            f"{train.trials}: all trials are of one class; logistic regression needs target and nontarget trials"
        )
    warn_reversed(train, columns, labelled.labels)
    quality, measures = read_quality(train.quality, labelled, rest)
    patterns = which_patterns(columns, applied) if rest else None
    fusion = train_fusion(columns, labelled.labels, target_prior, names, quality, measures, patterns, train.origins)
    labels = short_names(train.scores)
    for one in fusion.maps:
        used = [name for name, here in zip(labels, one.present, strict=True) if here]
        features = [*used, *(f"{side} {table}" for table in train.quality for side in ("lower", "higher"))]
        terms = " ".join(f"{weight:+.4g} x {name}" for weight, name in zip(one.weights, features, strict=True))
        log.info("log-likelihood ratio = %s %+.4g", terms, one.offset)
    return fusion


def which_patterns(*columns: np.ndarray) -> set[int]:
    """Sets of systems that get a map: all that there are of a few systems, of many those that some trial has."""
    n_systems = columns[0].shape[1]
    if n_systems <= ALL_SETS:
        return set(range(1, 1 << n_systems))
    return {int(code) for part in columns for code in np.unique(pattern_codes(part))} - {0} | {(1 << n_systems) - 1}


def warn_reversed(given: ScoreList, columns: np.ndarray, labels: np.ndarray | None) -> None:
    """Warn of systems whose targets score lower than their nontargets, by more than chance explains."""
    if labels is None or labels.all() or not labels.any():
        return
    for path, column in zip(given.scores, columns.T, strict=True):
        finite = np.isfinite(column)
        target, nontarget = column[finite & labels], column[finite & ~labels]
        if not len(target) or not len(nontarget):
            continue
        with np.errstate(over="ignore", invalid="ignore"):  # scores near the largest number
            error = np.sqrt(target.var() / len(target) + nontarget.var() / len(nontarget))
        if target.mean() < nontarget.mean() - error:
            log.warning("%s: targets have lower scores than nontargets (mean %.4g, %.4g) on %s: are these distances, "
                        "or are the labels reversed?", path, target.mean(), nontarget.mean(), given.trials)  # fmt: skip


def write_fused(out: Path, trials: Trials, scores: np.ndarray, system: str | None) -> None:
    if len(bad := np.flatnonzero(np.isnan(scores))):
        names = " ".join(trials[int(bad[0])])
        raise InputError(f"{out}: {len(bad)} trials have no sum, as their scores are infinite, the first: {names}")
    write_finite(out, trials, scores, system)


def tell_patterns(out: Path, paths: Sequence[Path], columns: np.ndarray) -> None:
    """Say how many trials have the scores of which systems, unless all have all."""
    if not np.isnan(columns).any():
        return
    names, parts = short_names(paths), []
    codes, counts = np.unique(pattern_codes(columns), return_counts=True)
    for code, count in reversed(list(zip(codes.tolist(), counts.tolist(), strict=True))):
        here = [name for number, name in enumerate(names) if code >> number & 1]
        words = "none, which makes 0" if not here else "+".join(here) + (" alone" if len(here) < len(names) else "")
        parts.append(f"{count:,} trials by {words}")
    log.warning("%s: %s", out, ", ".join(parts))


def short_names(paths: Sequence[Path]) -> list[str]:
    """What tells the paths apart.

    Examples
    --------
    >>> short_names([Path("exp/voice/scores/O.cosine"), Path("exp/face/scores/O.cosine")])
    ['voice', 'face']
    >>> short_names([Path("exp/voice/scores/O.cosine")])
    ['O.cosine']
    """
    parts = [path.parts for path in paths]
    if len({len(each) for each in parts}) > 1:
        return [str(path) for path in paths]
    differ = [place for place in range(len(parts[0])) if len({each[place] for each in parts}) > 1]
    return ["/".join(each[place] for place in differ) or each[-1] for each in parts]
