"""1:N matching: ties at chance, no effect of the candidates' order, intervals over speakers."""

from itertools import permutations

import numpy as np
import pytest

from avsv.evaluation.matching import (
    QueryClusters,
    accuracy_limits,
    gain_limits,
    matching_credit,
    measure_matching,
)


def test_credit_is_the_probability_of_picking_the_true_candidate_with_random_ties():
    scores = np.random.default_rng(0).integers(0, 3, (50, 4)).astype(float)
    drawn = []
    for row in scores:  # over all orders of the candidates, picking the first of the best
        picks = [order[int(np.argmax(row[list(order)]))] for order in permutations(range(4))]
        drawn.append(np.mean([pick == 0 for pick in picks]))
    np.testing.assert_allclose(matching_credit(scores), drawn)


@pytest.mark.parametrize("n", [2, 5, 10])
def test_a_constant_score_is_at_chance(n):
    speakers = np.tile(np.arange(n), (30, 1))
    assert measure_matching(np.zeros((30, n)), speakers, False)["accuracy_percent"] == pytest.approx(100 / n)


def test_the_order_of_the_other_candidates_does_not_matter():
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 4, (40, 6)).astype(float)
    shuffled = np.concatenate([scores[:, :1], rng.permuted(scores[:, 1:], axis=1)], 1)
    np.testing.assert_array_equal(matching_credit(scores), matching_credit(shuffled))


def test_accuracy_matches_counting():
    scores = np.random.default_rng(2).normal(size=(200, 3))
    right = sum(row[0] > row[1] and row[0] > row[2] for row in scores)
    speakers = np.tile(np.arange(3), (200, 1))
    assert measure_matching(scores, speakers, False)["accuracy_percent"] == pytest.approx(100 * right / 200)


def random_queries(rng, n_people, n, size):
    return np.stack([rng.permutation(n_people)[:size] for _ in range(n)])


def test_expected_sums_of_squares_agree_with_dense_matrices():
    speakers = random_queries(np.random.default_rng(3), 8, 30, 4)
    clusters = QueryClusters(speakers)
    true, attraction = clusters.true.toarray(), clusters.attraction.toarray()
    assert attraction[0, speakers[0]].tolist() == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3])
    centre = np.eye(30) - 1 / 30
    forms = [true @ true.T, attraction @ attraction.T, np.eye(30)]
    expected = [[np.trace(centre @ form @ centre @ covariance) for covariance in forms] for form in forms]
    np.testing.assert_allclose(clusters.expectations, expected, atol=1e-9)


@pytest.mark.parametrize("size", [2, 10])
def test_independent_queries_have_the_variance_of_independent_queries(size):
    rng = np.random.default_rng(4)
    clusters = QueryClusters(random_queries(rng, 40, 2000, size))
    ratios = [clusters.influence(True, rng.random(2000) < 0.3).variance / (0.21 / 2000) for _ in range(20)]
    assert 0.95 < np.mean(ratios) < 1.3  # a sum over people of squared sums gives the size


def test_effects_of_people_raise_the_variance_as_much_as_they_should():
    rng = np.random.default_rng(5)
    speakers = random_queries(rng, 30, 600, 3)
    means, variances = [], []
    for _ in range(200):
        true, attraction = rng.standard_normal((2, 30))
        values = (true + attraction)[speakers[:, 0]] - attraction[speakers[:, 1:]].mean(1) + rng.standard_normal(600)
        means.append(values.mean())
        variances.append(QueryClusters(speakers).influence(True, values).variance)
    assert np.mean(variances) == pytest.approx(np.var(means), rel=0.3)


def test_no_error_gives_a_lower_bound_below_one():
    rng = np.random.default_rng(6)
    speakers = random_queries(rng, 24, 300, 2)
    scores = np.stack([10 + rng.standard_normal(300), rng.standard_normal(300)], 1)
    low, high = accuracy_limits(scores, QueryClusters(speakers))
    assert 0.7 < low < 0.995 and high == 1


def test_equal_scores_have_no_gain_and_others_an_interval_around_it():
    rng = np.random.default_rng(7)
    clusters = QueryClusters(random_queries(rng, 24, 300, 2))
    one, other = rng.standard_normal((2, 300, 2)) + np.array([1, 0])
    assert gain_limits(one, one, clusters) == (0, 0)
    low, high = gain_limits(one, other, clusters)
    assert low < matching_credit(one).mean() - matching_credit(other).mean() < high


def test_the_interval_of_a_system_without_information_covers_chance():
    """40 draws of speakers with unrelated voice and face vectors; 95 % of the intervals should cover 50 %."""
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        voice, face = rng.normal(size=(2, 24, 4))
        rows = np.array([[a, b] for a in range(24) for b in range(24) if a != b])
        scores = np.stack([(voice[rows[:, 0]] * face[rows[:, i]]).sum(1) for i in (0, 1)], 1)
        low, high = measure_matching(scores, rows)["accuracy_ci95"]
        covered += low <= 50 <= high
    assert covered >= 35  # binomial(40, 0.95) is lower once in 180 times


def test_a_nan_score_is_refused():
    with pytest.raises(ValueError, match="1 of 2"):
        matching_credit(np.array([[1.0, np.nan], [1.0, 0.0]]))
