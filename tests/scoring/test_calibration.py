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
def test_weights_agree_with_a_general_optimiser(p):
    weights, offset = train_map(SCORES, LABELS, p)
    start = np.array([1.0, 0.05, 0.0])
    options = {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 20000, "maxfev": 20000}
    best = minimize(prior_weighted_cost, start, (SCORES, LABELS, p), method="Nelder-Mead", options=options)
    assert prior_weighted_cost(np.array([*weights, offset]), SCORES, LABELS, p) <= best.fun + 1e-6


@pytest.mark.parametrize("block", [100, 1 << 15])
def test_weights_agree_with_scikit_learn(block, monkeypatch):
    monkeypatch.setattr("avsv.scoring.calibration.BLOCK", block)
    weight = np.where(LABELS, 0.5 / LABELS.sum(), 0.5 / (~LABELS).sum())
    scaled = (SCORES - SCORES.mean(axis=0)) / SCORES.std(axis=0)
    expected = LogisticRegression(C=1 / RIDGE, tol=1e-12, max_iter=10000).fit(scaled, LABELS, sample_weight=weight)
    weights, offset = train_map(SCORES, LABELS, 0.5)
    assert weights * SCORES.std(axis=0) == pytest.approx(expected.coef_[0], rel=1e-5)
    assert offset + weights @ SCORES.mean(axis=0) == pytest.approx(expected.intercept_[0], rel=1e-5)


@pytest.mark.parametrize("system", ["ecapa", "xvect"])
def test_weights_on_real_scores_agree_with_scikit_learn(real_data, system):
    with np.load(real_data / "nsc" / "embeddings.npz", allow_pickle=False) as file:
        speakers = np.array([key.rsplit("_", 1)[0] for key in file["keys"]])
        unit = unit_length(file[system].astype("f4"))
    one, other = np.random.default_rng(0).integers(0, len(unit), (2, 20000))
    one[:4000], other[:4000] = np.arange(4000) % len(unit), np.arange(4000) % len(unit) // 10 * 10
    scores = np.einsum("ij,ij->i", unit[one], unit[other])[:, None].astype(float)
    labels = speakers[one] == speakers[other]
    of_trial = np.where(labels, 0.01 / labels.sum(), 0.99 / (~labels).sum())
    scaled = (scores - scores.mean()) / scores.std()
    # scikit-learn has no target prior, so its intercept includes the log odds of the prior
    expected = LogisticRegression(C=1 / RIDGE, tol=1e-12, max_iter=10000).fit(scaled, labels, sample_weight=of_trial)
    (weight,), offset = train_map(scores, labels, 0.01)
    assert weight * scores.std() == pytest.approx(expected.coef_.item(), rel=1e-4)
    assert offset + weight * scores.mean() == pytest.approx(expected.intercept_.item() + np.log(99), rel=1e-4)


def test_calibration_brings_cllr_near_its_minimum_and_keeps_the_order():
    fusion = train_fusion(SCORES[:, :1], LABELS, 0.5)
    ratio = fusion.apply(SCORES[:, :1])
    assert fusion.maps[0].weights[0] > 0
    assert cllr(ratio, LABELS) < cllr(SCORES[:, 0], LABELS)
    assert cllr(ratio, LABELS) <= cllr(ratio * 1.05, LABELS)
    assert cllr(ratio, LABELS) <= cllr(ratio + 0.1, LABELS)


@pytest.mark.parametrize("p", [1e-6, 0.01, 0.5, 0.999999])
def test_weights_are_finite_where_a_threshold_separates_the_classes(p):
    (weight,), offset = train_map(LABELS[:, None].astype(float), LABELS, p)
    assert np.isfinite([weight, offset]).all()
    assert weight > 5


def test_weights_are_finite_with_one_trial_of_each_class():
    (weight,), offset = train_map(np.array([[1.0], [1e9]]), np.array([False, True]), 0.01)
    assert weight > 0 and np.isfinite([weight, offset]).all()


@pytest.mark.parametrize("constant", [0.0, 7.0, 0.1])
def test_equal_scores_give_ratio_zero(constant):
    fusion = train_fusion(np.full((2000, 1), constant), LABELS, 0.01)
    assert fusion.apply(np.full((3, 1), constant)) == pytest.approx(np.zeros(3), abs=1e-9)


def test_a_system_with_a_constant_score_gets_weight_zero():
    weights, _ = train_map(np.column_stack([SCORES[:, 0], np.full(2000, 7.0)]), LABELS, 0.1)
    assert weights[1] == 0


def test_a_system_given_twice_gets_half_the_weight_each_time():
    (one,), _ = train_map(SCORES[:, :1], LABELS, 0.1)
    weights, _ = train_map(SCORES[:, [0, 0]], LABELS, 0.1)
    assert weights == pytest.approx([one / 2, one / 2], rel=1e-4)


def missing_scores():
    scores = SCORES.copy()
    scores[:500, 0], scores[400:900, 1] = np.nan, np.nan
    return scores


def test_a_map_is_trained_on_the_trials_with_its_systems():
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


def test_a_trial_without_any_score_gets_ratio_zero():
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
    assert caplog.records[-1].args == ("voice", 0, (~LABELS).sum())
    with pytest.raises(InputError, match="voice"):
        fusion.apply(np.array([[1.0, np.nan]]))


def test_quality_measures_are_features_beside_the_scores():
    quality = RNG.standard_normal((2000, 2))
    measures = [Measure("utt2snr", False, 0.0)]
    fusion = train_fusion(SCORES, LABELS, 0.1, quality=quality, measures=measures, patterns=[1, 3])
    weights, offset = train_map(np.column_stack([SCORES, quality]), LABELS, 0.1, n_scores=2)
    expected = SCORES @ weights[:2] + quality @ weights[2:] + offset
    assert fusion.apply(SCORES, quality) == pytest.approx(expected)
    weights, offset = train_map(np.column_stack([SCORES[:, 0], quality]), LABELS, 0.1, n_scores=1)
    alone = np.column_stack([SCORES[:, 0], np.full(2000, np.nan)])
    assert fusion.apply(alone, quality) == pytest.approx(SCORES[:, 0] * weights[0] + quality @ weights[1:] + offset)


def test_a_written_model_is_read_back(tmp_path):
    measures = [Measure("utt2dur", True, 1.5)]
    fusion = train_fusion(SCORES, LABELS, 0.05, ["voice", "face"], SCORES, measures, [1, 2, 3])
    write_fusion(tmp_path / "m.json", fusion)
    assert read_fusion(tmp_path / "m.json") == fusion


NOT_MODELS = [
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
def test_an_invalid_model_is_refused(tmp_path, wrong):
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
def test_a_model_with_an_arbitrary_value_is_read_or_refused(tmp_path_factory, place, value):
    path = tmp_path_factory.mktemp("m") / "m.json"
    path.write_text(json.dumps(with_map(**{place: value}) if place in model()["maps"][0] else model(**{place: value})))
    try:
        fusion = read_fusion(path)
    except InputError:
        return
    assert fusion.maps and len(fusion.systems) == len(fusion.trained_on) > 0


@pytest.mark.parametrize("text", NOT_MODELS)
def test_a_file_that_is_not_a_model_is_refused(tmp_path, text):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(InputError, match=r"m\.json: "):
        read_fusion(tmp_path / "m.json")


def test_one_class_and_infinite_scores_are_refused():
    with pytest.raises(InputError):
        train_fusion(SCORES, np.zeros(2000, bool))
    with pytest.raises(InputError):
        train_fusion(np.where(SCORES > 4, np.inf, SCORES), LABELS)


def test_quality_weights_are_regularised_more_than_score_weights():
    rng = np.random.default_rng(3)
    scores, labels = rng.standard_normal((12, 1)), np.arange(12) < 6
    scores[labels] += 2
    quality = rng.standard_normal((12, 3))
    as_scores, _ = train_map(np.column_stack([scores, quality]), labels, 0.01)
    as_quality, _ = train_map(np.column_stack([scores, quality]), labels, 0.01, n_scores=1)
    assert (np.abs(as_quality[1:]) < 0.6 * np.abs(as_scores[1:])).all()
