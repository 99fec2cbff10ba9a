"""Ranks of the right people, exact and independent of the blocks."""

import numpy as np
import pytest

from avsv.evaluation import ranks as module
from avsv.evaluation.ranks import NOBODY, rank_probes


def drawn(seed=0, n=60, n_gallery=9):
    """Scores with many ties and some missing, and the column of each probe's person or NOBODY."""
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 5, (n, n_gallery)).astype(float)
    table[rng.random(table.shape) < 0.1] = np.nan
    table[:3] = np.nan
    return table, rng.integers(-1, n_gallery, n)


def test_they_match_sorting_each_probe():
    table, persons = drawn()
    ranks = rank_probes(lambda rows: table[rows].copy(), persons, table.shape[1], 3)
    for probe, person in enumerate(persons):
        scores = [-np.inf if np.isnan(value) else value for value in table[probe]]
        right = scores.pop(person) if person != NOBODY else -np.inf
        assert ranks.own[probe] == right
        assert ranks.others[probe].tolist() == sorted(scores, reverse=True)[:3]
        if person != NOBODY and right > -np.inf:
            assert ranks.better[probe] == sum(score > right for score in scores)
            assert ranks.tied[probe] == sum(score == right for score in scores)


def test_the_size_of_the_blocks_does_not_matter(monkeypatch):
    table, persons = drawn()
    whole = rank_probes(lambda rows: table[rows].copy(), persons, table.shape[1], 2)
    monkeypatch.setattr(module, "CELLS", 7 * table.shape[1])
    asked = []
    parts = rank_probes(lambda rows: asked.append(rows) or table[rows].copy(), persons, table.shape[1], 2)
    assert len(asked) == 9
    for name in ("own", "better", "tied", "others"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


@pytest.mark.parametrize("rank", [1, 2, 5, 9])
def test_credit_is_the_share_of_random_orders_of_ties(rank):
    table, persons = drawn(1)
    ranks = rank_probes(lambda rows: table[rows].copy(), persons, table.shape[1])
    rng = np.random.default_rng(2)
    hits = np.zeros(len(persons))
    for _ in range(2000):
        shuffled = np.nan_to_num(table, nan=-1.0) + 0.5 * rng.random(table.shape)
        place = (shuffled > shuffled[np.arange(len(persons)), persons][:, None]).sum(axis=1)
        hits += place < rank
    known = (persons != NOBODY) & ~np.isnan(table[np.arange(len(persons)), persons])
    np.testing.assert_allclose(ranks.credit(rank)[known], hits[known] / 2000, atol=0.05)
    assert not ranks.credit(rank)[~known].any()


def test_a_gallery_of_one_has_no_others():
    ranks = rank_probes(lambda rows: np.array([[0.5], [0.7]])[rows], np.array([0, NOBODY]), 1, 2)
    assert ranks.others.tolist() == [[-np.inf, -np.inf], [0.7, -np.inf]]
    assert ranks.credit(1).tolist() == [1.0, 0.0]
