"""The measures of a system as JSON and as a table."""

import json

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.measures import measure, measure_present, table


def test_keys_and_values_of_a_small_list():
    scores, labels = np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True])
    speakers = np.array([[0, 1], [0, 0], [1, 2], [1, 1]])
    row = measure(scores, labels, [0.01, 0.05], SpeakerBootstrap(speakers, labels))
    assert list(row) == [
        "eer_percent", "eer_ci95", "min_dcf", "min_dcf_ci95", "act_dcf", "act_dcf_ci95", "cllr", "cllr_ci95",
        "min_cllr", "auc", "fnmr_at_fmr", "at_zero", "thresholds",
        "n_target", "n_nontarget",
    ]  # fmt: skip
    assert list(row["min_dcf"]) == list(row["act_dcf"]) == ["0.01", "0.05"]
    assert row["eer_percent"] == 50
    assert row["eer_ci95"][0] <= 50 <= row["eer_ci95"][1]
    assert (row["n_target"], row["n_nontarget"]) == (2, 2)
    assert row["thresholds"] == {"eer": 2.0, "min_dcf": {"0.01": 3.0, "0.05": 3.0}}
    assert row["fnmr_at_fmr"] == {"0.01": 0.5, "0.001": 0.5}


@pytest.mark.parametrize(
    ("scores", "labels"), [([0.0, 1.0], [True, True]), ([0.0, 1.0], [False, False]), ([np.inf, -np.inf], [False, True])]
)
def test_undefined_and_infinite_values_are_null_in_strict_json(scores, labels):
    row = measure(np.array(scores), np.array(labels))
    assert row["cllr"] is None
    json.dumps(row, allow_nan=False)
    some = measure(np.array(scores), np.array(labels), bootstrap=SpeakerBootstrap(np.array([[0, 0], [1, 2]]), labels))
    json.dumps(some, allow_nan=False)
    assert "-" in table({"s": row})


def test_one_trial_gives_no_error_rate():
    row = measure(np.array([1.0]), np.array([True]))
    assert row["eer_percent"] is None
    assert (row["n_target"], row["n_nontarget"]) == (1, 0)


def test_measures_of_equal_scores():
    labels = np.array([True, True, False, False, False])
    row = measure(np.zeros(5), labels, [0.5])
    assert (row["eer_percent"], row["auc"], row["min_dcf"]["0.5"]) == (50, 0.5, 1)
    assert (row["cllr"], row["min_cllr"]) == pytest.approx((1, 1))
    assert row["fnmr_at_fmr"] == {"0.01": 1, "0.001": 1}


def test_rates_at_0_are_those_of_decisions_by_the_sign():
    rng = np.random.default_rng(0)
    labels = rng.random(500) < 0.3
    scores = np.round(rng.standard_normal(500) + labels, 1)  # with ties, also at 0
    rates = measure(scores, labels)["at_zero"]
    assert rates == {"fnr": (scores[labels] < 0).mean(), "fpr": (scores[~labels] >= 0).mean()}
    beyond = measure(np.array([-2.0, -1.0]), np.array([False, True]))["at_zero"]
    assert beyond == {"fnr": 1, "fpr": 0}


def test_each_measure_lies_within_its_interval():
    rng = np.random.default_rng(0)
    speakers = rng.integers(0, 40, (4000, 2))
    speakers[:1500, 1] = speakers[:1500, 0]
    labels = speakers[:, 0] == speakers[:, 1]
    scores = 2 * rng.standard_normal(4000) + 4 * labels - 2
    row = measure(scores, labels, [0.05], SpeakerBootstrap(speakers, labels, 200))
    for value, ends in (
        (row["eer_percent"], row["eer_ci95"]),
        (row["min_dcf"]["0.05"], row["min_dcf_ci95"]["0.05"]),
        (row["act_dcf"]["0.05"], row["act_dcf_ci95"]["0.05"]),
        (row["cllr"], row["cllr_ci95"]),
    ):
        assert ends[0] < value < ends[1]


def test_trials_without_a_score_are_counted():
    labels = np.array([True, False, True, False])
    row = measure_present("s", np.array([1.0, 0.0, np.nan, np.nan]), labels)
    assert (row["n_missing"], row["n_target"], row["n_nontarget"]) == (2, 1, 1)
    with pytest.raises(InputError, match="s: "):
        measure_present("s", np.full(4, np.nan), labels)


def test_without_errors_the_table_shows_an_upper_bound():
    rng = np.random.default_rng(0)
    speakers = rng.integers(0, 24, (3000, 2))
    speakers[:1000, 1] = speakers[:1000, 0]
    labels = speakers[:, 0] == speakers[:, 1]
    scores = rng.standard_normal(3000) + 20 * labels
    row = measure(scores, labels, bootstrap=SpeakerBootstrap(speakers, labels))
    low, high = row["eer_ci95"]
    assert (row["eer_percent"], low) == (0, 0)
    assert 0.1 < high < 15
    assert f"at most {high:.2f}" in table({"s": row})
    for kind in ("min_dcf_ci95", "act_dcf_ci95"):
        assert row[kind]["0.01"][0] < row[kind]["0.01"][1]
