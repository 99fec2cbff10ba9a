"""Wrong labels and groups of one person, on ratios drawn from a known truth."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.kaldi.trials import Trials
from avsv.people.suspects import find_suspects, group_recordings, ratio_matrix

THRESHOLD = 4.6


def draw(truth, seed=0, same=12.0, different=-12.0, noise=3.0):
    """Names r0, r1, ... and noisy ratios of all pairs."""
    rng, n = np.random.default_rng(seed), len(truth)
    matrix = np.where(np.equal.outer(np.array(truth), np.array(truth)), same, different)
    disturbed = np.triu(noise * rng.standard_normal((n, n)), 1)
    return [f"r{number}" for number in range(n)], matrix + disturbed + disturbed.T


@pytest.mark.parametrize("seed", range(20))
def test_swapped_recordings_and_a_stranger_are_found_and_nobody_else(seed):
    truth = [person for person in range(10) for _ in range(3)]
    labels = list(truth)
    labels[0], labels[29] = labels[29], labels[0]  # a recording of person 0 is called 9, and the other way round
    truth[13] = 99  # a stranger is called 4
    names, matrix = draw(truth, seed)
    people = {name: f"p{label}" for name, label in zip(names, labels, strict=True)}
    found = {one.recording: (one.label, one.person) for one in find_suspects(matrix, names, people, THRESHOLD)}
    assert found == {"r0": ("p9", "p0"), "r29": ("p0", "p9"), "r13": ("p4", "")}


@pytest.mark.parametrize("seed", range(5))
def test_clean_labels_have_no_suspects(seed):
    names, matrix = draw([0, 0, 1, 1, 2, 2, 2, 3], seed)
    people = dict(zip(names, "aabbcccd", strict=True))
    assert find_suspects(matrix, names, people, THRESHOLD) == []


def test_own_and_other_are_the_means_over_the_recordings_that_remain():
    names, matrix = draw([0, 0, 1, 1, 1], 3)
    people = dict(zip(names, "aaabb", strict=True))
    (one,) = find_suspects(matrix, names, people, THRESHOLD)
    assert one.recording == "r2" and one.own == pytest.approx(matrix[2, :2].mean())
    assert one.other == pytest.approx(matrix[2, 3:].mean())


def test_pairs_without_a_trial_do_not_count():
    names, matrix = draw([0, 0, 1, 1])
    matrix[2, 3] = matrix[3, 2] = np.nan  # a voice and a face
    assert find_suspects(matrix, names, dict(zip(names, "aabb", strict=True)), THRESHOLD) == []


def test_one_person_or_no_labels_have_no_suspects():
    names, matrix = draw([0, 1, 2])
    assert find_suspects(matrix, names, dict.fromkeys(names, "a"), THRESHOLD) == []
    assert find_suspects(matrix, names, {}, THRESHOLD) == []


@pytest.mark.parametrize("seed", range(10))
def test_groups_are_the_true_people(seed):
    truth = [0, 0, 0, 1, 1, 2, 3, 3, 4, 4]
    names, matrix = draw(truth, seed)
    people = {"r0": "ann", "r3": "bob", "r4": "robert"}  # and r5 is alone
    groups = {(*group.people, *group.recordings) for group in group_recordings(matrix, names, people, THRESHOLD)}
    assert groups == {("ann", "r1", "r2"), ("bob", "robert"), ("r6", "r7"), ("r8", "r9")}


def test_groups_agree_with_average_linkage_of_scipy():
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    rng = np.random.default_rng(0)
    for _ in range(20):
        ratios = rng.normal(0, 5, (12, 12))
        ratios = (ratios + ratios.T) / 2
        np.fill_diagonal(ratios, 0)
        distances = 50 - ratios
        np.fill_diagonal(distances, 0)
        clusters = fcluster(linkage(squareform(distances), "average"), 50 - 1.0, "distance")
        names = [f"r{number}" for number in range(12)]
        expected = {frozenset(n for n, c in zip(names, clusters, strict=True) if c == k) for k in set(clusters)}
        found = {frozenset(group.recordings) for group in group_recordings(ratios, names, {}, 1.0)}
        assert found == {group for group in expected if len(group) > 1}


def test_a_trial_of_another_recording_is_refused():
    with pytest.raises(InputError, match="x"):
        ratio_matrix(Trials(["a"], ["x"], np.array([[0, 0]])), np.zeros(1), ["a", "b"])
