"""Whose trials are whose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix, csgraph

from avsv.errors import InputError
from avsv.evaluation.people import connected_components, people_of
from avsv.kaldi.trials import Trials

TRIALS = Trials(
    ["a1", "a2", "b1"], ["a2", "a3", "b2"],
    np.array([[0, 0], [1, 1], [2, 2], [0, 2]]), np.array([True, True, True, False]),
)  # fmt: skip


def test_target_trials_connect_recordings_across_sides():
    people = people_of(TRIALS)
    assert len({*people[:2].ravel()}) == 1
    assert people[2, 0] == people[2, 1] == people[3, 1] != people[3, 0] == people[0, 0]


def test_utt2spk_says_who_it_is():
    table = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "b2": "b"}
    assert people_of(TRIALS, table).tolist() == [[0, 0], [0, 0], [1, 1], [0, 1]]


def test_utt2spk_that_contradicts_a_label_is_refused():
    table = {"a1": "a", "a2": "a", "a3": "z", "b1": "b", "b2": "b"}
    with pytest.raises(InputError, match='trial 2, "a2 a3", is a target trial, but the table gives "a" and "z"'):
        people_of(TRIALS, table)


def test_utt2spk_without_a_recording_is_refused():
    with pytest.raises(InputError, match='"a1" of the trials is not in it'):
        people_of(TRIALS, {})


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_components_are_scipys(graph):
    n, edges = graph
    one, other = np.array(edges, int).reshape(-1, 2).T
    found = connected_components(n, one, other)
    _, expected = csgraph.connected_components(coo_matrix((np.ones(len(one)), (one, other)), (n, n)), directed=False)
    assert len(set(zip(found, expected))) == len(set(found)) == len(set(expected))


def test_utt2spk_that_makes_a_nontarget_trial_one_persons_is_refused():
    table = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "b2": "b"}
    trials = Trials(["a1", "b1"], ["b2", "a2"], np.array([[0, 0], [0, 1], [1, 1]]), np.array([False, False, False]))
    with pytest.raises(InputError, match='trial 2, "a1 a2", is a nontarget trial'):
        people_of(trials, table)
