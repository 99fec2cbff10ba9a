"""Newton's method, compared with SciPy on a valley in which the Hessian is indefinite."""

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der, rosen_hess

from avsv.scoring.newton import newton

START = np.array([-1.2, 1.0, -0.7])


def valley(x):
    """Rosenbrock's function; in place of Fisher information, its Gauss-Newton matrix."""
    fisher = np.eye(len(x)) * 2
    for n in range(len(x) - 1):
        slope = np.zeros(len(x))
        slope[n], slope[n + 1] = -2 * x[n], 1
        fisher += 200 * np.outer(slope, slope)
    return rosen(x), rosen_der(x), fisher, rosen_hess(x) - fisher


def test_the_minimum_is_found_where_the_hessian_is_indefinite_at_the_start():
    start = np.array([0.0, 1.0, 1.0])
    assert np.linalg.eigvalsh(rosen_hess(start)).min() < 0
    for x in (START, start):
        assert newton(valley, x, np.ones(3, bool)) == pytest.approx(np.ones(3), abs=1e-6)


def test_fixed_parameters_stay():
    found = newton(valley, START, np.array([True, False, True]))
    best = minimize(lambda x: rosen([x[0], START[1], x[1]]), START[[0, 2]], tol=1e-12).x
    assert found[1] == START[1] and found[[0, 2]] == pytest.approx(best, abs=1e-4)


def test_a_step_into_values_that_are_not_finite_is_halved():
    def terms(x):  # x - log x: Newton's step from 3 leads to -3, where there is no logarithm
        with np.errstate(invalid="ignore"):
            return (x - np.log(x)).sum(), 1 - 1 / x, np.diag(1 / x**2), np.zeros((1, 1))

    assert newton(terms, np.array([3.0]), np.array([True])) == pytest.approx([1.0], abs=1e-6)
