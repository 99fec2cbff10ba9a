"""Score normalisation, against double loops."""

import numpy as np
import pytest

from avsv.errors import UserError
from avsv.scoring import normalization as module
from avsv.scoring.cosine import unit_length
from avsv.scoring.normalization import METHODS, average_by_person, cohort_statistics, highest, normalize

RNG = np.random.default_rng(0)
RECORDINGS = unit_length(RNG.standard_normal((12, 5)))
COHORT = unit_length(RNG.standard_normal((40, 5)) + 0.3)
PAIRS = RNG.integers(0, 12, (50, 2))
SCORES = np.array([RECORDINGS[a] @ RECORDINGS[b] for a, b in PAIRS], float)


def by_loop(method, top_n):
    normalised = []
    for (a, b), score in zip(PAIRS, SCORES):
        sides = []
        for recording in (a, b):
            of_cohort = sorted((float(RECORDINGS[recording] @ member) for member in COHORT), reverse=True)
            kept = of_cohort[:top_n] if method == "as-norm" else of_cohort
            sides.append((score - np.mean(kept)) / np.std(kept))
        normalised.append({"z-norm": sides[0], "t-norm": sides[1]}.get(method, sum(sides) / 2))
    return normalised


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("top_n", [2, 10, 40])
def test_norm_is_that_of_a_double_loop(method, top_n):
    assert normalize(method, SCORES, PAIRS, RECORDINGS, COHORT, top_n) == pytest.approx(
        by_loop(method, top_n), rel=1e-4
    )


def test_cohort_smaller_than_top_n_is_used_whole_and_told(caplog):
    found = normalize("as-norm", SCORES, PAIRS, RECORDINGS, COHORT, 300)
    assert found == pytest.approx(normalize("s-norm", SCORES, PAIRS, RECORDINGS, COHORT))
    assert "the cohort has 40 members, fewer than the top 300" in caplog.text


@pytest.mark.parametrize("spread", ["normal", "few values", "one high row", "sorted"])
def test_selection_finds_the_highest_whatever_the_scores(spread):
    scores = RNG.standard_normal((50, 4000)).astype(np.float32)
    if spread == "few values":
        scores = scores.round()
    elif spread == "one high row":
        scores[3, :400] += 100  # all high values among the first columns: the guessed bound is too high
    elif spread == "sorted":
        scores.sort(axis=1)
    expected = np.sort(scores, axis=1)[:, -200:]
    assert np.array_equal(np.sort(highest(scores, 200), axis=1), expected)


def test_statistics_of_a_large_cohort_are_those_of_a_full_sort():
    recordings, cohort = RNG.standard_normal((1100, 8)).astype("f4"), RNG.standard_normal((5000, 8)).astype("f4")
    mean, deviation = cohort_statistics(recordings, cohort, 100)
    best = np.sort(recordings @ cohort.T, axis=1)[:, -100:]
    assert mean == pytest.approx(best.mean(axis=1), rel=1e-5)
    assert deviation == pytest.approx(best.std(axis=1), rel=1e-4)


def test_the_number_of_cores_does_not_matter(monkeypatch):
    recordings, cohort = RNG.standard_normal((700, 8)).astype("f4"), RNG.standard_normal((5000, 8)).astype("f4")
    first = cohort_statistics(recordings, cohort, 100)
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda pid: {0, 1, 2})
    assert np.allclose(first, cohort_statistics(recordings, cohort, 100), rtol=1e-6)


def test_one_cohort_member_is_refused():
    with pytest.raises(UserError, match="at least two cohort scores of each recording, found 1"):
        normalize("s-norm", SCORES, PAIRS, RECORDINGS, COHORT[:1])
    with pytest.raises(UserError, match="found 1"):
        normalize("as-norm", SCORES, PAIRS, RECORDINGS, COHORT, 1)


def test_equal_cohort_scores_are_refused():
    with pytest.raises(UserError, match="cohort scores are all equal"):
        normalize("s-norm", SCORES, PAIRS, RECORDINGS, np.repeat(COHORT[:1], 5, axis=0))


def test_average_is_that_of_a_loop():
    vectors, people = RNG.standard_normal((20, 3)), RNG.permutation(np.arange(20) % 4)
    expected = np.array([vectors[people == person].mean(axis=0) for person in range(4)])
    assert average_by_person(vectors, people) == pytest.approx(expected, rel=1e-5)
