"""Variances over people, compared with a double loop over trials."""

import numpy as np
import pytest

from avsv.evaluation.clusters import Clusters, Influence


@pytest.fixture
def trials():
    """40 target and 160 nontarget trials of 10 people, a few of one person under two names; an error for each trial."""
    rng = np.random.default_rng(0)
    speakers = rng.integers(0, 10, (200, 2))
    speakers[:45, 1] = speakers[:45, 0]  # five nontarget trials of one person
    labels = np.arange(200) < 40
    return speakers, labels, rng.random(200) < 0.3


@pytest.mark.parametrize("of_targets", [True, False])
def test_the_variance_is_the_sum_over_trials_that_share_a_person(trials, of_targets):
    speakers, labels, errors = trials
    side = labels == of_targets
    people, r = speakers[side], errors[side] - errors[side].mean()
    expected = sum(r[i] * r[j] for i in range(len(r)) for j in range(len(r)) if set(people[i]) & set(people[j]))
    influence = Clusters(speakers, labels).influence(of_targets, errors[side])
    assert influence.covariance(influence) == pytest.approx(expected / len(r) ** 2 * 10 / 8)


def test_misses_and_false_alarms_of_one_person_are_correlated(trials):
    speakers, labels, errors = trials
    clusters = Clusters(speakers, labels)
    miss, alarm = errors[labels] - errors[labels].mean(), errors[~labels] - errors[~labels].mean()
    shared = speakers[labels][:, :1, None] == speakers[~labels][None]
    expected = (miss[:, None] * alarm * shared.any(axis=(1, 2) if shared.ndim == 4 else 2)).sum() / 40 / 160
    found = clusters.influence(True, errors[labels]).covariance(clusters.influence(False, errors[~labels]))
    assert found == pytest.approx(expected * 10 / 8)


def test_independent_trials_have_the_binomial_variance():
    n = 500
    labels = np.arange(2 * n) < n
    speakers = np.stack([np.arange(2 * n)] * 2, 1)
    errors = np.arange(n) < 50
    variance = Clusters(speakers, labels).influence(True, errors).variance
    assert variance == pytest.approx(0.1 * 0.9 / n, rel=0.01)


def test_few_people_with_all_errors_leave_few_degrees_of_freedom():
    one = Influence(np.eye(1, 100)[0], np.zeros(1))
    assert one.inflation(100) == pytest.approx((4.3027 / 1.95996) ** 2, rel=0.03)  # Student's t with about 2 degrees
    rng = np.random.default_rng(0)
    many = Influence(rng.standard_normal(10_000), np.zeros(1))
    assert many.inflation(10_000) == pytest.approx(1, abs=1e-3)
