"""The measures of a system as JSON and as a table."""

import json

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.measures import measure, measure_present, table


def test_keys_are_those_promised():
    scores, labels = np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True])
    people = np.array([[0, 1], [0, 0], [1, 2], [1, 1]])
    found = measure(scores, labels, [0.01, 0.05], SpeakerBootstrap(people, labels))
    assert list(found) == [
        "eer_percent", "eer_ci95", "min_dcf", "min_dcf_ci95", "act_dcf", "act_dcf_ci95", "cllr", "cllr_ci95",
        "min_cllr", "auc", "fnmr_at_fmr", "thresholds", "n_target", "n_nontarget",
    ]  # fmt: skip
    assert list(found["min_dcf"]) == list(found["act_dcf"]) == ["0.01", "0.05"]
    assert found["eer_percent"] == 50
    assert found["eer_ci95"][0] <= 50 <= found["eer_ci95"][1]
    assert (found["n_target"], found["n_nontarget"]) == (2, 2)
    assert found["thresholds"] == {"eer": 2.0, "min_dcf": {"0.01": 3.0, "0.05": 3.0}}
    assert found["fnmr_at_fmr"] == {"0.01": 0.5, "0.001": 0.5}


@pytest.mark.parametrize(
    ("scores", "labels"), [([0.0, 1.0], [True, True]), ([0.0, 1.0], [False, False]), ([np.inf, -np.inf], [False, True])]
)
def test_what_is_undefined_or_infinite_is_null_in_strict_json(scores, labels):
    found = measure(np.array(scores), np.array(labels))
    assert found["cllr"] is None
    json.dumps(found, allow_nan=False)
    some = measure(np.array(scores), np.array(labels), bootstrap=SpeakerBootstrap(np.array([[0, 0], [1, 2]]), labels))
    json.dumps(some, allow_nan=False)
    assert "-" in table({"s": found})


def test_one_trial_has_no_error_rate():
    found = measure(np.array([1.0]), np.array([True]))
    assert found["eer_percent"] is None
    assert (found["n_target"], found["n_nontarget"]) == (1, 0)


def test_equal_scores_have_measures():
    labels = np.array([True, True, False, False, False])
    found = measure(np.zeros(5), labels, [0.5])
    assert (found["eer_percent"], found["auc"], found["min_dcf"]["0.5"]) == (50, 0.5, 1)
    assert (found["cllr"], found["min_cllr"]) == pytest.approx((1, 1))
    assert found["fnmr_at_fmr"] == {"0.01": 1, "0.001": 1}


def test_every_measure_has_its_value_within_its_interval():
    rng = np.random.default_rng(0)
    people = rng.integers(0, 40, (4000, 2))
    people[:1500, 1] = people[:1500, 0]
    labels = people[:, 0] == people[:, 1]
    scores = 2 * rng.standard_normal(4000) + 4 * labels - 2
    found = measure(scores, labels, [0.05], SpeakerBootstrap(people, labels, 200))
    for value, ends in (
        (found["eer_percent"], found["eer_ci95"]),
        (found["min_dcf"]["0.05"], found["min_dcf_ci95"]["0.05"]),
        (found["act_dcf"]["0.05"], found["act_dcf_ci95"]["0.05"]),
        (found["cllr"], found["cllr_ci95"]),
    ):
        assert ends[0] < value < ends[1]


def test_trials_without_a_score_are_counted():
    labels = np.array([True, False, True, False])
    found = measure_present("s", np.array([1.0, 0.0, np.nan, np.nan]), labels)
    assert (found["n_missing"], found["n_target"], found["n_nontarget"]) == (2, 1, 1)
    with pytest.raises(InputError, match="s: no trial of the list has a score"):
        measure_present("s", np.full(4, np.nan), labels)
