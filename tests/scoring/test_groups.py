"""Vectors in groups, compared with loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsv.scoring import groups as module
from avsv.scoring.groups import group_means, quality_weights, whole_groups

RNG = np.random.default_rng(0)
COUNTS = np.array([3, 1, 1, 9, 2, 1, 4])


@pytest.mark.parametrize("rows", [1, 4, 100])
def test_groups_stay_whole_and_in_order(monkeypatch, rows):
    monkeypatch.setattr(module, "ROWS", rows)
    labels, seen = np.repeat(np.arange(7), COUNTS), []
    for some, part, begins in whole_groups(COUNTS):
        assert labels[part].tolist() == np.repeat(np.arange(7)[some], COUNTS[some]).tolist()
        assert labels[part][begins].tolist() == np.arange(7)[some].tolist()
        assert COUNTS[some].sum() <= rows or len(COUNTS[some]) == 1
        seen += range(7)[some]
    assert seen == list(range(7))


def test_means_match_a_loop(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 4)
    vectors, rows = RNG.standard_normal((10, 3)), RNG.integers(0, 10, 21)
    parts = np.split(rows, np.cumsum(COUNTS)[:-1])
    expected = np.array([sum(vectors[row] for row in part) / len(part) for part in parts])
    assert group_means(vectors, rows, COUNTS) == pytest.approx(expected, abs=1e-6)


def test_no_groups_give_no_means():
    assert group_means(np.ones((3, 2)), np.array([], int), np.array([], int)).shape == (0, 2)


def test_weighted_means_match_a_loop(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 4)
    vectors, rows, quality = RNG.standard_normal((10, 3)), RNG.integers(0, 10, 21), RNG.random(21)
    ends = np.cumsum(COUNTS)[:-1]
    weights = np.concatenate([quality_weights(part) for part in np.split(quality, ends)])
    expected = np.array([sum(q * vectors[row] for row, q in zip(part, own)) / own.sum()
                         for part, own in zip(np.split(rows, ends), np.split(quality, ends))])  # fmt: skip
    assert group_means(vectors, rows, COUNTS, weights) == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.floats(-1, 1e6), min_size=1, max_size=9), st.integers(0, 8), st.floats(0, 10))
def test_a_weight_never_falls_when_the_quality_rises(quality, place, more):
    place %= len(quality)
    before, better = np.array(quality), np.array(quality)
    better[place] += more
    shares = quality_weights(before) / len(quality), quality_weights(better) / len(quality)
    assert shares[1][place] >= shares[0][place] * (1 - 1e-9)
    assert all(part.min() >= 0 and part.sum() == pytest.approx(1) for part in shares)
    order = np.argsort(before, kind="stable")
    assert (np.diff(shares[0][order]) >= 0).all()


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-300, 0.1, 1 / 3, 7e300])
@pytest.mark.parametrize("n", [1, 3, 7])
def test_equal_quality_gives_the_plain_mean_exactly(value, n):
    vectors = RNG.standard_normal((n, 5)).astype(np.float32)
    weights = quality_weights(np.full(n, value))
    assert weights.tolist() == [1.0] * n
    plain = group_means(vectors, np.arange(n), np.array([n]))
    assert np.array_equal(group_means(vectors, np.arange(n), np.array([n]), weights), plain)
