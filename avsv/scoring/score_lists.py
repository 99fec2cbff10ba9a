"""Score files of several systems on one trial list: mean, calibration and fusion."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.jobs.fingerprints import digest
from avsv.kaldi.origin import match_systems, read_system
from avsv.kaldi.scores import read_scores
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import Trials, read_labelled_trials, read_trials
from avsv.scoring.calibration import ScoreFusion, pattern_codes, read_fusion, train_fusion, write_fusion
from avsv.scoring.cross_fitting import cross_fit
from avsv.scoring.finite import write_finite
from avsv.scoring.missing import filled_trials, missing_list
from avsv.scoring.quality import QualityTable, read_quality
from avsv.scoring.trial_scores import mean_of_present

log = logging.getLogger("avsv")
MISSING = ("error", "rest")  # a trial without a score: stop, or score it with the systems that it has
ALL_SETS = 4  # up to this many systems, every set of them gets a map; with more, only sets that occur


@dataclass(frozen=True)
class ScoreList:
    """A trial list with its score files.

    trials : the list
    scores : one file per system
    quality : tables of the recordings
    names : of the systems, for quality-dependent fusion
    """

    trials: Path
    scores: Sequence[Path]
    quality: Sequence[QualityTable] = field(default_factory=list)
    names: Sequence[str] = field(default_factory=list)

    @property
    def origins(self) -> list[str | None]:
        """Model and back-end that made each system's scores; None without a record."""
        return [read_system(Path(path)) for path in self.scores]

    def in_order_of(self, wanted: Sequence[str | None], source: Path | str) -> "ScoreList":
        """The systems in the order `wanted`; raises InputError if one of them is missing (see origin.py)."""
        order = match_systems(wanted, self.origins, [str(path) for path in self.scores], source)
        if order != list(range(len(order))):
            log.info("%s: reordered to the systems of %s", ", ".join(map(str, self.scores)), source)
        return replace(self, scores=[self.scores[place] for place in order])


def read_score_columns(trials: Trials, paths: Sequence[Path], missing: str = "error") -> np.ndarray:
    """Scores of several files, (trials, systems) float64.

    A score is absent if the file has no line for the trial, or if FILE.missing (see missing.py) lists one of the
    trial's recordings: such a score was filled in.

    Parameters
    ----------
    missing : "rest" gives absent scores NaN; "error" raises if a line is absent, and takes a filled-in score with a
        warning
    """
    refuse_unknown("missing", missing, MISSING)
    columns = np.empty((len(trials), len(paths)))
    for number, path in enumerate(paths):
        columns[:, number] = read_scores(path, trials, incomplete=missing == "rest")
        filled = filled_trials(path, trials)
        if missing == "rest":
            columns[filled, number] = np.nan
        elif filled.any():
            text = "%s: %d scores were filled in for recordings that %s lists; set `missing` to rest to ignore them"
            log.warning(text, path, filled.sum(), missing_list(path))
    return columns


def average_files(out: Path, given: ScoreList, missing: str = "error") -> None:
    """Write the mean of several systems' scores.

    Parameters
    ----------
    missing : with "rest", the mean of the scores that a trial has, and 0 if it has none
    """
    listed = read_trials(given.trials)
    columns = read_score_columns(listed, given.scores, missing)
    warn_reversed(given, columns, listed.labels)
    write_fused(out, listed, mean_of_present(columns), fused_system(given.origins, "mean"))
    log_patterns(out, given.scores, columns)
    log.info("%s: %d scores, mean of %d systems", out, len(listed), len(given.scores))


def fuse_files(
    out: Path,
    given: ScoreList,
    train: ScoreList | None = None,
    p_target: float = 0.01,
    model: Path | None = None,
    missing: str = "error",
    folds: Path | None = None,
) -> None:
    """Write the calibrated scores of one system, or the fused scores of several, and the model as OUT.json.

    The model is read from `model`, or else trained on `train`, or else on the trials themselves.

    Parameters
    ----------
    missing : with "rest", a trial is scored with the systems that it has, by the map for this set of systems, and the
        files may be those of some systems of `model`; a trial without any score gets 0, and a missing quality value the
        training median
    folds : table of recordings; each trial is scored by a model trained on the trials that share no fold with it (see
        cross_fitting.py). OUT.json is the model trained on all

    Raises
    ------
    InputError : the model or the training scores have another number of systems, the quality tables do not match, or
        a fused score is not finite
    """
    if train is not None:
        if len(train.scores) != len(given.scores):
            raise InputError(f"expected training scores of {len(given.scores)} systems, found {len(train.scores)}")
        train = train.in_order_of(given.origins, "the scores")
    if model is not None:
        fusion = read_fusion(model)
        if not isinstance(fusion, ScoreFusion):
            raise InputError(f"{model}: a model of quality-dependent fusion; set `method` to quality")
        places = part_of_model(given, fusion, missing)
        if places is None and len(fusion.systems) != len(given.scores):
            raise InputError(f"{model}: a model of {len(fusion.systems)} systems cannot score {len(given.scores)}")
        given = given if places else given.in_order_of(fusion.trained_on, model)
    listed = read_trials(given.trials)
    columns = read_score_columns(listed, given.scores, missing)
    if model is None:
        if train is None and folds is None:
            log.warning("%s: trained on the trials it is applied to, so its costs are optimistic; give training trials",
                        out)  # fmt: skip
        fusion = train_on_files(train or given, p_target, columns if missing == "rest" else None)
    read = columns
    if model is not None and places:
        columns = np.full((len(listed), len(fusion.systems)), np.nan)
        columns[:, places] = read
    if folds is None:
        quality = read_quality(given.quality, listed, missing == "rest", fusion.measures)[0]
        ratios = fusion.apply(columns, quality)
    else:
        ratios = cross_fit_files(listed, columns, train or given, folds, p_target, missing)
    write_fused(out, listed, ratios, fused_system(given.origins, "logistic"))
    write_fusion(out.with_name(out.name + ".json"), fusion)
    log_patterns(out, given.scores, read)
    log.info("%s: %d log-likelihood ratios", out, len(listed))


def part_of_model(given: ScoreList, fusion: ScoreFusion, missing: str) -> list[int] | None:
    """The place of each score file among a model's systems, if it has only some of them: the others are absent.

    None if it has as many, if `missing` is not "rest", or if the origin of a file is unknown or not among the model's.
    """
    origins, known = given.origins, fusion.trained_on
    if missing != "rest" or len(origins) >= len(known) or not {*origins} - {None} == {*origins} <= {*known}:
        return None
    return [known.index(origin) for origin in origins] if len({*origins}) == len(origins) else None


def cross_fit_files(
    listed: Trials, columns: np.ndarray, train: ScoreList, folds: Path, p_target: float, missing: str
) -> np.ndarray:
    """Log-likelihood ratios of trials by models trained on `train` without the trials' folds; see `fuse_files`."""
    labelled = read_labelled_trials(train.trials)
    trained = read_score_columns(labelled, train.scores, missing)
    patterns = which_patterns(trained, columns) if missing == "rest" else None
    table = read_table(folds, 2, "recording fold")
    return cross_fit(listed, columns, labelled, trained, table, p_target, patterns)


def fused_system(origins: Sequence[str | None], how: str) -> str | None:
    """Origin of scores made from several systems' scores; None if the origin of one is unknown."""
    return None if None in origins else f"fused:{digest([*origins])} {how}"


def train_on_files(train: ScoreList, p_target: float, applied: np.ndarray | None = None) -> ScoreFusion:
    """Train calibration or fusion on score files.

    Parameters
    ----------
    applied : (trials, systems) scores that the model is for, with NaN where absent: the sets of systems that occur in
        them get maps. None if every trial has all scores
    """
    labelled = read_labelled_trials(train.trials)
    allow_missing = applied is not None
    columns = read_score_columns(labelled, train.scores, "rest" if allow_missing else "error")
    names = [str(path) for path in train.scores]
    if np.isinf(columns).any():
        raise InputError(f"{', '.join(names)}: logistic regression needs finite scores, found infinite ones")
    if labelled.labels.all() or not labelled.labels.any():
        raise InputError(f"{train.trials}: logistic regression needs target and nontarget trials, found one class only")
    warn_reversed(train, columns, labelled.labels)
    quality, measures = read_quality(train.quality, labelled, allow_missing)
    patterns = which_patterns(columns, applied) if allow_missing else None
    fusion = train_fusion(columns, labelled.labels, p_target, names, quality, measures, patterns, train.origins)
    labels = short_names(train.scores)
    for one in fusion.maps:
        used = [name for name, present in zip(labels, one.present, strict=True) if present]
        features = [*used, *(f"{side} {table}" for table in train.quality for side in ("lower", "higher"))]
        terms = " ".join(f"{weight:+.4g} x {name}" for weight, name in zip(one.weights, features, strict=True))
        log.info("log-likelihood ratio = %s %+.4g", terms, one.offset)
    return fusion


def which_patterns(*columns: np.ndarray) -> set[int]:
    """Sets of systems that get a map, as `pattern_code`: all sets if systems are few, otherwise the sets that occur."""
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
        with np.errstate(over="ignore", invalid="ignore"):  # scores near the largest float
            error = np.sqrt(target.var() / len(target) + nontarget.var() / len(nontarget))
        if target.mean() < nontarget.mean() - error:
            log.warning("%s: targets score lower than nontargets (mean %.4g, %.4g) on %s: are these distances, or are "
                        "the labels reversed?", path, target.mean(), nontarget.mean(), given.trials)  # fmt: skip


def write_fused(out: Path, trials: Trials, scores: np.ndarray, system: str | None) -> None:
    """Write fused scores; raises InputError if one is NaN, the sum of infinite scores of opposite sign."""
    if len(bad := np.flatnonzero(np.isnan(scores))):
        names = " ".join(trials[int(bad[0])])
        raise InputError(f"{out}: {len(bad)} trials have infinite scores that cannot be added, the first: {names}")
    write_finite(out, trials, scores, system)


def log_patterns(out: Path, paths: Sequence[Path], columns: np.ndarray) -> None:
    """Log how many trials were scored with which systems, unless all have all."""
    if not np.isnan(columns).any():
        return
    names, parts = short_names(paths), []
    codes, counts = np.unique(pattern_codes(columns), return_counts=True)
    for code, count in reversed(list(zip(codes.tolist(), counts.tolist(), strict=True))):
        present = [name for number, name in enumerate(names) if code >> number & 1]
        systems = "+".join(present) + (" alone" if len(present) < len(names) else "")
        parts.append(f"{count:,} trials by {systems}" if present else f"{count:,} trials without a score get 0")
    log.warning("%s: %s", out, ", ".join(parts))


def short_names(paths: Sequence[Path]) -> list[str]:
    """The parts of paths in which they differ.

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
