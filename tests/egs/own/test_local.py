"""The scripts of egs/own on scores drawn from a known truth."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from avsv.kaldi.scores import write_scores
from avsv.kaldi.tables import write_table
from avsv.kaldi.trials import read_trials, write_trials
from avsv.people.trial_lists import Rules, draw_pairs, number_recordings

LOCAL = Path(__file__).resolve().parents[3] / "egs/own/local"
TRUTH = {f"{person}-{n}": person for person in "abcdefghij" for n in range(3)}


def call(script, *arguments):
    done = subprocess.run([sys.executable, LOCAL / script, *map(str, arguments)], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def own(tmp_path):
    """A data directory with two wrong labels and two recordings of unknown people, and scores of two systems."""
    data, exp, rng = tmp_path / "data", tmp_path / "exp", np.random.default_rng(0)
    truth = TRUTH | {"x": "c", "y": "somebody else"}
    labels = TRUTH | {"x": "x", "y": "y", "a-0": "b", "e-1": "f"}
    write_table(data / "utt2spk", labels)
    write_table(data / "wav.scp", {utt: f"/{utt}.wav" for utt in labels})
    write_table(data / "utt2file", {utt: f"{labels[utt]}/{utt} .wav" for utt in labels})
    write_table(data / "spk2name", {person: f"Mr {person}" for person in "abcdefghij"})
    write_table(data / "utt2labelled", {utt: "no" if utt in "xy" else "yes" for utt in labels})
    write_table(data / "utt2fold", labels)
    recordings = number_recordings(labels, "xy")
    for name, labelled in (("pairs", False), ("trials", True)):
        write_trials(data / name / "all", draw_pairs(recordings, Rules(), labelled))
    pairs, trials = (read_trials(data / name / "all") for name in ("pairs", "trials"))
    for system in ("voice", "face"):
        names = [pairs[n] for n in range(len(pairs))]
        drawn = {pair: (truth[pair[0]] == truth[pair[1]]) + 0.2 * rng.standard_normal() for pair in names}
        write_scores(exp / system / "own/pairs.cosine", pairs, np.array([drawn[pair] for pair in names]))
        scores = np.array([drawn[trials[n]] for n in range(len(trials))])
        write_scores(exp / system / "scores/all.cosine", trials, scores)
    ratios = [20.0 if truth[a] == truth[b] else -20.0 for a, b in names]
    write_scores(exp / "ratios", pairs, np.array(ratios))
    return tmp_path


def test_trusted_trials_have_no_wrong_label(own):
    command = ["trust_labels.py", own / "data", own / "exp", "voice", "face", own / "exp/labels/trusted"]
    assert call(*command)[0] == 0
    trusted, everything = read_trials(own / "exp/labels/trusted"), read_trials(own / "data/trials/all")
    wrong = {"a-0", "e-1"}
    expected = [everything[n] for n in range(len(everything)) if not {*everything[n]} & wrong]
    assert [trusted[n] for n in range(len(trusted))] == expected
    assert "made already" in call(*command)[1]


def test_the_report_names_wrong_labels_and_files_of_one_person(own):
    command = ["report_people.py", own / "data", own / "exp/ratios", own / "out"]
    status, output = call(*command)
    assert status == 0

    def rows(name):
        return list(csv.DictReader((own / "out" / name).read_text().splitlines(), dialect="excel-tab"))

    assert {(row["file"], row["label"], row["resembles"]) for row in rows("suspects.tsv")} == {
        ("b/a-0 .wav", "Mr b", "Mr a"), ("f/e-1 .wav", "Mr f", "Mr e"),
    }  # fmt: skip
    groups = {}
    for row in rows("same_person.tsv"):
        groups.setdefault(row["group"], set()).add(row["name"])
    assert sorted(groups.values(), key=sorted) == [{"Mr a", "b/a-0 .wav"}, {"Mr c", "x/x .wav"}, {"Mr e", "f/e-1 .wav"}]
    assert "y/y .wav" not in output and "Mr c" in output
    assert "made already" in call(*command)[1]


def test_scores_of_other_pairs_are_refused(own):
    write_table(own / "data/utt2spk", {"a-0": "a"})
    write_table(own / "data/wav.scp", {"a-0": "/a.wav"})
    status, output = call("report_people.py", own / "data", own / "exp/ratios", own / "out")
    assert status == 1 and "report_people.py: " in output
