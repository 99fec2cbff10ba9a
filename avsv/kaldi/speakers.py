"""The speaker on each side of a trial: trials that share a speaker are not independent."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.trials import Trials


def speakers_of(trials: Trials, utt2spk: Mapping[str, str] | None = None, source: Path | str = "utt2spk") -> np.ndarray:
    """Speaker on each side of each trial, as numbers from 0.

    Without `utt2spk`, recordings have the same speaker if target trials connect them, directly or through others. A
    recording without a target trial then counts as a speaker of its own. If the list splits a speaker this way,
    intervals come out slightly too narrow.

    Parameters
    ----------
    utt2spk : speaker of each recording
    source : its file, for messages

    Returns
    -------
    (trials, 2) int32

    Raises
    ------
    InputError : a recording is not in `utt2spk`, or `utt2spk` contradicts a trial's label

    Examples
    --------
    >>> trials = Trials(["a1", "a2"], ["a2", "b"], np.array([[0, 0], [1, 1]]), np.array([True, False]))
    >>> speakers_of(trials).tolist()
    [[0, 0], [0, 1]]
    """
    sides = connect(trials) if utt2spk is None else look_up(trials, utt2spk, source)
    return np.stack([sides[0][trials.pairs[:, 0]], sides[1][trials.pairs[:, 1]]], axis=1)


def look_up(trials: Trials, utt2spk: Mapping[str, str], source: Path | str) -> list[np.ndarray]:
    """Speaker numbers of the enrolment and of the test recordings, by a table; see `speakers_of`."""
    for name in (*trials.enroll_ids, *trials.test_ids):
        if name not in utt2spk:
            raise InputError(f'{source}: has no speaker for "{name}", a recording of the trials')
    numbers: dict[str, int] = {}
    speakers = [
        np.array([numbers.setdefault(utt2spk[name], len(numbers)) for name in ids], np.int32)
        for ids in (trials.enroll_ids, trials.test_ids)
    ]
    differ = speakers[0][trials.pairs[:, 0]] != speakers[1][trials.pairs[:, 1]]
    if trials.labels is not None and (wrong := np.flatnonzero(differ == trials.labels)[:1].tolist()):
        enroll, test = trials[wrong[0]]
        kind = "target" if trials.labels[wrong[0]] else "nontarget"
        raise InputError(
            f'{source}: trial {wrong[0] + 1}, "{enroll} {test}", is a {kind} trial, but the speakers are '
            f'"{utt2spk[enroll]}" and "{utt2spk[test]}"'
        )
    return speakers


def connect(trials: Trials) -> list[np.ndarray]:
    """Speaker numbers of the enrolment and of the test recordings, as connected components under target trials."""
    numbers = {name: number for number, name in enumerate(trials.enroll_ids)}
    test = np.array([numbers.setdefault(name, len(numbers)) for name in trials.test_ids], np.int32)
    same = trials.pairs[trials.labels]
    component = connected_components(len(numbers), same[:, 0], test[same[:, 1]])
    return [component[: len(trials.enroll_ids)], component[test]]


def connected_components(n_nodes: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Component of each node of an undirected graph, numbered from 0, (n_nodes,) int32.

    Each root is hooked to the smallest root it shares an edge with, then all chains are shortened, until no edge leaves
    a component (Shiloach and Vishkin, 1982). This takes a few rounds over arrays.

    Parameters
    ----------
    one, other : (edges,) int, the two nodes of each edge

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
