"""1:N matching: ties at chance, no effect of the candidates' order, intervals over speakers."""

from itertools import permutations

import numpy as np
import pytest

from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.matching import matching_credit, measure_matching, resampled_accuracy


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
    assert measure_matching(np.zeros((30, n)), speakers, 0)["accuracy_percent"] == pytest.approx(100 / n)


def test_the_order_of_the_other_candidates_does_not_matter():
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 4, (40, 6)).astype(float)
    shuffled = np.concatenate([scores[:, :1], rng.permuted(scores[:, 1:], axis=1)], 1)
    np.testing.assert_array_equal(matching_credit(scores), matching_credit(shuffled))


def test_accuracy_matches_counting():
    scores = np.random.default_rng(2).normal(size=(200, 3))
    right = sum(row[0] > row[1] and row[0] > row[2] for row in scores)
    speakers = np.tile(np.arange(3), (200, 1))
    assert measure_matching(scores, speakers, 0)["accuracy_percent"] == pytest.approx(100 * right / 200)


def test_resampled_accuracy_matches_plain_loops():
    rng = np.random.default_rng(3)
    speakers = np.stack([rng.permutation(8)[:3] for _ in range(60)])
    credit = rng.integers(0, 2, 60).astype(float)
    weights = SpeakerBootstrap(speakers, np.ones(60, bool), 20).weights
    expected = []
    for w in np.concatenate(weights, 1).T:
        counts = [1 + sum(w[p] - 1 for p in row) for row in speakers]
        expected.append(min(1, max(0, sum(c * n for c, n in zip(credit, counts)) / sum(counts))))
    np.testing.assert_allclose(resampled_accuracy(credit, speakers, weights), expected, rtol=1e-6)


def test_the_interval_of_a_system_without_information_covers_chance():
    """40 draws of speakers with unrelated voice and face vectors; 95 % of the intervals should cover 50 %."""
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        voice, face = rng.normal(size=(2, 24, 4))
        rows = np.array([[a, b] for a in range(24) for b in range(24) if a != b])
        scores = np.stack([(voice[rows[:, 0]] * face[rows[:, i]]).sum(1) for i in (0, 1)], 1)
        low, high = measure_matching(scores, rows, 300)["accuracy_ci95"]
        covered += low <= 50 <= high
    assert covered >= 35  # binomial(40, 0.95) is lower once in 180 times


def test_a_nan_score_is_refused():
    with pytest.raises(ValueError, match="1 of 2"):
        matching_credit(np.array([[1.0, np.nan], [1.0, 0.0]]))
