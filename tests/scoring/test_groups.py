"""Vectors in groups, compared with loops."""

import numpy as np
import pytest

from avsv.scoring import groups as module
from avsv.scoring.groups import group_means, whole_groups

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
