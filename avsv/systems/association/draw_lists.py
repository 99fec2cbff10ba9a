"""Draw face-voice lists from a data directory: verification pairs, matching queries and retrieval galleries.

The lists follow the published protocols of VoxCeleb1 (Nagrani et al., ECCV 2018): as many nontarget pairs as target
pairs, drawn at random, or from people who share gender, nationality, age, or several of these. The voice and face of a
target pair come from different sessions if the person has several: otherwise a shared room or day would help.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.data_dir import DataDir
from avsv.kaldi.tables import write_table
from avsv.kaldi.trials import Trials, write_trials
from avsv.systems.association.lists import Matching, write_matching

log = logging.getLogger("avsv")
TRAITS = {"G": "spk2gender", "N": "spk2nationality", "A": "spk2age"}
GROUPS = ("U", "G", "N", "A", "GN", "GNA")
CANDIDATES = 10  # per query in the list of group U; two in the other groups, as published
ROUNDS = 20  # most queries per clip, each with other candidates: with few, the result would depend on the draw


@dataclass(frozen=True)
class Clips:
    """The clips of a set that have one modality.

    utts : names
    people, sessions : (n,) int, number of each clip's person and session
    """

    utts: Sequence[str]
    people: np.ndarray
    sessions: np.ndarray


def clips_of(data: DataDir, utts: Sequence[str]) -> Clips:
    """People and sessions of clips; a clip that utt2vid does not list forms a separate session."""
    sessions, people = data.table("utt2vid"), sorted(set(data.utt2spk.values()))
    numbers = {spk: number for number, spk in enumerate(people)}
    names = [sessions.get(utt, utt) for utt in utts]
    numbered = {name: number for number, name in enumerate(sorted({*sessions.values(), *names}))}
    return Clips(utts, np.array([numbers[data.utt2spk[utt]] for utt in utts], np.int32),
                 np.array([numbered[name] for name in names], np.int32))  # fmt: skip


def traits_of(data: DataDir, people: Sequence[str]) -> dict[str, np.ndarray]:
    """Group -> (people,) int, with equal numbers for people who share the group's traits.

    Groups without the necessary tables are left out, and the log names the missing table.

    Raises
    ------
    InputError : a person is missing from a table
    """
    values: dict[str, list[str]] = {}
    for letter, name in TRAITS.items():
        table = data.table(name)
        if not table:
            log.info("%s: has no %s; its groups are left out", data.path, name)
            continue
        if absent := [spk for spk in people if spk not in table]:
            raise InputError(f'{data.path}/{name}: {len(absent)} people are missing, such as "{absent[0]}"')
        values[letter] = [table[spk] for spk in people]
    groups = {"U": np.zeros(len(people), np.int64)}
    for group in GROUPS[1:]:
        if all(letter in values for letter in group):
            keys = ["\t".join(of) for of in zip(*(values[letter] for letter in group), strict=True)]
            groups[group] = np.unique(keys, return_inverse=True)[1]
    return groups


def right_partners(query: int, queries: Clips, others: Clips) -> np.ndarray:
    """Rows of `others` with the query's person, from other sessions than the query's if possible."""
    same = np.flatnonzero(others.people == queries.people[query])
    elsewhere = same[others.sessions[same] != queries.sessions[query]]
    return elsewhere if len(elsewhere) else same


def draw_verification(voices: Clips, faces: Clips, alike: np.ndarray, rng: np.random.Generator,
                      most: int) -> Trials | None:  # fmt: skip
    """Draw up to `most` target pairs across sessions, and for each a nontarget pair with the same voice.

    Parameters
    ----------
    alike : (people,) int; nontarget pairs join people with equal values, and people without an equal are left out

    Returns
    -------
    trials, or None if no pair is possible
    """
    pairs = [(v, f) for v in range(len(voices.utts)) for f in right_partners(v, voices, faces).tolist()]
    wrong = {p: np.flatnonzero((alike[faces.people] == alike[p]) & (faces.people != p))
             for p in np.unique(voices.people).tolist()}  # fmt: skip
    pairs = [(v, f) for v, f in pairs if len(wrong[int(voices.people[v])])]
    if not pairs:
        return None
    chosen = np.sort(rng.choice(len(pairs), min(most, len(pairs)), replace=False))
    labels: dict[tuple[int, int], bool] = {}
    for row in chosen.tolist():
        voice, face = pairs[row]
        labels[voice, face] = True
        other = draw_clip(faces, wrong[int(voices.people[voice])], rng)
        labels.setdefault((voice, other), False)
    return Trials(voices.utts, faces.utts, np.array(list(labels), np.int32), np.array(list(labels.values())))


def draw_clip(clips: Clips, rows: np.ndarray, rng: np.random.Generator) -> int:
    """Draw a person uniformly, then one of the person's clips among `rows`."""
    person = rng.choice(np.unique(clips.people[rows]))
    return int(rng.choice(rows[clips.people[rows] == person]))


def draw_matching(queries: Clips, others: Clips, alike: np.ndarray, n_candidates: int, rng: np.random.Generator,
                  most: int) -> Matching | None:  # fmt: skip
    """Draw queries with one true candidate and others from as many other people: up to 20 per clip, at most `most`.

    A query is left out if too few people share its person's traits.

    Returns
    -------
    queries, or None if none is possible
    """
    of_person = {p: np.flatnonzero(others.people == p) for p in np.unique(others.people).tolist()}
    present = np.array(sorted(of_person))
    asked, offered = [], []
    rounds = min(ROUNDS, max(1, most // len(queries.utts)))
    for query in np.sort(np.tile(rng.permutation(len(queries.utts))[:most], rounds)).tolist():
        person = int(queries.people[query])
        right = right_partners(query, queries, others)
        like = present[(alike[present] == alike[person]) & (present != person)]
        if len(right) and len(like) >= n_candidates - 1:
            strangers = rng.choice(like, n_candidates - 1, replace=False).tolist()
            asked.append(query)
            offered.append([int(rng.choice(right)), *(int(rng.choice(of_person[p])) for p in strangers)])
    if not asked:
        return None
    return Matching(queries.utts, others.utts, np.array(asked, np.int32), np.array(offered, np.int32))


def write_protocols(data: DataDir, out_dir: Path, seed: int = 0, most: int = 10000) -> list[str]:
    """Draw all lists of a data directory and write them in our layout.

    Parameters
    ----------
    most : largest number of target pairs in a verification list and of queries in a matching list

    Returns
    -------
    one line of text for each list written

    Raises
    ------
    InputError : fewer than two people have both a voice and a face
    """
    voices, faces = (clips_of(data, sorted(table, key=str.encode)) for table in (data.wav, data.video))
    both = np.intersect1d(voices.people, faces.people)
    if len(both) < 2:
        raise InputError(f"{data.path}: expected at least 2 people with a voice and a face, found {len(both)}")
    summary, written = [], set()
    n_candidates = min(CANDIDATES, len(np.unique(faces.people)), len(np.unique(voices.people)))
    for number, (group, alike) in enumerate(traits_of(data, sorted(set(data.utt2spk.values()))).items()):
        rngs = [np.random.default_rng([seed, number, which]) for which in range(3)]
        trials = draw_verification(voices, faces, alike, rngs[0], most)
        if trials is not None:
            write_trials(out_dir / "verification" / group, trials)
            written.add(f"verification/{group}")
            people = len(np.unique(voices.people[trials.pairs[trials.labels, 0]]))
            summary.append(f"verification {group}: {int(trials.labels.sum())} target and {int((~trials.labels).sum())} "
                           f"nontarget pairs, {people} people")  # fmt: skip
        for way, sides, rng in (("v2f", (voices, faces), rngs[1]), ("f2v", (faces, voices), rngs[2])):
            matching = draw_matching(*sides, alike, n_candidates if group == "U" else 2, rng, most)
            if matching is not None:
                write_matching(out_dir / "matching" / f"{way}_{group}", matching)
                written.add(f"matching/{way}_{group}")
                summary.append(f"matching {way} {group}: {len(matching)} queries, 1 of {matching.candidates.shape[1]}")
    ours = {f"{kind}_{group}" for kind in ("matching/v2f", "matching/f2v") for group in GROUPS}
    for name in sorted((ours | {f"verification/{group}" for group in GROUPS}) - written):
        (out_dir / name).unlink(missing_ok=True)  # left from an earlier set; it would be evaluated too
    for name, table in (("voices", data.wav), ("faces", data.video)):
        write_table(out_dir / "retrieval" / name, {utt: data.utt2spk[utt] for utt in table})
        summary.append(f"retrieval: {len(table)} {name}")
    return summary
