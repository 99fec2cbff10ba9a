"""avsv fuse."""

import json

import numpy as np
import pytest

from avsv.kaldi.origin import write_system
from avsv.kaldi.scores import read_scores, write_scores
from avsv.kaldi.tables import write_table
from avsv.kaldi.trials import read_trials
from avsv.scoring.cross_fitting import cross_fit


@pytest.fixture
def two(world):
    """Scores s1, s2 of two systems on the trials, and t1, t2 on the training trials: labels plus different noise."""
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


def test_mean_ignores_the_training_options_of_logistic(avsv, two):
    assert fuse(avsv, two, "--method", "mean", *training(two), two.folder / "f")[0] == 0


def test_logistic_fusion_is_better_than_either_system(avsv, two):
    assert fuse(avsv, two, "--method", "logistic", *training(two), two.folder / "f")[0] == 0
    assert eer(avsv, two, "f") < min(eer(avsv, two, "s1"), eer(avsv, two, "s2"))
    model = json.loads((two.folder / "f.json").read_text())
    (one,) = model["maps"]
    assert one["weights"][0] > one["weights"][1] > 0
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


@pytest.fixture
def lacking(two):
    """s1 has no line for the first ten trials; s2 has filled-in scores for one recording."""
    trials = read_trials(two.trials)
    scores = read_scores(two.folder / "s1", trials)
    write_scores(two.folder / "s1", trials.take(np.arange(len(trials)) >= 10), scores[10:])
    (two.folder / "s2.missing").write_text("test03-0\n")
    two.present = np.array([
        np.arange(len(trials)) >= 10, ["test03-0" not in trials[number] for number in range(len(trials))],
    ])  # fmt: skip
    two.columns = np.array([scores, read_scores(two.folder / "s2", trials)])
    return two


def test_each_set_of_systems_has_its_own_regression(avsv, lacking):
    status, output = fuse(avsv, lacking, *training(lacking), "--missing", "rest", lacking.folder / "f")
    assert status == 0
    maps = json.loads((lacking.folder / "f.json").read_text())["maps"]
    assert [one["present"] for one in maps] == [[True, True], [False, True], [True, False]]
    expected = np.zeros(len(lacking.present.T))
    for number, (present, scores) in enumerate(zip(lacking.present.T, lacking.columns.T)):
        for one in maps:
            if present.tolist() == one["present"]:
                expected[number] = scores[present] @ one["weights"] + one["offset"]
    assert lacking.scores("f") == pytest.approx(expected, rel=1e-4, abs=1e-4)
    alone = [(lacking.present[a] & ~lacking.present[b]).sum() for a, b in ((0, 1), (1, 0))]
    assert f"{lacking.present.all(axis=0).sum()} trials by s1+s2, {alone[1]} trials by s2 alone" in output
    assert f"{alone[0]} trials by s1 alone" in output


def test_a_system_alone_gets_the_scores_of_calibrate(avsv, lacking):
    fuse(avsv, lacking, *training(lacking), "--missing", "rest", lacking.folder / "f")
    scores = ["--scores", lacking.folder / "s2", "--train-trials", lacking.train_trials]
    argv = ["--trials", lacking.trials, *scores, "--train-scores", lacking.folder / "t2", lacking.folder / "c"]
    assert avsv("calibrate", *argv)[0] == 0
    alone = lacking.present[1] & ~lacking.present[0]
    assert lacking.scores("f")[alone] == pytest.approx(lacking.scores("c")[alone], abs=1e-5)


def test_scores_filled_in_by_score_are_absent(avsv, two):
    two.leave_out("test03-0", "test06-4")
    score = ["score", "--trials", two.trials, "--enroll", two.test, "--missing", "0", two.folder / "s2"]
    assert avsv(*score)[0] == 0
    trials = read_trials(two.trials)
    absent = np.array([bool({"test03-0", "test06-4"} & set(trials[number])) for number in range(len(trials))])
    assert fuse(avsv, two, "--method", "mean", "--missing", "rest", two.folder / "f")[0] == 0
    assert two.scores("f")[absent] == pytest.approx(two.scores("s1")[absent], abs=1e-6)
    assert (two.scores("f") != two.scores("s1"))[~absent].all()


def test_scores_of_a_model_without_any_embedding_are_absent(avsv, two):
    names = [f"test{person:02d}-0" for person in range(8)]
    (two.folder / "spk2utt").write_text("".join(f"model{n} {name}\n" for n, name in enumerate(names)))
    (two.folder / "trials").write_text("".join(f"model{n} test04-{n % 5} {'non' * (n != 4)}target\n" for n in range(8)))
    two.leave_out("test02-0")
    common = ["--trials", two.folder / "trials", "--missing"]
    models = ["--enroll", two.test, "--enroll-spk2utt", two.folder / "spk2utt"]
    assert avsv("score", *common, "0", *models, two.folder / "s")[0] == 0
    (two.folder / "s").write_text((two.folder / "s").read_text().replace("model2 test04-2 0", "model2 test04-2 5"))
    assert avsv("fuse", "--method", "mean", *common, "rest", "--scores", two.folder / "s", two.folder / "f")[0] == 0
    assert np.flatnonzero(two.scores("f") == 0).tolist() == [2]


def test_mean_is_over_the_scores_that_a_trial_has(avsv, lacking):
    status, _ = fuse(avsv, lacking, "--method", "mean", "--missing", "rest", lacking.folder / "f")
    assert status == 0
    expected = [
        column[present].mean() if present.any() else 0 for column, present in zip(lacking.columns.T, lacking.present.T)
    ]
    assert lacking.scores("f") == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_trial_without_a_map_for_its_systems_is_an_error(avsv, lacking):
    argv = ["--train-trials", lacking.train_trials, "--train-scores", lacking.folder / "t1", lacking.folder / "t2"]
    (lacking.folder / "s1").rename(lacking.folder / "kept")
    write_scores(lacking.folder / "s1", read_trials(lacking.trials), lacking.columns[0])
    assert fuse(avsv, lacking, *argv, lacking.folder / "m")[0] == 0
    (lacking.folder / "kept").rename(lacking.folder / "s1")
    model = ["--model", lacking.folder / "m.json", "--missing", "rest", lacking.folder / "f"]
    status, output = fuse(avsv, lacking, *model)
    assert status == 1
    assert "t1" in output and "rest" in output


def test_infinite_scores_of_opposite_signs_are_refused(avsv, two):
    trials = read_trials(two.trials)
    for name, sign in (("s1", 1), ("s2", -1)):
        scores = read_scores(two.folder / name, trials)
        scores[4] = sign * np.inf
        write_scores(two.folder / name, trials, scores)
    for method in ("mean", "logistic"):
        status, output = fuse(avsv, two, "--method", method, *training(two), two.folder / "f")
        assert status == 1
        assert " ".join(trials[4]) in output


def test_quality_needs_logistic_regression(avsv, two):
    status, output = fuse(avsv, two, "--method", "mean", "--quality", "q", two.folder / "f")
    assert status == 1
    assert "--quality" in output


@pytest.mark.parametrize("options", [["--method", "mean"], ["--model", "m.json"]])
def test_a_target_prior_needs_training(avsv, two, options):
    status, output = fuse(avsv, two, *options, "--p-target", "0.5", two.folder / "f")
    assert status == 1 and "--p-target" in output
    assert not (two.folder / "f").exists()


def test_quality_measures_are_features_beside_the_scores(avsv, two):
    for part in ("test", "train"):
        names = [line.split()[0] for line in (two.folder / f"{part}.utt2spk").read_text().splitlines()]
        (two.folder / f"{part}.utt2snr").write_text("".join(f"{n} {i % 7}\n" for i, n in enumerate(names)))
    tables = ["--quality", two.folder / "test.utt2snr", "--train-quality", two.folder / "train.utt2snr"]
    status, output = fuse(avsv, two, *training(two), *tables, two.folder / "f")
    assert status == 0
    assert f"{two.folder}/train.utt2snr" in output
    (one,) = json.loads((two.folder / "f.json").read_text())["maps"]
    assert len(one["weights"]) == 4


def test_unequal_numbers_of_systems_are_refused(avsv, two):
    argv = ["--train-trials", two.train_trials, "--train-scores", two.folder / "t1", two.folder / "f"]
    status, output = fuse(avsv, two, *argv)
    assert status == 1
    assert "2" in output and "1" in output


def test_a_trial_without_a_score_is_named(avsv, two):
    trials = read_trials(two.trials)
    write_scores(two.folder / "s2", trials.take(np.arange(len(trials)) > 0), read_scores(two.folder / "s2", trials)[1:])
    status, output = fuse(avsv, two, two.folder / "f")
    assert status == 1
    assert f"{two.folder / 's2'}: 1 of {len(trials)} trials" in output and " ".join(trials[0]) in output


def test_a_missing_out_is_a_usage_error(avsv, two):
    status, output = avsv("fuse", "--trials", two.trials, "--scores", two.folder / "s1")
    assert status == 2
    assert "OUT" in output


def test_folds_score_each_trial_by_a_model_without_them(avsv, two):
    trials = read_trials(two.trials)
    names = {*trials.enroll_ids, *trials.test_ids}
    folds = {name: name[:-2] for name in names}
    write_table(two.folder / "folds", folds)
    assert fuse(avsv, two, "--folds", two.folder / "folds", two.folder / "f")[0] == 0
    columns = np.stack([read_scores(two.folder / name, trials) for name in ("s1", "s2")], axis=1)
    assert two.scores("f") == pytest.approx(cross_fit(trials, columns, trials, columns, folds), abs=1e-4)
    assert fuse(avsv, two, two.folder / "all")[0] == 0
    models = [json.loads((two.folder / name).read_text())["maps"] for name in ("f.json", "all.json")]
    assert models[0] == models[1]  # OUT.json is trained on all
    write_table(two.folder / "folds", dict.fromkeys(names, "1"))
    status, output = fuse(avsv, two, "--folds", two.folder / "folds", two.folder / "f")
    assert status == 1 and "fold 1" in output
    assert fuse(avsv, two, "--folds", two.folder / "folds", "--method", "mean", two.folder / "f")[0] == 1


def test_a_model_scores_files_of_some_of_its_systems(avsv, two):
    for letter in "st":
        for number in "12":
            write_system(two.folder / f"{letter}{number}", f"voice:{number} cosine")
    assert fuse(avsv, two, "--missing", "rest", *training(two), two.folder / "f")[0] == 0
    one = ["fuse", "--trials", two.trials, "--scores", two.folder / "s2", "--model", two.folder / "f.json"]
    assert avsv(*one, "--missing", "rest", two.folder / "g")[0] == 0
    (alone,) = (m for m in json.loads((two.folder / "f.json").read_text())["maps"] if m["present"] == [False, True])
    assert two.scores("g") == pytest.approx(alone["weights"][0] * two.scores("s2") + alone["offset"], abs=1e-4)
    assert avsv(*one, two.folder / "g")[0] == 1
    write_system(two.folder / "s2", "voice:3 cosine")
    assert avsv(*one, "--missing", "rest", two.folder / "h")[0] == 1
