"""All measures of a system on a trial list, as numbers, as JSON and as a line of a table."""

import math
from collections.abc import Sequence

import numpy as np

from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.cllr import cllr, min_cllr
from avsv.evaluation.dcf import act_dcf, min_dcf
from avsv.evaluation.errors import count_errors, crossing

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
        first, *others = (cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def table_row(name: str, row: dict, priors: Sequence[str]) -> list[str]:
    costs = [shown(row[kind][p], 4) for p in priors for kind in ("min_dcf", "act_dcf")]
    sizes = [str(row["n_target"]), str(row["n_nontarget"])]
    return [name, shown(row["eer_percent"], 2), interval_text(row), *costs, shown(row["cllr"], 3), shown(row["min_cllr"], 3), *sizes]


def interval_text(row: dict) -> str:
    """`1.02-1.37`, or `-` where there is no interval."""
    ends = row["eer_ci95"]
    return f"{ends[0]:.2f}-{ends[1]:.2f}" if ends else "-"


def shown(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
