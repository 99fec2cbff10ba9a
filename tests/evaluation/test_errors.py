"""Error counts and the EER, compared with trying all thresholds."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from avsv.evaluation.errors import count_errors, eer, equal_error

ties = st.integers(-3, 3).map(float)
some = st.floats(-1e3, 1e3, allow_nan=False, width=32)
extremes = st.sampled_from([-np.inf, np.inf, 0.0, -0.0, 1e-300, 1e300])
trials = st.lists(st.tuples(st.one_of(ties, some, extremes), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


def arrays(rows):
    return np.array([score for score, _ in rows]), np.array([label for _, label in rows])


def points_by_trying(scores, labels):
    """(FNR, FPR) for accepting at or above each score, and for accepting nothing."""
    targets, nontargets = scores[labels].tolist(), scores[~labels].tolist()
    points = []
    for accepted in [lambda s, t=t: s >= t for t in sorted(set(scores.tolist()))] + [lambda s: False]:
        points.append((
            sum(not accepted(s) for s in targets) / len(targets),
            sum(accepted(s) for s in nontargets) / len(nontargets),
        ))  # fmt: skip
    return points


def eer_by_trying(scores, labels):
    """The rate at which a segment between neighbouring points crosses the diagonal."""
    points = points_by_trying(scores, labels)
    for (miss0, fa0), (miss1, fa1) in pairwise(points):
        if miss0 <= fa0 and miss1 >= fa1:
            share = (fa0 - miss0) / ((fa0 - miss0) + (miss1 - fa1))
            return miss0 + share * (miss1 - miss0)
    raise AssertionError("the rates must cross")


@settings(deadline=None)
@given(trials)
def test_eer_matches_trying_all_thresholds(rows):
    scores, labels = arrays(rows)
    assert eer(scores, labels) == pytest.approx(eer_by_trying(scores, labels), abs=1e-9)


@settings(deadline=None)
@given(trials)
def test_rates_match_trying_all_thresholds(rows):
    scores, labels = arrays(rows)
    counts = count_errors(scores, labels)
    assert list(zip(counts.fnr.tolist(), counts.fpr.tolist())) == points_by_trying(scores, labels)


def test_rates_match_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.random(2000) < 0.3
    scores = (rng.standard_normal(2000) + labels).round(2)
    counts = count_errors(scores, labels)
    fpr, tpr, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    assert np.allclose(counts.fpr[::-1], fpr, atol=1e-12)
    assert np.allclose(1 - counts.fnr[::-1], tpr, atol=1e-12)
    assert np.array_equal(counts.thresholds[::-1][1:], thresholds[1:])


def test_eer_of_all_equal_scores_is_one_half():
    assert eer(np.zeros(10), np.arange(10) < 4) == 0.5


def test_eer_of_perfect_scores_is_zero_and_of_reversed_ones_one():
    labels = np.arange(10) < 4
    assert eer(labels.astype(float), labels) == 0
    assert eer(-labels.astype(float), labels) == 1


def test_eer_of_one_class_is_undefined():
    assert np.isnan(eer(np.arange(3.0), np.ones(3, bool)))
    assert np.isnan(eer(np.arange(3.0), np.zeros(3, bool)))
    assert np.isnan(eer(np.empty(0), np.empty(0, bool)))


def test_eer_does_not_depend_on_the_order_of_trials():
    rng = np.random.default_rng(1)
    scores, labels = rng.integers(0, 5, 50).astype(float), rng.random(50) < 0.5
    order = rng.permutation(50)
    assert eer(scores, labels) == eer(scores[order], labels[order])


def test_the_eer_threshold_minimises_the_difference_of_the_rates():
    rng = np.random.default_rng(2)
    labels = rng.random(300) < 0.2
    scores = (rng.standard_normal(300) + labels).round(1)
    gaps = {t: abs((scores[labels] < t).mean() - (scores[~labels] >= t).mean()) for t in np.unique(scores).tolist()}
    assert equal_error(count_errors(scores, labels))[1] == min(gaps, key=gaps.get)


def test_the_eer_threshold_of_equal_scores_is_that_score():
    assert equal_error(count_errors(np.full(10, 3.0), np.arange(10) < 4)) == (0.5, 3.0)


def test_nan_scores_are_refused():
    with pytest.raises(ValueError, match="1 of 3"):
        count_errors(np.array([0.0, np.nan, 1.0]), np.array([True, False, True]))


@settings(deadline=None)
@given(trials)
def test_float32_and_integer_scores_are_counted_without_conversion(rows):
    scores, labels = arrays(rows)
    with np.errstate(over="ignore"):
        scores = scores.astype(np.float32)
    ours, expected = count_errors(scores, labels), count_errors(scores.astype(np.float64), labels)
    assert ours.thresholds.tolist() == expected.thresholds.tolist()
    assert ours.misses.tolist() == expected.misses.tolist()
    whole = count_errors(np.array([3, 1, 2]), np.array([True, False, False]))
    assert whole.thresholds.tolist() == [1, 2, 3, np.inf]
