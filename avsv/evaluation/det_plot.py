"""DET curves as a matplotlib figure, for notebooks and papers; the results page draws its own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.det import HIGHEST, det_band, det_points, lowest_rate, normal_deviate
from avsv.evaluation.errors import count_errors, equal_error

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from matplotlib.figure import Figure

RATES = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6)  # ticks on both axes


def plot_det(
    scores: Mapping[str, np.ndarray], labels: np.ndarray, bootstrap: SpeakerBootstrap | None = None
) -> "Figure":
    """Draw the DET curve of each system: false rejections against false acceptances (Martin et al., Eurospeech 1997).

    Parameters
    ----------
    scores : name of the system -> (n,) float, all on the same trials
    labels : (n,) bool, True for a target trial
    bootstrap : from `bootstrap`; draws the pointwise 95 % band of each curve

    Returns
    -------
    matplotlib Figure; `figure.savefig("det.svg")` writes it

    Raises
    ------
    InputError : the trials are all of one class

    Examples
    --------
    >>> labels = np.arange(40) < 20
    >>> figure = plot_det({"voice": np.arange(40.0)[::-1] + 10 * np.cos(np.arange(40.0))}, labels)
    >>> figure.axes[0].get_xlabel()
    'False acceptance rate (%)'
    """
    from matplotlib.figure import Figure

    labels = np.asarray(labels, bool)
    n_target = int(labels.sum())
    if n_target in (0, len(labels)):
        raise InputError(
            f"a DET curve needs target and nontarget trials, found {n_target} target trials of {len(labels)}"
        )
    lowest = lowest_rate(n_target, len(labels) - n_target)
    figure = Figure(figsize=(5.5, 5.5), layout="constrained")
    axes = figure.add_subplot()
    for name, values in scores.items():
        values = np.asarray(values)
        counts = count_errors(values, labels)
        fpr, fnr = det_points(counts)
        label = f"{name}, EER {100 * equal_error(counts)[0]:.2f} %"
        (line,) = axes.plot(normal_deviate(fpr), normal_deviate(fnr), label=label)
        band = det_band(values, counts, bootstrap) if bootstrap is not None else None
        if band is not None:
            axes.fill_between(*map(normal_deviate, band), color=line.get_color(), alpha=0.15, linewidth=0)
    ends = normal_deviate(np.array([lowest, HIGHEST]))
    marks = [rate for rate in RATES if lowest <= rate <= HIGHEST]
    places, texts = normal_deviate(np.array(marks)), [f"{100 * rate:g}" for rate in marks]
    axes.plot(ends, ends, color="0.7", linewidth=0.8, zorder=0)
    axes.set(
        xlim=ends, ylim=ends, aspect="equal", xlabel="False acceptance rate (%)", ylabel="False rejection rate (%)"
    )
    axes.set_xticks(places, texts)
    axes.set_yticks(places, texts)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
