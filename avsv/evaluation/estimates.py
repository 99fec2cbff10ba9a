"""The EER, detection costs and Cllr of a system as sums of errors, for their intervals and those of differences.

The threshold of the EER and of minDCF is taken as given: at a crossing or a minimum, a small error in it does not move
the measure to first order. At the EER's threshold, the EER is a weighted mean of FNR and FPR; their weights are the
steepness of the other rate there (implicit differentiation of FNR(t) = FPR(t)).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from avsv.evaluation.cllr import bits
from avsv.evaluation.clusters import Clusters
from avsv.evaluation.dcf import bayes_threshold, least_cost, normalised_cost
from avsv.evaluation.errors import ErrorCounts, count_errors, equal_error
from avsv.evaluation.intervals import Errors, Part, cost_part, difference_limits, limits, rate_part

Limits = tuple[float, float]


@dataclass(frozen=True)
class Measured:
    """Scores of a system with its error counts.

    scores : (trials,) float
    labels : (trials,) bool
    """

    scores: np.ndarray
    labels: np.ndarray
    counts: ErrorCounts

    @classmethod
    def of(cls, scores: np.ndarray, labels: np.ndarray) -> "Measured":
        """Count the errors of the scores."""
        return cls(np.asarray(scores), np.asarray(labels, bool), count_errors(scores, labels))

    @cached_property
    def targets(self) -> np.ndarray:
        """Scores of the target trials."""
        return self.scores[self.labels]

    @cached_property
    def nontargets(self) -> np.ndarray:
        """Scores of the nontarget trials."""
        return self.scores[~self.labels]

    @cached_property
    def costs(self) -> np.ndarray:
        """Each trial's cost in bits, whose mean over both classes is Cllr."""
        return bits(self.scores, self.labels)

    def misses(self, threshold: float) -> Errors:
        """Misses at a threshold, or at the threshold with a given FNR."""
        return lambda level: self.targets < (threshold if level is None else self.threshold_at_fnr(level))

    def false_alarms(self, threshold: float) -> Errors:
        """False alarms at a threshold, or at the threshold with a given FPR."""
        return lambda level: self.nontargets >= (threshold if level is None else self.threshold_at_fpr(level))

    def threshold_at_fnr(self, rate: float) -> float:
        """Lowest threshold at which the FNR is at least the rate."""
        counts = self.counts
        point = np.searchsorted(counts.misses, min(rate * counts.n_target, counts.n_target))
        return float(counts.thresholds[point])

    def threshold_at_fpr(self, rate: float) -> float:
        """Highest threshold at which the FPR is at least the rate."""
        counts = self.counts
        wanted = min(rate * counts.n_nontarget, counts.n_nontarget)
        point = len(counts.thresholds) - 1 - np.searchsorted(counts.false_alarms[::-1], wanted)
        return float(counts.thresholds[point])

    @cached_property
    def eer(self) -> tuple[float, float]:
        """EER and its threshold; see `equal_error`."""
        return equal_error(self.counts)

    @cached_property
    def weight_of_fnr(self) -> float:
        """Weight of the FNR in the EER, 0 to 1; that of the FPR is the rest.

        If FNR rises by d at all thresholds, the EER rises by d g / (f + g), with the slopes f of FNR and g of FPR.
        They are measured between the thresholds at which FPR and FNR exceed the EER by a quarter.
        """
        counts, rate = self.counts, self.eer[0]
        wide = min(0.5, max(1.25 * rate, rate + 3 / min(counts.n_target, counts.n_nontarget)))
        low, high = self.threshold_at_fpr(wide), self.threshold_at_fnr(wide)
        rise = abs(np.mean(self.targets < high) - np.mean(self.targets < low))
        fall = abs(np.mean(self.nontargets >= low) - np.mean(self.nontargets >= high))
        return float(fall / (rise + fall)) if rise + fall > 0 else 0.5

    def threshold(self, kind: str, p_target: float) -> float:
        """Threshold of minDCF or actDCF."""
        return least_cost(self.counts, p_target)[1] if kind == "min_dcf" else bayes_threshold(p_target)


def eer_limits(system: Measured, clusters: Clusters) -> Limits:
    """95 % confidence limits of the EER, 0 to 1."""
    rate, threshold = system.eer
    part = both_rates(clusters, system.misses(threshold), system.false_alarms(threshold),
                      (system.weight_of_fnr, 1 - system.weight_of_fnr), rate)  # fmt: skip
    return limits(part, clusters.n_people, 1.0)


def cost_limits(system: Measured, clusters: Clusters, kind: str, p_target: float) -> Limits:
    """95 % confidence limits of `min_dcf` or `act_dcf` at a prior; a minimum never exceeds 1."""
    threshold = system.threshold(kind, p_target)
    part = both_rates(clusters, system.misses(threshold), system.false_alarms(threshold), cost_weights(p_target))
    low, high = limits(part, clusters.n_people)
    return (low, min(1.0, high)) if kind == "min_dcf" else (low, high)


def cllr_limits(system: Measured, clusters: Clusters) -> Limits | None:
    """95 % confidence limits of Cllr in bits; None if it is infinite."""
    if not np.isfinite(system.costs).all():
        return None
    return limits(both_costs(clusters, system.costs), clusters.n_people)


def both_rates(clusters: Clusters, misses: Errors, false_alarms: Errors, weights: tuple[float, float],
               rate: float | None = None, start: float = 0.0) -> Part:  # fmt: skip
    """Weighted sum of the rates of misses and false alarms."""
    of_miss, of_false_alarm = weights
    return of_miss * rate_part(clusters, True, misses, start, rate) + of_false_alarm * rate_part(
        clusters, False, false_alarms, start, rate
    )


def both_costs(clusters: Clusters, costs: np.ndarray) -> Part:
    """Mean of the mean costs of targets and of nontargets."""
    of_targets, of_nontargets = (cost_part(clusters, side, costs[clusters.labels == side]) for side in (True, False))
    return 0.5 * of_targets + 0.5 * of_nontargets


def cost_weights(p_target: float) -> tuple[float, float]:
    """Normalised cost of missing all targets, and of accepting all nontargets."""
    return normalised_cost(1.0, 0.0, p_target), normalised_cost(0.0, 1.0, p_target)


def eer_difference(one: Measured, other: Measured, clusters: Clusters) -> Limits:
    """95 % confidence limits of the difference of two EERs, one minus other."""
    weight = (one.weight_of_fnr + other.weight_of_fnr) / 2
    start, change = max(one.eer[0], other.eer[0]), one.eer[0] - other.eer[0]
    low, high = rate_difference(one, other, clusters, (one.eer[1], other.eer[1]), (weight, 1 - weight), change, start)
    return max(low, -1.0), min(high, 1.0)


def cost_difference(one: Measured, other: Measured, clusters: Clusters, kind: str, p_target: float) -> Limits:
    """95 % confidence limits of the difference of `min_dcf` or `act_dcf`, one minus other."""
    thresholds = one.threshold(kind, p_target), other.threshold(kind, p_target)
    return rate_difference(one, other, clusters, thresholds, cost_weights(p_target))


def rate_difference(
    one: Measured,
    other: Measured,
    clusters: Clusters,
    thresholds: tuple[float, float],
    weights: tuple[float, float],
    change: float | None = None,
    start: float = 0.0,
) -> Limits:
    """Limits of a difference of weighted error rates, around the given difference if it is not that of the errors."""
    misses = [system.misses(threshold) for system, threshold in zip((one, other), thresholds, strict=True)]
    alarms = [system.false_alarms(threshold) for system, threshold in zip((one, other), thresholds, strict=True)]
    only_one, only_other = (
        both_rates(clusters, only(*misses[::step]), only(*alarms[::step]), weights, start=start) for step in (1, -1)
    )
    low, high = difference_limits(only_one, only_other, clusters.n_people)
    shift = 0.0 if change is None else change - (only_one.value - only_other.value)
    return low + shift, high + shift


def only(errors: Errors, others: Errors) -> Errors:
    """The errors that others are not, at each level."""
    return lambda level: errors(level) & ~others(level)


def cllr_difference(one: Measured, other: Measured, clusters: Clusters) -> Limits | None:
    """95 % confidence limits of the difference of Cllr in bits, one minus other; None if one is infinite."""
    if not (np.isfinite(one.costs).all() and np.isfinite(other.costs).all()):
        return None
    change = one.costs - other.costs
    parts = [both_costs(clusters, np.maximum(0, sign * change)) for sign in (1, -1)]
    return difference_limits(*parts, clusters.n_people)


def measure_limits(system: Measured, clusters: Clusters, p_target: Sequence[float]) -> dict:
    """95 % confidence limits of every measure: `eer` (0 to 1), `min_dcf` and `act_dcf` (by prior) and `cllr`."""
    costs = {kind: {p: cost_limits(system, clusters, kind, p) for p in p_target} for kind in ("min_dcf", "act_dcf")}
    return costs | {"eer": eer_limits(system, clusters), "cllr": cllr_limits(system, clusters)}


def difference_of_measures(one: Measured, other: Measured, clusters: Clusters, p_target: Sequence[float]) -> dict:
    """95 % confidence limits of every measure's difference, one minus other; keys as in `measure_limits`."""
    costs = {
        kind: {p: cost_difference(one, other, clusters, kind, p) for p in p_target} for kind in ("min_dcf", "act_dcf")
    }
    return costs | {"eer": eer_difference(one, other, clusters), "cllr": cllr_difference(one, other, clusters)}
