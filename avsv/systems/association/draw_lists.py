"""Face-voice protocols drawn from a data directory: verification pairs, matching queries, retrieval galleries.

As in the published protocols of VoxCeleb1 (Nagrani et al., ECCV 2018): as many wrong pairs as right ones, drawn at
random, or from people who are alike in gender, nationality, age, or several of these. A voice and a face of one person
are never of the same session where the person has several, so that a room or a day gives nothing away.
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
CANDIDATES = 10  # of a query in the list of group U; two in the other groups, as published
ROUNDS = 20  # most queries of one clip, each with other candidates: few would leave the measure to the draw


@dataclass(frozen=True)
class Clips:
    """The clips of a set that have a voice, or a face.

    utts : names ; people, sessions : (n,) int
    """

    utts: Sequence[str]
    people: np.ndarray
    sessions: np.ndarray


def clips_of(data: DataDir, utts: Sequence[str]) -> Clips:
    """Persons and sessions of clips; without utt2vid every clip is a session of its own."""
    sessions, people = data.table("utt2vid"), sorted(set(data.utt2spk.values()))
    numbers = {spk: number for number, spk in enumerate(people)}
    names = [sessions.get(utt, utt) for utt in utts]
    numbered = {name: number for number, name in enumerate(sorted({*sessions.values(), *names}))}
    return Clips(utts, np.array([numbers[data.utt2spk[utt]] for utt in utts], np.int32),
                 np.array([numbered[name] for name in names], np.int32))  # fmt: skip


def traits_of(data: DataDir, people: Sequence[str]) -> dict[str, np.ndarray]:
    """Group -> (people,) int, equal where two people are alike; a group whose tables are absent is left out, and said.

    Raises
    ------
    InputError : a table is there and a person is not in it
    """
    values: dict[str, list[str]] = {}
    for letter, name in TRAITS.items():
        table = data.table(name)
        if not table:
            log.info("%s: has no %s: no lists of people who are alike in it", data.path, name)
            continue
        if absent := [spk for spk in people if spk not in table]:
            raise InputError(f'{data.path}/{name}: {len(absent)} people are not in it, such as "{absent[0]}"')
        values[letter] = [table[spk] for spk in people]
    groups = {"U": np.zeros(len(people), np.int64)}
    for group in GROUPS[1:]:
        if all(letter in values for letter in group):
            keys = ["\t".join(of) for of in zip(*(values[letter] for letter in group), strict=True)]
            groups[group] = np.unique(keys, return_inverse=True)[1]
    return groups


def right_partners(query: int, queries: Clips, others: Clips) -> np.ndarray:
    """Rows of `others` that are of the query's person, of other sessions than the query's where there are any."""
    same = np.flatnonzero(others.people == queries.people[query])
    elsewhere = same[others.sessions[same] != queries.sessions[query]]
    return elsewhere if len(elsewhere) else same


def draw_verification(voices: Clips, faces: Clips, alike: np.ndarray, rng: np.random.Generator,
                      most: int) -> Trials | None:  # fmt: skip
    """Right pairs across sessions, at most `most`, and for each a wrong one of the same voice; None where none can be.

    alike : (people,) int, who may meet whom in a wrong pair; people with nobody like them are left out
    """
    pairs = [(v, f) for v in range(len(voices.utts)) for f in right_partners(v, voices, faces).tolist()]
    wrong = {p: np.flatnonzero((alike[faces.people] == alike[p]) & (faces.people != p))
             for p in np.unique(voices.people).tolist()}  # fmt: skip
    pairs = [(v, f) for v, f in pairs if len(wrong[int(voices.people[v])])]
    if not pairs:
        return None
    chosen = np.sort(rng.choice(len(pairs), min(most, len(pairs)), replace=False))
    found: dict[tuple[int, int], bool] = {}
    for row in chosen.tolist():
        voice, face = pairs[row]
        found[voice, face] = True
        other = draw_clip(faces, wrong[int(voices.people[voice])], rng)
        found.setdefault((voice, other), False)
    return Trials(voices.utts, faces.utts, np.array(list(found), np.int32), np.array(list(found.values())))


def draw_clip(clips: Clips, rows: np.ndarray, rng: np.random.Generator) -> int:
    """A clip of `rows`: first the person, each as likely, then one of the clips."""
    person = rng.choice(np.unique(clips.people[rows]))
    return int(rng.choice(rows[clips.people[rows] == person]))


def draw_matching(queries: Clips, others: Clips, alike: np.ndarray, n_candidates: int, rng: np.random.Generator,
                  most: int) -> Matching | None:  # fmt: skip
    """Queries with one right candidate and others of as many people who are alike: up to 20 a clip, at most `most`.

    A query whose person has too few people alike is left out; None where none is left.
    """
    of_person = {p: np.flatnonzero(others.people == p) for p in np.unique(others.people).tolist()}
    there = np.array(sorted(of_person))
    asked, offered = [], []
    rounds = min(ROUNDS, max(1, most // len(queries.utts)))
    for query in np.sort(np.tile(rng.permutation(len(queries.utts))[:most], rounds)).tolist():
        person = int(queries.people[query])
        right = right_partners(query, queries, others)
        like = there[(alike[there] == alike[person]) & (there != person)]
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
    most : right pairs of a verification list, queries of a matching list

    Returns
    -------
    what was written, a line a list

    Raises
    ------
    InputError : fewer than two people have a voice and a face
    """
    voices, faces = (clips_of(data, sorted(table, key=str.encode)) for table in (data.wav, data.video))
    both = np.intersect1d(voices.people, faces.people)
    if len(both) < 2:
        raise InputError(f"{data.path}: {len(both)} people have a voice and a face, at least 2 are needed")
    said, written = [], set()
    n_candidates = min(CANDIDATES, len(np.unique(faces.people)), len(np.unique(voices.people)))
    for number, (group, alike) in enumerate(traits_of(data, sorted(set(data.utt2spk.values()))).items()):
        rngs = [np.random.default_rng([seed, number, which]) for which in range(3)]
        trials = draw_verification(voices, faces, alike, rngs[0], most)
        if trials is not None:
            write_trials(out_dir / "verification" / group, trials)
            written.add(f"verification/{group}")
            people = len(np.unique(voices.people[trials.pairs[trials.labels, 0]]))
            said.append(f"verification {group}: {int(trials.labels.sum())} right and {int((~trials.labels).sum())} "
                        f"wrong pairs, {people} people")  # fmt: skip
        for way, sides, rng in (("v2f", (voices, faces), rngs[1]), ("f2v", (faces, voices), rngs[2])):
            matching = draw_matching(*sides, alike, n_candidates if group == "U" else 2, rng, most)
            if matching is not None:
                write_matching(out_dir / "matching" / f"{way}_{group}", matching)
                written.add(f"matching/{way}_{group}")
                said.append(f"matching {way} {group}: {len(matching)} queries, 1 of {matching.candidates.shape[1]}")
    ours = {f"{kind}_{group}" for kind in ("matching/v2f", "matching/f2v") for group in GROUPS}
    for name in sorted((ours | {f"verification/{group}" for group in GROUPS}) - written):
        (out_dir / name).unlink(missing_ok=True)  # of an earlier set: it would be measured
    for name, table in (("voices", data.wav), ("faces", data.video)):
        write_table(out_dir / "retrieval" / name, {utt: data.utt2spk[utt] for utt in table})
        said.append(f"retrieval: {len(table)} {name}")
    return said
