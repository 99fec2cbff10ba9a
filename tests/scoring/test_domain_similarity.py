"""Similarity of recordings to their domain, against plain loops over all members."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.scoring.domain_similarity import MOST_MEMBERS, choose_members, similarity

RNG = np.random.default_rng(0)


def same(vectors):
    return vectors


@pytest.mark.parametrize("n_members", [1, 2, 10, 400])
def test_mean_and_deviation_are_those_of_the_most_similar_third(n_members):
    members = choose_members(RNG.standard_normal((n_members, 6)), same)
    found = similarity(recordings := RNG.standard_normal((30, 6)), members)
    for row, recording in enumerate(recordings / np.linalg.norm(recordings, axis=1, keepdims=True)):
        best = sorted(float(member @ recording) for member in members)[-max(1, round(0.3 * n_members)) :]
        assert found["utt2similarity"][row] == pytest.approx(np.mean(best), abs=1e-6)
        assert found["utt2similarity_deviation"][row] == pytest.approx(np.std(best), abs=1e-6)


def test_the_recording_itself_does_not_count():
    domain = RNG.standard_normal((50, 6))
    members = choose_members(domain, same)
    among_them = similarity(domain, members)["utt2similarity"]
    without = [
        similarity(domain[[row]], np.vstack([np.delete(members, row, axis=0), -members[row]])) for row in range(50)
    ]
    assert among_them == pytest.approx([one["utt2similarity"][0] for one in without], abs=1e-6)


def test_members_of_a_large_domain_are_spread_over_it():
    domain = np.column_stack([np.arange(1, 5001.0), np.ones(5000)])
    members = choose_members(domain, same)
    assert len(members) == MOST_MEMBERS
    rows = members[:, 0] / members[:, 1]
    assert rows[0] == pytest.approx(1) and rows[-1] == pytest.approx(5000, rel=1e-3) and (np.diff(rows) > 0).all()


def test_a_domain_without_variation_is_refused():
    with pytest.raises(InputError, match="identical"):
        choose_members(np.ones((5, 3)), lambda vectors: vectors - 1)


def test_no_recordings_give_empty_tables():
    members = choose_members(RNG.standard_normal((5, 3)), same)
    assert [len(values) for values in similarity(np.empty((0, 3), np.float32), members).values()] == [0, 0]
