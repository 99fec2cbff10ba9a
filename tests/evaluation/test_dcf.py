"""Detection costs, compared with the definition at all thresholds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsv.evaluation.dcf import act_dcf, least_cost, min_dcf, normalised_cost
from avsv.evaluation.errors import count_errors
from tests.evaluation.test_errors import arrays, points_by_trying, trials

priors = st.floats(0.001, 0.999)
costs = st.floats(0.1, 10)


@settings(deadline=None)
@given(trials, priors, costs, costs)
def test_min_dcf_is_the_least_over_all_thresholds(rows, p, c_miss, c_fa):
    scores, labels = arrays(rows)
    least = min(c_miss * p * miss + c_fa * (1 - p) * fa for miss, fa in points_by_trying(scores, labels))
    expected = least / min(c_miss * p, c_fa * (1 - p))
    assert min_dcf(scores, labels, p, c_miss, c_fa) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(trials, priors, costs, costs)
def test_act_dcf_is_the_cost_of_bayes_decisions(rows, p, c_miss, c_fa):
    scores, labels = arrays(rows)
    accepted = scores >= np.log(c_fa / c_miss * (1 - p) / p)
    cost = c_miss * p * (~accepted[labels]).mean() + c_fa * (1 - p) * accepted[~labels].mean()
    expected = cost / min(c_miss * p, c_fa * (1 - p))
    assert act_dcf(scores, labels, p, c_miss, c_fa) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(trials, priors)
def test_the_threshold_of_min_dcf_has_the_least_cost(rows, p):
    scores, labels = arrays(rows)
    cost, threshold = least_cost(count_errors(scores, labels), p)
    accepted = scores >= threshold if threshold < np.inf or (scores == np.inf).all() else np.zeros(len(scores), bool)
    actual = normalised_cost((~accepted[labels]).mean(), accepted[~labels].mean(), p)
    assert actual == pytest.approx(cost, abs=1e-9) or np.inf in scores


def test_min_dcf_over_several_blocks_matches_one_array():
    rng = np.random.default_rng(0)
    labels = rng.random(200_000) < 0.5
    counts = count_errors(rng.standard_normal(200_000) + 2 * labels, labels)
    expected = normalised_cost(counts.fnr, counts.fpr, 0.05)
    cost, threshold = least_cost(counts, 0.05)
    assert cost == pytest.approx(expected.min(), abs=1e-12)
    assert threshold == counts.thresholds[expected.argmin()]


def test_min_dcf_is_at_most_one():
    labels = np.arange(10) < 4
    assert min_dcf(-labels.astype(float), labels, 0.01) == 1


def test_infinite_scores_count_as_decisions():
    labels = np.array([True, True, False])
    assert act_dcf(np.array([np.inf, -np.inf, -np.inf]), labels, 0.01) == pytest.approx(0.5)


def test_one_class_has_no_cost():
    one_class = np.arange(3.0), np.ones(3, bool)
    assert np.isnan(min_dcf(*one_class, 0.01))
    assert np.isnan(act_dcf(*one_class, 0.01))
