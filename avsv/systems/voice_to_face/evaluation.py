"""How good are faces that were drawn from voices? Measures in the space of a face network that took no part in it.

What Wen, Raj and Singh, NeurIPS 2019, ask: is the drawn face nearer to the speaker's than to somebody else's (1:2
matching, over all and among people of one sex), is the sex right, is the speaker found among many (retrieval), do the
clips of one person give one face (consistency), and is a longer clip better? And how far are drawn faces from real ones
as a crowd (Frechet distance, as Heusel et al., NeurIPS 2017, have it for Inception's features).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.bootstrap import SpeakerBootstrap, interval
from avsv.evaluation.errors import count_errors, equal_error
from avsv.evaluation.matching import matching_credit, measure_matching, resampled_accuracy
from avsv.evaluation.retrieval import measure_retrieval
from avsv.scoring.cosine import unit_length
from avsv.scoring.lda import class_statistics, shrink

PAIRS = 50  # of faces, the speaker's and another's, that a drawn face is matched with


@dataclass(frozen=True)
class Faces:
    """Faces in a face network's space.

    vectors : (n, d) float, scaled to length 1 here
    people : (n,) names
    """

    vectors: np.ndarray
    people: Sequence[str]

    def __post_init__(self):
        object.__setattr__(self, "vectors", unit_length(np.asarray(self.vectors, np.float64)))


def draw_pairs(drawn: Sequence[str], real: Sequence[str], sex: Mapping[str, str] | None = None, n: int = PAIRS,
               seed: int = 0) -> np.ndarray:  # fmt: skip
    """Random pairs of real faces for each drawn one: one of the speaker's and one of somebody else's.

    The other person is drawn first, each as likely, then a face of that person.

    Parameters
    ----------
    drawn, real : whose voice, whose face
    sex : person -> sex, where the other person is to be of the speaker's

    Returns
    -------
    (pairs, 3) int: row of the drawn face, of the speaker's face, of the other's face; nothing for a speaker without a
    face or without others

    Examples
    --------
    >>> draw_pairs(["a", "x"], ["a", "b"], n=2).tolist()
    [[0, 0, 1], [0, 0, 1]]
    """
    rng = np.random.default_rng(seed)
    faces: dict[str, list[int]] = {}
    for row, person in enumerate(real):
        faces.setdefault(person, []).append(row)
    rows = []
    for number, person in enumerate(drawn):
        others = [p for p in faces if p != person and (sex is None or sex[p] == sex[person])]
        if person not in faces or not others:
            continue
        for other in rng.choice(others, n):
            rows.append((number, rng.choice(faces[person]), rng.choice(faces[str(other)])))
    return np.array(rows, np.intp).reshape(-1, 3)


def pair_scores(drawn: Faces, real: Faces, pairs: np.ndarray) -> np.ndarray:
    """Cosines of each drawn face with the speaker's and with the other's, (pairs, 2)."""
    of = drawn.vectors[pairs[:, 0]]
    return np.stack([(of * real.vectors[pairs[:, column]]).sum(1) for column in (1, 2)], 1)


def pair_people(real: Faces, pairs: np.ndarray) -> np.ndarray:
    """Numbers of the people of the two real faces, (pairs, 2)."""
    numbers = np.unique(real.people, return_inverse=True)[1]
    return numbers[pairs[:, 1:]]


@dataclass(frozen=True)
class SexClassifier:
    """Linear discriminant of the sexes: positive is female. `axis` (d,), `threshold` where both are as near."""

    axis: np.ndarray
    threshold: float

    @classmethod
    def train(cls, faces: Faces, sex: Mapping[str, str]) -> "SexClassifier":
        """From real faces; InputError where they are of one sex only."""
        female = np.array([sex[person] == "f" for person in faces.people])
        if female.all() or not female.any():
            raise InputError("the training faces are of one sex only, so that nothing can be said of the sex of others")
        statistics = class_statistics(faces.vectors, female.astype(int))
        within = shrink(statistics.within / (statistics.n - 2), statistics.n - 2)
        axis = np.linalg.solve(within, statistics.means[1] - statistics.means[0])
        return cls(axis, float(axis @ statistics.means.mean(0)))

    def agrees(self, faces: Faces, sex: Mapping[str, str]) -> np.ndarray:
        """Is each face of the sex of its person? (n,) bool."""
        female = np.array([sex[person] == "f" for person in faces.people])
        return (faces.vectors @ self.axis > self.threshold) == female


def measure_share(right: np.ndarray, people: Sequence[str], n_resamples: int = 1000) -> dict:
    """How many of some answers are right, with an interval from resampling people.

    Examples
    --------
    >>> measure_share(np.array([True, False]), ["a", "b"], 0)
    {'percent': 50.0, 'ci95': None}
    """
    numbers = np.unique(people, return_inverse=True)[1]
    ends = None
    if n_resamples and numbers.max(initial=0) > 0:
        bootstrap = SpeakerBootstrap(numbers[:, None], np.ones(len(numbers), bool), n_resamples)
        counts, sums = np.bincount(numbers), np.bincount(numbers, right.astype(float))
        ends = interval(np.concatenate([100 * (sums @ part) / (counts @ part) for part in bootstrap.weights]))
    return {"percent": float(100 * np.mean(right)), "ci95": list(ends) if ends else None}


def measure_consistency(drawn: Faces, n_resamples: int = 1000) -> dict:
    """Are the faces drawn from one person's clips more alike than those of different people?

    Returns
    -------
    `same`, `different` : mean cosines of pairs of drawn faces; `eer_percent`, `eer_ci95` of telling them apart, chance
    50; None where nobody has two
    """
    people = np.unique(drawn.people, return_inverse=True)[1]
    one, other = np.triu_indices(len(people), 1)
    scores = (drawn.vectors @ drawn.vectors.T)[one, other]
    labels = people[one] == people[other]
    if not labels.any() or labels.all():
        return {"same": None, "different": None, "eer_percent": None, "eer_ci95": None}
    counts = count_errors(scores, labels)
    bootstrap = SpeakerBootstrap(np.stack([people[one], people[other]], 1), labels, n_resamples)
    ends = bootstrap.eer_interval(scores, counts) if n_resamples else None
    return {
        "same": float(scores[labels].mean()),
        "different": float(scores[~labels].mean()),
        "eer_percent": 100 * equal_error(counts)[0],
        "eer_ci95": [100 * end for end in ends] if ends else None,
    }


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Frechet distance of two crowds, each taken for Gaussian: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    Dowson and Landau, 1982. With few vectors it comes out too large: compare crowds of like numbers.

    Parameters
    ----------
    one, other : (n, d), (m, d) float, at least 2 vectors each

    Examples
    --------
    >>> crowd = np.array([[0.0], [2.0]])
    >>> frechet_distance(crowd, crowd + 3)
    9.0
    """
    means = [crowd.mean(0) for crowd in (one, other)]
    first, second = (np.atleast_2d(np.cov(crowd, rowvar=False)) for crowd in (one, other))
    values, axes = np.linalg.eigh(first)
    root = axes * np.sqrt(np.maximum(values, 0)) @ axes.T
    # the eigenvalues of C1 C2 are those of C1^(1/2) C2 C1^(1/2), which is symmetric
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    return float(((means[0] - means[1]) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * shared)


def measure_drawn(drawn: Faces, real: Faces, train: Faces, sex: Mapping[str, str], n_resamples: int = 1000) -> dict:
    """All measures of the faces that were drawn from clips of one length.

    Parameters
    ----------
    drawn : of the voices of test people
    real : faces of these people, perhaps of others
    train : faces of training people, which tell what the sexes look like
    sex : person -> m or f, of all of them

    Returns
    -------
    `matching`, `matching_same_sex` (see measure_matching), `sex` (see measure_share), `retrieval` (see
    measure_retrieval), `consistency`, `frechet`, `n_drawn`, `n_people`

    Raises
    ------
    InputError : a person of unknown sex, or nobody who is heard is seen
    """
    unknown = sorted({p for faces in (drawn, real, train) for p in faces.people} - sex.keys())
    if unknown:
        raise InputError(f"{len(unknown)} people are of unknown sex, such as {unknown[0]}; give them in spk2gender")
    found: dict = {"n_drawn": len(drawn.people), "n_people": len(set(drawn.people))}
    for name, within in (("matching", None), ("matching_same_sex", sex)):
        pairs = draw_pairs(drawn.people, real.people, within)
        if not len(pairs):
            others = "another person of the same sex" if within else "another person"
            raise InputError(f"nobody has a voice and a face, and {others} with a face to be told from")
        found[name] = measure_matching(pair_scores(drawn, real, pairs), pair_people(real, pairs), n_resamples)
    right = SexClassifier.train(train, sex).agrees(drawn, sex)
    found["sex"] = measure_share(right, drawn.people, n_resamples)
    names = {name: number for number, name in enumerate(sorted({*drawn.people, *real.people}))}
    queries, gallery = (np.array([names[p] for p in faces.people]) for faces in (drawn, real))
    found["retrieval"] = measure_retrieval(lambda rows: drawn.vectors[rows] @ real.vectors.T, queries, gallery,
                                           n_resamples)  # fmt: skip
    found["consistency"] = measure_consistency(drawn, n_resamples)
    found["frechet"] = frechet_distance(drawn.vectors, real.vectors)
    return found


def measure_gain(long: Faces, short: Faces, real: Faces, n_resamples: int = 1000) -> dict:
    """Accuracy of 1:2 matching of longer clips minus that of shorter ones of the same videos, on the same pairs.

    Returns
    -------
    `percent`, `ci95` : percentage points
    """
    pairs = draw_pairs(long.people, real.people)
    people = pair_people(real, pairs)
    credits = [matching_credit(pair_scores(faces, real, pairs)) for faces in (long, short)]
    ends = None
    if n_resamples and len(np.unique(people)) > 1:
        weights = SpeakerBootstrap(people, np.ones(len(people), bool), n_resamples).weights
        ends = interval(100 * np.subtract(*(resampled_accuracy(credit, people, weights) for credit in credits)))
    return {"percent": float(100 * (credits[0].mean() - credits[1].mean())), "ci95": list(ends) if ends else None}


def halves(faces: Faces) -> tuple[Faces, Faces]:
    """The first and the second half of each person's faces; the middle one of an odd number is in the second.

    Examples
    --------
    >>> [half.people for half in halves(Faces(np.eye(5), ["a", "b", "a", "b", "a"]))]
    [['a', 'b'], ['a', 'b', 'a']]
    """
    total = {person: list(faces.people).count(person) for person in set(faces.people)}
    seen = dict.fromkeys(total, 0)
    first = []
    for person in faces.people:
        first.append(seen[person] < total[person] // 2)
        seen[person] += 1
    return tuple(Faces(faces.vectors[rows], [faces.people[row] for row in rows])
                 for rows in (np.flatnonzero(first), np.flatnonzero(np.logical_not(first))))  # fmt: skip


def measure_lengths(drawn: Mapping[str, Faces], real: Faces, train: Faces, sex: Mapping[str, str],
                    n_resamples: int = 1000) -> dict:  # fmt: skip
    """Everything that is told of a training: by length of clip, and what real faces reach.

    Parameters
    ----------
    drawn : length -> faces of the same videos in the same order, the shortest length first

    Returns
    -------
    `lengths`: length -> `measure_drawn`; `gain`: `measure_gain` of the last over the first; `real`: `measure_drawn` of
    half of the test people's real faces by the other half, with as many training people's faces for the distance
    """
    ordered = list(drawn.values())
    some, others = halves(real)
    of_real = measure_drawn(some, others, train, sex, n_resamples)
    rows = np.linspace(0, len(train.people) - 1, min(len(ordered[0].people), len(train.people))).astype(int)
    return {
        "lengths": {length: measure_drawn(faces, real, train, sex, n_resamples) for length, faces in drawn.items()},
        "gain": measure_gain(ordered[-1], ordered[0], real, n_resamples),
        "real": {**of_real, "frechet": frechet_distance(train.vectors[rows], real.vectors)},
    }
