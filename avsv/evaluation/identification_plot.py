"""Identification as a matplotlib figure: the cumulative match characteristic, and DIR over the false alarm rate."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from matplotlib.figure import Figure


def plot_identification(rows: Mapping[str, dict]) -> "Figure":
    """Draw both curves of each system.

    Parameters
    ----------
    rows : name of the system -> result of `measure_identification`

    Returns
    -------
    matplotlib Figure; `figure.savefig("identification.svg")` writes it

    Examples
    --------
    >>> row = {"cmc_percent": [90.0, 95.0], "curve": {"far_percent": [10.0, 100.0], "dir_percent": [80.0, 90.0]}}
    >>> [axes.get_xlabel() for axes in plot_identification({"voice": row}).axes]
    ['Rank', 'False alarm rate (%)']
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    closed, opened = figure.subplots(1, 2)
    for name, row in rows.items():
        ranks = range(1, len(row["cmc_percent"]) + 1)
        (line,) = closed.step(ranks, row["cmc_percent"], where="post", label=name)
        opened.plot(row["curve"]["far_percent"], row["curve"]["dir_percent"], color=line.get_color(), label=name)
    closed.set(xlabel="Rank", ylabel="Closed-set identification rate (%)", title="In the gallery: who?")
    opened.set(xlabel="False alarm rate (%)", ylabel="DIR (%)", title="In the gallery or not, and who?", xscale="log")
    opened.xaxis.set_major_formatter("{x:g}")
    for axes in (closed, opened):
        axes.set_ylim(top=101)
        axes.grid(alpha=0.3)
    closed.legend(loc="lower right")
    return figure
