"""Retrieval: average precision with ties at chance, and its mean."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from avsv.evaluation.retrieval import average_precision, chance_average_precision, measure_retrieval


def test_average_precision_without_ties_matches_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores, relevant = rng.normal(size=30), rng.random(30) < 0.3
        relevant[0] = True
        assert average_precision(scores, relevant) == pytest.approx(average_precision_score(relevant, scores))


def brute_force(scores, relevant):
    """The mean over all orders of the items, each sorted stably."""
    precisions = []
    for order in permutations(range(len(scores))):
        ranked = sorted(order, key=lambda i: -scores[i])
        hits = [relevant[i] for i in ranked]
        precisions.append(np.mean([sum(hits[: k + 1]) / (k + 1) for k in range(len(hits)) if hits[k]]))
    return np.mean(precisions)


@pytest.mark.parametrize("scores", [[0, 0, 0, 0, 0], [2, 1, 1, 1, 0], [1, 1, 0, 0, 0], [3, 2, 2, 1, 1]])
def test_ties_give_the_mean_over_all_orders(scores):
    for relevant in ([1, 0, 0, 0, 0], [0, 1, 0, 1, 0], [1, 1, 0, 1, 1]):
        precision = average_precision(np.array(scores, float), np.array(relevant, bool))
        assert precision == pytest.approx(brute_force(scores, relevant))


def test_chance_level_matches_random_orders():
    rng = np.random.default_rng(1)
    drawn = [average_precision_score(np.arange(40) < 5, rng.random(40)) for _ in range(1000)]
    assert chance_average_precision(40, 5) == pytest.approx(np.mean(drawn), abs=0.012)


def test_the_order_of_the_gallery_does_not_matter():
    rng = np.random.default_rng(2)
    scores, relevant = rng.integers(0, 5, 50).astype(float), rng.random(50) < 0.2
    order = rng.permutation(50)
    assert average_precision(scores, relevant) == pytest.approx(average_precision(scores[order], relevant[order]))


def test_mean_average_precision_is_the_mean_over_queries():
    rng = np.random.default_rng(3)
    table, queries, gallery = rng.normal(size=(6, 9)), np.array([0, 0, 1, 1, 2, 2]), np.repeat([0, 1, 2], 3)
    measures = measure_retrieval(lambda rows: table[rows], queries, gallery)
    expected = [average_precision_score(gallery == q, row) for q, row in zip(queries, table)]
    assert measures["map_percent"] == pytest.approx(100 * np.mean(expected))
    assert measures["map_ci95"][0] <= measures["map_percent"] <= measures["map_ci95"][1]


def test_queries_by_speakers_outside_the_gallery_are_left_out_and_counted():
    measures = measure_retrieval(lambda rows: np.zeros((2, 2))[rows], np.array([0, 7]), np.array([0, 1]), False)
    assert (measures["n_queries"], measures["n_left_out"], measures["map_percent"]) == (1, 1, 75.0)
