"""Cllr and its minimum, compared with the formula and with scikit-learn's isotonic regression."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from avsv.evaluation import cllr as module
from avsv.evaluation.cllr import cllr, min_cllr, pool_adjacent_violators
from avsv.evaluation.errors import count_errors
from tests.evaluation.test_errors import arrays, ties

finite = st.lists(st.tuples(st.one_of(ties, st.floats(-700, 700)), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


@settings(deadline=None)
@given(finite)
def test_cllr_agrees_with_the_formula(rows):
    scores, labels = arrays(rows)
    of_targets = [math.log1p(math.exp(-s)) / math.log(2) for s in scores[labels]]
    of_nontargets = [math.log1p(math.exp(s)) / math.log(2) for s in scores[~labels]]
    expected = (np.mean(of_targets) + np.mean(of_nontargets)) / 2
    assert cllr(scores, labels) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def min_cllr_by_isotonic_regression(scores, labels):
    posterior = IsotonicRegression(y_min=0, y_max=1).fit_transform(scores, labels.astype(float))
    prior = labels.mean()
    with np.errstate(divide="ignore"):
        ratio = np.log(posterior) - np.log1p(-posterior) - np.log(prior / (1 - prior))
    return cllr(ratio, labels)


@settings(deadline=None)
@given(finite)
def test_min_cllr_agrees_with_scikit_learn(rows):
    scores, labels = arrays(rows)
    scores = np.searchsorted(np.unique(scores), scores).astype(float)  # scikit-learn treats near ties as ties
    expected = min_cllr_by_isotonic_regression(scores, labels)
    assert min_cllr(count_errors(scores, labels)) == pytest.approx(expected, abs=1e-9)


def test_min_cllr_of_many_trials_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.random(20000) < 0.2
    scores = (rng.standard_normal(20000) + 1.5 * labels).round(3)
    expected = min_cllr_by_isotonic_regression(scores, labels)
    assert min_cllr(count_errors(scores, labels)) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(any), min_size=1, max_size=80))
def test_merging_whole_runs_matches_merging_one_by_one(groups):
    targets, nontargets = (np.array(side) for side in zip(*groups))
    at_once = pool_adjacent_violators(targets, nontargets)
    one_by_one = module.pool_one_by_one(targets, nontargets)
    assert [side.tolist() for side in at_once] == [side.tolist() for side in one_by_one]


def test_measures_over_several_blocks_agree_with_scikit_learn_and_the_formula():
    rng = np.random.default_rng(1)
    labels = rng.random(150_000) < 0.5
    scores = rng.standard_normal(150_000) + 2 * labels
    expected = min_cllr_by_isotonic_regression(scores, labels)
    assert min_cllr(count_errors(scores, labels)) == pytest.approx(expected, abs=1e-9)
    formula = np.logaddexp(0, -scores[labels]).mean() + np.logaddexp(0, scores[~labels]).mean()
    assert cllr(scores, labels) == pytest.approx(formula / np.log(4), rel=1e-12)


def test_min_cllr_of_useless_scores_is_one_bit():
    assert min_cllr(count_errors(np.zeros(10), np.arange(10) < 4)) == pytest.approx(1)


def test_min_cllr_of_perfect_scores_is_zero():
    labels = np.arange(10) < 4
    assert min_cllr(count_errors(labels.astype(float), labels)) == 0


def test_infinite_scores_cost_nothing_when_right_and_everything_when_wrong():
    labels = np.array([True, False])
    assert cllr(np.array([np.inf, -np.inf]), labels) == 0
    assert cllr(np.array([-np.inf, np.inf]), labels) == np.inf


def test_cllr_of_one_class_is_undefined():
    assert np.isnan(cllr(np.arange(3.0), np.ones(3, bool)))
    assert np.isnan(min_cllr(count_errors(np.arange(3.0), np.zeros(3, bool))))
