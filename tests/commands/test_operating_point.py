"""avsv operating-point: from scores and labels to a file, a figure and a summary; refusals name the file."""

import json
import math

import numpy as np
import pytest

from avsv.kaldi.embeddings import read_embeddings, write_embeddings
from avsv.people.operating_point import read_operating_point


@pytest.fixture
def own(avsv, world):
    """Log-likelihood ratios of the training people's trials, calibrated on the test people; a function of options."""
    folder = world.folder
    for part in ("test", "train"):
        trials, scp = folder / f"{part}.trials", folder / f"{part}.scp"
        embeddings = read_embeddings(scp)
        write_embeddings(folder / f"{part}.ark", scp, embeddings.ids, embeddings.vectors, "voice:1")
        assert avsv("score", "--trials", trials, "--enroll", scp, folder / f"{part}.cosine")[0] == 0
    common = ["--trials", world.train_trials, "--scores", folder / "train.cosine"]
    training = ["--train-trials", world.trials, "--train-scores", folder / "test.cosine"]
    assert avsv("calibrate", *common, *training, folder / "own")[0] == 0

    def call(*options, scores="own", out="point.json", goal=("--p-target", 0.1), utt2spk=world.utt2spk):
        fixed = ["--trials", world.train_trials, "--scores", folder / scores, "--utt2spk", utt2spk]
        return avsv("operating-point", *fixed, *goal, *options, folder / out)

    return call


def test_the_threshold_of_a_prior_and_the_errors_are_written_and_printed(own, world):
    status, output = own()
    point = read_operating_point(world.folder / "point.json")
    assert status == 0 and point.threshold == pytest.approx(math.log(9)) and f"{point.threshold:.4f}" in output
    scores = world.scores("own")
    labels = np.array([line.split()[2] == "target" for line in world.train_trials.read_text().splitlines()])
    assert point.false_acceptance.errors == (scores[~labels] >= point.threshold).sum()
    assert point.false_rejection.errors == (scores[labels] < point.threshold).sum()
    assert point.people == 30 and point.trained_on == ["voice:1 cosine"]
    assert "30 people" in output


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_figure_is_drawn(own, world, ending):
    assert own("--plot", world.folder / f"plot.{ending}", goal=("--false-acceptance", 0.1))[0] == 0
    content = (world.folder / f"plot.{ending}").read_bytes()
    assert content.startswith(b"\x89PNG") if ending == "png" else b"<svg" in content


def test_a_rate_that_these_people_cannot_support_is_said_and_recorded(own, world):
    status, output = own(goal=("--false-acceptance", 1e-5))
    record = json.loads((world.folder / "point.json").read_text())
    assert status == 0 and record["supported"] is False
    assert record["warnings"] and record["warnings"][0] in output


def test_scores_that_are_not_of_the_calibration_are_refused(own, world):
    folder = world.folder
    status, output = own("--calibration", folder / "own.json", scores="train.cosine")
    assert status == 1 and "train.cosine" in output
    status, output = own(scores="train.cosine")  # no train.cosine.json
    assert status == 1 and "train.cosine.json" in output and "--calibration" in output
    assert not (folder / "point.json").exists()


def test_unrecorded_cosines_are_recognised(own, world):
    (world.folder / "train.cosine.system").unlink()
    world.forget_sources("train.cosine")
    status, output = own("--calibration", world.folder / "own.json", scores="train.cosine")
    assert status == 1 and "cosine" in output


def test_a_calibration_of_the_same_trials_is_warned_of(own, avsv, world):
    folder = world.folder
    argv = ["--trials", world.train_trials, "--scores", folder / "train.cosine"]
    assert avsv("calibrate", *argv, folder / "flattered")[0] == 0
    assert "these very trials" in own(scores="flattered")[1]
    assert "these very trials" not in own()[1]


def test_unlabelled_trials_and_people_that_contradict_labels_are_refused(own, avsv, world):
    (world.folder / "plain").write_text("train00-0 train00-1\n")
    fixed = ["--scores", world.folder / "own", "--utt2spk", world.utt2spk, "--p-target", 0.5]
    status, output = avsv("operating-point", "--trials", world.folder / "plain", *fixed, world.folder / "o.json")
    assert status == 1 and "plain" in output and "labels" in output
    names = [line.split()[0] for line in world.utt2spk.read_text().splitlines()]
    (world.folder / "one").write_text("".join(f"{name} x\n" for name in names))
    status, output = own(utt2spk=world.folder / "one")
    assert status == 1 and "one" in output


def test_options_that_exclude_each_other_are_refused(own, world):
    assert own("--c-fa", 2, goal=("--false-acceptance", 0.1))[0] == 1
    assert own(goal=("--false-acceptance", 0.1, "--p-target", 0.1))[0] == 2
    assert own(goal=())[0] == 2
    assert own("--plot", world.folder / "plot.txt")[0] == 1
    assert own(goal=("--p-target", 1.5))[0] == 2


def test_another_domain_is_warned_of_and_recorded(own, world):
    status, _ = own("--domain", world.train, world.test)
    assert status == 1  # 40 recordings of unknown people are too few
    rng = np.random.default_rng(0)
    ids = [f"other{n}" for n in range(200)]
    far = rng.standard_normal((200, 12)) + 3
    write_embeddings(world.folder / "far.ark", world.folder / "far.scp", ids, far.astype(np.float32), "voice:1")
    status, output = own("--domain", world.train, world.folder / "far.scp")
    warnings = read_operating_point(world.folder / "point.json").warnings
    assert status == 0 and any("far.scp" in warning and warning in output for warning in warnings)


def test_scores_by_folds_of_the_same_trials_are_honest(own, avsv, world):
    folder = world.folder
    people = dict(line.split() for line in world.utt2spk.read_text().splitlines())
    fold = {person: number % 5 for number, person in enumerate(sorted(set(people.values())))}
    (folder / "folds").write_text("".join(f"{name} {fold[person]}\n" for name, person in people.items()))
    argv = ["--trials", world.train_trials, "--scores", folder / "train.cosine", "--folds", folder / "folds"]
    status, output = avsv("fuse", *argv, folder / "crossed")
    assert status == 0, output
    status, output = own(scores="crossed")
    assert status == 0 and "these very trials" not in output
