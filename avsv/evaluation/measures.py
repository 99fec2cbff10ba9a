"""All measures of a system on a trial list, as numbers, as JSON and as a line of a table."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.cllr import cllr, min_cllr
from avsv.evaluation.dcf import act_dcf, min_dcf
from avsv.evaluation.errors import count_errors, crossing
from avsv.evaluation.people import people_of
from avsv.kaldi.scores import read_scores
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import Trials

log = logging.getLogger("avsv")
P_TARGET = (0.01, 0.05)


def measure(
    scores: np.ndarray,
    labels: np.ndarray,
    p_target: Sequence[float] = P_TARGET,
    bootstrap: SpeakerBootstrap | None = None,
) -> dict:
    """Every measure of a system's scores.

    Parameters
    ----------
    scores : (n,) float; for actDCF and Cllr they are natural-log likelihood ratios
    labels : (n,) bool
    p_target : target priors of the detection costs
    bootstrap : the resamples for the interval of the EER; None for no interval

    Returns
    -------
    dict that JSON can hold: `eer_percent`, `eer_ci95` (two numbers, percent), `min_dcf` and `act_dcf` (prior as text ->
    normalised cost), `cllr`, `min_cllr` (bits), `n_target`, `n_nontarget`. What is undefined (one class has no trial)
    or infinite (Cllr of infinite scores that are wrong) is None

    Examples
    --------
    >>> measure(np.array([0.0, 2.0]), np.array([False, True]), [0.01])["min_dcf"]
    {'0.01': 0.0}
    """
    counts = count_errors(scores, labels)
    interval = bootstrap.eer_interval(scores, counts) if bootstrap else None
    return {
        "eer_percent": number(100 * crossing(counts.fnr, counts.fpr)),
        "eer_ci95": [100 * end for end in interval] if interval else None,
        "min_dcf": {f"{p:g}": number(min_dcf(counts, p)) for p in p_target},
        "act_dcf": {f"{p:g}": number(act_dcf(counts, p)) for p in p_target},
        "cllr": number(cllr(scores, labels)),
        "min_cllr": number(min_cllr(counts)),
        "n_target": counts.n_target,
        "n_nontarget": counts.n_nontarget,
    }


def make_bootstrap(trials: Trials, utt2spk: Path | None = None, n_resamples: int = 1000) -> SpeakerBootstrap | None:
    """The resamples of a list's people, for all systems that score it; None where none are wanted."""
    if not n_resamples:
        return None
    table = read_table(utt2spk, 2, "utterance speaker") if utt2spk else None
    return SpeakerBootstrap(people_of(trials, table), trials.labels, n_resamples)


def measure_file(
    path: Path | str,
    trials: Trials,
    p_target: Sequence[float] = P_TARGET,
    bootstrap: SpeakerBootstrap | None = None,
    drop: bool = False,
) -> dict:
    """Every measure of a score file.

    Parameters
    ----------
    drop : leave out trials without a score, and tell their number as `n_missing`; otherwise they are an error
    """
    scores = read_scores(path, trials, incomplete=drop)
    if not drop:
        return measure(scores, trials.labels, p_target, bootstrap)
    there = ~np.isnan(scores)
    n_missing = int((~there).sum())
    if n_missing == len(trials):
        raise UserError(f"{path}: no trial of the list has a score")
    if n_missing:
        log.warning("%s: %d of %d trials have no score and are left out", path, n_missing, len(trials))
        bootstrap = bootstrap and bootstrap.take(there)
    return measure(scores[there], trials.labels[there], p_target, bootstrap) | {"n_missing": n_missing}


def number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def table(rows: dict[str, dict]) -> str:
    """Measures of several systems as aligned text.

    rows : name -> what `measure` gives
    """
    priors = list(next(iter(rows.values()))["min_dcf"])
    costs = [f"{kind}DCF({p})" for p in priors for kind in ("min", "act")]
    head = ["scores", "EER %", "95 % interval", *costs, "Cllr", "minCllr", "targets", "nontargets"]
    cells = [head] + [table_row(name, row, priors) for name, row in rows.items()]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = []
    for row in cells:
        padded = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *padded[1:]]).rstrip())
    return "\n".join(lines)


def table_row(name: str, row: dict, priors: Sequence[str]) -> list[str]:
    costs = [shown(row[kind][p], 4) for p in priors for kind in ("min_dcf", "act_dcf")]
    sizes = [str(row["n_target"]), str(row["n_nontarget"])]
    error = [shown(row["eer_percent"], 2), interval_text(row)]
    return [name, *error, *costs, shown(row["cllr"], 3), shown(row["min_cllr"], 3), *sizes]


def interval_text(row: dict) -> str:
    """`1.02-1.37`, or `-` where there is no interval."""
    ends = row["eer_ci95"]
    return f"{ends[0]:.2f}-{ends[1]:.2f}" if ends else "-"


def shown(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
