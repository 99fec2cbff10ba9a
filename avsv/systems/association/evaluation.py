"""Evaluation of face-voice association on a folder of lists: verification, matching and retrieval, each with chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.clusters import Clusters
from avsv.evaluation.errors import count_errors, equal_error
from avsv.evaluation.estimates import Measured, eer_limits
from avsv.evaluation.intervals import bounded_part, limits
from avsv.evaluation.matching import matching_credit, measure_matching
from avsv.evaluation.measures import ends_of
from avsv.evaluation.retrieval import measure_retrieval
from avsv.evaluation.roc import auc
from avsv.kaldi.embeddings import Embeddings
from avsv.kaldi.speakers import connected_components
from avsv.kaldi.trials import Trials
from avsv.scoring.cosine import cosine_scores, inner_products, unit_length
from avsv.systems.association.lists import (
    Matching,
    Protocols,
    direction,
    item_id,
    read_gallery,
    read_matching,
    read_verification,
)
from avsv.systems.association.permutation import ExchangedPeople, permutation_p, precision_table

NETWORK_PERMUTATIONS = 199  # at most, if a network scores each of them
TABLE = 120_000_000  # largest number of cells of a table of all scores, of 4 bytes each
# (matching list, number N of candidates to use, whether queries are voices) -> scores (queries, N)
ScoreMatching = Callable[[Matching, int, bool], np.ndarray]


@dataclass(frozen=True)
class JointSpace:
    """Voice and face embeddings in one space, looked up by name.

    Parameters
    ----------
    voice, face : embeddings of equal dimension
    ids : person's name in the paths of published lists -> identifier
    """

    voice: Embeddings
    face: Embeddings
    ids: Mapping[str, str]

    def rows(self, names: Sequence[str], of_voice: bool, path: Path) -> np.ndarray:
        """Row of each name among the voices or the faces.

        Raises
        ------
        InputError : names without an embedding; the first is named
        """
        table = self.voice_rows if of_voice else self.face_rows
        rows = [table.get(name, table.get(item_id(name, self.ids), -1)) for name in names]
        absent = [name for name, row in zip(names, rows, strict=True) if row < 0]
        if absent:
            kind = "voice" if of_voice else "face"
            raise InputError(f'{path}: {len(absent)} of {len(names)} names have no {kind} embedding, such as '
                            f'"{absent[0]}" ({item_id(absent[0], self.ids)})')  # fmt: skip
        return np.array(rows)

    def __post_init__(self):
        if len(self.voice) and len(self.face) and self.voice.vectors.shape[1] != self.face.vectors.shape[1]:
            sizes = self.voice.vectors.shape[1], self.face.vectors.shape[1]
            raise InputError(f"expected voice and face embeddings of one dimension, found {sizes}; map them to one "
                            "space with avsv association embed")  # fmt: skip
        for name, side in (("voice_rows", self.voice), ("face_rows", self.face)):
            object.__setattr__(self, name, {utt: row for row, utt in enumerate(side.ids)})


def person_key(name: str, utt2spk: Mapping[str, str], ids: Mapping[str, str]) -> str:
    """The person of an item: from utt2spk, or else the first component of a published path.

    Examples
    --------
    >>> person_key("u-1", {"u-1": "u"}, {}), person_key("Jim/1.6/v/1.jpg", {}, {"Jim": "id1"})
    ('u', 'id1')
    """
    first = name.partition("/")[0]
    return utt2spk.get(name) or ids.get(first, first)


def number_people(keys: Sequence[Sequence[str]], same: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """Number the people behind keys; keys joined by a target pair count as one person under two names.

    Parameters
    ----------
    keys : keys of the items of each side
    same : rows of the first and of the second side that belong to the same person

    Returns
    -------
    one (n,) int array per side
    """
    numbers: dict[str, int] = {}
    sides = [np.array([numbers.setdefault(key, len(numbers)) for key in side]) for side in keys]
    component = connected_components(len(numbers), sides[0][same[0]], sides[1][same[1]])
    return [component[side] for side in sides]


def area_limits(scores: np.ndarray, labels: np.ndarray, clusters: Clusters) -> tuple[float, float]:
    """95 % confidence limits of the AUC, 0 to 1.

    The AUC is the share of (target, nontarget) pairs in the right order. A trial influences it by the share of the
    other class's trials that it is ordered wrongly with (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988).
    """
    targets, nontargets = np.sort(scores[labels]), np.sort(scores[~labels])

    def at_most(ranked: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Share of the ranked values below each value, ties counting half."""
        return (np.searchsorted(ranked, values, "left") + np.searchsorted(ranked, values, "right")) / 2 / len(ranked)

    lost, won = 1 - at_most(nontargets, scores[labels]), at_most(targets, scores[~labels])
    influence = clusters.influence(True, lost) + clusters.influence(False, won)
    low, high = limits(bounded_part(float(lost.mean()), influence, clusters.n_people), clusters.n_people, 1.0)
    return 1 - high, 1 - low


def measure_verification(scores: np.ndarray, labels: np.ndarray, people: np.ndarray, intervals: bool = True) -> dict:
    """EER and AUC of face-voice verification, with intervals over people.

    Parameters
    ----------
    scores : (n,) float
    labels : (n,) bool
    people : (n, 2) int, the person of the voice and of the face

    Returns
    -------
    `eer_percent`, `eer_ci95`, `auc_percent`, `auc_ci95`, `chance_percent` (of both), `n_target`, `n_nontarget`,
    `n_people`; measures are None if a class has no pair
    """
    system, clusters = Measured.of(scores, labels), Clusters(people, labels)
    counts = system.counts
    two = counts.two_classes
    ends = of_area = None
    if intervals and two and clusters.n_people > 1:
        ends, of_area = eer_limits(system, clusters), area_limits(system.scores, system.labels, clusters)
    return {
        "eer_percent": 100 * system.eer[0] if two else None,
        "eer_ci95": ends_of(ends, 100),
        "auc_percent": 100 * auc(counts) if two else None,
        "auc_ci95": ends_of(of_area, 100),
        "chance_percent": 50.0,
        "n_target": counts.n_target,
        "n_nontarget": counts.n_nontarget,
        "n_people": clusters.n_people,
    }


def refuse_other_people(path: Path, trials: Trials, utt2spk: Mapping[str, str]) -> None:
    """InputError if a label contradicts utt2spk; items that utt2spk does not list are not checked."""
    numbers: dict[str, int] = {}
    sides = [np.array([numbers.setdefault(utt2spk[name], len(numbers)) if name in utt2spk else -1 for name in ids])
             for ids in (trials.enroll_ids, trials.test_ids)]  # fmt: skip
    voices, faces = sides[0][trials.pairs[:, 0]], sides[1][trials.pairs[:, 1]]
    wrong = (voices >= 0) & (faces >= 0) & ((voices == faces) != trials.labels)
    if (first := np.flatnonzero(wrong)[:1]).size:
        voice, face = trials[int(first[0])]
        kind = "target" if trials.labels[first[0]] else "nontarget"
        raise InputError(f'{path}: pair {first[0] + 1}, "{voice} {face}", is a {kind} pair, but utt2spk gives '
                        f'"{utt2spk[voice]}" and "{utt2spk[face]}"')  # fmt: skip


def verification_record(path: Path, space: JointSpace, utt2spk: Mapping[str, str], n_permutations: int) -> dict:
    trials = read_verification(path)
    refuse_other_people(path, trials, utt2spk)
    rows = [space.rows(trials.enroll_ids, True, path), space.rows(trials.test_ids, False, path)]
    sides = [space.voice.vectors[rows[0]], space.face.vectors[rows[1]]]
    keys = [[person_key(name, utt2spk, space.ids) for name in side] for side in (trials.enroll_ids, trials.test_ids)]
    voices, faces = number_people(keys, tuple(trials.pairs[trials.labels].T))
    people = np.stack([voices[trials.pairs[:, 0]], faces[trials.pairs[:, 1]]], 1)
    scores = cosine_scores(*sides, trials.pairs)
    record = measure_verification(scores, trials.labels, people, bool(n_permutations))
    exchanged = ExchangedPeople(faces, people)
    unit = [unit_length(side) for side in sides]

    def measure(taken: np.ndarray | None) -> tuple[float, float]:
        values = scores
        if taken is not None:
            items = exchanged.exchange_items(taken)
            values = inner_products(*unit, np.stack([trials.pairs[:, 0], items[trials.pairs[:, 1]]], 1))
        counts = count_errors(values, trials.labels)
        return equal_error(counts)[0], auc(counts)

    both = bool(trials.labels.any() and not trials.labels.all())
    p = permutation_p(measure, exchanged, n_permutations) if both else None
    return {**record, "eer_p": p[0] if p else None, "auc_p": p[1] if p else None}


def matching_records(
    path: Path,
    space: JointSpace | None,
    odd_one_out: ScoreMatching | None,
    utt2spk: Mapping[str, str],
    ids: Mapping[str, str],
    n_permutations: int,
) -> list[dict]:
    """One record for each N from 2 to the number of candidates on a line, using the first N candidates."""
    matching = read_matching(path)
    true_ones = np.stack([matching.queries, matching.candidates[:, 0]], 1)
    alike = Trials(matching.query_ids, matching.candidate_ids, true_ones, np.ones(len(matching), bool))
    refuse_other_people(path, alike, utt2spk)
    keys = [[person_key(n, utt2spk, ids) for n in side] for side in (matching.query_ids, matching.candidate_ids)]
    owners = number_people(keys, (matching.queries, matching.candidates[:, 0]))[1]
    people = owners[matching.candidates]
    if wrong := np.flatnonzero((people[:, 1:] == people[:, :1]).any(1))[:1].tolist():
        raise InputError(
            f"{path}, line {wrong[0] + 1}: expected other people as wrong candidates, found the true person"
        )
    sizes = range(2, matching.candidates.shape[1] + 1)
    voice_is_given = direction(path) == "v2f"
    if odd_one_out:
        n_permutations = min(n_permutations, NETWORK_PERMUTATIONS)
        scores_of = lambda part: [odd_one_out(part, n, voice_is_given) for n in sizes]  # noqa: E731
    else:
        scores_of = by_cosine(space, path, matching, voice_is_given)
    exchanged = ExchangedPeople(owners, np.stack([np.repeat(people[:, 0], people.shape[1]), people.ravel()], 1))

    def measure(taken: np.ndarray | None) -> list[float]:
        if taken is None:
            return [float(matching_credit(scores).mean()) for scores in true_scores]
        part = replace(matching, candidates=exchanged.exchange_items(taken)[matching.candidates])
        return [float(matching_credit(scores).mean()) for scores in scores_of(part)]

    true_scores = scores_of(matching)
    p = permutation_p(measure, exchanged, n_permutations) or [None] * len(sizes)
    return [{**measure_matching(scores, people[:, :n], bool(n_permutations)), "accuracy_p": value}
            for n, scores, value in zip(sizes, true_scores, p, strict=True)]  # fmt: skip


def by_cosine(
    space: JointSpace, path: Path, matching: Matching, voice_is_given: bool
) -> Callable[[Matching], list[np.ndarray]]:
    """Score candidates by their cosine with the query, for 2, 3, ... candidates; the names are looked up once."""
    sides = {True: space.voice, False: space.face}
    queries, candidates = (
        unit_length(sides[of_voice].vectors[space.rows(names, of_voice, path)])
        for names, of_voice in ((matching.query_ids, voice_is_given), (matching.candidate_ids, not voice_is_given))
    )
    table = queries @ candidates.T if len(queries) * len(candidates) <= TABLE else None

    def score(part: Matching) -> list[np.ndarray]:
        n = part.candidates.shape[1]
        pairs = np.stack([np.repeat(part.queries, n), part.candidates.ravel()], 1)
        scores = inner_products(queries, candidates, pairs) if table is None else table[pairs[:, 0], pairs[:, 1]]
        return [scores.reshape(-1, n)[:, :k] for k in range(2, n + 1)]

    return score


def retrieval_records(
    paths: tuple[Path, Path], space: JointSpace, utt2spk: Mapping[str, str], n_permutations: int
) -> dict[str, dict]:
    """One record for each direction, v2f and f2v."""
    items = [read_gallery(path) for path in paths]
    for path, side in zip(paths, items, strict=True):
        for item, person in side.items():
            if utt2spk.get(item, person) != person:
                raise InputError(f'{path}: person "{person}" of "{item}" contradicts "{utt2spk[item]}" in utt2spk')
    people = sorted({person for side in items for person in side.values()})
    numbers = {person: number for number, person in enumerate(people)}
    owners = [np.array([numbers[person] for person in side.values()]) for side in items]
    rows = [space.rows(list(side), i == 0, path) for i, (side, path) in enumerate(zip(items, paths, strict=True))]
    vectors = [unit_length(side.vectors[r]) for side, r in zip((space.voice, space.face), rows, strict=True)]
    records = {}
    for way, query in (("v2f", 0), ("f2v", 1)):
        left, right = vectors[query], vectors[1 - query].T
        score = lambda part, left=left, right=right: left[part] @ right  # noqa: E731 (a def would say no more)
        record = measure_retrieval(score, owners[query], owners[1 - query], bool(n_permutations))
        records[way] = {**record, "map_p": retrieval_p(score, owners[query], owners[1 - query], n_permutations)}
    return records


def retrieval_p(score: Callable[[slice], np.ndarray], queries: np.ndarray, gallery: np.ndarray,
                n_permutations: int) -> float | None:  # fmt: skip
    """P-value of the mean average precision over chance; queries without items to find do not count."""
    everybody = np.unique(gallery)
    exchanged = ExchangedPeople(gallery, np.stack([np.full(len(everybody), everybody[0]), everybody], 1))
    present = np.flatnonzero(np.isin(queries, everybody))
    if not n_permutations or not len(present) or not exchanged.possible:
        return None
    table = precision_table(score, len(queries), np.searchsorted(everybody, gallery))[present]
    wanted = np.searchsorted(everybody, queries[present])

    def measure(taken: np.ndarray | None) -> tuple[float]:
        found = wanted if taken is None else taken[wanted]
        return (float(table[np.arange(len(found)), found].mean()),)

    return permutation_p(measure, exchanged, n_permutations)[0]


def measure_protocols(protocols: Protocols, space: JointSpace | None, utt2spk: Mapping[str, str],
                      odd_one_out: ScoreMatching | None = None, ids: Mapping[str, str] | None = None,
                      n_permutations: int = 1000) -> list[dict]:  # fmt: skip
    """Measure every list; a matching list gives one record for each N.

    Parameters
    ----------
    space : embeddings; None for a system that only picks one of several candidates
    utt2spk : people of our lists; the published lists have them in their paths
    odd_one_out : scores matching lists instead of the cosine
    n_permutations : of the people, for p-values (see `permutation_p`), at most 199 with `odd_one_out`; 0 for neither
        p-values nor intervals

    Returns
    -------
    records with `protocol` (verification | matching | retrieval), `list`, and the measures
    """
    records = []
    for name, path in protocols.verification.items() if space else ():
        records.append({"protocol": "verification", "list": name,
                        **verification_record(path, space, utt2spk, n_permutations)})  # fmt: skip
    for name, path in protocols.matching.items():
        names = ids or (space.ids if space else {})
        for record in matching_records(path, space, odd_one_out, utt2spk, names, n_permutations):
            records.append({"protocol": "matching", "list": name, **record})
    if space and protocols.retrieval:
        for way, record in retrieval_records(protocols.retrieval, space, utt2spk, n_permutations).items():
            records.append({"protocol": "retrieval", "list": way, **record})
    return records
