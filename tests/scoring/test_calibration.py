"""Calibration and fusion, against general-purpose optimisers."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from avsv.errors import UserError
from avsv.evaluation.cllr import cllr
from avsv.scoring.calibration import read_fusion, train_fusion, write_fusion

RNG = np.random.default_rng(0)
LABELS = RNG.random(2000) < 0.2
SCORES = RNG.standard_normal((2000, 2)) * [1, 20] + LABELS[:, None] * [1.5, 40] + [3, -100]


def prior_weighted_cost(x, scores, labels, p):
    ratio = scores @ x[:-1] + x[-1] + np.log(p / (1 - p))
    return p * np.logaddexp(0, -ratio[labels]).mean() + (1 - p) * np.logaddexp(0, ratio[~labels]).mean()


@pytest.mark.parametrize("p", [0.01, 0.5, 0.9])
def test_weights_are_those_of_a_general_optimiser(p):
    fusion = train_fusion(SCORES, LABELS, p)
    found = np.array([*fusion.weights, fusion.offset])
    start = np.array([1.0, 0.05, 0.0])
    options = {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 20000, "maxfev": 20000}
    best = minimize(prior_weighted_cost, start, (SCORES, LABELS, p), method="Nelder-Mead", options=options)
    assert prior_weighted_cost(found, SCORES, LABELS, p) <= best.fun + 1e-6


def test_weights_are_scikit_learns():
    weight = np.where(LABELS, 0.5 / LABELS.sum(), 0.5 / (~LABELS).sum()) * len(LABELS)
    expected = LogisticRegression(C=1e6, tol=1e-10, max_iter=10000).fit(SCORES / [1, 20], LABELS, sample_weight=weight)
    fusion = train_fusion(SCORES, LABELS, 0.5)
    assert np.array(fusion.weights) * [1, 20] == pytest.approx(expected.coef_[0], rel=1e-3)
    assert fusion.offset == pytest.approx(expected.intercept_[0], rel=1e-3)


def test_calibration_brings_cllr_near_its_minimum_and_keeps_the_order():
    fusion = train_fusion(SCORES[:, :1], LABELS, 0.5)
    ratio = fusion.apply(SCORES[:, :1])
    assert fusion.weights[0] > 0
    assert cllr(ratio, LABELS) < cllr(SCORES[:, 0], LABELS)
    assert cllr(ratio, LABELS) <= cllr(ratio * 1.05, LABELS)
    assert cllr(ratio, LABELS) <= cllr(ratio + 0.1, LABELS)


def test_trials_that_a_threshold_separates_have_finite_weights():
    fusion = train_fusion(LABELS[:, None].astype(float), LABELS, 0.01)
    assert np.isfinite([*fusion.weights, fusion.offset]).all()
    assert fusion.weights[0] > 5


def test_a_system_of_one_constant_score_weighs_nothing():
    fusion = train_fusion(np.column_stack([SCORES[:, 0], np.full(2000, 7.0)]), LABELS, 0.1)
    assert fusion.weights[1] == pytest.approx(0, abs=1e-6)


def test_model_comes_back(tmp_path):
    fusion = train_fusion(SCORES, LABELS, 0.05, ["voice", "face"])
    write_fusion(tmp_path / "m.json", fusion)
    assert read_fusion(tmp_path / "m.json") == fusion


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weights": "x", "offset": 0, "target_prior": 0.1, "systems": []}'])
def test_what_is_no_model_is_refused(tmp_path, text):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(UserError, match=r"m.json: is no model of avsv calibrate or avsv fuse"):
        read_fusion(tmp_path / "m.json")


def test_one_class_and_infinite_scores_are_refused():
    with pytest.raises(UserError, match="target and nontarget trials, found 0 and 2000"):
        train_fusion(SCORES, np.zeros(2000, bool))
    with pytest.raises(UserError, match="finite scores"):
        train_fusion(np.where(SCORES > 4, np.inf, SCORES), LABELS)
