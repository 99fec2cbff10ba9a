"""Evaluation of face-voice association on a folder of lists: verification, matching and retrieval, each with chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.bootstrap import SpeakerBootstrap, interval
from avsv.evaluation.errors import count_errors, equal_error
from avsv.evaluation.matching import measure_matching
from avsv.evaluation.resamples import Resamples
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

BINS = 2048  # score bins of a resampled AUC, which is exact up to this many distinct scores
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


def resampled_auc(part: Resamples, scores: np.ndarray) -> np.ndarray:
    """AUC of every resample, (resamples,); scores in the same of 2,048 bins count as equal."""
    distinct = np.unique(scores)
    edges = distinct if len(distinct) <= BINS else np.unique(np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, scores, side="right")
    labels, n = part.labels, len(edges) + 1
    targets = part.sums(part.speakers[labels], bins[labels], n)
    others = part.sums(part.speakers[~labels], bins[~labels], n)
    below = np.cumsum(others, axis=0) - others / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return (targets * below).sum(0) / (targets.sum(0) * others.sum(0))


def measure_verification(scores: np.ndarray, labels: np.ndarray, people: np.ndarray, n_resamples: int = 1000) -> dict:
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
    counts = count_errors(scores, labels)
    two = counts.two_classes
    bootstrap = SpeakerBootstrap(people, labels, n_resamples) if n_resamples else None
    ends = of_area = None
    if bootstrap and bootstrap.can_vary:
        ends = interval(100 * bootstrap.eers(scores, counts))
        of_area = interval(100 * np.concatenate([resampled_auc(part, scores) for part in bootstrap.parts]))
    return {
        "eer_percent": 100 * equal_error(counts)[0] if two else None,
        "eer_ci95": list(ends) if ends else None,
        "auc_percent": 100 * auc(counts) if two else None,
        "auc_ci95": list(of_area) if of_area else None,
        "chance_percent": 50.0,
        "n_target": counts.n_target,
        "n_nontarget": counts.n_nontarget,
        "n_people": len(np.unique(people)),
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


def verification_record(path: Path, space: JointSpace, utt2spk: Mapping[str, str], n_resamples: int) -> dict:
    trials = read_verification(path)
    refuse_other_people(path, trials, utt2spk)
    rows = [space.rows(trials.enroll_ids, True, path), space.rows(trials.test_ids, False, path)]
    scores = cosine_scores(space.voice.vectors[rows[0]], space.face.vectors[rows[1]], trials.pairs)
    keys = [[person_key(name, utt2spk, space.ids) for name in side] for side in (trials.enroll_ids, trials.test_ids)]
    voices, faces = number_people(keys, tuple(trials.pairs[trials.labels].T))
    people = np.stack([voices[trials.pairs[:, 0]], faces[trials.pairs[:, 1]]], 1)
    return measure_verification(scores, trials.labels, people, n_resamples)


def matching_records(path: Path, score: ScoreMatching, utt2spk: Mapping[str, str], ids: Mapping[str, str],
                     n_resamples: int) -> list[dict]:  # fmt: skip
    """One record for each N from 2 to the number of candidates on a line, using the first N candidates."""
    matching = read_matching(path)
    true_ones = np.stack([matching.queries, matching.candidates[:, 0]], 1)
    alike = Trials(matching.query_ids, matching.candidate_ids, true_ones, np.ones(len(matching), bool))
    refuse_other_people(path, alike, utt2spk)
    keys = [[person_key(n, utt2spk, ids) for n in side] for side in (matching.query_ids, matching.candidate_ids)]
    people = number_people(keys, (matching.queries, matching.candidates[:, 0]))[1][matching.candidates]
    if wrong := np.flatnonzero((people[:, 1:] == people[:, :1]).any(1))[:1].tolist():
        raise InputError(
            f"{path}, line {wrong[0] + 1}: expected other people as wrong candidates, found the true person"
        )
    voice_is_given = direction(path) == "v2f"
    return [measure_matching(score(matching, n, voice_is_given), people[:, :n], n_resamples)
            for n in range(2, matching.candidates.shape[1] + 1)]  # fmt: skip


def by_cosine(space: JointSpace, path: Path) -> ScoreMatching:
    """Score candidates by their cosine with the query."""
    unit = {True: unit_length(space.voice.vectors), False: unit_length(space.face.vectors)}

    def score(matching: Matching, n: int, voice_is_given: bool) -> np.ndarray:
        query = space.rows(matching.query_ids, voice_is_given, path)[matching.queries]
        candidates = space.rows(matching.candidate_ids, not voice_is_given, path)[matching.candidates[:, :n]]
        pairs = np.stack([np.repeat(query, n), candidates.ravel()], 1)
        return inner_products(unit[voice_is_given], unit[not voice_is_given], pairs).reshape(-1, n)

    return score


def retrieval_records(
    paths: tuple[Path, Path], space: JointSpace, utt2spk: Mapping[str, str], n_resamples: int
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
        records[way] = measure_retrieval(score, owners[query], owners[1 - query], n_resamples)
    return records


def measure_protocols(protocols: Protocols, space: JointSpace | None, utt2spk: Mapping[str, str],
                      odd_one_out: ScoreMatching | None = None, ids: Mapping[str, str] | None = None,
                      n_resamples: int = 1000) -> list[dict]:  # fmt: skip
    """Measure every list; a matching list gives one record for each N.

    Parameters
    ----------
    space : embeddings; None for a system that only picks one of several candidates
    utt2spk : people of our lists; the published lists have them in their paths
    odd_one_out : scores matching lists instead of the cosine

    Returns
    -------
    records with `protocol` (verification | matching | retrieval), `list`, and the measures
    """
    records = []
    for name, path in protocols.verification.items() if space else ():
        records.append({"protocol": "verification", "list": name,
                        **verification_record(path, space, utt2spk, n_resamples)})  # fmt: skip
    for name, path in protocols.matching.items():
        score = odd_one_out or by_cosine(space, path)
        for record in matching_records(path, score, utt2spk, ids or (space.ids if space else {}), n_resamples):
            records.append({"protocol": "matching", "list": name, **record})
    if space and protocols.retrieval:
        for way, record in retrieval_records(protocols.retrieval, space, utt2spk, n_resamples).items():
            records.append({"protocol": "retrieval", "list": way, **record})
    return records
