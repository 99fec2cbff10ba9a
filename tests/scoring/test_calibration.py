"""Calibration and fusion, against general-purpose optimisers."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from avsv.errors import InputError
from avsv.evaluation.cllr import cllr
from avsv.scoring.calibration import RIDGE, read_fusion, train_fusion, train_map, write_fusion
from avsv.scoring.cosine import unit_length
from avsv.scoring.quality import Measure

RNG = np.random.default_rng(0)
LABELS = RNG.random(2000) < 0.2
SCORES = RNG.standard_normal((2000, 2)) * [1, 20] + LABELS[:, None] * [1.5, 40] + [3, -100]


def prior_weighted_cost(x, scores, labels, p):
    ratio = scores @ x[:-1] + x[-1] + np.log(p / (1 - p))
    return p * np.logaddexp(0, -ratio[labels]).mean() + (1 - p) * np.logaddexp(0, ratio[~labels]).mean()


@pytest.mark.parametrize("p", [0.01, 0.5, 0.9])
def test_weights_are_those_of_a_general_optimiser(p):
    weights, offset = train_map(SCORES, LABELS, p)
    start = np.array([1.0, 0.05, 0.0])
    options = {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 20000, "maxfev": 20000}
    best = minimize(prior_weighted_cost, start, (SCORES, LABELS, p), method="Nelder-Mead", options=options)
    assert prior_weighted_cost(np.array([*weights, offset]), SCORES, LABELS, p) <= best.fun + 1e-6


@pytest.mark.parametrize("block", [100, 1 << 15])
def test_weights_are_scikit_learns(block, monkeypatch):
    monkeypatch.setattr("avsv.scoring.calibration.BLOCK", block)
    weight = np.where(LABELS, 0.5 / LABELS.sum(), 0.5 / (~LABELS).sum())
    scaled = (SCORES - SCORES.mean(axis=0)) / SCORES.std(axis=0)
    expected = LogisticRegression(C=1 / RIDGE, tol=1e-12, max_iter=10000).fit(scaled, LABELS, sample_weight=weight)
    weights, offset = train_map(SCORES, LABELS, 0.5)
    assert weights * SCORES.std(axis=0) == pytest.approx(expected.coef_[0], rel=1e-5)
    assert offset + weights @ SCORES.mean(axis=0) == pytest.approx(expected.intercept_[0], rel=1e-5)


@pytest.mark.parametrize("system", ["ecapa", "xvect"])
def test_weights_on_real_scores_are_scikit_learns(real_data, system):
    with np.load(real_data / "nsc" / "embeddings.npz", allow_pickle=False) as file:
        people, unit = np.array([key.rsplit("_", 1)[0] for key in file["keys"]]), unit_length(file[system].astype("f4"))
    one, other = np.random.default_rng(0).integers(0, len(unit), (2, 20000))
    one[:4000], other[:4000] = np.arange(4000) % len(unit), np.arange(4000) % len(unit) // 10 * 10
    scores, labels = np.einsum("ij,ij->i", unit[one], unit[other])[:, None].astype(float), people[one] == people[other]
    weight = np.where(labels, 0.01 / labels.sum(), 0.99 / (~labels).sum())
    scaled = (scores - scores.mean()) / scores.std()
    # scikit-learn knows no target prior: the offset that it finds holds the prior's log odds
    expected = LogisticRegression(C=1 / RIDGE, tol=1e-12, max_iter=10000).fit(scaled, labels, sample_weight=weight)
    (found,), offset = train_map(scores, labels, 0.01)
    assert found * scores.std() == pytest.approx(expected.coef_.item(), rel=1e-4)
    assert offset + found * scores.mean() == pytest.approx(expected.intercept_.item() + np.log(99), rel=1e-4)


def test_calibration_brings_cllr_near_its_minimum_and_keeps_the_order():
    fusion = train_fusion(SCORES[:, :1], LABELS, 0.5)
    ratio = fusion.apply(SCORES[:, :1])
    assert fusion.maps[0].weights[0] > 0
    assert cllr(ratio, LABELS) < cllr(SCORES[:, 0], LABELS)
    assert cllr(ratio, LABELS) <= cllr(ratio * 1.05, LABELS)
    assert cllr(ratio, LABELS) <= cllr(ratio + 0.1, LABELS)


@pytest.mark.parametrize("p", [1e-6, 0.01, 0.5, 0.999999])
def test_trials_that_a_threshold_separates_have_finite_weights(p):
    (weight,), offset = train_map(LABELS[:, None].astype(float), LABELS, p)
    assert np.isfinite([weight, offset]).all()
    assert weight > 5


def test_one_trial_of_each_class_has_finite_weights():
    (weight,), offset = train_map(np.array([[1.0], [1e9]]), np.array([False, True]), 0.01)
    assert weight > 0 and np.isfinite([weight, offset]).all()


@pytest.mark.parametrize("constant", [0.0, 7.0, 0.1])
def test_equal_scores_are_no_evidence(constant):
    fusion = train_fusion(np.full((2000, 1), constant), LABELS, 0.01)
    assert fusion.apply(np.full((3, 1), constant)) == pytest.approx(np.zeros(3), abs=1e-9)


def test_a_system_of_one_constant_score_weighs_nothing():
    weights, _ = train_map(np.column_stack([SCORES[:, 0], np.full(2000, 7.0)]), LABELS, 0.1)
    assert weights[1] == 0


def test_a_system_given_twice_shares_its_weight():
    (one,), _ = train_map(SCORES[:, :1], LABELS, 0.1)
    weights, _ = train_map(SCORES[:, [0, 0]], LABELS, 0.1)
    assert weights == pytest.approx([one / 2, one / 2], rel=1e-4)


def missing_scores():
    scores = SCORES.copy()
    scores[:500, 0], scores[400:900, 1] = np.nan, np.nan
    return scores


def test_a_map_is_trained_on_the_trials_that_have_its_systems():
    fusion = train_fusion(missing_scores(), LABELS, 0.1, patterns=[1, 2, 3])
    expected = {
        (True, True): slice(900, None),
        (False, True): [*range(400), *range(900, 2000)],
        (True, False): slice(500, None),
    }
    for one in fusion.maps:
        which = expected[tuple(one.present)]
        weights, offset = train_map(SCORES[which][:, one.present], LABELS[which], 0.1)
        assert [*one.weights, one.offset] == pytest.approx([*weights, offset])


def test_a_trial_without_any_score_is_no_evidence():
    fusion = train_fusion(SCORES, LABELS, 0.1, patterns=[1, 2, 3])
    assert fusion.apply(np.array([[np.nan, np.nan]])).tolist() == [0]


def test_every_set_of_systems_is_calibrated():
    fusion = train_fusion(SCORES, LABELS, 0.5, patterns=[1, 2, 3])
    for absent in ([0], [1], []):
        scores = SCORES.copy()
        scores[:, absent] = np.nan
        ratios = fusion.apply(scores)
        assert cllr(ratios, LABELS) <= min(cllr(ratios * 1.05, LABELS), cllr(ratios + 0.1, LABELS))


def test_a_set_of_systems_with_one_class_has_no_map(caplog):
    scores = SCORES.copy()
    scores[LABELS, 0] = np.nan
    fusion = train_fusion(scores, LABELS, 0.1, ["voice", "face"], patterns=[1, 2, 3])
    assert [one.present for one in fusion.maps] == [[False, True]]
    assert f"no map for voice: found 0 target and {(~LABELS).sum()} nontarget trials" in caplog.text
    with pytest.raises(InputError, match="1 trials have scores of voice only, for which the model has no map"):
        fusion.apply(np.array([[1.0, np.nan]]))


def test_quality_is_weighed_beside_the_scores():
    quality = RNG.standard_normal((2000, 2))
    measures = [Measure("utt2snr", False, 0.0)]
    fusion = train_fusion(SCORES, LABELS, 0.1, quality=quality, measures=measures, patterns=[1, 3])
    weights, offset = train_map(np.column_stack([SCORES, quality]), LABELS, 0.1, n_scores=2)
    expected = SCORES @ weights[:2] + quality @ weights[2:] + offset
    assert fusion.apply(SCORES, quality) == pytest.approx(expected)
    weights, offset = train_map(np.column_stack([SCORES[:, 0], quality]), LABELS, 0.1, n_scores=1)
    alone = np.column_stack([SCORES[:, 0], np.full(2000, np.nan)])
    assert fusion.apply(alone, quality) == pytest.approx(SCORES[:, 0] * weights[0] + quality @ weights[1:] + offset)


def test_model_comes_back(tmp_path):
    measures = [Measure("utt2dur", True, 1.5)]
    fusion = train_fusion(SCORES, LABELS, 0.05, ["voice", "face"], SCORES, measures, [1, 2, 3])
    write_fusion(tmp_path / "m.json", fusion)
    assert read_fusion(tmp_path / "m.json") == fusion


NO_MODELS = [
    "", "[]", "{}", '{"systems": []}', '{"systems": [], "target_prior": 0.1, "measures": [], "maps": [1]}',
    '{"systems": ["a"], "target_prior": 0.1, "measures": [],'
    ' "maps": [{"present": [true], "weights": [1, 2], "offset": 0}]}',
    '{"weights": "x", "offset": 0, "target_prior": 0.1, "systems": []}',
]  # fmt: skip


def model(**changes):
    maps = [{"present": [True, True], "weights": [1.0, 2.0], "offset": 0.5}]
    return {"systems": ["a", "b"], "target_prior": 0.5, "measures": [], "maps": maps, **changes}


def with_map(**changes):
    return model(maps=[{**model()["maps"][0], **changes}])


@pytest.mark.parametrize(
    "wrong",
    [with_map(present=[1, 1]), with_map(present=[1, 0], weights=[1.0]), with_map(present=[False, False], weights=[]),
     with_map(present=[True]), with_map(weights=[1.0]), with_map(offset=np.nan), with_map(offset=np.inf),
     with_map(weights=[1.0, -np.inf]), with_map(weights=[1.0, None]), with_map(weights=[1.0, True]),
     with_map(offset="0"), with_map(more=1), model(maps=[]), model(maps=2 * model()["maps"]), model(target_prior=0),
     model(target_prior=1), model(target_prior=2), model(target_prior=np.nan), model(systems=["a"]),
     model(systems="ab"),
     model(trained_on=["x"]), model(trained_on=[1, 2]), model(trained_on="xy"), model(extra={}),
     model(measures=[{"table": "t", "log": 1, "median": 0}]), model(measures=[{"table": "t", "log": True}])],
)  # fmt: skip
def test_a_model_of_another_shape_is_refused_whatever_is_wrong(tmp_path, wrong):
    (tmp_path / "m.json").write_text(json.dumps(model()))
    assert read_fusion(tmp_path / "m.json").trained_on == [None, None]
    (tmp_path / "m.json").write_text(json.dumps(wrong))
    with pytest.raises(InputError, match=r"m\.json"):
        read_fusion(tmp_path / "m.json")


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from([*model(), "trained_on", "weights", "offset", "present"]), ANY)
def test_a_model_with_any_value_in_any_place_is_read_or_refused(tmp_path_factory, place, value):
    path = tmp_path_factory.mktemp("m") / "m.json"
    path.write_text(json.dumps(with_map(**{place: value}) if place in model()["maps"][0] else model(**{place: value})))
    try:
        fusion = read_fusion(path)
    except InputError:
        return
    assert fusion.maps and len(fusion.systems) == len(fusion.trained_on) > 0


@pytest.mark.parametrize("text", NO_MODELS)
def test_what_is_no_model_is_refused(tmp_path, text):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(InputError, match=r"m\.json: "):
        read_fusion(tmp_path / "m.json")


def test_one_class_and_infinite_scores_are_refused():
    with pytest.raises(InputError, match="target and nontarget trials, found 0 and 2000"):
        train_fusion(SCORES, np.zeros(2000, bool))
    with pytest.raises(InputError, match="finite scores"):
        train_fusion(np.where(SCORES > 4, np.inf, SCORES), LABELS)


def test_a_quality_measure_that_few_trials_make_look_telling_is_held_back():
    rng = np.random.default_rng(3)
    scores, labels = rng.standard_normal((12, 1)), np.arange(12) < 6
    scores[labels] += 2
    quality = rng.standard_normal((12, 3))
    as_scores, _ = train_map(np.column_stack([scores, quality]), labels, 0.01)
    as_quality, _ = train_map(np.column_stack([scores, quality]), labels, 0.01, n_scores=1)
    assert (np.abs(as_quality[1:]) < 0.6 * np.abs(as_scores[1:])).all()
