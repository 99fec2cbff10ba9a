"""Whether thresholds for a false acceptance rate keep it, and whether the stated limits hold, by simulation.

Run by hand, from the repository; half an hour on one core, two minutes with --draws 50.

    python -m tests.benchmarks.operating_point [--draws N] [--people N ...]

Each draw is another set of people with recordings and trials, in the two worlds of `tests.benchmarks.intervals`. The
truth is the error rate of the chosen threshold among two million trials of other people.
"""

import argparse
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from avsv.people.operating_point import Goal
from avsv.people.thresholds import OwnTrials, above, choose, people_needed
from avsv.scoring.calibration import ScoreFusion
from tests.benchmarks.intervals import TrialList, as_llr, population

RATES = (0.1, 0.03, 0.01, 0.003, 0.001)
PRIORS = (0.5, 0.01)
PEOPLE = (10, 20, 50)
EER = 0.05
APART = -2 * norm.ppf(EER)
CALIBRATION = ScoreFusion(["score"], 0.5, [], [], [None])


class Draw(NamedTuple):
    """Result for one set of people; rates are those of other people, `held` whether the limits contain them."""

    supported: bool
    far: float
    plugin_far: float
    far_held: bool
    frr_held: bool
    cost_held: bool


@cache
def others(heavy: bool) -> tuple[np.ndarray, np.ndarray]:
    """Sorted log-likelihood ratios of target and of nontarget trials of the population."""
    scores, labels = population(APART, heavy, 2_000_000)
    ratios = as_llr(scores, APART)
    return np.sort(ratios[labels]), np.sort(ratios[~labels])


def true_rates(threshold: float, heavy: bool) -> tuple[float, float]:
    """False rejections and false acceptances at a threshold."""
    targets, nontargets = others(heavy)
    return (float(np.searchsorted(targets, threshold) / len(targets)),
            1 - float(np.searchsorted(nontargets, threshold) / len(nontargets)))  # fmt: skip


def draw_trials(n: int, rng: np.random.Generator, heavy: bool, trials: TrialList | None = None) -> OwnTrials:
    """Trials of n people, with calibrated log-likelihood ratios in the normal world."""
    trials = trials or TrialList.draw(n, rng)
    scores = as_llr(trials.scores(rng, heavy) + APART * trials.labels, APART)
    return OwnTrials(scores, trials.labels, trials.speakers)


def one_draw(own: OwnTrials, goal: Goal, heavy: bool) -> Draw:
    point = choose(own, goal, CALIBRATION)
    frr, far = true_rates(point.threshold, heavy)
    plugin = np.nan
    if goal.false_acceptance is not None:
        ranked = np.sort(own.system.nontargets)[::-1]
        plugin = true_rates(above(ranked[int(goal.false_acceptance * len(ranked) + 1e-9)]), heavy)[1]
    cost_held = True
    if point.cost is not None:
        cost = goal.c_miss * goal.p_target * frr + goal.c_fa * (1 - goal.p_target) * far
        cost_held = point.cost.low <= cost <= point.cost.high
    held = [limits.low <= truth <= limits.high
            for limits, truth in ((point.false_acceptance, far), (point.false_rejection, frr))]  # fmt: skip
    return Draw(point.supported, far, plugin, *held, cost_held)


def summary(draws: list[Draw], goal: Goal) -> str:
    """Shares in percent, and mean rates relative to the goal."""
    columns = np.array(draws, float)
    supported = columns[:, 0] > 0
    share, held = 100 * supported.mean(), 100 * columns[:, 3:].mean(axis=0)
    text = f"{held[0]:5.1f} {held[1]:5.1f} "
    if goal.false_acceptance is None:
        return f"{'':32}| {text}{held[2]:5.1f}"
    kept = columns[supported, 1].mean() / goal.false_acceptance if supported.any() else np.nan
    every, plugin = columns[:, 1:3].mean(axis=0) / goal.false_acceptance
    return f"{plugin:6.2f} {share:8.1f} {kept:7.2f} {every:8.2f} | {text}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=1000, help="sets of people (1000)")
    parser.add_argument("--people", type=int, nargs="+", default=PEOPLE, help="numbers of people")
    args = parser.parse_args()
    print("world people goal: plug-in, supported %, kept, kept in all | limits hold %: FAR, FRR, cost | people needed")
    goals = [*(Goal(false_acceptance=rate) for rate in RATES), *(Goal(p_target=prior) for prior in PRIORS)]
    for heavy in (False, True):
        for n in args.people:
            rng = np.random.default_rng(n)
            trials = TrialList.draw(n, rng)
            for goal in goals:
                sets = [draw_trials(n, rng, heavy, trials) for _ in range(args.draws)]
                draws = [one_draw(own, goal, heavy) for own in sets]
                text = f"FAR {goal.false_acceptance:g}" if goal.p_target is None else f"prior {goal.p_target:g}"
                needed = [people_needed(own, goal.false_acceptance) for own in sets[:50] if goal.false_acceptance]
                print(f"{'heavy' if heavy else 'normal':6} {n:4} {text:15} | {summary(draws, goal)} | "
                      f"{np.median(needed) if needed else '':}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
