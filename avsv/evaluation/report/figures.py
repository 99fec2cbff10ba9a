"""The figures of the report: DET, calibration, histograms of scores, EER by subset."""

from collections.abc import Mapping, Sequence

import numpy as np

from avsv.evaluation.det import HIGHEST, lowest_rate, normal_deviate
from avsv.evaluation.measures import interval_text, shown
from avsv.evaluation.report.curves import LOG_ODDS, Curves
from avsv.evaluation.report.html import Markup, joined, tag
from avsv.evaluation.report.svg import N_COLOURS, Frame, key_of, line_style, short

RATES = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6)
PRIORS = (0.001, 0.01, 0.05, 0.5, 0.95, 0.99)
TALLEST_COST = 1.2


def name_of(curves: Curves) -> str:
    return f"{curves.record['system']}, {curves.record['backend']}"


def badge(is_reference: bool) -> Markup | None:
    """The word that marks the reference beside its name."""
    return joined([" ", tag("span", "reference", class_="badge")]) if is_reference else None


def legend(all_curves: Sequence[Curves]) -> Markup:
    """The legend: the line of each system, best first."""
    items = [
        tag("li", key_of(c.number, c.is_reference), " ", tag("b", c.record["system"]), f" {c.record['backend']} ",
            tag("span", f"EER {shown(c.record['eer_percent'], 2)} %", class_="quiet"), badge(c.is_reference))
        for c in all_curves
    ]  # fmt: skip
    return tag("ul", items, class_="legend")


def det_plot(all_curves: Sequence[Curves]) -> Markup:
    """DET curves with their bands."""
    lowest = lowest_rate(all_curves[0].record["n_target"], all_curves[0].record["n_nontarget"])
    frame = Frame((lowest, HIGHEST), (lowest, HIGHEST), scale=normal_deviate)
    ticks = [(rate, f"{100 * rate:g}") for rate in RATES if lowest <= rate <= HIGHEST]
    best_last = list(reversed(all_curves))  # the best curve is drawn on top
    bands = [frame.band(*c.band, class_=f"band c{c.number % N_COLOURS}") for c in best_last if c.band]
    diagonal = frame.path(*[np.array([lowest, HIGHEST])] * 2, class_="grid")
    lines = [frame.path(*c.det, **line_style(c.number, c.is_reference)) for c in best_last]
    titles = frame.titles("False acceptance rate (%)", "False rejection rate (%)")
    label = "DET curves of " + "; ".join(name_of(c) for c in all_curves)
    return frame.svg(label, frame.grid(ticks, ticks), frame.inside(diagonal, bands, lines), titles)


def calibration_plot(all_curves: Sequence[Curves]) -> Markup:
    """Normalised Bayes error rate over the prior: actual, and the least that any threshold reaches (dashed)."""
    frame = Frame((LOG_ODDS[0], LOG_ODDS[-1]), (0, TALLEST_COST))
    ticks = [(float(np.log(p / (1 - p))), f"{p:g}") for p in PRIORS]
    lines = []
    for c in reversed(all_curves):
        colour = f"c{c.number % N_COLOURS}"
        lines.append(frame.path(LOG_ODDS, c.costs[1], class_=f"line thin {colour}", stroke_dasharray="4 3"))
        actual = f"line {colour}{' reference' if c.is_reference else ''}"
        lines.append(frame.path(LOG_ODDS, np.minimum(c.costs[0], 10), class_=actual))
    label = "Normalised Bayes error rate of " + "; ".join(name_of(c) for c in all_curves)
    return frame.svg(
        label,
        frame.grid(ticks, [(cost, f"{cost:g}") for cost in (0, 0.2, 0.4, 0.6, 0.8, 1)]),
        frame.inside(frame.path(LOG_ODDS[[0, -1]], np.ones(2), class_="grid strong"), lines),
        frame.titles("Target prior", "Normalised cost"),
    )


def histogram_plot(curves: Curves) -> Markup:
    """Densities of target scores, in the system's colour, and of nontarget scores, and the threshold of the EER."""
    edges, targets, nontargets = curves.histogram
    tallest = max(targets.max(), nontargets.max(), 1e-9) * 1.05
    frame = Frame((edges[0], edges[-1]), (0, tallest), 300, 130, (6, 6, 8, 22))
    x = np.repeat(edges, 2)
    shapes = []
    for kind, density in (("nontarget", nontargets), (f"c{curves.number % N_COLOURS}", targets)):
        y = np.concatenate([[0], np.repeat(density, 2), [0]])
        shapes.append(frame.path(x, y, class_=f"shape {kind}"))
    threshold = []
    if edges[0] <= curves.threshold <= edges[-1]:
        place = short(frame.xs(curves.threshold))
        threshold = [tag("line", x1=place, x2=place, y1=8, y2=108, class_="threshold")]
    ticks = [(value, f"{value:g}") for value in round_ticks(edges[0], edges[-1], 5)]
    label = f"Scores of {name_of(curves)}: targets and nontargets"
    return frame.svg(label, frame.grid(ticks, []), shapes, threshold)


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` + 1 round numbers between two ends.

    Examples
    --------
    >>> round_ticks(-0.13, 0.94, 5)
    [0.0, 0.25, 0.5, 0.75]
    """
    rough = (high - low) / most
    magnitude = 10 ** np.floor(np.log10(rough))
    step = next(step * magnitude for step in (1, 2, 2.5, 5, 10) if step * magnitude >= rough * 0.999)
    places = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return [float(f"{place:.10g}") + 0.0 for place in places]


def subset_plot(rows: Sequence[tuple[Curves, Mapping[str, dict]]], labels: Sequence[str]) -> Markup:
    """EER of each system in each subset: a bar with its interval, subsets one below the other.

    rows : each system's curves, subset -> measures
    labels : the subsets with an EER
    """
    ends = [(m["eer_ci95"] or [0, m["eer_percent"]])[1] for _, subsets in rows for m in subsets.values()
            if m["eer_percent"] is not None]  # fmt: skip
    highest = max(ends, default=1) * 1.05 or 1
    bar, gap, head = 13, 12, 18
    block = head + bar * len(rows) + gap
    frame = Frame((0, highest), (0, 1), 420, block * len(labels) + 44, (6, 14, 4, 40))
    drawn, y = [], 4.0
    for label in labels:
        n_target = rows[0][1][label]["n_target"]
        n_nontarget = rows[0][1][label]["n_nontarget"]
        size = f" {n_target:,} target, {n_nontarget:,} nontarget"
        drawn.append(tag("text", tag("tspan", label, class_="strong"), size, x=6, y=short(y + 13)))
        for place, (curves, subsets) in enumerate(rows):
            drawn += one_bar(frame, curves, subsets[label], y + head + bar * place, bar)
        y += block
    ticks = [(value, f"{value:g}") for value in round_ticks(0, highest, 6)]
    return frame.svg("EER by subset", frame.grid(ticks, []), drawn, frame.titles("EER (%)"))


def one_bar(frame: Frame, curves: Curves, measures: dict, y: float, height: float) -> list[Markup]:
    value = measures["eer_percent"]
    if value is None:
        return []
    start, end = frame.xs([0, value])
    about = tag("title", f"{curves.record['system']}: EER {shown(value, 2)} % ({interval_text(measures)})")
    box = {"x": short(start), "y": short(y), "width": short(max(1, end - start)), "height": short(height - 3)}
    mark = " reference" if curves.is_reference else ""
    drawn = [tag("rect", about, **box, class_=f"bar c{curves.number % N_COLOURS}{mark}")]
    if measures["eer_ci95"]:
        low, high = (short(place) for place in frame.xs(measures["eer_ci95"]))
        middle = short(y + (height - 3) / 2)
        drawn.append(tag("line", x1=low, x2=high, y1=middle, y2=middle, class_="whisker"))
    return drawn


def whisker(record: dict, highest: float, number: int) -> Markup | None:
    """A record's EER as a dot on its interval, to the scale 0 to `highest` percent, for a table's cell."""
    if record["eer_percent"] is None:
        return None
    frame = Frame((0, highest), (0, 1), 120, 14, (4, 4, 0, 0))
    ends = record["eer_ci95"] or [record["eer_percent"]] * 2
    low, high, place = (short(x) for x in frame.xs([*ends, record["eer_percent"]]))
    colour = f"c{number % N_COLOURS}"
    line = tag("line", x1=low, x2=high, y1=7, y2=7, class_=f"line {colour}")
    dot = tag("circle", cx=place, cy=7, r=3.5, class_=f"dot {colour}")
    return tag("svg", tag("line", x1=4, x2=116, y1=7, y2=7, class_="grid"), line, dot,
               viewBox="0 0 120 14", class_="interval", aria_hidden="true")  # fmt: skip
