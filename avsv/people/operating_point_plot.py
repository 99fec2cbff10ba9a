"""An operating point as a matplotlib figure: are the scores reliable, and which errors does each threshold make?"""

from typing import TYPE_CHECKING

import numpy as np

from avsv.evaluation.reliability import reliability
from avsv.people.operating_point import OperatingPoint, Rate
from avsv.people.thresholds import OwnTrials

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

END = 9.0  # of the axes of log-likelihood ratios
PROBABILITIES = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
LOWEST = 1e-4  # error rate at the foot of the axis


def plot_operating_point(trials: OwnTrials, point: OperatingPoint) -> "Figure":
    """Draw a reliability diagram, and both error rates against the threshold.

    Reliable scores lie on the diagonal: of the pairs that score "90 % the same person", at equal priors, 90 % are. Bars
    are 95 % intervals for other people; bins with one class only stand at the edge.

    Examples
    --------
    >>> from avsv.people.thresholds import choose
    >>> from avsv.people.operating_point import Goal
    >>> from avsv.scoring.calibration import ScoreFusion
    >>> speakers = np.array([[i, j] for i in range(12) for j in range(12)])
    >>> labels = speakers[:, 0] == speakers[:, 1]
    >>> trials = OwnTrials(np.where(labels, 3.0, -3.0) + np.sin(np.arange(144.0)), labels, speakers)
    >>> figure = plot_operating_point(trials, choose(trials, Goal(0.5), ScoreFusion([], 0.5, [], [])))
    >>> len(figure.axes)
    2
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 5.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_reliability(left, trials)
    draw_rates(right, trials, point)
    figure.suptitle(f"{point.people} people, threshold {point.threshold:.2f} for {point.goal}")
    return figure


def draw_reliability(axes: "Axes", trials: OwnTrials) -> None:
    """Observed against predicted probability, both on a scale of log odds."""
    bins = reliability(trials.scores, trials.labels, trials.clusters)
    x, y, low, high = (np.clip(side, -END, END) for side in (bins.predicted, bins.observed, bins.low, bins.high))
    seen = np.isfinite(bins.observed)
    axes.plot([-END, END], [-END, END], color="0.7", linewidth=1, zorder=0)
    axes.vlines(x, low, high, color="C0", linewidth=1.5)
    axes.scatter(x[seen], y[seen], color="C0", zorder=3)
    axes.scatter(x[~seen], y[~seen], facecolor="white", edgecolor="C0", zorder=3, clip_on=False)
    for place, of_target, of_nontarget in zip(x, bins.n_target.astype(int), bins.n_nontarget.astype(int), strict=True):
        axes.text(place, -END - 0.3, f"{of_target}\n{of_nontarget}", ha="center", va="top", fontsize=7, color="0.4")
    ticks = np.log(np.array(PROBABILITIES) / (1 - np.array(PROBABILITIES)))
    texts = [f"{100 * probability:g}" for probability in PROBABILITIES]
    axes.set_xticks(ticks, texts)
    axes.set_yticks(ticks, texts)
    axes.set(
        xlim=(-END - 0.6, END + 0.6), ylim=(-END - 1.7, END + 0.3), ylabel="Observed (%)",
        xlabel="Predicted probability of the same person (%), at equal priors",
        title="Reliability (numbers: same-person and other trials)",
    )  # fmt: skip
    axes.grid(alpha=0.3)


def draw_rates(axes: "Axes", trials: OwnTrials, point: OperatingPoint) -> None:
    """False acceptances and false rejections against the threshold, with the chosen one."""
    scores = trials.scores
    low, high = min(np.quantile(scores, 0.001), point.threshold) - 0.5, max(scores.max(), point.threshold) + 0.5
    thresholds = np.linspace(low, high, 400)
    axes.axvline(point.threshold, color="0.5", linestyle="--", linewidth=1)
    rates = ((trials.system.nontargets, False, point.false_acceptance, "false acceptances", "C3"),
             (trials.system.targets, True, point.false_rejection, "false rejections", "C0"))  # fmt: skip
    for values, below, rate, name, color in rates:
        rejected = np.searchsorted(np.sort(values), thresholds) / len(values)
        axes.plot(thresholds, np.maximum(rejected if below else 1 - rejected, LOWEST / 2), color=color, label=name)
        draw_limits(axes, point.threshold + (-1 if below else 1) * 0.006 * (high - low), rate, color)
    axes.set(
        yscale="log", ylim=(LOWEST, 1), xlim=(low, high), xlabel="Threshold (natural-log likelihood ratio)",
        ylabel="Error rate (%)", title="Error rates, with 95 % intervals at the threshold",
    )  # fmt: skip
    marks = [0.0001, 0.001, 0.01, 0.1, 1.0]
    axes.set_yticks(marks, [f"{100 * mark:g}" for mark in marks])
    axes.grid(alpha=0.3)
    axes.legend()


def draw_limits(axes: "Axes", place: float, rate: Rate, color: str) -> None:
    """The limits of a rate, beside the chosen threshold; a rate of 0 stands at the foot of the axis."""
    axes.vlines(place, max(rate.low, LOWEST), max(rate.high, LOWEST), color=color, linewidth=3, alpha=0.6)
    axes.scatter([place], [max(rate.value, LOWEST)], color=color, zorder=3, clip_on=False)
