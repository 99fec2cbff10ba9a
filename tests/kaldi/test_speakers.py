"""The speakers of the trials, from a table or from target trials."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix, csgraph

from avsv.errors import InputError
from avsv.kaldi.speakers import connected_components, speakers_of
from avsv.kaldi.trials import Trials

TRIALS = Trials(
    ["a1", "a2", "b1"], ["a2", "a3", "b2"],
    np.array([[0, 0], [1, 1], [2, 2], [0, 2]]), np.array([True, True, True, False]),
)  # fmt: skip


def test_target_trials_connect_recordings_across_sides():
    speakers = speakers_of(TRIALS)
    assert len({*speakers[:2].ravel()}) == 1
    assert speakers[2, 0] == speakers[2, 1] == speakers[3, 1] != speakers[3, 0] == speakers[0, 0]


def test_utt2spk_gives_the_speakers():
    table = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "b2": "b"}
    assert speakers_of(TRIALS, table).tolist() == [[0, 0], [0, 0], [1, 1], [0, 1]]


def test_utt2spk_that_contradicts_a_label_is_refused():
    table = {"a1": "a", "a2": "a", "a3": "z", "b1": "b", "b2": "b"}
    with pytest.raises(InputError, match='spk: trial 2, "a2 a3"'):
        speakers_of(TRIALS, table, "spk")


def test_utt2spk_without_a_recording_is_refused():
    with pytest.raises(InputError, match=r'spk: .*"a1"'):
        speakers_of(TRIALS, {}, "spk")


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_connected_components_match_scipy(graph):
    n, edges = graph
    one, other = np.array(edges, int).reshape(-1, 2).T
    ours = connected_components(n, one, other)
    _, expected = csgraph.connected_components(coo_matrix((np.ones(len(one)), (one, other)), (n, n)), directed=False)
    assert len(set(zip(ours, expected))) == len(set(ours)) == len(set(expected))


def test_a_nontarget_trial_of_one_speaker_is_refused():
    table = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "b2": "b"}
    trials = Trials(["a1", "b1"], ["b2", "a2"], np.array([[0, 0], [0, 1], [1, 1]]), np.array([False, False, False]))
    with pytest.raises(InputError, match='trial 2, "a1 a2"'):
        speakers_of(trials, table)
