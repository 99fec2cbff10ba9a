"""Finds wrong labels and files of the same person, from log-likelihood ratios of all pairs of recordings.

A recording is suspected if "it is another of these people" or "it is somebody else" is likelier than its label, with a
prior for all wrong labels together that the other people share evenly. The ratio to a person is the mean over the
person's recordings. The most suspicious recording is set aside first, then all are judged again: otherwise a wrong
recording among three would make the other two look wrong, too.

People, recordings set aside and recordings of unknown people are grouped by average linkage: the two groups with the
highest mean ratio between their recordings are joined, as long as it is above the threshold. The rules are ours; a
listener decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.trials import Trials

MOST = 5000  # recordings; the matrix of all pairs has 200 MB then


@dataclass(frozen=True)
class Suspect:
    """A recording whose label is probably wrong.

    own : mean ratio to its person's other recordings
    other : the highest mean ratio to the recordings of another person
    person : their name; "" if somebody else, of whom there is no recording, is likelier
    """

    recording: str
    label: str
    own: float
    other: float
    person: str


@dataclass(frozen=True)
class Group:
    """Recordings that probably show one person.

    people : names that it joins; empty if nobody in it is known
    recordings : of unknown people, or set aside
    ratio : mean ratio between the last two parts that were joined, the weakest
    """

    people: Sequence[str]
    recordings: Sequence[str]
    ratio: float


def ratio_matrix(trials: Trials, ratios: np.ndarray, recordings: Sequence[str]) -> np.ndarray:
    """Ratios of pairs of recordings as a symmetric matrix, (n, n) float64, NaN where there is no trial.

    Raises
    ------
    InputError : more than 5000 recordings, or a trial of another one

    Examples
    --------
    >>> ratio_matrix(Trials(["a"], ["b"], np.array([[0, 0]])), np.array([2.0]), ["a", "b"]).tolist()
    [[nan, 2.0], [2.0, nan]]
    """
    if len(recordings) > MOST:
        raise InputError(f"{len(recordings)} recordings, more than {MOST}: look for wrong labels in parts of them")
    rows = {name: row for row, name in enumerate(recordings)}
    if unknown := ({*trials.enroll_ids} | {*trials.test_ids}) - rows.keys():
        raise InputError(f"the trials name {min(unknown)}, which is not among the recordings")
    one, other = (np.array([rows[name] for name in ids], int)[trials.pairs[:, side]]
                  for side, ids in enumerate((trials.enroll_ids, trials.test_ids)))  # fmt: skip
    matrix = np.full((len(recordings), len(recordings)), np.nan)
    matrix[one, other] = matrix[other, one] = ratios
    return matrix


def find_suspects(
    matrix: np.ndarray, recordings: Sequence[str], people: Mapping[str, str], threshold: float
) -> list[Suspect]:
    """Recordings whose label is probably wrong, the most suspicious first.

    Parameters
    ----------
    matrix : from `ratio_matrix`
    people : recording -> person, of the known ones
    threshold : a recording is suspected if another person, or nobody, is likelier than its own by this log-likelihood
        ratio; the natural logarithm of the odds of a right label, such as 4.6

    Examples
    --------
    >>> names = ["a1", "a2", "a3", "b1", "b2"]
    >>> same = np.array([[x in pair for x in names] for pair in (["a1", "a2"],) * 2 + (["a3", "b1", "b2"],) * 3])
    >>> ratios = np.where(same, 9.0, -9.0)
    >>> find_suspects(ratios, names, {name: name[0] for name in names}, 4.6)
    [Suspect(recording='a3', label='a', own=-9.0, other=9.0, person='b')]
    """
    known = {person: number for number, person in enumerate(dict.fromkeys(people.values()))}
    names, said = [*known], np.array([known.get(people.get(name), -1) for name in recordings], int)
    if len(names) < 2:
        return []
    label, order, share = said.copy(), [], float(np.log(len(names) - 1))
    while True:
        own, other, _ = matches(matrix, label, label, len(names))
        excess = np.nan_to_num(np.maximum(other - share, 0) - own, nan=-np.inf)  # NaN: without a person to match
        worst = int(excess.argmax())
        if not excess[worst] > threshold:
            break
        order.append((worst, float(own[worst])))
        label[worst] = -1
    own, other, best = matches(matrix, label, said, len(names))  # by what is left
    suspects = []
    for row, before in order:
        person = names[best[row]] if other[row] > share else ""
        rest = before if np.isnan(own[row]) else float(own[row])
        suspects.append(Suspect(recordings[row], names[said[row]], rest, float(other[row]), person))
    return suspects


def matches(
    matrix: np.ndarray, label: np.ndarray, said: np.ndarray, n_people: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How well each recording matches its person and others.

    Parameters
    ----------
    label : (n,) person of each recording that counts as theirs, -1 for none
    said : (n,) person that each recording is compared with as its own, -1 for none

    Returns
    -------
    own : (n,) mean ratio to the other recordings of the person, NaN if there is none
    other : (n,) highest mean ratio to the recordings of another person, -inf if there is none
    best : (n,) this person
    """
    matrix, rows = matrix.copy(), np.arange(len(label))
    np.fill_diagonal(matrix, np.nan)
    member = (label[:, None] == np.arange(n_people)).astype(float)
    counts = (~np.isnan(matrix)).astype(float) @ member
    sums = np.nan_to_num(matrix) @ member
    means = np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    own = np.where(said >= 0, means[rows, said], np.nan)
    others = np.where(np.isnan(means), -np.inf, means)
    others[rows[said >= 0], said[said >= 0]] = -np.inf
    best = others.argmax(axis=1)
    return own, others[rows, best], best


def group_recordings(
    matrix: np.ndarray, recordings: Sequence[str], people: Mapping[str, str], threshold: float
) -> list[Group]:
    """Recordings and people that probably are one person, the most certain first.

    Parameters
    ----------
    matrix : from `ratio_matrix`; a pair without a trial counts as no evidence, a ratio of 0
    people : recording -> person, of the known ones, without those whose label is suspected
    threshold : the lowest mean ratio between two parts of a group

    Examples
    --------
    >>> ratios = np.array([[0, 8.0, -9.0], [8.0, 0, -9.0], [-9.0, -9.0, 0]])
    >>> group_recordings(ratios, ["a1", "x", "y"], {"a1": "a"}, 4.6)
    [Group(people=['a'], recordings=['x'], ratio=8.0)]
    """
    units: dict[tuple[str, str], list[int]] = {}
    for row, name in enumerate(recordings):
        units.setdefault(("person", people[name]) if name in people else ("recording", name), []).append(row)
    keys, n = list(units), len(units)
    member = np.zeros((len(recordings), n))
    for number, rows in enumerate(units.values()):
        member[rows, number] = 1
    sizes, filled = member.sum(axis=0), np.nan_to_num(matrix)
    sums = member.T @ filled @ member
    inside: list[list[int]] = [[number] for number in range(n)]
    weakest = np.full(n, np.inf)
    means = sums / np.outer(sizes, sizes)
    np.fill_diagonal(means, -np.inf)
    while n > 1 and (highest := means.max()) > threshold:
        one, other = np.unravel_index(int(means.argmax()), means.shape)
        inside[one] += inside[other]
        inside[other] = []
        weakest[one] = highest if np.isinf(weakest[other]) else min(highest, weakest[other])
        sums[one] += sums[other]
        sums[:, one] += sums[:, other]
        sizes[one] += sizes[other]
        row = sums[one] / (sizes[one] * sizes)
        row[one] = -np.inf
        row[[number for number, part in enumerate(inside) if not part]] = -np.inf
        means[one], means[:, one] = row, row
        means[other], means[:, other] = -np.inf, -np.inf
    groups = []
    for part, ratio in zip(inside, weakest, strict=True):
        if len(part) > 1:
            members = [keys[number] for number in part]
            joined, files = (
                sorted(name for kind, name in members if kind == which) for which in ("person", "recording")
            )
            groups.append(Group(joined, files, float(ratio)))
    return sorted(groups, key=lambda group: -group.ratio)
