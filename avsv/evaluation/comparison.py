"""Comparison of systems on the same trials: differences, with paired intervals.

The same speakers are difficult for both systems, and many errors are made by both. Only the errors of one system alone
tell them apart. The interval of a difference is therefore much narrower than the separate intervals suggest, and it
shows whether one system is better (see `intervals`). The share of resamples of the speakers in which the better system
loses is the probability of improvement of Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR
performance evaluation", ICASSP 2004, here over speakers and seen from the other side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avsv.errors import refuse_unknown
from avsv.evaluation.bootstrap import Resampled, SpeakerBootstrap
from avsv.evaluation.estimates import Measured, difference_of_measures
from avsv.evaluation.measures import P_TARGET, ends_of, measure_system, warn_reversed
from avsv.evaluation.published import Published, cite, published_cells
from avsv.evaluation.tables import aligned, markdown_rows, shown, span

DIFFERENCE = ("difference", "95 % interval", "relative", "better loses")


def compare(
    scores: Mapping[str, np.ndarray],
    labels: np.ndarray,
    bootstrap: SpeakerBootstrap | None = None,
    p_target: Sequence[float] = P_TARGET,
    reference: str | None = None,
) -> list[dict]:
    """Measures of each system, and their differences from a reference system.

    Parameters
    ----------
    scores : name of the system -> (trials,) float, all on the same trials
    labels : (trials,) bool, True for a target trial
    bootstrap : from `bootstrap`; None for no intervals
    p_target : target priors of the detection costs
    reference : name of the system that the others are compared with; None for the first

    Returns
    -------
    one dict per system, in the given order, ready for JSON: `system`, `reference`, `measures` (see `measure`), and
    `against_reference`, which is None for the reference itself and otherwise holds `eer_percent`, `min_dcf` and
    `act_dcf` (by prior) and `cllr`, each as returned by `difference`

    Raises
    ------
    OptionError : no system has the name of the reference, or there are no systems

    Examples
    --------
    >>> labels = np.array([True, True, False, False])
    >>> scores = {"a": np.array([2.0, 1.0, -1.0, -2.0]), "b": np.array([2.0, -1.5, -1.0, -2.0])}
    >>> [row["against_reference"] and row["against_reference"]["eer_percent"]["difference"]
    ...  for row in compare(scores, labels)]
    [None, 50.0]
    """
    reference = next(iter(scores), None) if reference is None else reference
    refuse_unknown("reference", reference, scores)
    of_reference = Compared.of(scores[reference], labels, p_target, bootstrap)
    rows = []
    for name, values in scores.items():
        compared = of_reference if name == reference else Compared.of(values, labels, p_target, bootstrap)
        differences = None if name == reference else all_differences(compared, of_reference, p_target, bootstrap)
        warn_reversed(name, compared.measures)
        rows.append(
            {"system": name, "reference": reference, "measures": compared.measures, "against_reference": differences}
        )
    return rows


@dataclass(frozen=True)
class Compared:
    """A system to compare.

    system : its scores and errors
    measures : from `measure`
    resampled : its measures in each resample of the speakers; None without resamples
    """

    system: Measured
    measures: dict
    resampled: Resampled | None

    @classmethod
    def of(
        cls, scores: np.ndarray, labels: np.ndarray, p_target: Sequence[float], bootstrap: SpeakerBootstrap | None
    ) -> "Compared":
        """Measure a system's scores."""
        system = Measured.of(scores, labels)
        can_vary = bootstrap is not None and bootstrap.can_vary
        resampled = bootstrap.measures(system.scores, system.counts, p_target) if can_vary else None
        return cls(system, measure_system(system, p_target, bootstrap), resampled)


def all_differences(
    compared: Compared, reference: Compared, p_target: Sequence[float], bootstrap: SpeakerBootstrap | None
) -> dict:
    """`difference` of each measure of two systems."""
    (own, resampled), (other, other_resampled) = ((c.measures, c.resampled) for c in (compared, reference))
    paired = resampled is not None and other_resampled is not None
    ends = difference_of_measures(compared.system, reference.system, bootstrap.clusters, p_target) if paired else {}

    def at_priors(kind: str) -> dict:
        return {
            f"{p:g}": difference(
                own[kind][f"{p:g}"],
                other[kind][f"{p:g}"],
                getattr(resampled, kind)[p] - getattr(other_resampled, kind)[p] if paired else None,
                ends_of(ends[kind][p]) if paired else None,
            )
            for p in p_target
        }

    eers = 100 * (resampled.eer - other_resampled.eer) if paired else None
    bits = resampled.cllr - other_resampled.cllr if paired else None
    return {
        "eer_percent": difference(own["eer_percent"], other["eer_percent"], eers, ends_of(ends.get("eer"), 100)),
        "min_dcf": at_priors("min_dcf"),
        "act_dcf": at_priors("act_dcf"),
        "cllr": difference(own["cllr"], other["cllr"], bits, ends_of(ends.get("cllr"))),
    }


def difference(
    own: float | None, other: float | None, resampled: np.ndarray | None, ends: Sequence[float] | None = None
) -> dict:
    """Difference of a measure between a system and the reference; negative if the system is better.

    Parameters
    ----------
    own, other : the measure on all trials; None if undefined
    resampled : (resamples,) difference in each resample, or None
    ends : 95 % confidence limits of the difference, or None

    Returns
    -------
    dict with `difference`; `ci95`, the limits; `relative_percent`, the difference in percent of the reference's
    value; and `loses`, the share of resamples in which the system that is better on all trials is worse, ties counting
    half. Undefined values are None: all of them if a measure is undefined, the relative change from 0, and `loses` for
    equal systems

    Examples
    --------
    >>> difference(3.0, 4.0, np.array([-2.0, -1.0, -0.5, 0.5]))["loses"]
    0.25
    """
    if own is None or other is None:
        return {"difference": None, "ci95": None, "relative_percent": None, "loses": None}
    change = own - other
    finite = np.empty(0) if resampled is None else resampled[np.isfinite(resampled)]
    loses = None
    if change and 2 * len(finite) >= np.size(resampled) > 0:
        against = np.sign(finite) * np.sign(change)
        loses = float(((against < 0) + 0.5 * (against == 0)).mean())
    return {
        "difference": change,
        "ci95": list(ends) if ends else None,
        "relative_percent": 100 * change / other if other else None,
        "loses": loses,
    }


def verdict(change: float, ci95: Sequence[float] | None) -> str:
    """`better` or `worse` if the interval of a difference excludes 0; otherwise, or without an interval, `level`.

    Examples
    --------
    >>> verdict(-0.5, (-0.9, -0.1)), verdict(0.5, (-0.1, 0.9)), verdict(0.5, None)
    ('better', 'level', 'level')
    """
    if ci95 is None or ci95[0] <= 0 <= ci95[1]:
        return "level"
    return "better" if change < 0 else "worse"


def main_cells(rows: Sequence[dict], published: Sequence[Published] = ()) -> list[list[str]]:
    """Table of the systems with the EER's difference from the reference and published figures, heading first.

    Published systems that are not in `rows` get rows without measured values.

    Parameters
    ----------
    rows : from `compare`
    published : published figures for this trial list
    """
    costs = [f"{kind}DCF({p})" for p in rows[0]["measures"]["min_dcf"] for kind in ("min", "act")]
    head = ["system", "EER %", "95 % interval", *costs, "Cllr", *DIFFERENCE]
    cells = [system_cells(row) for row in rows]
    if published:
        numbers, ours = cite(published), {row["system"] for row in rows}
        others = dict.fromkeys(figure.system for figure in published if figure.system not in ours)
        cells += [[name] + ["-"] * (len(head) - 1) for name in others]
        for row in cells:
            row += published_cells([figure for figure in published if figure.system == row[0]], numbers)
        head += ["published EER %", "published minDCF"]
    return [head, *cells]


def system_cells(row: dict) -> list[str]:
    """Cells of one system: its measures, then the EER's difference from the reference."""
    own, against = row["measures"], row["against_reference"]
    costs = [shown(own[kind][p], 4) for p in own["min_dcf"] for kind in ("min_dcf", "act_dcf")]
    about = [row["system"], shown(own["eer_percent"], 2), span(own["eer_ci95"], 2), *costs, shown(own["cllr"], 3)]
    return about + (["reference", *["-"] * 3] if against is None else difference_cells(against["eer_percent"], 2))


def difference_cells(against: dict, digits: int) -> list[str]:
    """Cells of a `difference`: the difference, its interval, the relative change, and `loses` in percent."""
    change, relative, loses = against["difference"], against["relative_percent"], against["loses"]
    return [
        "-" if change is None else f"{change:+.{digits}f}",
        span(against["ci95"], digits, sign=True),
        "-" if relative is None else f"{relative:+.1f} %",
        "-" if loses is None else f"{100 * loses:.1f} %",
    ]


def other_cells(rows: Sequence[dict]) -> list[list[str]]:
    """Table of the differences of the other measures, heading first; only the heading if there is one system."""
    cells = [["system", "measure", *DIFFERENCE]]
    for row in rows:
        if (against := row["against_reference"]) is None:
            continue
        for kind, name in (("min_dcf", "minDCF"), ("act_dcf", "actDCF")):
            for p, change in against[kind].items():
                cells.append([row["system"], f"{name}({p})", *difference_cells(change, 4)])
        cells.append([row["system"], "Cllr", *difference_cells(against["cllr"], 4)])
    return cells


def notes(rows: Sequence[dict], bootstrap: SpeakerBootstrap | None, published: Sequence[Published] = ()) -> list[str]:
    """Notes for the reader of the tables, one per entry, then the sources of published figures."""
    counts = rows[0]["measures"]
    texts = [
        f"{counts['n_target'] + counts['n_nontarget']:,} trials: {counts['n_target']:,} target, "
        f"{counts['n_nontarget']:,} nontarget.",
        f"Differences are relative to {rows[0]['reference']}, for the EER in percentage points; "
        "below 0 the system is better.",
        "actDCF and Cllr treat scores as natural-log likelihood ratios; for uncalibrated scores they mean little.",
    ]
    if bootstrap:
        texts.append(
            f"95 % intervals account for the choice of the {bootstrap.n_present:,} speakers and hold with few errors "
            f'too; differences are paired. "better loses" is the share of {bootstrap.n_resamples:,} resamples of the '
            "speakers in which the better system is worse."
        )
    if published:
        texts.append("Published figures are taken from their sources and were not measured here:")
        texts += [f"[{number}] {source}" for source, number in cite(published).items()]
    return texts


def comparison_text(
    rows: Sequence[dict], bootstrap: SpeakerBootstrap | None, published: Sequence[Published] = ()
) -> str:
    """The comparison as aligned text."""
    tables = [aligned(cells) for cells in (main_cells(rows, published), other_cells(rows)) if len(cells) > 1]
    return "\n\n".join([*tables, "\n".join(notes(rows, bootstrap, published))])


def comparison_markdown(
    rows: Sequence[dict], bootstrap: SpeakerBootstrap | None, published: Sequence[Published] = ()
) -> list[str]:
    """The comparison as lines of Markdown, without a heading."""
    lines = []
    for cells in (main_cells(rows, published), other_cells(rows)):
        if len(cells) > 1:
            lines += [*markdown_rows(cells), ""]
    return lines + [line for text in notes(rows, bootstrap, published) for line in (text, "")]
