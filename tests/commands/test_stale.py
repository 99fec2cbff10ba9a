"""A command refuses a stale input, and runs once the input is remade."""

import numpy as np
import pytest

from avsv.jobs.explain import explain, steps
from avsv.kaldi.embeddings import read_embeddings, write_embeddings


def score(avsv, world, *more):
    return avsv("score", "--trials", world.trials, "--enroll", world.test, *more)


def other_vectors(scp):
    """Change the values of embeddings but not their names, offsets and sizes; the scp file stays the same."""
    before = scp.read_bytes()
    old = read_embeddings(scp)
    write_embeddings(scp.with_suffix(".ark"), scp, old.ids, old.vectors[::-1])
    assert scp.read_bytes() == before


@pytest.fixture
def experiment(world, avsv):
    """Scores exp/sys/scores/list.cosine of the trials lists/list."""
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
def test_scores_of_changed_embeddings_are_refused_until_they_are_remade(experiment, avsv, name):
    command = commands(experiment)[name]
    assert avsv(*command)[0] == 0
    other_vectors(experiment.test)
    status, output = avsv(*command)
    assert status == 1 and str(experiment.scores_file) in output and "test." in output, output
    assert score(avsv, experiment, experiment.scores_file)[0] == 0
    assert avsv(*command)[0] == 0


@pytest.mark.parametrize("name", ["calibrate", "evaluate", "report"])
def test_scores_of_changed_trials_are_refused(experiment, avsv, name):
    """The same pairs with other labels, which still match the score file."""
    lines = [line.split() for line in experiment.trials.read_text().splitlines()]
    experiment.trials.write_text(
        "".join(f"{a} {b} {'nontarget' if c == 'target' else 'target'}\n" for a, b, c in lines)
    )
    status, output = avsv(*commands(experiment)[name])
    assert status == 1 and str(experiment.trials) in output


def test_calibrated_scores_are_stale_if_the_embeddings_behind_them_changed(experiment, avsv):
    calibrated = experiment.scores_file.with_name("list.cosine_calibrated")
    assert avsv("calibrate", "--trials", experiment.trials, "--scores", experiment.scores_file, calibrated)[0] == 0
    other_vectors(experiment.test)
    assert score(avsv, experiment, experiment.scores_file)[0] == 0
    status, output = avsv(*commands(experiment)["report"])
    assert status == 1 and str(calibrated) in output


def test_a_back_end_trained_on_changed_embeddings_is_refused(experiment, avsv):
    speakers = np.unique([line.split()[0].split("-")[0] for line in experiment.train.read_text().splitlines()])
    assert len(speakers) > 2
    utt2spk = experiment.folder / "utt2spk"
    names = [line.split()[0] for line in experiment.train.read_text().splitlines()]
    utt2spk.write_text("".join(f"{name} {name.split('-')[0]}\n" for name in names))
    plda = experiment.folder / "back-end"
    assert avsv("plda", "--embeddings", experiment.train, "--utt2spk", utt2spk, plda)[0] == 0
    argv = ["--backend", "plda", "--plda", plda, experiment.folder / "p"]
    assert score(avsv, experiment, *argv)[0] == 0
    other_vectors(experiment.train)
    status, output = score(avsv, experiment, *argv)
    assert status == 1 and str(plda) in output
    assert score(avsv, experiment, "--plda", plda, experiment.folder / "p")[0] == 0  # the cosine ignores --plda


def test_other_files_in_the_folder_of_a_back_end_do_not_make_it_stale(experiment, avsv):
    names = [line.split()[0] for line in experiment.train.read_text().splitlines()]
    utt2spk = experiment.folder / "utt2spk"
    utt2spk.write_text("".join(f"{name} {name.split('-')[0]}\n" for name in names))
    folder = experiment.folder / "back-end"  # in Kaldi's recipes it also holds the embeddings
    assert avsv("plda", "--embeddings", experiment.train, "--utt2spk", utt2spk, folder)[0] == 0
    (folder / "xvector.1.ark").write_text("1")
    out = experiment.folder / "p"
    assert score(avsv, experiment, "--backend", "plda", "--plda", folder, out)[0] == 0
    (folder / "xvector.1.ark").write_text("other")
    assert avsv("evaluate", "--trials", experiment.trials, out)[0] == 0


OTHER = {"score": "drop", "normalize": "keep", "calibrate": "rest", "fuse": "rest"}  # values of --missing


@pytest.mark.parametrize("name", OTHER)
def test_current_scores_are_kept_and_changed_options_redo_them(experiment, avsv, name):
    score_again = ["score", "--trials", experiment.trials, "--enroll", experiment.test, experiment.scores_file]
    command = {**commands(experiment), "score": score_again}[name]
    assert avsv(*command)[0] == 0
    out = command[-1]
    before = out.stat()
    status, output = avsv(*command)
    assert status == 0 and str(out) in output
    assert (out.stat().st_ino, out.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert avsv(*command[:-1], "--missing", OTHER[name], out)[0] == 0
    assert out.stat().st_ino != before.st_ino


def test_scores_are_made_again_if_the_list_of_missing_recordings_is_removed(world, avsv):
    """Without the list, the scores that were filled in would count as scores of the system."""
    embeddings = read_embeddings(world.test)
    write_embeddings(world.test.with_suffix(".ark"), world.test, embeddings.ids[1:], embeddings.vectors[1:])
    out, missing = world.folder / "s", world.folder / "s.missing"
    assert score(avsv, world, "--missing", "0", out)[0] == 0
    listed, before = missing.read_text(), out.stat().st_ino
    assert listed == f"{embeddings.ids[0]}\n"
    assert score(avsv, world, "--missing", "0", out)[0] == 0
    assert out.stat().st_ino == before
    missing.unlink()
    assert score(avsv, world, "--missing", "0", out)[0] == 0
    assert missing.read_text() == listed
    assert score(avsv, world, "--missing", "0", out)[0] == 0
    assert missing.read_text() == listed


def test_the_order_of_the_scores_counts(world, avsv):
    """Without records of their models, only their order distinguishes the systems of a saved fusion."""
    score(avsv, world, world.folder / "a")
    lines = [line.split() for line in (world.folder / "a").read_text().splitlines()]
    (world.folder / "b").write_text("".join(f"{one} {other} {3 * float(x) ** 3}\n" for one, other, x in lines))
    scores = [world.folder / "a", world.folder / "b"]
    fuse = ["fuse", "--trials", world.trials, "--scores"]
    assert avsv(*fuse, *scores, world.folder / "model")[0] == 0
    outputs = []
    for order in (scores, scores[::-1]):
        assert avsv(*fuse, *order, "--model", world.folder / "model.json", world.folder / "f")[0] == 0
        outputs.append((world.folder / "f").read_bytes())
    assert outputs[0] != outputs[1]


def test_measures_in_a_file_are_explained(experiment, avsv):
    out = experiment.folder / "measures.json"
    evaluate = ["evaluate", "--resamples", "0", "--trials", experiment.trials, experiment.scores_file]
    assert avsv(*evaluate, "--json", out)[0] == 0
    assert [step.record.command for step in steps(explain(out)) if step.record] == ["evaluate", "score"]
