"""Measures of faces generated from voices, in the embedding space of an independent face network.

From Wen, Raj and Singh, NeurIPS 2019: is the generated face nearer to the speaker's face than to another person's (1:2
matching, over all people and within one gender), is the gender right, is the speaker found among many (retrieval), do
the clips of one person give similar faces (consistency), and do longer clips help? In addition, the distance between
the distributions of generated and real faces (Frechet distance; Heusel et al., NeurIPS 2017, use it with Inception
features).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.clusters import Clusters
from avsv.evaluation.estimates import Measured, eer_limits
from avsv.evaluation.intervals import mean_limits
from avsv.evaluation.matching import QueryClusters, gain_limits, matching_credit, measure_matching
from avsv.evaluation.measures import ends_of
from avsv.evaluation.retrieval import measure_retrieval
from avsv.scoring.cosine import unit_length
from avsv.scoring.lda import class_statistics, shrink

PAIRS = 50  # matching pairs (the speaker's face, another person's) per generated face


@dataclass(frozen=True)
class Faces:
    """Face embeddings.

    vectors : (n, d) float, scaled to length 1 on construction
    people : (n,) names
    """

    vectors: np.ndarray
    people: Sequence[str]

    def __post_init__(self):
        object.__setattr__(self, "vectors", unit_length(np.asarray(self.vectors, np.float64)))


def draw_pairs(generated: Sequence[str], real: Sequence[str], gender: Mapping[str, str] | None = None, n: int = PAIRS,
               seed: int = 0) -> np.ndarray:  # fmt: skip
    """Draw pairs of real faces for each generated face: one of the speaker and one of another person.

    The other person is drawn uniformly, then one of that person's faces.

    Parameters
    ----------
    generated, real : the people of the generated and of the real faces
    gender : person -> gender; if given, the other person has the speaker's gender

    Returns
    -------
    (pairs, 3) int, rows of the generated face, of the speaker's face and of the other face; speakers without a real
    face, or without another person to compare with, have no pairs

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
    for number, person in enumerate(generated):
        others = [p for p in faces if p != person and (gender is None or gender[p] == gender[person])]
        if person not in faces or not others:
            continue
        for other in rng.choice(others, n):
            rows.append((number, rng.choice(faces[person]), rng.choice(faces[str(other)])))
    return np.array(rows, np.intp).reshape(-1, 3)


def pair_scores(generated: Faces, real: Faces, pairs: np.ndarray) -> np.ndarray:
    """Cosines of each generated face with the speaker's and with the other face, (pairs, 2)."""
    faces = generated.vectors[pairs[:, 0]]
    return np.stack([(faces * real.vectors[pairs[:, column]]).sum(1) for column in (1, 2)], 1)


def pair_people(real: Faces, pairs: np.ndarray) -> np.ndarray:
    """Number of the person of each of the two real faces, (pairs, 2)."""
    numbers = np.unique(real.people, return_inverse=True)[1]
    return numbers[pairs[:, 1:]]


@dataclass(frozen=True)
class GenderClassifier:
    """Linear discriminant of gender: female if the projection on `axis` (d,) is above `threshold`."""

    axis: np.ndarray
    threshold: float

    @classmethod
    def train(cls, faces: Faces, gender: Mapping[str, str]) -> "GenderClassifier":
        """Train on real faces; InputError if they have one gender only."""
        female = np.array([gender[person] == "f" for person in faces.people])
        if female.all() or not female.any():
            raise InputError("expected training faces of both genders, found one")
        statistics = class_statistics(faces.vectors, female.astype(int))
        within = shrink(statistics.within / (statistics.n - 2), statistics.n - 2)
        axis = np.linalg.solve(within, statistics.means[1] - statistics.means[0])
        return cls(axis, float(axis @ statistics.means.mean(0)))

    def agrees(self, faces: Faces, gender: Mapping[str, str]) -> np.ndarray:
        """True where a face is classified as its person's gender, (n,) bool."""
        female = np.array([gender[person] == "f" for person in faces.people])
        return (faces.vectors @ self.axis > self.threshold) == female


def measure_share(right: np.ndarray, people: Sequence[str], intervals: bool = True) -> dict:
    """Percentage of correct decisions, with an interval over people.

    Examples
    --------
    >>> measure_share(np.array([True, False]), ["a", "b"], False)
    {'percent': 50.0, 'ci95': None}
    """
    numbers = np.unique(people, return_inverse=True)[1]
    ends = mean_limits(right, numbers) if intervals and numbers.max(initial=0) > 0 else None
    return {"percent": float(100 * np.mean(right)), "ci95": ends_of(ends, 100)}


def measure_consistency(generated: Faces, intervals: bool = True) -> dict:
    """Are faces generated from one person's clips more similar than those of different people?

    Returns
    -------
    `same`, `different` : mean cosines of pairs of generated faces; `eer_percent`, `eer_ci95` of discriminating the two
    kinds (chance: 50); None if no person has two faces
    """
    people = np.unique(generated.people, return_inverse=True)[1]
    one, other = np.triu_indices(len(people), 1)
    scores = (generated.vectors @ generated.vectors.T)[one, other]
    labels = people[one] == people[other]
    if not labels.any() or labels.all():
        return {"same": None, "different": None, "eer_percent": None, "eer_ci95": None}
    system = Measured.of(scores, labels)
    clusters = Clusters(np.stack([people[one], people[other]], 1), labels)
    return {
        "same": float(scores[labels].mean()),
        "different": float(scores[~labels].mean()),
        "eer_percent": 100 * system.eer[0],
        "eer_ci95": ends_of(eer_limits(system, clusters), 100) if intervals else None,
    }


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Frechet distance of two sets under Gaussian assumptions: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    Dowson and Landau, 1982. Small sets bias it upwards: compare sets of similar sizes only.

    Parameters
    ----------
    one, other : (n, d), (m, d) float, at least 2 vectors each

    Examples
    --------
    >>> vectors = np.array([[0.0], [2.0]])
    >>> frechet_distance(vectors, vectors + 3)
    9.0
    """
    means = [vectors.mean(0) for vectors in (one, other)]
    first, second = (np.atleast_2d(np.cov(vectors, rowvar=False)) for vectors in (one, other))
    values, axes = np.linalg.eigh(first)
    root = axes * np.sqrt(np.maximum(values, 0)) @ axes.T
    # the eigenvalues of C1 C2 are those of C1^(1/2) C2 C1^(1/2), which is symmetric
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    return float(((means[0] - means[1]) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * shared)


def measure_generated(
    generated: Faces, real: Faces, train: Faces, gender: Mapping[str, str], intervals: bool = True
) -> dict:
    """All measures of the faces generated from clips of one length.

    Parameters
    ----------
    generated : faces from the voices of test people
    real : real faces of these people, and perhaps of others
    train : real faces of training people, to train the gender classifier
    gender : person -> m or f, for all people

    Returns
    -------
    `matching`, `matching_same_sex` (see measure_matching), `sex` (agreement of gender, see measure_share), `retrieval`
    (see measure_retrieval), `consistency`, `frechet`, `n_drawn`, `n_people`

    Raises
    ------
    InputError : a person of unknown gender, or no pair to match
    """
    unknown = sorted({p for faces in (generated, real, train) for p in faces.people} - gender.keys())
    if unknown:
        raise InputError(
            f"expected the gender of every person in spk2gender, {len(unknown)} are missing, such as {unknown[0]}"
        )
    measures: dict = {"n_drawn": len(generated.people), "n_people": len(set(generated.people))}
    for name, within in (("matching", None), ("matching_same_sex", gender)):
        pairs = draw_pairs(generated.people, real.people, within)
        if not len(pairs):
            others = "another person of the same gender" if within else "another person"
            raise InputError(f"expected at least one person with a voice and a face, and the face of {others}")
        measures[name] = measure_matching(pair_scores(generated, real, pairs), pair_people(real, pairs), intervals)
    right = GenderClassifier.train(train, gender).agrees(generated, gender)
    measures["sex"] = measure_share(right, generated.people, intervals)
    names = {name: number for number, name in enumerate(sorted({*generated.people, *real.people}))}
    queries, gallery = (np.array([names[p] for p in faces.people]) for faces in (generated, real))
    measures["retrieval"] = measure_retrieval(lambda rows: generated.vectors[rows] @ real.vectors.T, queries, gallery,
                                           intervals)  # fmt: skip
    measures["consistency"] = measure_consistency(generated, intervals)
    measures["frechet"] = frechet_distance(generated.vectors, real.vectors)
    return measures


def measure_gain(long: Faces, short: Faces, real: Faces, intervals: bool = True) -> dict:
    """Gain in 1:2 matching accuracy of longer over shorter clips of the same videos, on the same pairs.

    Returns
    -------
    `percent`, `ci95` : percentage points
    """
    pairs = draw_pairs(long.people, real.people)
    people = pair_people(real, pairs)
    scores = [pair_scores(faces, real, pairs) for faces in (long, short)]
    ends = gain_limits(*scores, QueryClusters(people)) if intervals and len(np.unique(people)) > 1 else None
    gain = np.subtract(*(matching_credit(part).mean() for part in scores))
    return {"percent": float(100 * gain), "ci95": ends_of(ends, 100)}


def halves(faces: Faces) -> tuple[Faces, Faces]:
    """Split each person's faces into two halves; the middle one of an odd number goes to the second.

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


def measure_lengths(generated: Mapping[str, Faces], real: Faces, train: Faces, gender: Mapping[str, str],
                    intervals: bool = True) -> dict:  # fmt: skip
    """All results of a training: measures by length of clip, and those of real faces.

    Parameters
    ----------
    generated : length -> faces of the same videos in the same order, the shortest length first

    Returns
    -------
    `lengths` : length -> `measure_generated`
    `gain` : `measure_gain` of the last over the first length
    `real` : `measure_generated` of half of the test people's real faces against the other half, with the Frechet
        distance of as many training people's faces
    """
    ordered = list(generated.values())
    some, others = halves(real)
    of_real = measure_generated(some, others, train, gender, intervals)
    rows = np.linspace(0, len(train.people) - 1, min(len(ordered[0].people), len(train.people))).astype(int)
    return {
        "lengths": {
            length: measure_generated(faces, real, train, gender, intervals) for length, faces in generated.items()
        },
        "gain": measure_gain(ordered[-1], ordered[0], real, intervals),
        "real": {**of_real, "frechet": frechet_distance(train.vectors[rows], real.vectors)},
    }
