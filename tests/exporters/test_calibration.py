"""Calibrations and score fusions as ONNX files."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest

from avsv.errors import InputError
from avsv.exporters.calibration import export_calibration
from avsv.scoring.calibration import Map, ScoreFusion, write_fusion
from avsv.scoring.quality import Measure
from avsv.scoring.quality_fusion import FusedSystem, Influence, QualityFusion


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert {one.name for one in session.get_inputs()} == set(inputs)
    return session.run(["llr"], inputs)[0]


@pytest.fixture
def export(tmp_path):
    def call(fusion):
        write_fusion(tmp_path / "model.json", fusion)
        done = export_calibration(tmp_path / "model.json", tmp_path / "model.onnx", "CC0-1.0")
        assert done.difference <= done.bound == 1e-9
        return done.path

    return call


def test_each_set_of_scores_has_its_map(export):
    maps = [Map([True, True], [2.0, 0.5], -1.0), Map([True, False], [3.0], 0.25)]
    path = export(ScoreFusion(["voice", "face"], 0.01, [], maps, ["voice:1 cosine", None]))
    scores = np.array([[1.0, 4.0], [1.0, np.nan], [np.nan, 1.0], [np.nan, np.nan]])
    found = run(path, scores=scores)
    assert found[:2].tolist() == [3.0, 3.25]
    assert np.isnan(found[2])  # the model has no map for a face alone
    assert found[3] == 0.0  # no evidence
    about = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert json.loads(about["avsv.systems"]) == ["voice", "face"] and about["license"] == "CC0-1.0"


def test_quality_of_the_two_recordings_enters_as_lower_and_higher_value_in_either_order(export):
    measures = [Measure("data/train/utt2dur", True, np.log(5.0))]
    path = export(ScoreFusion(["voice"], 0.01, measures, [Map([True], [2.0, 0.5, 0.25], 1.0)], [None]))
    long, short = np.array([[8.0]]), np.array([[2.0]])
    expected = 2.0 * 0.3 + 0.5 * np.log(2.0) + 0.25 * np.log(8.0) + 1.0
    for pair in ((long, short), (short, long)):
        found = run(path, scores=np.array([[0.3]]), enroll_quality=pair[0], test_quality=pair[1])
        assert found[0] == pytest.approx(expected, abs=1e-12)
    found = run(path, scores=np.array([[0.3]]), enroll_quality=np.array([[np.nan]]), test_quality=long)
    assert found[0] == pytest.approx(2.0 * 0.3 + 0.5 * np.log(5.0) + 0.25 * np.log(8.0) + 1.0, abs=1e-12)


def test_quality_dependent_fusion_scales_each_system(export):
    snr = Influence("utt2snr", False, "dB", 10.0, [8.0, 12.0], [4.0, 4.0], [0.3, 0.1], [0.2, 0.0])
    voice = FusedSystem("voice", None, 0.5, 0.2, -0.1, [snr])
    face = FusedSystem("face", None, 1.0, 0.3, 0.4, [])
    path = export(QualityFusion(0.01, 0.01, [voice, face], []))
    scores = np.array([[0.7, 0.9], [np.nan, 0.9], [np.nan, np.nan]])
    values = np.array([[6.0]] * 3), np.array([[15.0]] * 3)
    limited = 2 * np.tanh((np.array([6.0, 15.0]) - [8.0, 12.0]) / 4 / 2)
    of_voice = np.exp(0.5 + limited @ [0.3, 0.1]) * (0.7 - 0.2) - 0.1 + limited @ [0.2, 0.0]
    of_face = np.exp(1.0) * (0.9 - 0.3) + 0.4
    found = run(path, scores=scores, enroll_quality=values[0], test_quality=values[1])
    assert found == pytest.approx([of_voice + of_face, of_face, 0.0], abs=1e-12)


def test_another_json_file_is_refused(tmp_path):
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match=r"other\.json"):
        export_calibration(tmp_path / "other.json", tmp_path / "out.onnx")
