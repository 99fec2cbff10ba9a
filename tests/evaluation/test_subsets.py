"""Subsets of the trials by tables, and their measures."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.measures import measure
from avsv.evaluation.subsets import Grouping, measure_subsets, read_grouping, read_groupings, subset_table
from avsv.kaldi.speakers import speakers_of
from avsv.kaldi.trials import Trials


def all_pairs(names):
    """All pairs of different recordings; the first letter of a recording is its speaker."""
    pairs = np.array([(i, j) for i in range(len(names)) for j in range(i)], np.int32)
    labels = np.array([names[i][0] == names[j][0] for i, j in pairs])
    return Trials(names, names, pairs, labels)


def write(path, table):
    path.write_text("".join(f"{key} {value}\n" for key, value in table.items()))
    return path


@pytest.fixture
def trials():
    return all_pairs([f"{speaker}{clip}" for speaker in "abcdef" for clip in range(4)])


def subsets_of(grouping):
    return [grouping.labels[number] for number in grouping.group]


def test_text_values_group_trials_by_unordered_pairs(tmp_path, trials):
    genders = dict(zip("abcdef", "fmfmfm", strict=True))
    table = write(tmp_path / "utt2gender", {name: genders[name[0]] for name in trials.enroll_ids})
    grouping = read_grouping(table, trials)
    expected = ["-".join(sorted(genders[name[0]] for name in trials[i])) for i in range(len(trials))]
    assert subsets_of(grouping) == expected
    assert grouping.labels == ["f-f", "f-m", "m-m"]


def test_a_table_of_speakers_is_read_through_utt2spk(tmp_path, trials):
    table = write(tmp_path / "spk2gender", dict(zip("abcdef", "fmfmfm", strict=True)))
    speakers = {name: name[0] for name in trials.enroll_ids}
    by_recording = write(tmp_path / "utt2gender", {name: "fm"["bdf".count(name[0])] for name in trials.enroll_ids})
    assert subsets_of(read_grouping(table, trials, speakers)) == subsets_of(
        read_grouping(by_recording, trials, speakers)
    )


def test_a_table_without_recordings_of_the_trials_is_refused(tmp_path, trials):
    table = write(tmp_path / "spk2gender", {"a": "f"})
    with pytest.raises(InputError, match=r'spk2gender: .*"a0".*utt2spk'):
        read_grouping(table, trials)


def test_recordings_outside_the_table_form_a_subset_and_are_counted(tmp_path, trials):
    table = write(tmp_path / "utt2lang", dict.fromkeys(trials.enroll_ids[:20], "en"))
    grouping = read_grouping(table, trials)
    assert grouping.labels == ["en-en", "unknown"]
    assert (grouping.group == 0).sum() == 20 * 19 / 2
    assert "4 of 24" in grouping.note


def test_numbers_are_split_at_the_quartiles_of_the_lower_side(tmp_path, trials):
    rng = np.random.default_rng(0)
    seconds = {name: f"{rng.uniform(1, 20):.3f}" for name in trials.enroll_ids}
    grouping = read_grouping(write(tmp_path / "utt2dur", seconds), trials)
    lower = np.array([min(float(seconds[name]) for name in trials[i]) for i in range(len(trials))])
    limits = np.quantile(lower, [0.25, 0.5, 0.75])
    assert grouping.group.tolist() == [int((value >= limits).sum()) for value in lower]
    assert grouping.labels[0] == f"below {limits[0]:.4g}"
    assert grouping.labels[3] == f"from {limits[2]:.4g} on"
    assert f"{limits[1]:.4g}" in grouping.note


def test_few_distinct_numbers_are_treated_as_text(tmp_path, trials):
    table = write(tmp_path / "utt2session", {name: name[1] for name in trials.enroll_ids})
    assert "0-3" in read_grouping(table, trials).labels


def test_numbers_stay_numbers_if_a_recording_is_missing(tmp_path, trials):
    table = write(tmp_path / "utt2dur", {name: i for i, name in enumerate(trials.enroll_ids[1:])})
    grouping = read_grouping(table, trials)
    assert grouping.labels[-1] == "unknown"
    assert (grouping.group == 4).sum() == 23
    assert len(grouping.labels) == 5


def test_equal_quartiles_give_one_limit(tmp_path, trials):
    values = dict.fromkeys(trials.enroll_ids, 5.0) | {name: i + 6 for i, name in enumerate(trials.enroll_ids[:9])}
    grouping = read_grouping(write(tmp_path / "utt2dur", values), trials)
    assert sorted(set(grouping.group.tolist())) == list(range(len(grouping.labels)))
    assert len(set(grouping.labels)) == len(grouping.labels)


def test_close_limits_are_written_with_more_digits(tmp_path, trials):
    values = {name: 100000 + i / 100 for i, name in enumerate(trials.enroll_ids)}
    grouping = read_grouping(write(tmp_path / "utt2x", values), trials)
    assert len(set(grouping.labels)) == 4


def test_with_many_values_unequal_pairs_form_one_subset(tmp_path, trials):
    table = write(tmp_path / "utt2nation", {name: f"n{i // 2}" for i, name in enumerate(trials.enroll_ids)})
    grouping = read_grouping(table, trials)
    assert set(grouping.labels) == {f"n{i}-n{i}" for i in range(12)} | {"different"}
    assert "12 values" in grouping.note


def test_values_with_a_hyphen_are_separated_by_a_slash(tmp_path, trials):
    values = ["x", "x-y", "y", "y-z"]
    table = write(tmp_path / "utt2x", {name: values[i % 4] for i, name in enumerate(trials.enroll_ids)})
    labels = read_grouping(table, trials).labels
    assert "x / y-z" in labels
    assert len(set(labels)) == len(labels) == 10


def test_too_many_subsets_are_refused(tmp_path):
    trials = all_pairs([f"a{i}" for i in range(402)])
    table = write(tmp_path / "utt2x", {name: f"v{i // 2}" for i, name in enumerate(trials.enroll_ids)})
    with pytest.raises(InputError, match=r"utt2x: .* 202"):
        read_grouping(table, trials)


def test_measures_of_a_subset_match_those_of_its_trials(trials):
    rng = np.random.default_rng(0)
    scores = rng.standard_normal(len(trials)) + 2 * trials.labels
    scores[5] = np.nan
    group = np.arange(len(trials)) % 2
    bootstrap = SpeakerBootstrap(speakers_of(trials), trials.labels, 50)
    rows = measure_subsets(scores, trials, Grouping("x", ["even", "odd"], group, ""), [0.05], bootstrap)
    for label, which in (("even", group == 0), ("odd", (group == 1) & ~np.isnan(scores))):
        expected = measure(scores[which], trials.labels[which], [0.05], bootstrap.take(which))
        assert rows[label] == expected
    assert rows["even"]["eer_ci95"] is not None


def test_undefined_measures_of_a_subset_are_dashes(trials):
    grouping = Grouping("x", ["same", "other"], (~trials.labels).astype(int), "by speaker")
    rows = {"s": measure_subsets(np.zeros(len(trials)), trials, grouping)}
    assert rows["s"]["same"]["eer_percent"] is None
    lines = subset_table("x", grouping, rows).splitlines()
    assert lines[0] == "x: by speaker"
    assert lines[2].split()[:3] == ["same", "-", "-"]
    assert lines[2].split()[-2:] == ["36", "0"]


def test_tables_with_the_same_file_name_are_named_by_path(tmp_path, trials):
    paths = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        paths.append(write(tmp_path / folder / "utt2x", dict.fromkeys(trials.enroll_ids, "v")))
    paths.append(write(tmp_path / "utt2y", dict.fromkeys(trials.enroll_ids, "v")))
    assert list(read_groupings(paths, trials)) == [str(paths[0]), str(paths[1]), "utt2y"]


def test_a_table_of_enrolment_models_divides_by_their_side_alone(tmp_path):
    trials = Trials(["m", "n", "o"], ["t", "u"], np.array([[0, 0], [1, 0], [1, 1], [2, 1]]))
    grouping = read_grouping(write(tmp_path / "num_enroll", {"m": 1, "n": 3}), trials)
    assert subsets_of(grouping) == ["1", "3", "3", "unknown"]
    assert "1 of 3 recordings" in grouping.note


def test_durations_of_test_recordings_divide_by_the_test_side_alone(tmp_path):
    tests = [f"t{number}" for number in range(8)]
    trials = Trials(["m"], tests, np.array([[0, number] for number in range(8)]))
    grouping = read_grouping(write(tmp_path / "utt2dur", {name: 1.5 * n for n, name in enumerate(tests)}), trials)
    assert [len(np.flatnonzero(grouping.group == number)) for number in range(4)] == [2, 2, 2, 2]
    assert len(grouping.labels) == 4
