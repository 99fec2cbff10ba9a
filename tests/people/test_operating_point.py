"""Operating points as files: what is written is read; other calibrations, kinds and versions are refused."""

import json
import math
from dataclasses import asdict, replace

import pytest

from avsv.errors import InputError, OptionError
from avsv.people.operating_point import (
    Cost,
    Goal,
    OperatingPoint,
    Rate,
    calibration_digest,
    read_operating_point,
    write_operating_point,
)
from avsv.scoring.calibration import Map, ScoreFusion, read_fusion, write_fusion
from avsv.scoring.quality_fusion import FusedSystem, QualityFusion

CALIBRATION = ScoreFusion(
    ["v", "f"], 0.5, [], [Map([True, True], [2.0, 3.0], -1.0)], ["voice:1 cosine", "face:2 cosine"]
)


def point(calibration=CALIBRATION, **changes):
    far, frr = Rate(0.01, 0.002, 0.03, 5, 500), Rate(0.1, 0.05, 0.2, 10, 100)
    digest, trained_on = calibration_digest(calibration), calibration.trained_on
    made = OperatingPoint(4.6, Goal(0.01), digest, trained_on, 20, True, 0.005, 0.02, far, frr,
                          Cost(0.01, 0.005, 0.03), ["only a few people"])  # fmt: skip
    return replace(made, **changes)


@pytest.mark.parametrize(
    "one", [point(), point(goal=Goal(false_acceptance=0.001), cost=None), point(trained_on=[None], threshold=0.0)]
)
def test_what_is_written_is_read(tmp_path, one):
    write_operating_point(tmp_path / "p.json", one)
    assert read_operating_point(tmp_path / "p.json") == one


def test_the_calibration_is_recognised_however_it_was_stored(tmp_path):
    write_fusion(tmp_path / "c.json", CALIBRATION)
    point().refuse_other_calibration(read_fusion(tmp_path / "c.json"), "p.json")
    quality = QualityFusion(0.5, 0.01, [FusedSystem("voice", "voice:1 cosine", 0.0, 0.5, 0.0, [])], [])
    write_fusion(tmp_path / "q.json", quality)
    point(quality).refuse_other_calibration(read_fusion(tmp_path / "q.json"), "p.json")


def test_other_models_and_other_calibrations_are_refused():
    others = replace(CALIBRATION, trained_on=["voice:9 cosine", "face:2 cosine"])
    with pytest.raises(InputError, match="voice:9"):
        point().refuse_other_calibration(others, "p.json")
    retrained = replace(CALIBRATION, maps=[Map([True, True], [2.0, 3.0], -1.5)])
    with pytest.raises(InputError, match=r"p\.json"):
        point().refuse_other_calibration(retrained, "p.json")


def changed(**changes):
    from avsv.people.operating_point import KIND, VERSION

    return json.dumps({"kind": KIND, "version": VERSION, **asdict(point()), **changes})


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "threshold 3", '{"systems": ["s"], "maps": []}', changed(kind="another"),
        changed(threshold="3"), changed(threshold=math.nan), changed(threshold=math.inf), changed(version=2),
        changed(version="1"), changed(extra=1), changed(people=-1.5), changed(supported=1),
        changed(goal=asdict(Goal(0.01)) | {"p_target": 2.0}),
        changed(goal={"p_target": None, "c_miss": 1.0, "c_fa": 1.0, "false_acceptance": None}),
        changed(false_acceptance=asdict(Rate(0.5, 0.6, 0.7, 1, 2))),
        changed(false_rejection=asdict(Rate(0, 0, 2, 0, 2))),
    ],
)  # fmt: skip
def test_another_file_is_refused_by_name(tmp_path, text):
    path = tmp_path / "point.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"point\.json"):
        read_operating_point(path)


def test_a_newer_version_is_named_and_an_absent_file_too(tmp_path):
    (tmp_path / "p.json").write_text(changed(version=7, something_new=[1]))
    with pytest.raises(InputError, match="version 7"):
        read_operating_point(tmp_path / "p.json")
    with pytest.raises(InputError, match=r"absent\.json"):
        read_operating_point(tmp_path / "absent.json")


def test_the_bayes_threshold_equals_its_definition():
    assert Goal(0.5).bayes_threshold == 0
    assert Goal(0.1, c_miss=2, c_fa=5).bayes_threshold == pytest.approx(math.log(5 * 0.9 / (2 * 0.1)))
    assert Goal(false_acceptance=0.001).bayes_threshold == pytest.approx(math.log(1000))


@pytest.mark.parametrize(
    "options",
    [{}, {"p_target": 0.1, "false_acceptance": 0.1}, {"p_target": 0.0}, {"p_target": 1.0}, {"false_acceptance": 1.5},
     {"p_target": 0.1, "c_miss": 0.0}, {"p_target": 0.1, "c_fa": math.inf}, {"p_target": math.nan}],
)  # fmt: skip
def test_a_goal_without_sense_is_refused(options):
    with pytest.raises(OptionError):
        Goal(**options)
