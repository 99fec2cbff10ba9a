"""Newton's method for costs whose Hessian may be indefinite."""

from collections.abc import Callable

import numpy as np


def newton(terms: Callable, x: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The minimum over the free parameters, from `x`, by Newton's method with step halving.

    Parameters
    ----------
    terms : function of the parameters; returns cost, gradient, and two matrices whose sum is the Hessian, the first of
        them positive definite
    free : (k,) bool, parameters to change

    Examples
    --------
    >>> def terms(x):  # (x - 3)^4, whose second derivative is 12 (x - 3)^2
    ...     return ((x - 3) ** 4).sum(), 4 * (x - 3) ** 3, np.diag(12 * (x - 3) ** 2 + 1e-12), np.zeros((1, 1))
    >>> newton(terms, np.array([1.0]), np.array([True])).round(2)
    array([3.])
    """
    cost, gradient, fisher, bend = terms(x)
    for _ in range(200):
        step = np.zeros_like(x)
        step[free] = np.linalg.solve(positive(fisher, bend, free), gradient[free])
        updated = terms(x - step)
        while not updated[0] <= cost and np.abs(step).max() > 1e-12:  # not: the cost may be NaN
            step /= 2
            updated = terms(x - step)
        if not updated[0] <= cost:
            break
        x, gain = x - step, cost - updated[0]
        cost, gradient, fisher, bend = updated
        if gain < 1e-14:
            break
    return x


def positive(fisher: np.ndarray, bend: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The Hessian of the free parameters, or their Fisher information if the Hessian is not positive definite."""
    which = np.ix_(free, free)
    hessian = (fisher + bend)[which]
    try:
        np.linalg.cholesky(hessian)
    except np.linalg.LinAlgError:
        return fisher[which]
    return hessian
