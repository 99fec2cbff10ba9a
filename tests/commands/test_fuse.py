"""avsv fuse."""

import json

import numpy as np
import pytest

from avsv.kaldi.scores import read_scores, write_scores
from avsv.kaldi.trials import read_trials


@pytest.fixture
def two(world):
    """Two systems' scores s1, s2 of the trials and t1, t2 of the training trials: different noise on the same truth."""
    for letter, path, seed in (("s", world.trials, 0), ("t", world.train_trials, 1)):
        trials, rng = read_trials(path), np.random.default_rng(seed)
        for system, noise in (("1", 0.5), ("2", 1.0)):
            scores = trials.labels + noise * rng.standard_normal(len(trials))
            write_scores(world.folder / f"{letter}{system}", trials, scores)
    return world


def fuse(avsv, world, *options):
    return avsv("fuse", "--trials", world.trials, "--scores", world.folder / "s1", world.folder / "s2", *options)


def training(world):
    return ["--train-trials", world.train_trials, "--train-scores", world.folder / "t1", world.folder / "t2"]


def eer(avsv, world, name):
    assert avsv("evaluate", "--trials", world.trials, "--json", world.folder / "j", world.folder / name)[0] == 0
    return next(iter(json.loads((world.folder / "j").read_text()).values()))["eer_percent"]


def test_mean_is_the_mean(avsv, two):
    assert fuse(avsv, two, "--method", "mean", two.folder / "f")[0] == 0
    assert two.scores("f") == pytest.approx((two.scores("s1") + two.scores("s2")) / 2, rel=1e-5, abs=1e-6)


def test_mean_takes_the_options_of_logistic(avsv, two):
    assert fuse(avsv, two, "--method", "mean", *training(two), two.folder / "f")[0] == 0


def test_logistic_fusion_is_better_than_either_system(avsv, two):
    assert fuse(avsv, two, "--method", "logistic", *training(two), two.folder / "f")[0] == 0
    assert eer(avsv, two, "f") < min(eer(avsv, two, "s1"), eer(avsv, two, "s2"))
    model = json.loads((two.folder / "f.json").read_text())
    assert model["weights"][0] > model["weights"][1] > 0
    assert [path.split("/")[-1] for path in model["systems"]] == ["t1", "t2"]


def test_out_may_follow_any_list_or_come_first(avsv, two):
    assert fuse(avsv, two, two.folder / "f1")[0] == 0  # right after --scores A B
    files = ["--scores", two.folder / "s1", two.folder / "s2"]
    assert avsv("fuse", two.folder / "f2", "--trials", two.trials, *files)[0] == 0
    assert avsv("fuse", *files, "--trials", two.trials, two.folder / "f3")[0] == 0
    assert (two.folder / "f1").read_text() == (two.folder / "f2").read_text() == (two.folder / "f3").read_text()


def test_order_of_lines_in_a_file_does_not_matter(avsv, two):
    assert fuse(avsv, two, "--method", "mean", two.folder / "f")[0] == 0
    expected = (two.folder / "f").read_text()
    lines = (two.folder / "s2").read_text().splitlines()
    (two.folder / "s2").write_text("\n".join(reversed(lines)) + "\n")
    assert fuse(avsv, two, "--method", "mean", two.folder / "f")[0] == 0
    assert (two.folder / "f").read_text() == expected


def test_systems_that_differ_in_number_are_refused(avsv, two):
    argv = ["--train-trials", two.train_trials, "--train-scores", two.folder / "t1", two.folder / "f"]
    status, said = fuse(avsv, two, *argv)
    assert status == 1
    assert "--scores has 2 systems, --train-scores 1" in said


def test_a_trial_without_a_score_is_named(avsv, two):
    trials = read_trials(two.trials)
    write_scores(two.folder / "s2", trials.take(np.arange(len(trials)) > 0), read_scores(two.folder / "s2", trials)[1:])
    status, said = fuse(avsv, two, two.folder / "f")
    assert status == 1
    assert f'{two.folder / "s2"}: 1 of {len(trials)} trials have no score, the first: "{" ".join(trials[0])}"' in said


def test_no_out_is_a_wrong_usage(avsv, two):
    status, said = avsv("fuse", "--trials", two.trials, "--scores", two.folder / "s1")
    assert status == 2
    assert "required: OUT" in said
