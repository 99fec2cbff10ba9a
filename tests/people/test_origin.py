"""The calibration behind scores: found, checked against the scores' record, or refused by file name."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.kaldi.origin import write_system
from avsv.people.calibrations import FOLDER, find_calibration
from avsv.people.origin import calibration_of
from avsv.scoring.calibration import Map, ScoreFusion, write_fusion
from avsv.scoring.score_lists import fused_system

FUSION = ScoreFusion(["s"], 0.5, [], [Map([True], [2.0], -1.0)], ["voice:1 cosine"])


@pytest.fixture
def scores(tmp_path):
    np.savetxt(tmp_path / "scores", [1.0])
    write_fusion(tmp_path / "scores.json", FUSION)
    return tmp_path / "scores"


@pytest.mark.parametrize("system", [fused_system(FUSION.trained_on, "logistic"), None])
def test_scores_of_the_calibration_or_of_unknown_origin_are_taken(scores, system):
    write_system(scores, system)
    assert calibration_of(scores, scores.with_suffix(".json")) == FUSION


@pytest.mark.parametrize("system", ["voice:1 cosine", fused_system(["voice:2 cosine"], "logistic"),
                                    fused_system(FUSION.trained_on, "mean")])  # fmt: skip
def test_scores_of_another_system_are_refused(scores, system):
    write_system(scores, system)
    with pytest.raises(InputError, match="scores"):
        calibration_of(scores, scores.with_suffix(".json"))


def test_an_absent_calibration_is_named(scores):
    with pytest.raises(InputError, match=r"other\.json"):
        calibration_of(scores, scores.parent / "other.json")


def test_an_installed_calibration_is_found_by_its_models_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError):
        find_calibration({"voice": "voice:1"})
    write_fusion(tmp_path / FOLDER / "a.json", FUSION)
    assert find_calibration({"voice": "voice:1"}) == tmp_path / FOLDER / "a.json"
    for models in ({"voice": "voice:2"}, {"voice": "voice:1", "face": "face:2"}):
        with pytest.raises(InputError):
            find_calibration(models)
