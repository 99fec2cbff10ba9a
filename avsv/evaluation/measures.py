"""All measures of a system on a trial list, as numbers, as JSON and as a line of a table."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.bootstrap import Resampled, SpeakerBootstrap, interval
from avsv.evaluation.cllr import cllr, min_cllr
from avsv.evaluation.dcf import actual_cost, least_cost
from avsv.evaluation.errors import count_errors, equal_error
from avsv.evaluation.roc import auc, fnmr_at_fmr
from avsv.evaluation.tables import aligned, shown, span
from avsv.kaldi.scores import read_scores
from avsv.kaldi.trials import Trials

log = logging.getLogger("avsv")
P_TARGET = (0.01, 0.05)
FMR = (0.01, 0.001)


def measure(
    scores: np.ndarray,
    labels: np.ndarray,
    p_target: Sequence[float] = P_TARGET,
    bootstrap: SpeakerBootstrap | None = None,
    fmr: Sequence[float] = FMR,
) -> dict:
    """Every measure of a system's scores.

    Parameters
    ----------
    scores : (n,) float; for actDCF and Cllr they are natural-log likelihood ratios
    labels : (n,) bool
    p_target : target priors of the detection costs
    bootstrap : the resamples for the intervals; None for no intervals
    fmr : false match rates to tell the false non-match rate at

    Returns
    -------
    dict that JSON can hold: `eer_percent`, `eer_ci95` (two numbers, percent), `min_dcf` and `act_dcf` (prior as text ->
    normalised cost), `min_dcf_ci95` and `act_dcf_ci95` (prior as text -> two numbers), `cllr`, `cllr_ci95`, `min_cllr`
    (bits), `auc`, `fnmr_at_fmr` (rate as text -> rate), `thresholds` (`eer`, and `min_dcf` by prior), `n_target`,
    `n_nontarget`. What is undefined (one class has no trial) or infinite (Cllr of infinite scores that are wrong; the
    threshold where rejecting everything costs least) is None

    Examples
    --------
    >>> measure(np.array([0.0, 2.0]), np.array([False, True]), [0.01])["min_dcf"]
    {'0.01': 0.0}
    """
    return measure_and_resample(scores, labels, p_target, bootstrap, fmr)[0]


def measure_and_resample(
    scores: np.ndarray,
    labels: np.ndarray,
    p_target: Sequence[float],
    bootstrap: SpeakerBootstrap | None,
    fmr: Sequence[float] = FMR,
) -> tuple[dict, Resampled | None]:
    """What `measure` gives, and what its intervals are from; None where nothing can vary."""
    counts = count_errors(scores, labels)
    rate, threshold = equal_error(counts)
    least = {f"{p:g}": least_cost(counts, p) for p in p_target}
    can_vary = bootstrap is not None and bootstrap.can_vary
    resampled = bootstrap.measures(scores, counts, p_target) if can_vary else None
    ends = intervals(resampled, p_target)
    return {
        "eer_percent": number(100 * rate),
        "eer_ci95": ends["eer"],
        "min_dcf": {p: number(cost) for p, (cost, _) in least.items()},
        "min_dcf_ci95": ends["min_dcf"],
        "act_dcf": {f"{p:g}": number(actual_cost(counts, p)) for p in p_target},
        "act_dcf_ci95": ends["act_dcf"],
        "cllr": number(cllr(scores, labels)),
        "cllr_ci95": ends["cllr"],
        "min_cllr": number(min_cllr(counts)),
        "auc": number(auc(counts)),
        "fnmr_at_fmr": {f"{rate:g}": number(fnmr_at_fmr(counts, rate)) for rate in fmr},
        "thresholds": {"eer": number(threshold), "min_dcf": {p: number(at) for p, (_, at) in least.items()}},
        "n_target": counts.n_target,
        "n_nontarget": counts.n_nontarget,
    }, resampled


def intervals(resampled: Resampled | None, p_target: Sequence[float]) -> dict:
    """The 95 % intervals of `measure`, each None without resamples."""

    def ends(values: np.ndarray | None) -> list[float] | None:
        found = None if values is None else interval(values)
        return list(found) if found else None

    costs = {
        kind: {f"{p:g}": ends(resampled and getattr(resampled, kind)[p]) for p in p_target}
        for kind in ("min_dcf", "act_dcf")
    }
    return costs | {"eer": ends(resampled and 100 * resampled.eer), "cllr": ends(resampled and resampled.cllr)}


def measure_file(
    path: Path | str,
    trials: Trials,
    p_target: Sequence[float] = P_TARGET,
    bootstrap: SpeakerBootstrap | None = None,
    drop: bool = False,
    fmr: Sequence[float] = FMR,
) -> dict:
    """Every measure of a score file.

    Parameters
    ----------
    drop : leave out trials without a score, and tell their number as `n_missing`; otherwise they are an error
    """
    scores = read_scores(path, trials, incomplete=drop)
    if not drop:
        return measure(scores, trials.labels, p_target, bootstrap, fmr)
    return measure_present(path, scores, trials.labels, p_target, bootstrap, fmr)


def measure_present(
    path: Path | str,
    scores: np.ndarray,
    labels: np.ndarray,
    p_target: Sequence[float] = P_TARGET,
    bootstrap: SpeakerBootstrap | None = None,
    fmr: Sequence[float] = FMR,
) -> dict:
    """What `measure` gives for the trials that have a score, and `n_missing`, how many have none (NaN).

    Raises
    ------
    InputError : no trial has a score
    """
    there = ~np.isnan(scores)
    n_missing = len(there) - int(there.sum())
    if n_missing == 0:
        return measure(scores, labels, p_target, bootstrap, fmr) | {"n_missing": 0}
    if n_missing == len(there):
        raise InputError(f"{path}: no trial of the list has a score")
    log.warning("%s: %d of %d trials have no score and are left out", path, n_missing, len(there))
    some = bootstrap and bootstrap.take(there)
    return measure(scores[there], labels[there], p_target, some, fmr) | {"n_missing": n_missing}


def warn_reversed(name: Path | str, found: dict) -> None:
    """Warn where scores run the wrong way: an EER above 50 %, by more than chance explains.

    The area under the curve of scores without meaning is 0.5, with the variance (n + 1) / (12 n_target n_nontarget)
    (Mann and Whitney, 1947).

    Parameters
    ----------
    found : what `measure` gives
    """
    n_target, n_nontarget = found["n_target"], found["n_nontarget"]
    if found["eer_percent"] is None or found["eer_percent"] <= 50:
        return
    chance = math.sqrt((n_target + n_nontarget + 1) / (12 * n_target * n_nontarget))
    if found["auc"] <= 0.5 - chance:
        log.warning("%s: the EER is %.2f %%, above 50 %%: targets score lower than nontargets. Are these distances, or "
                    "are the labels reversed?", name, found["eer_percent"])  # fmt: skip


def number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def table(rows: dict[str, dict], title: str = "scores") -> str:
    """Measures of several systems, or of several subsets, as aligned text.

    rows : name -> what `measure` gives
    """
    some = next(iter(rows.values()))
    costs = [f"{kind}DCF({p})" for p in some["min_dcf"] for kind in ("min", "act")]
    at = [f"FNMR({rate})" for rate in some["fnmr_at_fmr"]]
    head = [title, "EER %", "95 % interval", *costs, "Cllr", "minCllr", "AUC", *at, "targets", "nontargets"]
    return aligned([head, *(table_row(name, row) for name, row in rows.items())])


def table_row(name: str, row: dict) -> list[str]:
    costs = [shown(row[kind][p], 4) for p in row["min_dcf"] for kind in ("min_dcf", "act_dcf")]
    at = [shown(rate, 4) for rate in row["fnmr_at_fmr"].values()]
    sizes = [str(row["n_target"]), str(row["n_nontarget"])]
    error = [shown(row["eer_percent"], 2), interval_text(row)]
    bits = [shown(row["cllr"], 3), shown(row["min_cllr"], 3)]
    return [name, *error, *costs, *bits, shown(row["auc"], 4), *at, *sizes]


def interval_text(row: dict) -> str:
    """`1.02-1.37`, or `-` where there is no interval."""
    return span(row["eer_ci95"], 2)
