"""Detection cost function of the NIST evaluations: minimum over thresholds, and actual at the Bayes threshold."""

import numpy as np

from avsv.evaluation.errors import ErrorCounts


def normalised_cost(fnr, fpr, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0):
    """C_miss P FNR + C_fa (1 - P) FPR, over the cost of the better of accepting all and rejecting all."""
    miss, false_alarm = c_miss * p_target, c_fa * (1 - p_target)
    return (miss * fnr + false_alarm * fpr) / min(miss, false_alarm)


def min_dcf(counts: ErrorCounts, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """Least normalised cost over all thresholds, at most 1; NaN where one class has no trial.

    Examples
    --------
    >>> from avsv.evaluation.errors import count_errors
    >>> min_dcf(count_errors(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True])), 0.01)
    0.5
    """
    return float(np.min(normalised_cost(counts.fnr, counts.fpr, p_target, c_miss, c_fa)))


def act_dcf(counts: ErrorCounts, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """Normalised cost of the decisions a Bayesian takes who believes the scores.

    The scores are natural logarithms of likelihood ratios; a trial is accepted at or above
    log(C_fa (1 - P) / (C_miss P)). NaN where one class has no trial.
    """
    threshold = np.log(c_fa / c_miss * (1 - p_target) / p_target)
    point = np.searchsorted(counts.thresholds, threshold)
    return float(normalised_cost(counts.fnr[point], counts.fpr[point], p_target, c_miss, c_fa))
