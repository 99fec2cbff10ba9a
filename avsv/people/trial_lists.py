"""Draws trial lists from the people and sessions of recordings: pairs, or enrolment models against recordings."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.trials import Trials

log = logging.getLogger("avsv")
MOST = 50_000_000  # pairs that are listed; of more, only a sample is drawn
ROUNDS = 200  # of drawing pairs at random


@dataclass(frozen=True)
class Recordings:
    """Recordings in the order of the list, with numbers for their people, sessions and genders.

    speakers : name of each person, by number
    people, sessions, genders : (n,) int; equal numbers mean equal values, -1 an unknown one. A recording without a
        session is a session of its own
    """

    ids: Sequence[str]
    speakers: Sequence[str]
    people: np.ndarray
    sessions: np.ndarray
    genders: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def number_recordings(
    utt2spk: Mapping[str, str],
    unlabelled: Collection[str] = (),
    sessions: Mapping[str, str] | None = None,
    genders: Mapping[str, str] | None = None,
) -> Recordings:
    """Recordings from tables.

    Parameters
    ----------
    unlabelled : recordings of unknown people
    sessions, genders : of recordings; may lack some

    Examples
    --------
    >>> number_recordings({"a-1": "a", "a-2": "a", "x": "x"}, ["x"]).people.tolist()
    [0, 0, -1]
    """
    ids, nobody = list(utt2spk), set(unlabelled)
    people = numbers([None if utt in nobody else utt2spk[utt] for utt in ids])
    session = numbers([(sessions or {}).get(utt) for utt in ids])
    alone = session < 0
    session[alone] = len(ids) + np.arange(alone.sum())
    speakers = list(dict.fromkeys(utt2spk[utt] for utt in ids if utt not in nobody))
    return Recordings(ids, speakers, people, session, numbers([(genders or {}).get(utt) for utt in ids]))


def numbers(values: Sequence[str | None]) -> np.ndarray:
    """Equal numbers for equal values, -1 for None; (n,) int64."""
    known: dict[str, int] = {}
    return np.array([-1 if value is None else known.setdefault(value, len(known)) for value in values], np.int64)


@dataclass(frozen=True)
class Rules:
    """Which pairs may be trials.

    across_sessions : no pair of one session
    same_gender : no pair of different or unknown genders
    """

    across_sessions: bool = False
    same_gender: bool = False

    def allow(self, recordings: Recordings, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Whether pairs of recordings may be trials, (n,) bool."""
        allowed = np.ones(len(one), bool)
        if self.across_sessions:
            allowed &= recordings.sessions[one] != recordings.sessions[other]
        if self.same_gender:
            genders, people = recordings.genders, recordings.people
            alike = (genders[one] == genders[other]) & (genders[one] >= 0)
            allowed &= alike | ((people[one] == people[other]) & (people[one] >= 0))
        return allowed


def draw_pairs(
    recordings: Recordings, rules: Rules, labelled: bool = True, sample: int | None = None, seed: int = 0
) -> Trials:
    """All pairs of recordings, or a random sample.

    Parameters
    ----------
    labelled : pairs of known people, with labels; otherwise pairs of all recordings, without
    sample : at most so many target trials, and so many nontarget trials (trials, if not labelled)

    Raises
    ------
    InputError : fewer than two recordings; over 50 million pairs and no sample; no target, or no nontarget trial

    Examples
    --------
    >>> recordings = number_recordings({"a-1": "a", "a-2": "a", "b-1": "b"})
    >>> trials = draw_pairs(recordings, Rules())
    >>> [(*trials[n], bool(trials.labels[n])) for n in range(3)]
    [('a-1', 'a-2', True), ('a-1', 'b-1', False), ('a-2', 'b-1', False)]
    """
    usable = np.flatnonzero(recordings.people >= 0) if labelled else np.arange(len(recordings))
    n, rng = len(usable), np.random.default_rng(seed)
    n_pairs = n * (n - 1) // 2
    if n_pairs > MOST and sample is None:
        raise InputError(f"{n} recordings have {n_pairs} pairs, more than {MOST}; draw some of them with `sample`")
    people = recordings.people
    if n_pairs <= MOST:
        one, other = (usable[side] for side in np.triu_indices(n, 1))
        allowed = rules.allow(recordings, one, other)
        one, other = one[allowed], other[allowed]
        targets = np.flatnonzero(people[one] == people[other]) if labelled else np.zeros(0, int)
        rest = np.flatnonzero(people[one] != people[other]) if labelled else np.arange(len(one))
        kept = np.sort(np.concatenate([some(targets, sample, rng), some(rest, sample, rng)]))
        one, other = one[kept], other[kept]
    else:
        one, other = sample_pairs(recordings, rules, usable, labelled, sample, rng)
    labels = people[one] == people[other] if labelled else None
    refuse_one_kind(labels, len(one), rules)
    return as_trials(recordings, one, other, labels)


def some(rows: np.ndarray, n: int | None, rng: np.random.Generator) -> np.ndarray:
    """At most `n` of the rows, drawn at random."""
    return rows if n is None or len(rows) <= n else rng.choice(rows, n, replace=False)


def sample_pairs(
    recordings: Recordings, rules: Rules, usable: np.ndarray, labelled: bool, sample: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A sample of pairs too many to list: all target pairs are listed by person, nontarget pairs drawn one by one."""
    people, chosen = recordings.people, []
    if labelled:
        by_person = np.split(usable[order := np.argsort(people[usable], kind="stable")],
                             np.flatnonzero(np.diff(people[usable][order])) + 1)  # fmt: skip
        pairs = [own[np.stack(np.triu_indices(len(own), 1))] for own in map(np.sort, by_person) if len(own) > 1]
        targets = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), int)
        targets = targets[:, rules.allow(recordings, *targets)]
        chosen.append(targets[:, some(np.arange(targets.shape[1]), sample, rng)])
    codes = np.zeros(0, np.int64)
    for _ in range(ROUNDS):
        one, other = np.sort(usable[rng.integers(len(usable), size=(2, 2 * sample))], axis=0)
        fit = (one != other) & rules.allow(recordings, one, other)
        if labelled:
            fit &= people[one] != people[other]
        codes = np.unique(np.concatenate([codes, one[fit] * len(recordings) + other[fit]]))
        if len(codes) >= sample:
            break
    codes = some(codes, sample, rng)
    chosen.append(np.stack([codes // len(recordings), codes % len(recordings)]))
    one, other = np.concatenate(chosen, axis=1)
    order = np.lexsort([other, one])
    return one[order], other[order]


def refuse_one_kind(labels: np.ndarray | None, n: int, rules: Rules) -> None:
    """InputError if there are no trials, no target trials or no nontarget trials."""
    n_targets = n if labels is None else int(labels.sum())
    if n_targets and (labels is None or n_targets < n):
        return
    what = "trials" if labels is None or not n else "target trials" if not n_targets else "nontarget trials"
    need = {
        "trials": "two recordings",
        "target trials": "a person with two recordings",
        "nontarget trials": "two people",
    }[what]
    limits = " that the rules on sessions and genders admit" * (rules.across_sessions or rules.same_gender)
    raise InputError(f"there are no {what}: expected {need}{limits}")


def as_trials(recordings: Recordings, one: np.ndarray, other: np.ndarray, labels: np.ndarray | None) -> Trials:
    """Trials of pairs of recordings."""
    sides = [np.unique(side, return_inverse=True) for side in (one, other)]
    names = [[recordings.ids[row] for row in rows] for rows, _ in sides]
    return Trials(*names, np.stack([inverse for _, inverse in sides], axis=1).astype(np.int32), labels)


def draw_models(
    recordings: Recordings, n_enroll: int, rules: Rules, sample: int | None = None, seed: int = 0
) -> tuple[Trials, dict[str, list[str]]]:
    """Enrolment models of `n_enroll` recordings, one for each person who has more, and their trials.

    The recordings of a model are drawn at random, and are in no other trial. Recordings of people without a model are
    impostors only. A model is of the sessions of all its recordings.

    Returns
    -------
    trials ; model -> its recordings. The model of "ada" is "ada--enrolled"

    Raises
    ------
    InputError : nobody has more recordings; no target, or no nontarget trial; a recording of a model's name
    """
    rng, people = np.random.default_rng(seed), recordings.people
    models, members = [], []
    for person in range(people.max(initial=-1) + 1):
        own = np.flatnonzero(people == person)
        if len(own) > n_enroll:
            models.append(person)
            members.append(np.sort(rng.choice(own, n_enroll, replace=False)))
    if not models:
        raise InputError(f"no person has more than {n_enroll} recordings: {n_enroll} for the model and one to test it")
    names = [f"{recordings.speakers[person]}--enrolled" for person in models]
    if taken := set(names) & set(recordings.ids):
        raise InputError(
            f"{min(taken)} is a recording, but the model of {min(taken).rpartition('--')[0]} needs this name"
        )
    enrolled = np.concatenate(members)
    tests = np.setdiff1d(np.flatnonzero(people >= 0), enrolled)
    if len(models) * len(tests) > MOST and sample is None:
        raise InputError(f"{len(models)} models and {len(tests)} recordings have more than {MOST} pairs; draw some of "
                        "them with `sample`")  # fmt: skip
    rows = []
    for number, (person, own) in enumerate(zip(models, members, strict=True)):
        allowed = np.all([rules.allow(recordings, np.full(len(tests), one), tests) for one in own], axis=0)
        same = people[tests] == person
        targets, others = np.flatnonzero(allowed & same), np.flatnonzero(allowed & ~same)
        rows.append(np.stack([np.full(len(targets) + len(others), number), np.sort(np.concatenate([targets, others]))]))
    model, test = np.concatenate(rows, axis=1)
    labels = people[tests[test]] == np.array(models)[model]
    kept = np.sort(
        np.concatenate([some(np.flatnonzero(labels), sample, rng), some(np.flatnonzero(~labels), sample, rng)])
    )
    refuse_one_kind(labels[kept], len(kept), rules)
    trials = Trials(
        names,
        [recordings.ids[row] for row in tests],
        np.stack([model, test], axis=1)[kept].astype(np.int32),
        labels[kept],
    )
    log.info("%d models of %d recordings, %d recordings to test them", len(models), n_enroll, len(tests))
    return trials, {name: [recordings.ids[row] for row in own] for name, own in zip(names, members, strict=True)}
