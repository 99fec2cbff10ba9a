"""avsv calibrate."""

import json

import numpy as np
import pytest

from avsv.kaldi.scores import write_scores
from avsv.kaldi.trials import read_trials


@pytest.fixture
def scored(world):
    """Scores s of the trials and t of the training trials: off by 5, and twice as large as they should be."""
    for name, path, seed in (("s", world.trials, 0), ("t", world.train_trials, 1)):
        trials = read_trials(path)
        ratio = 4 * trials.labels - 2 + 2 * np.random.default_rng(seed).standard_normal(len(trials))
        write_scores(world.folder / name, trials, 2 * ratio + 5)
    return world


def calibrate(avsv, world, *options):
    return avsv("calibrate", "--trials", world.trials, "--scores", world.folder / "s", *options, world.folder / "c")


def measures(avsv, world, name):
    argv = ["--trials", world.trials, "--p-target", "0.1", "--json", world.folder / "j", world.folder / name]
    assert avsv("evaluate", *argv)[0] == 0
    return next(iter(json.loads((world.folder / "j").read_text()).values()))


def test_training_on_other_people_calibrates(avsv, scored):
    training = ["--train-trials", scored.train_trials, "--train-scores", scored.folder / "t", "--target-prior", "0.1"]
    status, said = calibrate(avsv, scored, *training)
    assert status == 0
    assert "log-likelihood ratios, weights" in said
    before, after = measures(avsv, scored, "s"), measures(avsv, scored, "c")
    assert after["eer_percent"] == pytest.approx(before["eer_percent"], abs=1e-9)
    assert after["cllr"] < before["cllr"]
    assert after["cllr"] < after["min_cllr"] + 0.3


def test_saved_model_gives_the_same_scores(avsv, scored):
    training = ["--train-trials", scored.train_trials, "--train-scores", scored.folder / "t"]
    calibrate(avsv, scored, *training)
    expected = scored.scores("c")
    model = json.loads((scored.folder / "c.json").read_text())
    assert list(model) == ["weights", "offset", "target_prior", "systems"]
    assert expected == pytest.approx(model["weights"][0] * scored.scores("s") + model["offset"], rel=1e-4, abs=1e-5)
    (scored.folder / "c.json").rename(scored.folder / "m.json")
    assert calibrate(avsv, scored, "--model", scored.folder / "m.json")[0] == 0
    assert np.array_equal(scored.scores("c"), expected)


def test_training_on_itself_is_told(avsv, scored):
    status, said = calibrate(avsv, scored)
    assert status == 0
    assert "trained on the trials it is applied to, which flatters it" in said


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--train-trials", "x"], 1, "--train-trials and --train-scores go together"),
        (["--train-trials", "x", "--train-scores", "y", "--model", "m"], 1, "--model is applied as it is"),
        (["--model", "nowhere"], 1, "nowhere: there is no such file"),
        (["--target-prior", "1"], 2, '"1" is no number between 0 and 1'),
    ],
)
def test_wrong_options_are_told(avsv, scored, options, status, message):
    found, said = calibrate(avsv, scored, *options)
    assert found == status
    assert message in said


def test_trials_of_one_class_are_refused(avsv, scored):
    scored.trials.write_text("test00-0 test00-1 target\n")
    (scored.folder / "s").write_text("test00-0 test00-1 1\n")
    status, said = calibrate(avsv, scored)
    assert status == 1
    assert "all trials are of one class" in said
