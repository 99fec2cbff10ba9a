"""avsv report."""

import json

import pytest


@pytest.fixture
def experiment(avsv, world):
    """exp/voice and exp/face with scores of the list t, clean and noisy."""
    lists = world.folder / "trials"
    lists.mkdir()
    (lists / "t").write_text(world.trials.read_text())
    for system in ("voice", "face"):
        for condition in ("", "@noisy-0.6"):
            out = world.folder / "exp" / system / "scores" / f"t{condition}.cosine"
            assert avsv("score", "--trials", world.trials, "--enroll", world.test, out)[0] == 0
    argv = ["--trials", world.trials, "--scores", world.folder / "exp/voice/scores/t.cosine", "--enroll", world.test]
    out = world.folder / "exp/voice/scores/t.cosine_as-norm"
    assert avsv("normalize", "--method", "as-norm", *argv, "--cohort", world.train, out)[0] == 0
    return world


def report(avsv, world, *options):
    folders = [world.folder / "exp", world.folder / "exp" / "results"]
    return avsv("report", "--trials-dir", world.folder / "trials", *options, *folders)


def test_every_score_file_has_a_record_and_every_condition_a_table_and_a_plot(avsv, experiment):
    status, output = report(avsv, experiment)
    assert status == 0
    results = experiment.folder / "exp" / "results"
    records = json.loads((results / "results.json").read_text())
    assert [(r["system"], r["backend"], r["trials"], r["condition"]) for r in records] == [
        ("face", "cosine", "t", "clean"),
        ("voice", "cosine", "t", "clean"),
        ("voice", "cosine+as-norm", "t", "clean"),
        ("face", "cosine", "t", "noisy-0.6"),
        ("voice", "cosine", "t", "noisy-0.6"),
    ]
    assert {"eer_percent", "eer_ci95", "min_dcf", "act_dcf", "cllr", "min_cllr", "n_target"} <= set(records[0])
    text = (results / "results.md").read_text()
    assert text in output
    assert "## t, clean" in text
    assert "## t, noisy-0.6" in text
    assert sorted(path.name for path in results.glob("det_*")) == ["det_t@clean.svg", "det_t@noisy-0.6.svg"]
    assert (results / "index.html").read_text().startswith("<!doctype html>")


def test_priors_may_come_before_the_folders(avsv, experiment):
    assert report(avsv, experiment, "--p-target", "0.1", "0.5")[0] == 0
    assert "minDCF(0.5)" in (experiment.folder / "exp/results/results.md").read_text()


def test_subsets_and_a_reference_can_be_chosen(avsv, experiment):
    genders = experiment.folder / "spk2gender"
    genders.write_text(
        "".join(f"test{person:02d}-{clip} {'fm'[person % 2]}\n" for person in range(8) for clip in range(5))
    )
    assert report(avsv, experiment, "--by", genders, "--reference", "voice", "--resamples", "20")[0] == 0
    records = json.loads((experiment.folder / "exp/results/results.json").read_text())
    assert records[0]["reference"][0] == "voice"
    assert set(records[0]["subsets"]["spk2gender"]) == {"f-f", "f-m", "m-m"}


def test_the_rivals_of_the_headline_can_be_chosen(avsv, experiment):
    assert report(avsv, experiment, "--reference", "voice", "--rival", "face", "--resamples", "20")[0] == 0
    assert "best rival, face (cosine)" in (experiment.folder / "exp/results/index.html").read_text()
    status, output = report(avsv, experiment, "--reference", "voice", "--rival", "absent")
    assert status == 1 and "absent" in output.splitlines()[-1]


def test_damaged_scores_are_named(avsv, experiment):
    (experiment.folder / "exp/face/scores/t.cosine").write_text("test00-0 test00-1\n")
    status, output = report(avsv, experiment)
    assert status == 1
    assert 'exp/face/scores/t.cosine, line 1: expected "enroll test score"' in output
    assert "found 2 fields" in output


def test_nothing_to_report_is_an_error(avsv, experiment):
    lists = experiment.folder / "trials"
    assert avsv("report", "--trials-dir", experiment.folder / "nowhere", "a", "b")[0] == 1
    assert avsv("report", "--trials-dir", lists, "a", "b")[0] == 1
    assert avsv("report", "--trials-dir", lists, "a")[0] == 2
