"""Calibration on labels of which some are wrong."""

import numpy as np
import pytest

from avsv.people.suspects import find_suspects, ratio_matrix
from avsv.people.trial_lists import Rules, draw_pairs, number_recordings
from avsv.people.trusted_labels import trusted_trials
from avsv.scoring.cross_fitting import cross_fit

THRESHOLD = float(np.log(99))


def collection(seed, n_people=10, wrong=()):
    """Recordings named by their true person, with labels, and two cosines of each pair."""
    rng = np.random.default_rng(seed)
    people = {f"{chr(97 + person)}{n}": chr(97 + person) for person in range(n_people) for n in range(3)}
    people |= dict(wrong)
    pairs = draw_pairs(number_recordings(people), Rules(), labelled=False)
    trials = draw_pairs(number_recordings(people), Rules())
    vectors = {
        name: np.random.default_rng([seed, ord(name[0])]).standard_normal((2, 40)) + 0.6 * rng.standard_normal((2, 40))
        for name in people
    }
    vectors = {name: both / np.linalg.norm(both, axis=1, keepdims=True) for name, both in vectors.items()}

    def columns(listed):
        return np.array([(vectors[a] * vectors[b]).sum(1) for a, b in (listed[n] for n in range(len(listed)))])

    return people, pairs, columns(pairs), trials, columns(trials), dict(people)


@pytest.mark.parametrize("seed", range(6))
def test_two_wrong_labels_of_thirty_are_found_and_train_nothing(seed):
    wrong = {"a0": "b", "c0": "d"}
    given = collection(seed, wrong=wrong.items())
    trusted, suspected = trusted_trials(*given[1:5], *given[::5], THRESHOLD)
    assert suspected == ["a0", "c0"]
    assert {*trusted.enroll_ids, *trusted.test_ids} >= {"a1", "b0"}
    names = {name for n in range(len(trusted)) for name in trusted[n]}
    assert names == given[0].keys() - wrong.keys()
    assert len(trusted) == sum(not {*given[3][n]} & wrong.keys() for n in range(len(given[3])))


def test_one_round_of_training_on_all_labels_misses_some():
    """Otherwise the rounds would be for nothing."""
    missed = 0
    for seed in range(6):
        people, pairs, pair_columns, trials, columns, folds = collection(seed, wrong={"a0": "b", "c0": "d"}.items())
        ratios = cross_fit(pairs, pair_columns, trials, columns, folds)
        names = sorted(people)
        missed += 2 - len(find_suspects(ratio_matrix(pairs, ratios, names), names, people, THRESHOLD))
    assert missed > 0


def test_four_wrong_labels_of_thirty_are_found():
    wrong = {"a0": "b", "c0": "d", "e0": "f", "g1": "h"}
    for seed in range(4):
        given = collection(seed, wrong=wrong.items())
        assert trusted_trials(*given[1:5], *given[::5], THRESHOLD)[1] == sorted(wrong)


def test_a_handful_of_targets_is_enough():
    people, pairs, pair_columns, trials, columns, folds = collection(0, n_people=4)
    _, suspected = trusted_trials(pairs, pair_columns, trials, columns, people, folds, THRESHOLD)
    assert suspected == []


@pytest.mark.parametrize("seed", range(3))
def test_clean_labels_are_all_trusted(seed):
    given = collection(seed)
    trusted, suspected = trusted_trials(*given[1:5], *given[::5], THRESHOLD)
    assert suspected == [] and len(trusted) == len(given[3])
