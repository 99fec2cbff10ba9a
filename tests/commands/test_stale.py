"""A command stops where what it reads is older than what that was made from, and goes on when it was made again."""

import numpy as np
import pytest

from avsv.kaldi.embeddings import read_embeddings, write_embeddings


def score(avsv, world, *more):
    return avsv("score", "--trials", world.trials, "--enroll", world.test, *more)


def other_vectors(scp):
    """The same clips, places and sizes, other values: the text of the scp file stays as it is."""
    before = scp.read_bytes()
    old = read_embeddings(scp)
    write_embeddings(scp.with_suffix(".ark"), scp, old.ids, old.vectors[::-1])
    assert scp.read_bytes() == before


@pytest.fixture
def experiment(world, avsv):
    """exp/sys/scores/list.cosine of trials/list."""
    (world.folder / "lists").mkdir()
    world.trials.rename(world.folder / "lists/list")
    world.trials = world.folder / "lists/list"
    world.scores_file = world.folder / "exp/sys/scores/list.cosine"
    assert score(avsv, world, world.scores_file)[0] == 0
    return world


def commands(world):
    scores, trials = world.scores_file, world.trials
    return {
        "normalize": ["normalize", "--method", "s-norm", "--trials", trials, "--scores", scores, "--enroll", world.test,
                      "--cohort", world.train, world.folder / "n"],
        "calibrate": ["calibrate", "--trials", trials, "--scores", scores, world.folder / "c"],
        "fuse": ["fuse", "--method", "mean", "--trials", trials, "--scores", scores, scores, world.folder / "f"],
        "evaluate": ["evaluate", "--resamples", "0", "--trials", trials, scores],
        "compare": ["compare", "--resamples", "0", "--trials", trials, f"a={scores}", f"b={scores}"],
        "report": ["report", "--resamples", "0", "--trials-dir", trials.parent, world.folder / "exp",
                   world.folder / "results"],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["normalize", "calibrate", "fuse", "evaluate", "compare", "report"])
def test_scores_of_other_embeddings_stop_it_until_they_are_made_again(experiment, avsv, name):
    command = commands(experiment)[name]
    assert avsv(*command)[0] == 0
    other_vectors(experiment.test)
    status, output = avsv(*command)
    assert status == 1 and str(experiment.scores_file) in output and "embedding" in output
    assert score(avsv, experiment, experiment.scores_file)[0] == 0
    assert avsv(*command)[0] == 0


@pytest.mark.parametrize("name", ["calibrate", "evaluate", "report"])
def test_scores_of_other_trials_stop_it(experiment, avsv, name):
    """The same pairs with other labels: the file of scores still fits."""
    lines = [line.split() for line in experiment.trials.read_text().splitlines()]
    experiment.trials.write_text(
        "".join(f"{a} {b} {'nontarget' if c == 'target' else 'target'}\n" for a, b, c in lines)
    )
    status, output = avsv(*commands(experiment)[name])
    assert status == 1 and str(experiment.trials) in output


def test_what_was_calibrated_is_as_old_as_what_it_was_made_from(experiment, avsv):
    calibrated = experiment.scores_file.with_name("list.cosine_calibrated")
    assert avsv("calibrate", "--trials", experiment.trials, "--scores", experiment.scores_file, calibrated)[0] == 0
    other_vectors(experiment.test)
    assert score(avsv, experiment, experiment.scores_file)[0] == 0
    status, output = avsv(*commands(experiment)["report"])
    assert status == 1 and str(calibrated) in output


def test_a_back_end_of_other_embeddings_is_refused(experiment, avsv):
    people = np.unique([line.split()[0].split("-")[0] for line in experiment.train.read_text().splitlines()])
    assert len(people) > 2
    utt2spk = experiment.folder / "people"
    names = [line.split()[0] for line in experiment.train.read_text().splitlines()]
    utt2spk.write_text("".join(f"{name} {name.split('-')[0]}\n" for name in names))
    plda = experiment.folder / "back-end"
    assert avsv("plda", "--embeddings", experiment.train, "--utt2spk", utt2spk, plda)[0] == 0
    argv = ["--backend", "plda", "--plda", plda, experiment.folder / "p"]
    assert score(avsv, experiment, *argv)[0] == 0
    other_vectors(experiment.train)
    status, output = score(avsv, experiment, *argv)
    assert status == 1 and str(plda) in output
    assert score(avsv, experiment, "--plda", plda, experiment.folder / "p")[0] == 0  # cosine does not use it


def test_what_else_lies_in_a_back_ends_folder_does_not_count(experiment, avsv):
    names = [line.split()[0] for line in experiment.train.read_text().splitlines()]
    utt2spk = experiment.folder / "people"
    utt2spk.write_text("".join(f"{name} {name.split('-')[0]}\n" for name in names))
    folder = experiment.folder / "back-end"  # of Kaldi's recipes it holds the embeddings too
    assert avsv("plda", "--embeddings", experiment.train, "--utt2spk", utt2spk, folder)[0] == 0
    (folder / "xvector.1.ark").write_text("1")
    out = experiment.folder / "p"
    assert score(avsv, experiment, "--backend", "plda", "--plda", folder, out)[0] == 0
    (folder / "xvector.1.ark").write_text("other")
    assert avsv("evaluate", "--trials", experiment.trials, out)[0] == 0
