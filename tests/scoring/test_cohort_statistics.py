"""Statistics of cohort scores, compared with sorting and loops."""

import numpy as np
import pytest

from avsv.scoring import cohort_statistics as module
from avsv.scoring.cohort_statistics import (
    chosen_statistics,
    cohort_statistics,
    highest,
    highest_members,
    statistics_among_themselves,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("spread", ["normal", "few values", "one high row", "sorted"])
def test_selection_finds_the_highest_scores(spread):
    scores = RNG.standard_normal((50, 4000)).astype(np.float32)
    if spread == "few values":
        scores = scores.round()
    elif spread == "one high row":
        scores[3, :400] += 100  # all high values are in the first columns, so the estimated bound is too high
    elif spread == "sorted":
        scores.sort(axis=1)
    expected = np.sort(scores, axis=1)[:, -200:]
    assert np.array_equal(np.sort(highest(scores, 200), axis=1), expected)


def test_statistics_of_a_large_cohort_match_a_full_sort():
    recordings, cohort = RNG.standard_normal((1100, 8)).astype("f4"), RNG.standard_normal((5000, 8)).astype("f4")
    mean, deviation = cohort_statistics(recordings, cohort, 100)
    best = np.sort(recordings @ cohort.T, axis=1)[:, -100:]
    assert mean == pytest.approx(best.mean(axis=1), rel=1e-5)
    assert deviation == pytest.approx(best.std(axis=1), rel=1e-4)


def test_the_number_of_cores_does_not_matter(monkeypatch):
    recordings, cohort = RNG.standard_normal((700, 8)).astype("f4"), RNG.standard_normal((5000, 8)).astype("f4")
    first = cohort_statistics(recordings, cohort, 100)
    monkeypatch.setattr("avsv.jobs.threads.n_cores", lambda: 3)
    assert np.allclose(first, cohort_statistics(recordings, cohort, 100), rtol=1e-6)


@pytest.mark.parametrize("spread", ["normal", "few values"])
def test_highest_members_have_the_highest_scores(spread):
    scores = RNG.standard_normal((50, 4000)).astype(np.float32)
    if spread == "few values":
        scores = scores.round(1)  # ties at the bound in nearly every row
        scores[7] = np.arange(4000)
    members = highest_members(scores, 200)
    assert all(len(set(row)) == 200 for row in members.tolist())
    selected = np.sort(np.take_along_axis(scores, members, axis=1), axis=1)
    assert np.array_equal(selected, np.sort(scores, axis=1)[:, -200:])


@pytest.mark.parametrize("table", [1 << 27, 1 << 14])  # all choices at once; 256 recordings at a time
def test_chosen_statistics_match_a_full_sort(table, monkeypatch):
    monkeypatch.setattr(module, "TABLE", table)
    recordings, cohort = RNG.standard_normal((700, 8)).astype("f4"), RNG.standard_normal((3000, 8)).astype("f4")
    pairs = RNG.integers(0, 700, (2000, 2))
    scores = recordings @ cohort.T
    chosen = np.argsort(scores, axis=1)[:, -100:]
    values = np.array([scores[one, chosen[other]] for one, other in pairs], float)
    mean, deviation = chosen_statistics(recordings, cohort, pairs, 100)
    assert mean == pytest.approx(values.mean(axis=1), rel=1e-4, abs=1e-5)
    assert deviation == pytest.approx(values.std(axis=1), rel=1e-4)


def test_statistics_among_themselves_exclude_the_member_itself():
    left, right = RNG.standard_normal((30, 4)), RNG.standard_normal((30, 4))
    others = [np.delete(left[member] @ right.T, member) for member in range(30)]
    mean, deviation = statistics_among_themselves(left, right)
    assert mean == pytest.approx([scores.mean() for scores in others])
    assert deviation == pytest.approx([scores.std() for scores in others])


def test_a_cohort_of_identical_vectors_has_deviation_zero():
    one = np.repeat(RNG.standard_normal((1, 4)), 9, axis=0)
    assert (statistics_among_themselves(one, one)[1] == 0).all()
