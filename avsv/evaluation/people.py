"""Which person each side of a trial belongs to: trials of the same people are not independent."""

from collections.abc import Mapping

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.trials import Trials


def people_of(trials: Trials, utt2spk: Mapping[str, str] | None = None) -> np.ndarray:
    """Number of the person on each side of each trial.

    Without `utt2spk`, recordings are of one person where target trials connect them, directly or through others. A
    recording in no target trial is then a person of its own; where the list splits somebody so, intervals come out a
    little too narrow.

    Returns
    -------
    (trials, 2) int32

    Raises
    ------
    InputError : a recording is not in `utt2spk`, or a target trial is of two people there, or a nontarget trial of one

    Examples
    --------
    >>> trials = Trials(["a1", "a2"], ["a2", "b"], np.array([[0, 0], [1, 1]]), np.array([True, False]))
    >>> people_of(trials).tolist()
    [[0, 0], [0, 1]]
    """
    people = connect(trials) if utt2spk is None else look_up(trials, utt2spk)
    return np.stack([people[0][trials.pairs[:, 0]], people[1][trials.pairs[:, 1]]], axis=1)


def look_up(trials: Trials, utt2spk: Mapping[str, str]) -> list[np.ndarray]:
    """Number of the person of each enrolment and each test recording."""
    for name in (*trials.enroll_ids, *trials.test_ids):
        if name not in utt2spk:
            raise InputError(f'--utt2spk: "{name}" of the trials is not in it')
    numbers: dict[str, int] = {}
    people = [
        np.array([numbers.setdefault(utt2spk[name], len(numbers)) for name in ids], np.int32)
        for ids in (trials.enroll_ids, trials.test_ids)
    ]
    differ = people[0][trials.pairs[:, 0]] != people[1][trials.pairs[:, 1]]
    if trials.labels is not None and (wrong := np.flatnonzero(differ == trials.labels)[:1].tolist()):
        enroll, test = trials[wrong[0]]
        kind = "target" if trials.labels[wrong[0]] else "nontarget"
        raise InputError(
            f'--utt2spk: trial {wrong[0] + 1}, "{enroll} {test}", is a {kind} trial, '
            f'but the table gives "{utt2spk[enroll]}" and "{utt2spk[test]}"'
        )
    return people


def connect(trials: Trials) -> list[np.ndarray]:
    """Number of the connected component, under target trials, of each enrolment and each test recording."""
    numbers = {name: number for number, name in enumerate(trials.enroll_ids)}
    test = np.array([numbers.setdefault(name, len(numbers)) for name in trials.test_ids], np.int32)
    same = trials.pairs[trials.labels]
    component = connected_components(len(numbers), same[:, 0], test[same[:, 1]])
    return [component[: len(trials.enroll_ids)], component[test]]


def connected_components(n_nodes: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Component of each node of an undirected graph, numbered from 0, (n_nodes,) int32.

    Every root is hooked to the smallest root it has an edge to, then all chains are shortened, until no edge leaves a
    component (Shiloach and Vishkin, 1982): a few rounds over arrays.

    Examples
    --------
    >>> connected_components(4, np.array([0, 3]), np.array([2, 2])).tolist()
    [0, 1, 0, 0]
    """
    root = np.arange(n_nodes)
    while len(one):
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        np.minimum.at(root, high, low)
        while not np.array_equal(root, further := root[root]):
            root = further
        open_edges = root[one] != root[other]
        one, other = one[open_edges], other[open_edges]
    return np.unique(root, return_inverse=True)[1].astype(np.int32)
