"""avsv compare."""

import json

import numpy as np
import pytest

HEAD = "list\tsystem\teer_percent\tsource\n"


@pytest.fixture
def two(avsv, world, monkeypatch):
    """A folder with trials, scores `s`, and `worse`, the same with noise."""
    monkeypatch.chdir(world.folder)
    assert avsv("score", "--trials", "test.trials", "--enroll", world.test, "s")[0] == 0
    rng = np.random.default_rng(0)
    lines = [line.split() for line in (world.folder / "s").read_text().splitlines()]
    noisy = [f"{one} {other} {float(score) + 0.5 * rng.standard_normal()}\n" for one, other, score in lines]
    (world.folder / "worse").write_text("".join(noisy))
    return world.folder


def test_json_and_markdown_hold_the_comparison(avsv, two):
    argv = ["--trials", "test.trials", "--json", "j", "--markdown", "out/m.md", "ours=s", "theirs=worse"]
    status, output = avsv("compare", *argv)
    assert status == 0
    found = json.loads((two / "j").read_text())
    ours, theirs = found["systems"]
    assert (ours["system"], ours["scores"], theirs["system"], theirs["scores"]) == ("ours", "s", "theirs", "worse")
    assert theirs["against_reference"]["eer_percent"]["difference"] > 0
    text = (two / "out/m.md").read_text()
    for shown in (output, text):
        assert f"{theirs['against_reference']['eer_percent']['difference']:+.2f}" in shown
        assert "ours" in shown


def test_measures_are_those_of_evaluate(avsv, two):
    assert avsv("compare", "--trials", "test.trials", "--json", "j", "a=worse")[0] == 0
    assert avsv("evaluate", "--trials", "test.trials", "--json", "e", "worse")[0] == 0
    (row,) = json.loads((two / "j").read_text())["systems"]
    assert row["measures"] == json.loads((two / "e").read_text())["worse"]


def test_reference_and_priors_can_be_chosen(avsv, two):
    argv = ["--trials", "test.trials", "--json", "j", "--reference", "b", "a=s", "--p-target", "0.1", "b=worse"]
    assert avsv("compare", *argv)[0] == 0
    one, other = json.loads((two / "j").read_text())["systems"]
    assert list(one["against_reference"]["min_dcf"]) == ["0.1"]
    assert other["against_reference"] is None


def test_published_figures_of_the_list_are_shown_and_others_counted(avsv, two):
    (two / "p").write_text(HEAD + "test.trials\ta\t0.98\tWriter 2020\nvox1-E\ta\t1.21\tWriter 2021\n")
    status, output = avsv("compare", "--trials", "test.trials", "--published", "p", "--json", "j", "a=s")
    assert status == 0
    assert "0.98 [1]" in output
    assert "Writer 2021" not in output
    assert "p: 1 of 2" in output and "vox1-E" in output
    (figure,) = json.loads((two / "j").read_text())["published"]
    assert (figure["system"], figure["eer_percent"], figure["source"]) == ("a", 0.98, "Writer 2020")
    _, output = avsv("compare", "--trials", "test.trials", "--published", "p", "--list", "vox1-E", "a=s")
    assert "1.21 [1]" in output


def test_speakers_are_read_from_utt2spk(avsv, two):
    status, output = avsv("compare", "--trials", "test.trials", "--utt2spk", "test.utt2spk", "--resamples", "50", "a=s")
    assert status == 0
    assert "8 speakers" in output and "50 resamples" in output


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["s"], 2, '"s"'),
        (["=s"], 2, '"=s"'),
        (["a="], 2, '"a="'),
        ([], 2, "NAME=SCORES"),
        (["a=s", "a=t"], 2, '"a"'),
        (["--reference", "c", "a=s"], 2, '"c"'),
        (["a=nowhere"], 1, "nowhere: "),
        (["a=fewer"], 1, "fewer: 1 of 2"),
        (["a=more"], 1, "more: 1 of 3"),
        (["a=s", "--published", "s"], 1, "s, line 1: "),
        (["--trials", "same", "a=s"], 1, "same: "),
    ],
)
def test_wrong_input_is_refused(avsv, tmp_path, monkeypatch, argv, status, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t").write_text("a b target\nc d nontarget\n")
    (tmp_path / "same").write_text("a b target\nc d target\n")
    (tmp_path / "s").write_text("a b 1\nc d 0\n")
    (tmp_path / "fewer").write_text("a b 1\n")
    (tmp_path / "more").write_text("a b 1\nc d 0\ne f 0\n")
    actual, output = avsv("compare", *(argv if "--trials" in argv else ["--trials", "t", *argv]))
    assert actual == status
    assert message in output
