"""All measures of a system on a trial list, as a dict for JSON and as a row of a table."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.cllr import cllr, min_cllr
from avsv.evaluation.dcf import actual_cost, least_cost
from avsv.evaluation.estimates import Measured, measure_limits
from avsv.evaluation.roc import auc, fnmr_at_fmr
from avsv.evaluation.tables import aligned, shown, span

log = logging.getLogger("avsv")
P_TARGET = (0.01, 0.05)
AT_ZERO = {"fnr": "FNR % at 0", "fpr": "FPR % at 0"}  # key -> heading
FMR = (0.01, 0.001)


def measure(
    scores: np.ndarray,
    labels: np.ndarray,
    p_target: Sequence[float] = P_TARGET,
    bootstrap: SpeakerBootstrap | None = None,
    fmr: Sequence[float] = FMR,
) -> dict:
    """All measures of a system's scores.

    Parameters
    ----------
    scores : (n,) float; actDCF and Cllr treat them as natural-log likelihood ratios
    labels : (n,) bool, True for a target trial
    p_target : target priors of the detection costs
    bootstrap : from `bootstrap`; None for no intervals
    fmr : false match rates at which the false non-match rate is measured

    Returns
    -------
    dict ready for JSON: `eer_percent`, `eer_ci95` (two numbers, percent), `min_dcf` and `act_dcf` (prior as text ->
    normalised cost), `min_dcf_ci95` and `act_dcf_ci95` (prior as text -> two numbers), `cllr`, `cllr_ci95`, `min_cllr`
    (bits), `auc`, `fnmr_at_fmr` (rate as text -> rate), `at_zero` (`fnr` and `fpr`, the shares of targets rejected and
    of nontargets accepted at the threshold 0), `thresholds` (`eer`, and `min_dcf` by prior), `n_target`, `n_nontarget`.
    A value is None if it is undefined (a class has no trial) or infinite (Cllr with a wrong infinite score; the
    threshold if rejecting everything costs least)

    Raises
    ------
    ValueError : a score is NaN

    Examples
    --------
    >>> measure(np.array([0.0, 2.0]), np.array([False, True]), [0.01])["min_dcf"]
    {'0.01': 0.0}
    """
    return measure_system(Measured.of(scores, labels), p_target, bootstrap, fmr)


def measure_system(
    system: Measured, p_target: Sequence[float], bootstrap: SpeakerBootstrap | None, fmr: Sequence[float] = FMR
) -> dict:
    """The result of `measure` for a system whose errors are counted."""
    counts = system.counts
    rate, threshold = system.eer
    at_zero = int(np.searchsorted(counts.thresholds, 0.0))
    least = {f"{p:g}": least_cost(counts, p) for p in p_target}
    can_vary = bootstrap is not None and bootstrap.can_vary
    ends = measure_limits(system, bootstrap.clusters, p_target) if can_vary else {}
    return {
        "eer_percent": number(100 * rate),
        "eer_ci95": ends_of(ends.get("eer"), 100),
        "min_dcf": {p: number(cost) for p, (cost, _) in least.items()},
        "min_dcf_ci95": {f"{p:g}": ends_of(ends["min_dcf"][p]) if ends else None for p in p_target},
        "act_dcf": {f"{p:g}": number(actual_cost(counts, p)) for p in p_target},
        "act_dcf_ci95": {f"{p:g}": ends_of(ends["act_dcf"][p]) if ends else None for p in p_target},
        "cllr": number(cllr(system.scores, system.labels)),
        "cllr_ci95": ends_of(ends.get("cllr")),
        "min_cllr": number(min_cllr(counts)),
        "auc": number(auc(counts)),
        "fnmr_at_fmr": {f"{rate:g}": number(fnmr_at_fmr(counts, rate)) for rate in fmr},
        "at_zero": {kind: number(rate) for kind, rate in zip(AT_ZERO, counts.rates(at_zero), strict=True)},
        "thresholds": {"eer": number(threshold), "min_dcf": {p: number(at) for p, (_, at) in least.items()}},
        "n_target": counts.n_target,
        "n_nontarget": counts.n_nontarget,
    }


def ends_of(limits: Sequence[float] | None, scale: float = 1.0) -> list[float] | None:
    """Confidence limits for JSON, multiplied by a scale; None for none.

    Examples
    --------
    >>> ends_of((0.0, 0.25), 100)
    [0.0, 25.0]
    """
    return None if limits is None else [scale * end for end in limits]


def measure_present(
    path: Path | str,
    scores: np.ndarray,
    labels: np.ndarray,
    bootstrap: SpeakerBootstrap | None = None,
    **options: Sequence[float],
) -> dict:
    """`measure` for the trials that have a score, with `n_missing`, the number of trials without one (NaN).

    Parameters
    ----------
    path : the score file, for messages
    scores, labels, bootstrap : as for `measure`; scores may be NaN
    options : `p_target` and `fmr` of `measure`

    Raises
    ------
    InputError : no trial has a score

    Examples
    --------
    >>> measure_present("scores", np.array([0.0, 2.0, np.nan]), np.array([False, True, True]))["n_missing"]
    1
    """
    present = ~np.isnan(scores)
    n_missing = len(present) - int(present.sum())
    if n_missing == 0:
        return measure(scores, labels, bootstrap=bootstrap, **options) | {"n_missing": 0}
    if n_missing == len(present):
        raise InputError(f"{path}: has no score for any trial of the list")
    log.warning("%s: %d of %d trials have no score and are left out", path, n_missing, len(present))
    some = bootstrap and bootstrap.take(present)
    return measure(scores[present], labels[present], bootstrap=some, **options) | {"n_missing": n_missing}


def warn_reversed(name: Path | str, row: dict) -> None:
    """Warn if scores are reversed: an EER above 50 %, by more than chance explains.

    For scores without information, the area under the ROC curve has mean 0.5 and variance
    (n + 1) / (12 n_target n_nontarget) (Mann and Whitney, 1947).

    Parameters
    ----------
    row : from `measure`
    """
    n_target, n_nontarget = row["n_target"], row["n_nontarget"]
    if row["eer_percent"] is None or row["eer_percent"] <= 50:
        return
    chance = math.sqrt((n_target + n_nontarget + 1) / (12 * n_target * n_nontarget))
    if row["auc"] <= 0.5 - chance:
        log.warning("%s: the EER is %.2f %%, above 50 %%: targets score lower than nontargets. Are these distances, or "
                    "are the labels reversed?", name, row["eer_percent"])  # fmt: skip


def number(value: float) -> float | None:
    """The value, or None unless it is finite: JSON has no NaN.

    Examples
    --------
    >>> number(1.5), number(float("nan"))
    (1.5, None)
    """
    return value if math.isfinite(value) else None


def table(rows: dict[str, dict], title: str = "scores") -> str:
    """Measures of several systems or subsets as aligned text.

    Parameters
    ----------
    rows : name -> result of `measure`
    title : heading of the column of names
    """
    some = next(iter(rows.values()))
    costs = [f"{kind}DCF({p})" for p in some["min_dcf"] for kind in ("min", "act")]
    at = [f"FNMR({rate})" for rate in some["fnmr_at_fmr"]]
    bits, sizes = ("Cllr", "minCllr", *AT_ZERO.values()), ("targets", "nontargets")
    head = [title, "EER %", "95 % interval", *costs, *bits, "AUC", *at, *sizes]
    return aligned([head, *(table_row(name, row) for name, row in rows.items())])


def table_row(name: str, row: dict) -> list[str]:
    """Cells of one system or subset, in the order of the heading of `table`."""
    costs = [shown(row[kind][p], 4) for p in row["min_dcf"] for kind in ("min_dcf", "act_dcf")]
    at = [shown(rate, 4) for rate in row["fnmr_at_fmr"].values()]
    sizes = [str(row["n_target"]), str(row["n_nontarget"])]
    error = [shown(row["eer_percent"], 2), interval_text(row)]
    bits = [shown(row["cllr"], 3), shown(row["min_cllr"], 3), *(percent_text(row["at_zero"][kind]) for kind in AT_ZERO)]
    return [name, *error, *costs, *bits, shown(row["auc"], 4), *at, *sizes]


def percent_text(rate: float | None) -> str:
    """A rate from 0 to 1 in percent, `-` for None.

    Examples
    --------
    >>> percent_text(0.0123)
    '1.23'
    """
    return shown(None if rate is None else 100 * rate, 2)


def interval_text(row: dict) -> str:
    """Interval of the EER as `1.02-1.37`, or `-` without one."""
    return span(row["eer_ci95"], 2)
