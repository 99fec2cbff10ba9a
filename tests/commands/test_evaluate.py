"""avsv evaluate."""

import csv
import json

import numpy as np
import pytest

from avsv.kaldi.embeddings import write_embeddings


@pytest.fixture
def scored(avsv, world):
    assert avsv("score", "--trials", world.trials, "--enroll", world.test, world.folder / "s")[0] == 0
    return world


def test_json_has_an_entry_for_each_file_as_given(avsv, scored, monkeypatch):
    monkeypatch.chdir(scored.folder)
    status, output = avsv("evaluate", "--trials", "test.trials", "--json", "out/e.json", "s", "./s")
    assert status == 0
    found = json.loads((scored.folder / "out/e.json").read_text())
    assert list(found) == ["s", "./s"]
    assert found["s"] == found["./s"]
    assert found["s"]["eer_ci95"][0] <= found["s"]["eer_percent"] <= found["s"]["eer_ci95"][1]
    assert "minDCF(0.01)" in output
    assert f"{found['s']['eer_percent']:.2f}" in output


def test_score_files_may_follow_the_priors(avsv, scored):
    scores, out = scored.folder / "s", scored.folder / "j"
    for argv in (["--p-target", "0.1", "0.2", scores], [scores, "--p-target", "0.1", "0.2"]):
        assert avsv("evaluate", "--trials", scored.trials, "--json", out, *argv)[0] == 0
        assert list(json.loads(out.read_text())[str(scores)]["act_dcf"]) == ["0.1", "0.2"]


def test_intervals_can_be_left_out(avsv, scored):
    argv = ["--trials", scored.trials, "--resamples", "0", "--json", scored.folder / "j", scored.folder / "s"]
    assert avsv("evaluate", *argv)[0] == 0
    assert next(iter(json.loads((scored.folder / "j").read_text()).values()))["eer_ci95"] is None


def test_speakers_are_read_from_utt2spk(avsv, scored):
    argv = ["evaluate", "--trials", scored.trials, "--utt2spk", scored.folder / "test.utt2spk", scored.folder / "s"]
    assert avsv(*argv)[0] == 0
    (scored.folder / "test.utt2spk").write_text("a b\n")
    status, output = avsv(*argv)
    assert status == 1
    assert "test.utt2spk: " in output


def test_missing_scores_stop_or_are_counted(avsv, scored):
    lines = (scored.folder / "s").read_text().splitlines()
    (scored.folder / "s").write_text("\n".join(lines[2:]) + "\n")
    argv = ["evaluate", "--trials", scored.trials, "--json", scored.folder / "j"]
    status, output = avsv(*argv, scored.folder / "s")
    assert status == 1
    assert f"2 of {len(lines)} trials" in output
    status, output = avsv(*argv, "--missing", "drop", scored.folder / "s")
    assert status == 0
    assert f"2 of {len(lines)} trials" in output
    (found,) = json.loads((scored.folder / "j").read_text()).values()
    assert found["n_missing"] == 2
    assert found["n_target"] + found["n_nontarget"] == len(lines) - 2


def test_score_files_may_follow_the_false_match_rates(avsv, scored, monkeypatch):
    monkeypatch.chdir(scored.folder)
    argv = ["--trials", "test.trials", "--json", "j", "--fmr", "0.1", "s", "--p-target", "0.2", "./s"]
    status, output = avsv("evaluate", *argv)
    assert status == 0
    found = json.loads((scored.folder / "j").read_text())
    assert list(found) == ["s", "./s"]
    assert list(found["s"]["fnmr_at_fmr"]) == ["0.1"]
    assert "FNMR(0.1)" in output


def test_subsets_are_printed_and_in_the_json(avsv, scored, monkeypatch):
    monkeypatch.chdir(scored.folder)
    genders = [f"test{person:02d} {'fm'[person % 2]}\n" for person in range(8)]
    (scored.folder / "spk2gender").write_text("".join(genders))
    argv = ["--trials", "test.trials", "--utt2spk", "test.utt2spk", "--by", "spk2gender", "--json", "j", "s"]
    status, output = avsv("evaluate", *argv)
    assert status == 0
    (found,) = json.loads((scored.folder / "j").read_text()).values()
    subsets = found["subsets"]["spk2gender"]
    assert list(subsets) == ["f-f", "f-m", "m-m"]
    assert sum(row["n_nontarget"] for row in subsets.values()) == found["n_nontarget"]
    assert subsets["f-m"]["eer_percent"] is None
    assert subsets["f-f"]["eer_ci95"] is not None
    assert "spk2gender: " in output
    assert f"{subsets['m-m']['eer_percent']:.2f}" in output


def test_roc_points_are_written(avsv, scored, monkeypatch):
    monkeypatch.chdir(scored.folder)
    assert avsv("evaluate", "--trials", "test.trials", "--resamples", "0", "--roc", "out/roc.tsv", "s")[0] == 0
    head, first, *_, last = (scored.folder / "out/roc.tsv").read_text().splitlines()
    assert head.split("\t") == ["scores", "threshold", "fpr", "fnr"]
    assert first.split("\t")[2:] == ["1", "0"]
    assert last == "s\tinf\t0\t1"


def test_trials_of_one_class_have_null_rates(avsv, tmp_path):
    (tmp_path / "t").write_text("a b target\nc d target\n")
    (tmp_path / "s").write_text("a b 1\nc d 2\n")
    status, output = avsv("evaluate", "--trials", tmp_path / "t", "--json", tmp_path / "j", tmp_path / "s")
    assert status == 0
    assert f"{tmp_path}/t: " in output
    (found,) = json.loads((tmp_path / "j").read_text()).values()
    assert found["eer_percent"] is found["eer_ci95"] is found["min_dcf"]["0.01"] is found["cllr"] is None
    assert found["n_target"] == 2


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["--trials", "u", "s"], 1, "u: "),
        (["--trials", "nowhere", "s"], 1, "nowhere: "),
        (["--trials", "empty", "s"], 1, "empty: "),
        (["--trials", "t", "nowhere"], 1, "nowhere: "),
        (["--trials", "t"], 2, "SCORES"),
        (["--trials", "t", "--p-target", "s"], 2, '"s"'),
        (["--trials", "t", "--resamples", "-1", "s"], 2, '"-1"'),
        (["--trials", "t", "--fmr", "0", "s"], 2, '"0"'),
        (["--trials", "t", "--by", "nowhere", "s"], 1, "nowhere: "),
        (["--trials", "t", "--by", "s", "s"], 1, "s, line 1: "),
        (["--trials", "t", "--by", "u", "s"], 1, "u: "),
        (["--trials", "t", "--p-target", "1.5", "s"], 2, '"1.5"'),
    ],
)
def test_wrong_input_is_refused(avsv, tmp_path, monkeypatch, argv, status, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t").write_text("a b target\nc d nontarget\n")
    (tmp_path / "u").write_text("x y\n")
    (tmp_path / "empty").write_text("")
    (tmp_path / "s").write_text("a b 1\nc d 0\n")
    actual, output = avsv("evaluate", *argv)
    assert actual == status
    assert message in output


def test_published_nsc_embeddings_give_the_published_error_rates(avsv, real_data, tmp_path):
    archive = np.load(real_data / "nsc" / "embeddings.npz")
    for kind, rates in (("ecapa", (1.67, 2.94, 8.00)), ("xvect", (4.89, 6.72, 14.49))):
        write_embeddings(tmp_path / "e.ark", tmp_path / "e.scp", [str(key) for key in archive["keys"]], archive[kind])
        for part, expected in enumerate(rates, 1):
            with open(real_data / "nsc" / f"pt{part}_trials.csv", encoding="utf-8") as table:
                rows = list(csv.DictReader(table))
            name = f"nsc{part}/{{}} nsc{part}/{{}} {{}}\n"
            labels = {"1": "target", "0": "nontarget"}
            lines = [name.format(row["utt1"][:-4], row["utt2"][:-4], labels[row["label"]]) for row in rows]
            (tmp_path / "t").write_text("".join(lines))
            assert avsv("score", "--trials", tmp_path / "t", "--enroll", tmp_path / "e.scp", tmp_path / "s")[0] == 0
            argv = ["--trials", tmp_path / "t", "--resamples", "0", "--json", tmp_path / "j", tmp_path / "s"]
            assert avsv("evaluate", *argv)[0] == 0
            (found,) = json.loads((tmp_path / "j").read_text()).values()
            assert found["eer_percent"] == pytest.approx(expected, abs=0.06)


def write_direction(folder, sign, n=2000, seed=0):
    """Trials and scores with targets 2.5 standard deviations above (sign 1) or below (-1) the nontargets."""
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.1
    scores = sign * 2.5 * labels + rng.standard_normal(n)
    names = [f"a{number % 40} b{number}" for number in range(n)]
    kinds = np.where(labels, "target", "nontarget")
    (folder / "t").write_text("".join(f"{name} {kind}\n" for name, kind in zip(names, kinds)))
    (folder / "s").write_text("".join(f"{name} {score:.4f}\n" for name, score in zip(names, scores)))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("verb", ["evaluate", "compare", "report", "calibrate", "fuse", "mean"])
def test_every_command_that_reads_scores_warns_if_they_are_reversed(avsv, tmp_path, verb, sign):
    write_direction(tmp_path, sign)
    trials = ["--trials", tmp_path / "t"]
    if verb == "report":
        (tmp_path / "exp" / "a" / "scores").mkdir(parents=True)
        (tmp_path / "s").rename(tmp_path / "exp" / "a" / "scores" / "t.cosine")
        (tmp_path / "lists").mkdir()
        (tmp_path / "t").rename(tmp_path / "lists" / "t")
    status, output = avsv(*{
        "evaluate": ["evaluate", *trials, "--resamples", 0, tmp_path / "s"],
        "compare": ["compare", *trials, "--resamples", 0, f"a={tmp_path / 's'}"],
        "report": ["report", "--trials-dir", tmp_path / "lists", "--resamples", 0, tmp_path / "exp", tmp_path / "out"],
        "calibrate": ["calibrate", *trials, "--scores", tmp_path / "s", tmp_path / "c"],
        "fuse": ["fuse", *trials, "--scores", tmp_path / "s", tmp_path / "s", tmp_path / "f"],
        "mean": ["fuse", "--method", "mean", *trials, "--scores", tmp_path / "s", tmp_path / "s", tmp_path / "f"],
    }[verb])  # fmt: skip
    assert status == 0, output
    assert ("distances" in output) == (sign == -1)


def test_chance_scores_rarely_look_reversed(avsv, tmp_path):
    warned = []
    for seed in range(20):
        write_direction(tmp_path, 0, 300, seed)
        warned.append("distances" in avsv("evaluate", "--trials", tmp_path / "t", "--resamples", 0, tmp_path / "s")[1])
    assert sum(warned) <= 7  # one in six lies more than one deviation on this side
