#!/usr/bin/env python3
"""Divide a test set's people into groups for domain adaptation: each group is adapted to the recordings of the others.

Writes DATA_DIR/utt2fold ("recording group"), for avsv adapt --folds; each gender is divided evenly. Trials between
groups are removed from DATA_DIR/trials, so that nobody who helped to adapt a recording is in a trial with it.

example: local/split_test_people.py --folds 2 data/vox1
"""

import argparse
from pathlib import Path

import numpy as np
from corpus import log, run

from avsv.errors import InputError
from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.tables import write_table
from avsv.kaldi.trials import read_trials, utterance_id, write_trials


def divide(genders: dict[str, str], n_folds: int, seed: int) -> dict[str, int]:
    """The group of each person, 0 to n_folds - 1: people of one gender take turns, in random order."""
    order = np.random.default_rng(seed).permutation(sorted(genders))
    by_gender = sorted(order.tolist(), key=lambda person: genders[person])  # a stable sort
    return {person: turn % n_folds for turn, person in enumerate(by_gender)}


def main(args):
    data = read_data_dir(args.data_dir)
    people = sorted(set(data.utt2spk.values()))
    if len(people) < 2 * args.folds:
        raise InputError(f"{args.data_dir}: has {len(people)} people; {args.folds} groups need at least "
                        f"{2 * args.folds}, two in each")  # fmt: skip
    genders = data.table("spk2gender")
    fold_of = divide({person: genders.get(person, "") for person in people}, args.folds, args.seed)
    folds = {utt: fold_of[person] for utt, person in data.utt2spk.items()}
    kept_of = {}
    for path in sorted((args.data_dir / "trials").glob("[!.]*")):
        trials = read_trials(path)
        names = {utterance_id(name) for name in (*trials.enroll_ids, *trials.test_ids)}
        if unknown := sorted(names - folds.keys()):
            raise InputError(f"{path}: {len(unknown)} recordings are not in {args.data_dir}, such as {unknown[0]}")
        sides = [np.array([folds[utterance_id(name)] for name in ids]) for ids in (trials.enroll_ids, trials.test_ids)]
        kept = trials.take(sides[0][trials.pairs[:, 0]] == sides[1][trials.pairs[:, 1]])
        if kept.labels is None or not 0 < kept.labels.sum() < len(kept):
            raise InputError(f"{path}: no targets, or no nontargets, are left within {args.folds} groups of people")
        kept_of[path] = kept
        log.info("%s: %d of %d trials are within a group", path, len(kept), len(trials))
    for path, kept in kept_of.items():
        write_trials(path, kept)
    write_table(args.data_dir / "utt2fold", {utt: str(fold + 1) for utt, fold in folds.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--folds", type=int, default=2, metavar="N", help="groups of people (default: 2)")
    parser.add_argument("--seed", type=int, default=0, help="of the division (default: 0)")
    run(main, parser)
