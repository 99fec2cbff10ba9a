"""Histograms, calibration curves and thresholds of the report's figures."""

import numpy as np
import pytest

from avsv.evaluation.errors import count_errors
from avsv.evaluation.report.curves import LOG_ODDS, actual_costs, histogram, least_costs


def made_up(seed, decimals=1):
    rng = np.random.default_rng(seed)
    labels = rng.random(400) < 0.2
    return np.round(rng.standard_normal(400) + 2 * labels, decimals), labels


def cost(scores, labels, threshold, p_target):
    misses, false_alarms = (scores[labels] < threshold).mean(), (scores[~labels] >= threshold).mean()
    return (p_target * misses + (1 - p_target) * false_alarms) / min(p_target, 1 - p_target)


@pytest.mark.parametrize("seed", [0, 1])
def test_actual_costs_are_costs_of_decisions_at_the_bayes_threshold(seed):
    scores, labels = made_up(seed, decimals=3)
    expected = [cost(scores, labels, -odds, 1 / (1 + np.exp(-odds))) for odds in LOG_ODDS]
    np.testing.assert_allclose(actual_costs(count_errors(scores, labels)), expected, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_minimum_costs_are_minima_over_all_thresholds(seed):
    scores, labels = made_up(seed)
    thresholds = np.append(np.unique(scores), np.inf)
    expected = [min(cost(scores, labels, t, 1 / (1 + np.exp(-odds))) for t in thresholds) for odds in LOG_ODDS]
    np.testing.assert_allclose(least_costs(count_errors(scores, labels)), expected, atol=1e-12)


def test_histograms_count_every_trial_of_their_class():
    scores, labels = made_up(3)
    scores[:3] = [np.inf, -np.inf, 50.0]
    edges, targets, nontargets = histogram(scores, labels)
    assert (targets * np.diff(edges)).sum() == pytest.approx(1)
    assert (nontargets * np.diff(edges)).sum() == pytest.approx(1)


@pytest.mark.parametrize("value", [0.0, 3.5, np.inf])
def test_a_histogram_of_equal_scores_is_drawn(value):
    edges, targets, nontargets = histogram(np.full(4, value), np.array([True, True, False, False]))
    assert np.isfinite([*edges, *targets, *nontargets]).all()
    assert edges[0] < edges[-1]
