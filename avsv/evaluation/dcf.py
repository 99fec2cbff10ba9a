"""Detection cost function of the NIST evaluations: the minimum over thresholds, and at the Bayes threshold."""

import numpy as np

from avsv.evaluation.errors import ErrorCounts, count_errors


def normalised_cost(fnr, fpr, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0):
    """C_miss P FNR + C_fa (1 - P) FPR, divided by the lower cost of accepting all and rejecting all trials.

    Examples
    --------
    >>> normalised_cost(0.5, 0.0, 0.01)
    0.5
    """
    miss, false_alarm = c_miss * p_target, c_fa * (1 - p_target)
    return (miss * fnr + false_alarm * fpr) / min(miss, false_alarm)


def least_cost(counts: ErrorCounts, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> tuple[float, float]:
    """Least normalised cost over all thresholds, at most 1, and the lowest threshold that gives it.

    The threshold is infinite if rejecting everything costs least. Both are NaN if a class has no trial.

    Examples
    --------
    >>> least_cost(count_errors(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True])), 0.01)
    (0.5, 3.0)
    """
    if not counts.two_classes:
        return float("nan"), float("nan")
    of_miss = normalised_cost(1 / counts.n_target, 0, p_target, c_miss, c_fa)
    of_false_alarm = normalised_cost(0, 1 / counts.n_nontarget, p_target, c_miss, c_fa)
    least, best = np.inf, 0
    for start, misses, false_alarms in counts.blocks():
        costs = misses * of_miss
        costs += false_alarms * of_false_alarm
        point = int(np.argmin(costs))
        if costs[point] < least:
            least, best = costs[point], start + point
    return float(normalised_cost(*counts.rates(best), p_target, c_miss, c_fa)), float(counts.thresholds[best])


def actual_cost(counts: ErrorCounts, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """Normalised cost at the Bayes threshold, log(C_fa (1 - P) / (C_miss P)); NaN if a class has no trial."""
    point = int(np.searchsorted(counts.thresholds, bayes_threshold(p_target, c_miss, c_fa)))
    return float(normalised_cost(*counts.rates(point), p_target, c_miss, c_fa))


def min_dcf(
    scores: np.ndarray, labels: np.ndarray, p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
) -> float:
    """Minimum detection cost: the least normalised cost over all thresholds.

    Parameters
    ----------
    scores : (n,) float, higher means more likely the same speaker
    labels : (n,) bool, True for a target trial
    p_target : prior probability of a target trial
    c_miss, c_fa : costs of a miss and of a false alarm

    Returns
    -------
    float from 0 to 1, normalised by min(C_miss P, C_fa (1 - P)) as in the NIST evaluations; NaN if a class has no trial

    Examples
    --------
    >>> min_dcf(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True]))
    0.5
    """
    return least_cost(count_errors(scores, labels), p_target, c_miss, c_fa)[0]


def act_dcf(
    scores: np.ndarray, labels: np.ndarray, p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
) -> float:
    """Actual detection cost: the normalised cost at the threshold that follows from the prior and the costs.

    A trial is accepted at or above log(C_fa (1 - P) / (C_miss P)), so scores must be calibrated natural-log likelihood
    ratios.

    Parameters
    ----------
    scores : (n,) float, natural-log likelihood ratios
    labels, p_target, c_miss, c_fa : as for `min_dcf`

    Returns
    -------
    float, above 1 if rejecting every trial would cost less; NaN if a class has no trial

    Examples
    --------
    >>> act_dcf(np.array([-5.0, 2.0, 6.0]), np.array([False, True, True]), p_target=0.5)
    0.0
    """
    return actual_cost(count_errors(scores, labels), p_target, c_miss, c_fa)


def bayes_threshold(p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """Log-likelihood ratio at which accepting and rejecting have the same expected cost.

    Examples
    --------
    >>> float(bayes_threshold(0.5))
    0.0
    """
    return np.log(c_fa / c_miss * (1 - p_target) / p_target)
