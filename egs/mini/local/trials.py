"""VoxCeleb-style identifiers, the table of people, and a trial list of the test people."""

import string

import numpy as np
from people import random_stream

TARGETS = 3000  # maximum; if fewer pairs of clips from two sessions of a person exist, all are used
NONTARGETS_A_TARGET = 5
_LETTERS = np.array(list(string.ascii_letters + string.digits + "-_"))


def person_ids(seed: int, people: int) -> list[str]:
    """Return `people` VoxCeleb2 identifiers, in random order."""
    rng = random_stream(seed, "names")
    return [f"id{number:05d}" for number in rng.choice(np.arange(12, 9273), people, replace=False)]


def video_id(rng: np.random.Generator) -> str:
    """A name like a YouTube video id; it starts with a letter, so no program mistakes it for an option."""
    return str(rng.choice(_LETTERS[:52])) + "".join(rng.choice(_LETTERS, 10))


def test_people(people: int) -> int:
    """Return the number of test people: a third of `people`, rounded to an even number."""
    return max(2, 2 * round(people / 6))


def meta_csv(ids: list[str], genders: list[str], sets: list[str]) -> str:
    """Return vox2_meta.csv in its published form, including its spaces."""
    rows = sorted(zip(ids, genders, sets, strict=True))
    lines = [f"{name} ,n{i:06d} ,{gender} ,{part} " for i, (name, gender, part) in enumerate(rows)]
    return "\n".join(["VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set ", *lines]) + "\n"


def trial_list(clips: list[tuple[str, str, str]], gender: dict[str, str], seed: int) -> str:
    """Return trials of clips (person, video, file name) in the format of VoxCeleb.

    Targets compare two sessions of a person; half of the nontargets, if possible, compare people of the same gender.
    """
    rng = random_stream(seed, "trials")
    targets, same, other = [], [], []
    for i, a in enumerate(clips):
        for b in clips[i + 1 :]:
            if a[0] == b[0]:
                if a[1] != b[1]:
                    targets.append((a, b))
            else:
                (same if gender[a[0]] == gender[b[0]] else other).append((a, b))

    def some(pairs: list, count: int) -> list:
        chosen = sorted(rng.choice(len(pairs), min(count, len(pairs)), replace=False)) if pairs else []
        return [pairs[k] for k in chosen]

    targets = some(targets, TARGETS)
    half = len(targets) * NONTARGETS_A_TARGET // 2
    trials = [(1, *pair) for pair in targets]
    trials += [(0, *pair) for pair in some(same, half) + some(other, half)]
    lines = []
    for k in rng.permutation(len(trials)):
        label, a, b = trials[k]
        if rng.uniform() < 0.5:
            a, b = b, a
        lines.append(f"{label} {'/'.join(a)} {'/'.join(b)}")
    return "\n".join(lines) + "\n"
