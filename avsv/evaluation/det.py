"""DET curves (Martin et al., Eurospeech 1997): FNR against FPR, both on the scale of the normal distribution."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from avsv.evaluation.errors import ErrorCounts
from avsv.files import whole_file

TICKS = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6)
# Okabe and Ito's colours, told apart by nearly everyone, in print too
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)))


def det_points(counts: ErrorCounts, most: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """FPR and FNR along a DET curve, thinned to what an eye can see; both > 0, as the scale has no zero."""
    fpr, fnr = counts.fpr, counts.fnr
    inside = (fpr > 0) & (fnr > 0)
    fpr, fnr = fpr[inside], fnr[inside]
    corner = np.ones(len(fpr), bool)  # within a run of equal FPR or equal FNR only the ends are drawn
    still = [np.diff(rate) == 0 for rate in (fpr, fnr)]
    corner[1:-1] = ~((still[0][1:] & still[0][:-1]) | (still[1][1:] & still[1][:-1]))
    fpr, fnr = fpr[corner], fnr[corner]
    if len(fpr) > most:
        cells = np.round(np.column_stack([np.log(fpr / (1.0001 - fpr)), np.log(fnr / (1.0001 - fnr))]) * 100)
        kept = np.append(True, (cells[1:] != cells[:-1]).any(axis=1))
        fpr, fnr = fpr[kept], fnr[kept]
    return fpr, fnr


def plot_det(path: Path, title: str, curves: Mapping[str, ErrorCounts], styles: Sequence[int] | None = None) -> None:
    """Draw a DET plot to a PNG or SVG file.

    Parameters
    ----------
    curves : label -> error counts
    styles : number of each curve's colour and dash, so that a system looks the same in all plots; their order if None
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from scipy.special import ndtri

    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    lowest, highest = axis_limits(curves.values())
    for style, (label, counts) in zip(styles or range(len(curves)), curves.items(), strict=True):
        fpr, fnr = det_points(counts)
        colour, dash = COLOURS[style % len(COLOURS)], DASHES[style // len(COLOURS) % len(DASHES)]
        axes.plot(ndtri(fpr), ndtri(fnr), color=colour, linestyle=dash, linewidth=1.6, label=label)
    ends = ndtri([lowest, highest])
    axes.plot(ends, ends, color="#bbbbbb", linewidth=0.8, zorder=0)
    ticks = [tick for tick in TICKS if lowest <= tick <= highest]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ndtri(ticks), [f"{100 * tick:g}" for tick in ticks])
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.set(xlabel="False acceptance rate (%)", ylabel="False rejection rate (%)")
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(color="#e6e6e6", linewidth=0.7)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.legend(fontsize=9, loc="upper right", framealpha=1, edgecolor="none")
    with whole_file(path, "wb") as out:
        figure.savefig(out, format=path.suffix[1:], dpi=150)


def axis_limits(curves) -> tuple[float, float]:
    """The range both axes show: all curves where they pass from one end to the other."""
    smallest = min((1 / max(1, min(c.n_target, c.n_nontarget)) for c in curves), default=0.001)
    return min(0.02, max(0.0001, smallest / 2)), 0.6
