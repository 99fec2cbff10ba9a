"""The measures of a system as JSON and as a table."""

import json

import numpy as np
import pytest

from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.measures import measure, table


def test_keys_are_those_promised():
    scores, labels = np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True])
    people = np.array([[0, 1], [0, 0], [1, 2], [1, 1]])
    found = measure(scores, labels, [0.01, 0.05], SpeakerBootstrap(people, labels))
    assert list(found) == [
        "eer_percent", "eer_ci95", "min_dcf", "act_dcf", "cllr", "min_cllr", "n_target", "n_nontarget",
    ]  # fmt: skip
    assert list(found["min_dcf"]) == list(found["act_dcf"]) == ["0.01", "0.05"]
    assert found["eer_percent"] == 50
    assert found["eer_ci95"][0] <= 50 <= found["eer_ci95"][1]
    assert (found["n_target"], found["n_nontarget"]) == (2, 2)


@pytest.mark.parametrize(
    ("scores", "labels"), [([0.0, 1.0], [True, True]), ([0.0, 1.0], [False, False]), ([np.inf, -np.inf], [False, True])]
)
def test_what_is_undefined_or_infinite_is_null_in_strict_json(scores, labels):
    found = measure(np.array(scores), np.array(labels))
    assert found["cllr"] is None
    json.dumps(found, allow_nan=False)
    assert "-" in table({"s": found})


def test_one_trial_has_no_error_rate():
    found = measure(np.array([1.0]), np.array([True]))
    assert found["eer_percent"] is None
    assert (found["n_target"], found["n_nontarget"]) == (1, 0)
