"""Groups of test people for domain adaptation: even, by gender, and with trials only inside a group."""

import pytest

from avsv.kaldi.tables import read_table, write_table
from avsv.kaldi.trials import read_trials
from tests.egs.voxceleb.scripts import prepare


@pytest.fixture
def data(tmp_path):
    """Four men and four women with two clips each, and all pairs of clips as trials."""
    people = [f"{gender}{n}" for gender in "mf" for n in range(4)]
    names = [f"{person}-{clip}" for person in people for clip in "ab"]
    write_table(tmp_path / "wav.scp", {name: f"{name}.wav" for name in names})
    write_table(tmp_path / "utt2spk", {name: name[:2] for name in names})
    write_table(tmp_path / "spk2gender", {person: person[0] for person in people})
    (tmp_path / "trials").mkdir()
    lines = [f"{a} {b} {'target' if a[:2] == b[:2] else 'nontarget'}\n" for a in names for b in names if a < b]
    (tmp_path / "trials" / "all").write_text("".join(lines))
    return tmp_path


@pytest.mark.parametrize("folds", [2, 4])
def test_groups_are_even_by_gender_and_hold_whole_people(data, folds):
    assert prepare("split_test_people.py", "--folds", folds, data)[0] == 0
    fold_of = read_table(data / "utt2fold")
    groups = {}
    for utt, fold in fold_of.items():
        groups.setdefault(fold, set()).add(utt[:2])
    assert len(groups) == folds and sum(map(len, groups.values())) == 8
    for people in groups.values():
        assert sum(person[0] == "m" for person in people) == sum(person[0] == "f" for person in people) == 4 // folds


def test_all_targets_and_the_nontargets_within_groups_are_left(data):
    before = {tuple(line.split()) for line in (data / "trials/all").read_text().splitlines()}
    assert prepare("split_test_people.py", data)[0] == 0
    fold_of = read_table(data / "utt2fold")
    after = {tuple(line.split()) for line in (data / "trials/all").read_text().splitlines()}
    assert after == {(a, b, label) for a, b, label in before if fold_of[a] == fold_of[b]}
    trials = read_trials(data / "trials/all")
    assert trials.labels.sum() == 8 and len(trials) == 8 + 2 * (4 * 3 // 2) * 4


def test_a_second_call_changes_nothing(data):
    prepare("split_test_people.py", data)
    before = {name: (data / name).read_bytes() for name in ("utt2fold", "trials/all")}
    assert prepare("split_test_people.py", data)[0] == 0
    assert before == {name: (data / name).read_bytes() for name in before}


def test_too_few_people_unknown_recordings_and_lists_without_nontargets_are_refused(data):
    everything = (data / "trials/all").read_text()
    status, output = prepare("split_test_people.py", "--folds", 5, data)
    assert status == 1 and "8 people" in output
    (data / "trials/other").write_text("m0-a x-b nontarget\n")
    status, output = prepare("split_test_people.py", data)
    assert status == 1 and "trials/other" in output and "x-b" in output
    (data / "trials/other").write_text("m0-a m0-b target\n")
    status, output = prepare("split_test_people.py", data)
    assert status == 1 and "trials/other" in output
    assert (data / "trials/all").read_text() == everything and not (data / "utt2fold").exists()
