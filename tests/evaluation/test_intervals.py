"""Confidence limits, compared with exact ones for independent trials and by simulation."""

import numpy as np
import pytest
from scipy.stats import beta, chi2, norm

from avsv.evaluation.clusters import Clusters, Influence
from avsv.evaluation.intervals import (
    Part,
    bounded_part,
    cost_part,
    difference_limits,
    limits,
    mean_limits,
    quantile,
    rate_part,
)


def independent(n):
    """Clusters of n target trials and one nontarget trial, each of its own people."""
    return Clusters(np.stack([np.arange(n + 1)] * 2, 1), np.arange(n + 1) < n)


def errors_of(scores, threshold):
    ranked = np.sort(scores)
    return lambda level: scores < (threshold if level is None else ranked[int(level * len(ranked))])


@pytest.mark.parametrize("n_errors", [0, 1, 5, 100])
def test_limits_of_independent_trials_are_near_those_of_clopper_and_pearson(n_errors):
    n = 1000
    scores = np.random.default_rng(0).permutation(n).astype(float)
    low, high = limits(rate_part(independent(n), True, errors_of(scores, n_errors)), n, 1.0)
    exact = beta.ppf(0.025, n_errors, n - n_errors + 1) if n_errors else 0, beta.ppf(0.975, n_errors + 1, n - n_errors)
    assert high == pytest.approx(exact[1], rel=0.1)
    assert low == pytest.approx(exact[0], rel=0.15, abs=1e-4)


def test_limits_of_a_cost_are_those_of_fay_and_feuer():
    # 3 events of weight 0.1: a Poisson mean between half the chi-squared quantiles
    part = Part(0.3, Influence(np.full(3, 0.1), np.zeros(1)), 0.1, 0.0)
    factor = part.influence.inflation(3)
    high = chi2.ppf(0.975, 2 * 0.4**2 / (0.03 * factor + 0.01)) * (0.03 * factor + 0.01) / 0.8
    assert limits(part, 3)[1] == pytest.approx(high)


def test_no_error_bounds_the_rate_by_the_effective_number_of_trials():
    """20 people with 50 equal trials each are 20 trials, whatever the number of trials."""
    scores = np.repeat(np.arange(20.0), 50)
    people = np.append(np.repeat(np.arange(20), 50), 20)
    clusters = Clusters(np.stack([people, people], 1), np.arange(1001) < 1000)
    low, high = limits(rate_part(clusters, True, errors_of(scores, -1.0)), 20, 1.0)
    assert low == 0
    assert high > beta.ppf(0.975, 1, 20)
    alone = limits(rate_part(independent(1000), True, errors_of(np.arange(1000.0), -1.0)), 1000, 1.0)[1]
    assert alone < high / 20


def test_errors_that_ties_make_impossible_count_people():
    part = rate_part(independent(50), True, lambda level: np.full(50, level is not None))
    assert part.more == pytest.approx(1 / 51, rel=0.05)


def test_all_errors_have_a_lower_limit_below_one():
    low, high = limits(rate_part(independent(50), True, lambda level: np.ones(50, bool)), 50, 1.0)
    assert 0.9 < low < 0.95 and high == 1


@pytest.mark.parametrize("highest", [1.0, np.inf])
def test_quantiles_have_the_given_mean_and_variance(highest):
    probabilities = (np.arange(20_000) + 0.5) / 20_000
    values = np.array([quantile(p, 0.2, 0.01, highest) for p in probabilities])
    assert values.mean() == pytest.approx(0.2, rel=1e-3)
    assert values.var() == pytest.approx(0.01, rel=1e-2)


def test_equal_estimates_differ_by_nothing_and_rare_ones_by_at_most_their_bounds():
    none = Part(0.0, Influence(np.zeros(30), np.zeros(1)), 0.0, 0.0)
    assert difference_limits(none, none, 30) == (0, 0)
    rare = Part(0.0, Influence(np.zeros(30), np.zeros(1)), 0.01, 0.0)
    low, high = difference_limits(rare, none, 30)
    assert low == 0
    assert high == pytest.approx(limits(rare, 30)[1])


def test_one_more_error_costs_as_much_as_the_worst_trial():
    costs = np.append(np.linspace(0, 0.01, 999), 4.0)
    part = cost_part(independent(1000), True, np.random.default_rng(0).permutation(costs))
    assert part.value == pytest.approx(costs.mean())
    assert part.more == pytest.approx(4 / 1000, rel=0.15)


def test_few_effective_errors_do_not_count_more_trials_than_people():
    influence = Influence(np.full(20, 1e-3), np.zeros(1))
    assert bounded_part(0.001, influence, 20).more == pytest.approx(0.999 / 20)
    assert bounded_part(0.5, influence, 20).more < 0.5 / 20


def test_the_interval_of_a_mean_covers_as_often_as_it_should():
    """200 lists of 24 people with 10 answers each, 95 % right; the effects of people are large."""
    covered = 0
    people = np.repeat(np.arange(24), 10)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        right = rng.standard_normal(24)[people] + rng.standard_normal(240) < norm.ppf(0.95) * np.sqrt(2)
        low, high = mean_limits(right, people)
        covered += low <= 0.95 <= high
    assert covered >= 185
