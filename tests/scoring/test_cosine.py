"""Cosine scores, compared with SciPy."""

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from avsv.errors import InputError
from avsv.scoring import cosine as module
from avsv.scoring.cosine import cosine_scores, inner_products, unit_length

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("table", [0, 10**6])
def test_cosine_matches_scipy(monkeypatch, table):
    monkeypatch.setattr(module, "TABLE", table)  # gathered rows; one product of all pairs
    monkeypatch.setattr(module, "BLOCK", 7)
    enroll, test = RNG.standard_normal((9, 5)), RNG.standard_normal((8, 5))
    pairs = RNG.integers(0, 8, (100, 2))
    expected = [1 - cosine(enroll[i], test[j]) for i, j in pairs]
    assert cosine_scores(enroll, test, pairs) == pytest.approx(expected, abs=1e-6)


def test_a_zero_embedding_is_named():
    with pytest.raises(InputError, match="b: "):
        unit_length(np.array([[1.0, 0.0], [0.0, 0.0]]), ["a", "b"])


def test_very_small_and_very_large_embeddings_are_scaled():
    vectors = np.array([[3e-30, 4e-30], [3e30, 4e30]], np.float32)
    assert unit_length(vectors) == pytest.approx(np.array([[0.6, 0.8], [0.6, 0.8]]))


def test_no_trials_give_no_scores():
    none = np.empty((0, 3), np.float32)
    assert inner_products(none, none, np.empty((0, 2), int)).shape == (0,)
