"""avsv calibrate."""

import json
import re

import numpy as np
import pytest

from avsv.kaldi.scores import write_scores
from avsv.kaldi.trials import read_trials


@pytest.fixture
def scored(world):
    """Scores s of the trials and t of the training trials, with an offset of 5 and twice the correct scale."""
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


def test_training_on_other_speakers_calibrates(avsv, scored):
    training = ["--train-trials", scored.train_trials, "--train-scores", scored.folder / "t", "--p-target", "0.1"]
    status, output = calibrate(avsv, scored, *training)
    assert status == 0
    assert "log-likelihood ratio = +0.5" in output
    before, after = measures(avsv, scored, "s"), measures(avsv, scored, "c")
    assert after["eer_percent"] == pytest.approx(before["eer_percent"], abs=1e-9)
    assert after["cllr"] < before["cllr"]
    assert after["cllr"] < after["min_cllr"] + 0.3


def test_saved_model_gives_the_same_scores(avsv, scored):
    training = ["--train-trials", scored.train_trials, "--train-scores", scored.folder / "t"]
    calibrate(avsv, scored, *training)
    expected = scored.scores("c")
    model = json.loads((scored.folder / "c.json").read_text())
    (weight,), offset = model["maps"][0]["weights"], model["maps"][0]["offset"]
    assert expected == pytest.approx(weight * scored.scores("s") + offset, rel=1e-4, abs=1e-5)
    (scored.folder / "c.json").rename(scored.folder / "m.json")
    assert calibrate(avsv, scored, "--model", scored.folder / "m.json")[0] == 0
    assert np.array_equal(scored.scores("c"), expected)


def test_a_model_in_the_former_format_of_one_map_is_applied(avsv, scored):
    old = {"weights": [0.5], "offset": -2.0, "target_prior": 0.01, "systems": ["t"]}
    (scored.folder / "m.json").write_text(json.dumps(old))
    assert calibrate(avsv, scored, "--model", scored.folder / "m.json")[0] == 0
    assert scored.scores("c") == pytest.approx(0.5 * scored.scores("s") - 2, abs=1e-5)


@pytest.fixture
def shifted(scored):
    """Scores grow with the logarithm of the shorter recording's duration."""
    for part, name, seed in (("test", "s", 2), ("train", "t", 3)):
        trials, rng = read_trials(scored.folder / f"{part}.trials"), np.random.default_rng(seed)
        durations = {
            line.split()[0]: float(np.exp(rng.uniform(0, 4)))
            for line in (scored.folder / f"{part}.utt2spk").read_text().splitlines()
        }
        (scored.folder / f"{part}.utt2dur").write_text("".join(f"{u} {d:.4f}\n" for u, d in durations.items()))
        shorter = [min(map(durations.get, trials[number])) for number in range(len(trials))]
        ratio = 4 * trials.labels - 2 + 2 * rng.standard_normal(len(trials))
        write_scores(scored.folder / name, trials, ratio + 3 * np.log(shorter))
    return scored


def with_training(world):
    return ["--train-trials", world.train_trials, "--train-scores", world.folder / "t", "--p-target", "0.1"]


def durations(world):
    return ["--quality", f"log:{world.folder}/test.utt2dur", "--train-quality", f"log:{world.folder}/train.utt2dur"]


def test_quality_measures_compensate_for_the_influence_of_duration(avsv, shifted):
    assert calibrate(avsv, shifted, *with_training(shifted))[0] == 0
    without = measures(avsv, shifted, "c")
    assert calibrate(avsv, shifted, *with_training(shifted), *durations(shifted))[0] == 0
    assert measures(avsv, shifted, "c")["cllr"] < 0.8 * without["cllr"]
    (one,) = json.loads((shifted.folder / "c.json").read_text())["maps"]
    score, lower, higher = one["weights"]
    assert lower == pytest.approx(-3 * score, rel=0.25)  # compensates for the shorter recording
    assert abs(higher) < 0.3 * abs(lower)


def test_one_table_serves_both_lists_and_logarithms_must_agree(avsv, shifted):
    both = shifted.folder / "both.utt2dur"
    both.write_text("".join((shifted.folder / f"{part}.utt2dur").read_text() for part in ("test", "train")))
    assert calibrate(avsv, shifted, *with_training(shifted), *durations(shifted))[0] == 0
    expected = shifted.scores("c")
    assert calibrate(avsv, shifted, *with_training(shifted), "--quality", f"log:{both}")[0] == 0
    assert np.array_equal(shifted.scores("c"), expected)
    tables = ["--quality", both, "--train-quality", f"log:{both}"]
    status, output = calibrate(avsv, shifted, *with_training(shifted), *tables)
    assert status == 1
    assert "--train-quality" in output


def test_a_model_with_quality_measures_needs_their_tables(avsv, shifted):
    calibrate(avsv, shifted, *with_training(shifted), *durations(shifted))
    expected = shifted.scores("c")
    (shifted.folder / "c.json").rename(shifted.folder / "m.json")
    model = ["--model", shifted.folder / "m.json"]
    assert calibrate(avsv, shifted, *model, "--quality", f"log:{shifted.folder}/test.utt2dur")[0] == 0
    assert np.array_equal(shifted.scores("c"), expected)
    for options in ([], ["--quality", shifted.folder / "test.utt2dur"]):
        status, output = calibrate(avsv, shifted, *model, *options)
        assert status == 1
        assert f"{shifted.folder}/train.utt2dur" in output


def test_a_recording_without_a_quality_value_is_named_or_gets_the_median(avsv, shifted):
    table = shifted.folder / "test.utt2dur"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(line for line in lines if not line.startswith("test03-1")) + "\n")
    status, output = calibrate(avsv, shifted, *with_training(shifted), *durations(shifted))
    assert status == 1
    assert "test.utt2dur: " in output and "test03-1" in output
    status, output = calibrate(avsv, shifted, *with_training(shifted), *durations(shifted), "--missing", "rest")
    assert status == 0
    assert re.search(r"test\.utt2dur: .*\b1\b", output)


def test_trials_without_a_score_get_zero_with_rest(avsv, scored):
    training = with_training(scored)
    assert calibrate(avsv, scored, *training)[0] == 0
    expected = scored.scores("c")
    lines = (scored.folder / "s").read_text().splitlines()
    listed = np.array([bool({"test02-0", "test05-3"} & set(line.split()[:2])) for line in lines])
    (scored.folder / "s.missing").write_text("test02-0\ntest05-3\n")
    status, output = calibrate(avsv, scored, *training)
    assert status == 0
    assert np.array_equal(scored.scores("c"), expected)
    assert f"{listed.sum()} scores" in output and f"{scored.folder}/s.missing" in output

    (scored.folder / "s").write_text("\n".join(lines[1:]) + "\n")
    listed[0] = True
    status, output = calibrate(avsv, scored, *training, "--missing", "rest")
    assert status == 0
    assert scored.scores("c") == pytest.approx(np.where(listed, 0, expected), abs=1e-5)
    assert f"{(~listed).sum()} trials by s, {listed.sum()} trials" in output


def test_training_on_the_test_trials_gives_a_warning(avsv, scored):
    status, output = calibrate(avsv, scored)
    assert status == 0
    assert "trained on the trials it is applied to" in output


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--train-trials", "x"], 1, "--train-scores"),
        (["--train-trials", "x", "--train-scores", "y", "--model", "m"], 1, "--model"),
        (["--model", "nowhere"], 1, "nowhere: "),
        (["--train-quality", "q"], 1, "--train-quality"),
        (["--quality", "nowhere"], 1, "nowhere: "),
        (["--p-target", "1"], 2, '"1"'),
    ],
)
def test_wrong_options_are_refused(avsv, scored, options, status, message):
    actual, output = calibrate(avsv, scored, *options)
    assert actual == status
    assert message in output


def test_trials_of_one_class_are_refused(avsv, scored):
    scored.trials.write_text("test00-0 test00-1 target\n")
    (scored.folder / "s").write_text("test00-0 test00-1 1\n")
    status, output = calibrate(avsv, scored)
    assert status == 1
    assert f"{scored.trials}: " in output
