#!/usr/bin/env python3
"""Draw a gallery and probes from data directories, for run_identification.sh.

Each person is enrolled by a few recordings, of one session where it has enough; recordings of other sessions are the
probes. OUT_DIR becomes a data directory of these recordings with the lists gallery ("person recording recording ...")
and probes ("recording person"). The people are divided into two halves of each gender: OUT_DIR/models/test.N has
everybody against the probes of half N, train.N the people of half N against their probes.

example: local/draw_gallery.py --enroll 2 data/identification data/vox2 data/dev data/vox1
"""

import argparse
from pathlib import Path

import numpy as np
from corpus import log, run
from split_test_people import divide

from avsv.errors import InputError
from avsv.jobs.files import whole_file
from avsv.kaldi.data_dir import DataDir, read_data_dir, write_data_dir
from avsv.kaldi.trials import Trials, write_trials

TABLES = ("utt2vid", "utt2dur", "spk2gender")


def draw(sessions: dict[str, list[str]], n_enroll: int, n_probes: int, rng: np.random.Generator):
    """Enrolment recordings and probes of one person, from its recordings by session; None if there are not enough."""
    order = [sessions[name] for name in rng.permutation(sorted(sessions)).tolist()]
    order.sort(key=lambda members: len(members) < n_enroll)  # stable: first the sessions that suffice alone
    enrolled, place = [], 0
    while place < len(order) and len(enrolled) < n_enroll:
        enrolled += order[place][: n_enroll - len(enrolled)]
        place += 1
    rest = [utt for members in order[place:] for utt in members]
    if len(enrolled) < n_enroll or not rest:
        return None
    return enrolled, sorted(rng.permutation(rest)[:n_probes].tolist())


def merged(sets: list[DataDir], name: str) -> dict[str, str]:
    """A table of several data directories in one."""
    table: dict[str, str] = {}
    for data in sets:
        part = {"utt2spk": data.utt2spk, "wav.scp": data.wav, "video.scp": data.video}.get(name) or data.table(name)
        if both := table.keys() & part.keys():
            raise InputError(f"{data.path}/{name}: {min(both)} is also in another of the data directories")
        table |= part
    return table


def main(args):
    sets = [read_data_dir(path) for path in args.data_dir]
    tables = {name: merged(sets, name) for name in ("utt2spk", "wav.scp", "video.scp", *TABLES)}
    people: dict[str, dict[str, list[str]]] = {}
    for utt, person in sorted(tables["utt2spk"].items()):
        people.setdefault(person, {}).setdefault(tables["utt2vid"].get(utt, utt), []).append(utt)
    rng = np.random.default_rng(args.seed)
    drawn = {person: draw(sessions, args.enroll, args.probes, rng) for person, sessions in sorted(people.items())}
    if short := [person for person, parts in drawn.items() if parts is None]:
        log.warning("%d people have no %d recordings and another session, and are left out: %s", len(short),
                    args.enroll, " ".join(short[:5]))  # fmt: skip
    drawn = {person: parts for person, parts in drawn.items() if parts is not None}
    if len(drawn) < 4:
        raise InputError(f"{args.data_dir[0]}: found {len(drawn)} people with enough recordings, expected at least 4")
    used = {utt for parts in drawn.values() for side in parts for utt in side}
    of_people = {"spk2gender": drawn}
    write_data_dir(args.out_dir, {
        name: {key: value for key, value in table.items() if key in of_people.get(name, used)}
        for name, table in tables.items() if table
    })  # fmt: skip
    half = divide({person: tables["spk2gender"].get(person, "") for person in drawn}, 2, args.seed)
    for number in (0, 1):
        members = [person for person in drawn if half[person] == number]
        write_grid(args.out_dir / f"models/test.{number + 1}", drawn, members, [*drawn])
        write_grid(args.out_dir / f"models/train.{number + 1}", drawn, members, members)
    with whole_file(args.out_dir / "gallery") as out:
        out.writelines(f"{person} {' '.join(enrolled)}\n" for person, (enrolled, _) in drawn.items())
    with whole_file(args.out_dir / "probes") as out:
        out.writelines(f"{utt} {person}\n" for person, (_, probes) in drawn.items() for utt in probes)
    log.info("%s: %d people, %d probes", args.out_dir, len(drawn), sum(len(probes) for _, probes in drawn.values()))


def write_grid(path: Path, drawn, members: list[str], gallery: list[str]) -> None:
    """Write the trials of everybody in `gallery` against the probes of `members`."""
    probes = [utt for person in members for utt in drawn[person][1]]
    place = {person: number for number, person in enumerate(gallery)}
    own = np.array([place[person] for person in members for _ in drawn[person][1]])
    n, m = len(gallery), len(probes)
    pairs = np.stack([np.tile(np.arange(n), m), np.repeat(np.arange(m), n)], axis=1).astype(np.int32)
    write_trials(path, Trials(gallery, probes, pairs, pairs[:, 0] == own[pairs[:, 1]]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("data_dir", type=Path, nargs="+")
    parser.add_argument("--enroll", type=int, default=2, metavar="N", help="enrolment recordings a person (2)")
    parser.add_argument("--probes", type=int, default=10, metavar="N", help="probes a person, at most (10)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    run(main, parser)
