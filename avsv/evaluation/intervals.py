"""Confidence intervals that hold with few errors: gamma and beta intervals around a variance over people.

An estimate is a sum of means over target and over nontarget trials, each with a coefficient: the EER is a weighted mean
of FNR and FPR at its threshold, a detection cost a sum of both. Its variance follows from the influence of each person
(`clusters`). A normal interval fails with few errors, because the variance is then unknown as well: with no error seen
it is zero. Two steps mend this.

1. Upper limits are those of Fay and Feuer, "Confidence intervals for directly standardized rates: a method based on the
   gamma distribution", Statistics in Medicine 16, 1997: the quantile of a distribution whose mean and variance include
   one more error, of the largest weight that an error can have. A rate, which cannot exceed 1, has a beta distribution
   instead, with the mean and variance of the exact interval of Clopper and Pearson (Biometrika 26, 1934) for the
   effective number of trials, as in Korn and Graubard, "Confidence intervals for proportions with small expected number
   of positive counts estimated from survey data", Survey Methodology 24, 1998.
2. The weight of an error is one over the effective number of trials, p (1 - p) / variance. It is measured where there
   are enough errors: at the lowest error rate, from the estimate up, whose errors count for ten independent ones. This
   step is ours.

The limits of a difference of two systems come from the errors that only the one and only the other makes, two estimates
as above, combined by the square-and-add rule of Zou and Donner, "Construction of confidence limits about effect
measures: a general approach", Statistics in Medicine 27, 2008.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import betaincinv, gammaincinv

from avsv.evaluation.clusters import Clusters, Influence

ENOUGH = 10.0  # effective errors from which their variance is trusted
LEVELS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4)
TAIL = 0.025  # probability beyond each limit

# Errors at the estimate's own threshold (None), or at a threshold with about the given error rate: (trials,) bool
Errors = Callable[[float | None], np.ndarray]


class Dependent(Protocol):
    """People of the trials, with the influence of each on a mean over target or nontarget trials."""

    n_people: int

    @property
    def none(self) -> Influence: ...

    def influence(self, of_targets: bool, values: np.ndarray) -> Influence: ...


@dataclass(frozen=True)
class Part:
    """An estimate of a rate or cost >= 0, alone or as part of a sum.

    value : the estimate
    influence : of the people
    more, fewer : change of the estimate by one more error, and by one fewer
    """

    value: float
    influence: Influence
    more: float
    fewer: float

    def __add__(self, other: "Part") -> "Part":
        return Part(
            self.value + other.value,
            self.influence + other.influence,
            max(self.more, other.more),
            max(self.fewer, other.fewer),
        )

    def __rmul__(self, factor: float) -> "Part":
        return Part(factor * self.value, factor * self.influence, factor * self.more, factor * self.fewer)


def rate_part(
    clusters: Dependent, of_targets: bool, errors: Errors, start: float = 0.0, rate: float | None = None
) -> Part:
    """An error rate with its influences, which are measured where there are enough errors.

    Parameters
    ----------
    of_targets : whether the errors are misses, of targets; otherwise false alarms
    start : lowest rate at which to look for more errors
    rate : the estimate; None for the share of errors at the own threshold
    """
    own = errors(None)
    share = float(np.mean(own))
    rate = share if rate is None else rate
    levels = [None, *(level for level in LEVELS if level > max(start, share))] if share <= 0.5 else [None]
    result = Part(rate, clusters.none, 0.0, 0.0)
    for level in levels:
        wrong = own if level is None else errors(level)
        share = float(np.mean(wrong))
        if share == 0:
            continue
        if share == 1:  # ties: no threshold makes some errors
            return with_effective_trials(rate, result.influence, clusters.n_people)
        influence = clusters.influence(of_targets, wrong)
        trials = effective_trials(share, influence, clusters.n_people)
        to_rate = float(np.sqrt(rate * (1 - rate) / (share * (1 - share))))
        result = with_effective_trials(rate, to_rate * influence, min(trials, len(own)))
        if share * trials >= ENOUGH:
            break
    return result


def bounded_part(rate: float, influence: Influence, n_people: int) -> Part:
    """A mean of values from 0 to 1, for which there are no other thresholds to look at.

    With fewer than ten effective errors, as many trials as people count as independent, at most.
    """
    trials = effective_trials(rate, influence, n_people)
    few = min(rate, 1 - rate) * trials < ENOUGH
    return with_effective_trials(rate, influence, min(trials, n_people) if few else trials)


def effective_trials(rate: float, influence: Influence, n_people: int) -> float:
    """Number of independent trials with the same variance; the number of people if there is no variance."""
    variance = influence.variance * influence.inflation(n_people)
    return rate * (1 - rate) / variance if variance > 0 else float(n_people)


def with_effective_trials(rate: float, influence: Influence, trials: float) -> Part:
    """The part whose errors weigh one over the effective number of trials."""
    return Part(rate, influence, (1 - rate) / max(1.0, trials), rate / max(1.0, trials))


def cost_part(clusters: Dependent, of_targets: bool, costs: np.ndarray) -> Part:
    """A mean of costs >= 0 with its influences; one more error costs as much as the worst one seen.

    Its weight is that of an error if the trials with the highest costs are the errors (see `rate_part`).
    """
    ranked = np.sort(costs)

    def worst(level: float | None) -> np.ndarray:
        place = len(costs) if level is None else int(len(costs) * (1 - level))
        return costs > (ranked[place] if place < len(costs) else np.inf)

    weight = rate_part(clusters, of_targets, worst).more
    return Part(float(np.mean(costs)), clusters.influence(of_targets, costs), float(ranked[-1]) * weight, 0.0)


def limits(part: Part, n_people: int, highest: float = np.inf) -> tuple[float, float]:
    """95 % confidence limits of a rate (`highest` 1) or of a cost (without a highest value).

    Examples
    --------
    >>> none_of_500 = Part(0.0, Influence(np.zeros(500), np.zeros(1)), 1 / 500, 0.0)
    >>> np.round(limits(none_of_500, 500, 1.0), 4).tolist()  # Clopper and Pearson: 0 to 0.0074
    [0.0, 0.0074]
    """
    variance = part.influence.variance * part.influence.inflation(n_people)
    low = quantile(TAIL, part.value - part.fewer, variance + part.fewer**2, highest)
    high = quantile(1 - TAIL, part.value + part.more, variance + part.more**2, highest)
    return min(low, part.value), max(high, part.value)


def quantile(probability: float, mean: float, variance: float, highest: float) -> float:
    """Quantile of the beta distribution (`highest` 1) or gamma distribution with this mean and variance."""
    if variance <= 0 or mean <= 0:
        return max(0.0, mean)
    if highest != 1:
        return float(gammaincinv(mean**2 / variance, probability) * variance / mean)
    size = mean * (1 - mean) / variance - 1
    if mean >= 1 or size <= 0:
        return 1.0 if probability > 0.5 else 0.0
    return float(betaincinv(size * mean, size * (1 - mean), probability))


def difference_limits(only_one: Part, only_other: Part, n_people: int) -> tuple[float, float]:
    """95 % confidence limits of the difference of two estimates, one minus other.

    Parameters
    ----------
    only_one, only_other : rate or cost of the errors that only the one and only the other makes
    """
    (one_low, one_high), (other_low, other_high) = (limits(part, n_people) for part in (only_one, only_other))
    spread = np.sqrt(only_one.influence.variance * only_other.influence.variance)
    correlation = only_one.influence.covariance(only_other.influence) / spread if spread > 0 else 0.0
    correlation = float(np.clip(correlation, -1, 1))

    def add(down: float, up: float) -> float:
        return float(np.sqrt(max(0.0, down**2 + up**2 - 2 * correlation * down * up)))

    change = only_one.value - only_other.value
    below = add(only_one.value - one_low, other_high - only_other.value)
    above = add(one_high - only_one.value, only_other.value - other_low)
    return change - below, change + above


def mean_limits(values: np.ndarray, people: np.ndarray) -> tuple[float, float]:
    """95 % confidence limits of a mean of values from 0 to 1, each of one person.

    Parameters
    ----------
    values : (n,) float
    people : (n,) int from 0, of each value

    Examples
    --------
    >>> low, high = mean_limits(np.array([0.5, 0.75, 0.5, 0.25]), np.array([0, 1, 2, 3]))
    >>> low < 0.5 < high
    True
    """
    clusters = Clusters(np.stack([people, people], 1), np.ones(len(values), bool))
    part = bounded_part(float(np.mean(values)), clusters.influence(True, values), clusters.n_people)
    return limits(part, clusters.n_people, 1.0)
