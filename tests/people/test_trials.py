"""avsv trials: pairs, samples, rules and enrolment models, checked against a plain loop."""

from itertools import combinations

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.kaldi.tables import read_table, write_table
from avsv.kaldi.trials import read_trials
from avsv.people import trial_lists
from avsv.people.trial_lists import Rules, draw_models, draw_pairs, number_recordings

UTT2SPK = {f"{spk}-{n}": spk for spk in ("ada", "bob", "cleo", "dan") for n in range(4)}
SESSIONS = {utt: f"{utt[:-1]}{int(utt[-1]) // 2}" for utt in UTT2SPK if utt != "dan-3"}
GENDERS = {utt: "f" if spk in ("ada", "cleo") else "m" for utt, spk in UTT2SPK.items() if spk != "dan"}


def recordings():
    return number_recordings(UTT2SPK, ["dan-0"], SESSIONS, GENDERS)


def listed(trials):
    return {(*trials[n], bool(trials.labels[n])) for n in range(len(trials))}


def expected(across=False, same_gender=False):
    pairs = set()
    for one, other in combinations([utt for utt in UTT2SPK if utt != "dan-0"], 2):
        same = UTT2SPK[one] == UTT2SPK[other]
        if across and one in SESSIONS and SESSIONS[one] == SESSIONS.get(other):
            continue
        if same_gender and not same and (one not in GENDERS or GENDERS[one] != GENDERS.get(other)):
            continue
        pairs.add((one, other, same))
    return pairs


@pytest.mark.parametrize("rules", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("most", [10**9, 0])
def test_all_pairs_that_the_rules_admit_are_listed(rules, most, monkeypatch):
    monkeypatch.setattr(trial_lists, "MOST", most)
    trials = draw_pairs(recordings(), Rules(*rules), sample=None if most else 1000)
    assert listed(trials) == expected(*rules) and len(listed(trials)) == len(trials)


@pytest.mark.parametrize("most", [10**9, 0])
def test_a_sample_has_so_many_trials_of_each_kind_and_depends_on_the_seed(most, monkeypatch):
    monkeypatch.setattr(trial_lists, "MOST", most)
    samples = [listed(draw_pairs(recordings(), Rules(), sample=9, seed=seed)) for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2] and samples[0] <= expected()
    assert [sum(label for *_, label in sample) for sample in samples] == [9] * 3
    assert all(len(sample) == 18 for sample in samples)


def test_a_sample_is_uniform(monkeypatch):
    counts = {most: np.zeros(len(UTT2SPK)) for most in (10**9, 0)}
    for most in counts:
        monkeypatch.setattr(trial_lists, "MOST", most)
        for seed in range(300):
            trials = draw_pairs(recordings(), Rules(), labelled=False, sample=20, seed=seed)
            names = [name for n in range(len(trials)) for name in trials[n]]
            counts[most] += [names.count(utt) for utt in UTT2SPK]
    for count in counts.values():  # 16 recordings share 12000 places; a multinomial deviation of 4.5 sigma
        assert np.abs(count - 750).max() < 4.5 * np.sqrt(750)


def test_a_model_is_tested_with_recordings_of_no_model():
    trials, models = draw_models(recordings(), 2, Rules(across_sessions=True))
    enrolled = {utt for utts in models.values() for utt in utts}
    assert set(models) == {f"{spk}--enrolled" for spk in ("ada", "bob", "cleo", "dan")}
    assert all(
        len(utts) == 2 and {UTT2SPK[utt] for utt in utts} == {name.partition("--")[0]} for name, utts in models.items()
    )
    wanted = {
        (name, test, name.partition("--")[0] == UTT2SPK[test]) for name, utts in models.items() for test in UTT2SPK
        if test not in enrolled | {"dan-0"} and SESSIONS.get(test, test) not in {SESSIONS.get(utt) for utt in utts}
    }  # fmt: skip
    assert listed(trials) == wanted


def test_lists_without_one_kind_of_trials_are_refused():
    one = number_recordings({"a-1": "a", "a-2": "a"})
    apart = number_recordings({"a-1": "a", "b-1": "b"})
    for wrong in (one, apart, number_recordings({"a-1": "a"})):
        with pytest.raises(InputError):
            draw_pairs(wrong, Rules())
    with pytest.raises(InputError):
        draw_models(recordings(), 4, Rules())


def test_too_many_pairs_need_a_sample(monkeypatch):
    monkeypatch.setattr(trial_lists, "MOST", 10)
    with pytest.raises(InputError, match="`sample`"):
        draw_pairs(recordings(), Rules())


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    write_table(folder / "utt2spk", UTT2SPK)
    write_table(folder / "wav.scp", {utt: f"/{utt}.wav" for utt in UTT2SPK})
    return folder


def test_the_command_writes_lists_that_check_and_score_read(data, avsv):
    assert avsv("fix", data)[0] == 0
    assert avsv("trials", data)[0] == 0 and len(read_trials(data / "trials/all")) == 120
    assert avsv("trials", "--enroll", 2, data)[0] == 0
    models, speakers = read_table(data / "enroll_2/enroll.map"), read_table(data / "enroll_2/utt2spk")
    trials = read_trials(data / "enroll_2/trials/all")
    assert set(trials.enroll_ids) == set(models) and {*trials.enroll_ids, *trials.test_ids} <= set(speakers)
    assert avsv("check", data)[0] == 0
    assert "made already" in avsv("trials", "--enroll", 2, data)[1]
    write_table(data / "utt2labelled", dict.fromkeys(UTT2SPK, "no"))
    assert avsv("trials", data)[0] == 0 and read_trials(data / "pairs/all").labels is None
    assert avsv("trials", "--enroll", 2, data)[0] == 1


@pytest.mark.parametrize("options", [["--across-sessions"], ["--same-gender"], ["--name", "a/b"], ["--enroll", "4"]])
def test_what_the_data_cannot_give_is_refused(data, avsv, options):
    assert avsv("trials", *options, data)[0] == 1
