"""AUC, FNMR at FMR and ROC points, compared with scikit-learn, Mann and Whitney's count and all thresholds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from avsv.evaluation.errors import count_errors
from avsv.evaluation.roc import auc, fnmr_at_fmr, roc_points, write_roc
from tests.evaluation.test_errors import arrays, points_by_trying, trials


@settings(deadline=None)
@given(trials)
def test_auc_is_the_share_of_correctly_ordered_pairs_with_ties_as_half(rows):
    scores, labels = arrays(rows)
    pairs = [(t > n) + 0.5 * (t == n) for t in scores[labels] for n in scores[~labels]]
    assert auc(count_errors(scores, labels)) == pytest.approx(np.mean(pairs), abs=1e-12)


@pytest.mark.parametrize("digits", [1, 12])
def test_auc_of_many_trials_matches_scikit_learn(digits):
    rng = np.random.default_rng(0)
    labels = rng.random(150_000) < 0.1
    scores = (rng.standard_normal(150_000) + labels).round(digits)
    assert auc(count_errors(scores, labels)) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@settings(deadline=None)
@given(trials, st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.25, 0.5, 1.0])))
def test_fnmr_at_fmr_is_the_least_over_all_thresholds_within_the_fmr(rows, fmr):
    scores, labels = arrays(rows)
    expected = min(miss for miss, false_alarm in points_by_trying(scores, labels) if false_alarm <= fmr)
    assert fnmr_at_fmr(count_errors(scores, labels), fmr) == expected


def test_a_rate_that_is_exactly_reached_is_allowed():
    scores = np.arange(101.0)
    labels = scores == 71  # 29 of 100 nontargets are above; 29 / 100 == 0.29, although 0.29 * 100 < 29 in floats
    assert fnmr_at_fmr(count_errors(scores, labels), 0.29) == 0


def test_rates_of_one_class_are_undefined():
    counts = count_errors(np.arange(3.0), np.ones(3, bool))
    assert np.isnan(auc(counts))
    assert np.isnan(fnmr_at_fmr(counts, 0.01))
    assert np.isnan(roc_points(counts)[1]).all()


@settings(deadline=None)
@given(trials)
def test_the_area_under_the_turning_points_is_the_auc(rows):
    scores, labels = arrays(rows)
    counts = count_errors(scores, labels)
    _, fpr, fnr = roc_points(counts)
    assert -np.trapezoid(1 - fnr, fpr) == pytest.approx(auc(counts), abs=1e-12)


def test_points_of_many_trials_are_few_and_on_the_curve():
    rng = np.random.default_rng(0)
    labels = rng.random(50_000) < 0.5
    scores = rng.standard_normal(50_000) + 2 * labels
    counts = count_errors(scores, labels)
    thresholds, fpr, fnr = roc_points(counts, 500)
    assert 200 < len(thresholds) <= 500
    assert thresholds[0] == scores.min()
    assert thresholds[-1] == np.inf
    for threshold, false_alarm, miss in list(zip(thresholds, fpr, fnr))[::50]:
        assert false_alarm == (scores[~labels] >= threshold).mean()
        assert miss == (scores[labels] < threshold).mean()
    assert np.sort(fpr[fpr > 0])[:1] < 1e-4
    assert -np.trapezoid(1 - fnr, fpr) == pytest.approx(auc(counts), abs=2e-4)


def test_points_are_written_with_the_systems_name(tmp_path):
    write_roc(tmp_path / "roc", {"s": roc_points(count_errors(np.array([0.0, 1.5]), np.array([False, True])))})
    assert (tmp_path / "roc").read_text().splitlines() == [
        "scores\tthreshold\tfpr\tfnr", "s\t0\t1\t0", "s\t1.5\t0\t0", "s\tinf\t0\t1",
    ]  # fmt: skip
