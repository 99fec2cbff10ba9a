"""Quality-dependent fusion: properties of its ratios, and its files."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsv.errors import InputError
from avsv.scoring import quality_training
from avsv.scoring.calibration import read_fusion, write_fusion
from avsv.scoring.quality import RecordingValues
from avsv.scoring.quality_fusion import FusedSystem, Influence, QualityFusion
from avsv.scoring.trial_scores import fuse
from tests.scoring.quality_scores import simulate, train


@pytest.fixture(scope="module")
def simulated():
    return simulate(0)


@pytest.fixture(scope="module")
def trained(simulated):
    return train([simulated])


def test_an_absent_score_is_no_evidence_and_neither_is_its_quality(simulated, trained):
    scores, pairs = simulated.scores[:500].copy(), simulated.trials.pairs[:500]
    scores[:, 1] = np.nan
    ratios = trained.apply(scores, pairs, simulated.quality)
    alone = replace(trained, systems=trained.systems[:1])
    assert ratios == pytest.approx(alone.apply(scores[:, :1], pairs, simulated.quality[:1]))
    unknown = [simulated.quality[0], RecordingValues(*2 * [np.full((320, 2), np.nan)])]
    assert np.array_equal(trained.apply(scores, pairs, unknown), ratios)


def test_a_trial_without_any_score_gets_ratio_zero(simulated, trained):
    pairs = simulated.trials.pairs[:2]
    assert trained.apply(np.full((2, 2), np.nan), pairs, simulated.quality).tolist() == [0, 0]


def test_evidence_of_the_systems_adds_up(simulated, trained):
    scores, pairs = simulated.scores, simulated.trials.pairs
    parts = [np.where(np.arange(2) == system, scores, np.nan) for system in range(2)]
    total = sum(trained.apply(part, pairs, simulated.quality) for part in parts)
    assert trained.apply(scores, pairs, simulated.quality) == pytest.approx(total)


def test_the_order_of_a_trials_recordings_does_not_matter(simulated, trained):
    pairs = simulated.trials.pairs
    swapped = [RecordingValues(values.test, values.enroll) for values in simulated.quality]
    ratios = trained.apply(simulated.scores, pairs, simulated.quality)
    assert np.array_equal(trained.apply(simulated.scores, pairs[:, ::-1], swapped), ratios)


def test_blocks_do_not_change_ratios_or_training(simulated, trained, monkeypatch):
    ratios = trained.apply(simulated.scores, simulated.trials.pairs, simulated.quality)
    monkeypatch.setattr("avsv.scoring.quality_fusion.BLOCK", 1000)
    monkeypatch.setattr("avsv.scoring.quality_training.BLOCK", 1000)
    assert np.array_equal(trained.apply(simulated.scores, simulated.trials.pairs, simulated.quality), ratios)
    assert train([simulated]).systems[0].log_scale == pytest.approx(trained.systems[0].log_scale)


@pytest.mark.parametrize("sign", [-1, 1])
def test_quality_acts_like_two_standard_deviations_at_most(trained, sign):
    pairs, scores = np.array([[0, 0]]), np.array([[2.5, 1.5]])
    ratios = [trained.apply(scores, pairs, 2 * [RecordingValues(*2 * [np.full((1, 2), sign * value)])])[0]
              for value in (20.0, 1e300)]  # fmt: skip
    bounds = [sign * 2 * np.sum([one.scale_weights for one in system.measures]) for system in trained.systems]
    offsets = [sign * 2 * np.sum([one.offset_weights for one in system.measures]) for system in trained.systems]
    expected = 0.0
    for system, bound, offset, score in zip(trained.systems, bounds, offsets, scores[0], strict=True):
        expected += np.exp(system.log_scale + bound) * (score - system.pivot) + system.offset + offset
    assert ratios == pytest.approx([expected] * 2, rel=1e-6)


NUMBERS = st.floats(-1e6, 1e6)
PAIRS = st.tuples(st.floats(-3, 3), st.floats(-3, 3)).map(list)


@st.composite
def fusions(draw):
    """Any model of two systems with one measure each."""
    systems = []
    for name in ("voice", "face"):
        deviation = [draw(st.floats(1e-3, 1e3)) for _ in range(2)]
        mean, scale, offset = draw(PAIRS), draw(PAIRS), draw(PAIRS)
        influence = Influence("t", False, None, 0.0, mean, deviation, scale, offset)
        numbers = draw(st.floats(-5, 5)), draw(NUMBERS), draw(NUMBERS)
        systems.append(FusedSystem(name, None, *numbers, [influence]))
    return QualityFusion(0.5, 0.01, systems, [])


@given(fusions(), st.tuples(NUMBERS, NUMBERS), st.integers(0, 1), st.floats(0, 1e6), st.tuples(NUMBERS, NUMBERS))
def test_a_higher_score_never_lowers_the_ratio(fusion, scores, which, more, quality):
    values = [RecordingValues(np.array([[one]]), np.array([[one]])) for one in quality]
    higher = np.array([scores])
    higher[0, which] += more
    low, high = (fusion.apply(each, np.array([[0, 0]]), values)[0] for each in (np.array([scores]), higher))
    assert np.isfinite([low, high]).all()
    assert high >= low


@given(fusions(), st.integers(0, 99))
def test_a_written_model_is_read_back(tmp_path_factory, fusion, n):
    path = tmp_path_factory.mktemp("m") / "m.json"
    fusion = replace(fusion, lists=[quality_training.TrainedList("dev", n, n, n)])
    write_fusion(path, fusion)
    assert read_fusion(path) == fusion


def changed(fusion_json, *path, value):
    """The model with another value at a place; None removes the key."""
    model = json.loads(json.dumps(fusion_json))
    place = model
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return model


MEASURE = ("systems", 0, "measures", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [(("fusion",), "other"), (("target_prior",), 1.0), (("target_prior",), None), (("systems",), []),
     (("systems", 1, "name"), "voice"), (("systems", 0, "log_scale"), "1"), (("systems", 0, "log_scale"), 1e6),
     (("systems", 0, "pivot"), None), ((*MEASURE, "mean"), [1.0]), ((*MEASURE, "deviation"), [1.0, 0.0]),
     ((*MEASURE, "scale_weights"), [1.0, 2.0, 3.0]), ((*MEASURE, "scale_weights"), [1e9, 0.0]),
     ((*MEASURE, "log"), 1), (("lists", 0, "people"), "x"), (("more",), 1)],
)  # fmt: skip
def test_an_invalid_model_is_refused(tmp_path, trained, path, value):
    write_fusion(tmp_path / "m.json", trained)
    model = json.loads((tmp_path / "m.json").read_text())
    (tmp_path / "m.json").write_text(json.dumps(changed(model, *path, value=value)))
    with pytest.raises(InputError, match=r"m\.json: "):
        read_fusion(tmp_path / "m.json")


def test_the_message_on_an_invalid_model_names_the_place(tmp_path, trained):
    write_fusion(tmp_path / "m.json", trained)
    model = json.loads((tmp_path / "m.json").read_text())
    (tmp_path / "m.json").write_text(json.dumps(changed(model, *MEASURE, "log", value=1)))
    with pytest.raises(InputError, match=r"systems\[0\]\.measures\[0\]\.log"):
        read_fusion(tmp_path / "m.json")


def test_fuse_of_the_api_applies_a_model_and_its_file(tmp_path, simulated, trained):
    write_fusion(tmp_path / "m.json", trained)
    expected = trained.apply(simulated.scores, simulated.trials.pairs, simulated.quality)
    for model in (trained, tmp_path / "m.json", str(tmp_path / "m.json")):
        ratios = fuse(list(simulated.scores.T), model, pairs=simulated.trials.pairs, quality=simulated.quality)
        assert np.array_equal(ratios, expected)
    for wrong in ({}, {"quality": simulated.quality}, {"pairs": simulated.trials.pairs}):
        with pytest.raises(InputError):
            fuse(list(simulated.scores.T), trained, **wrong)
