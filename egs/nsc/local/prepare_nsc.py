#!/usr/bin/env python3
"""Convert the trial lists of NSC to speaker tables, lists in Kaldi's format and folds for speaker cross-validation.

Reads NSC/pt{1,2,3}_trials.csv (utt1,utt2,label,stratum; a stratum is PART.GENDER.AGE.ORIGIN) and NSC/embeddings.npz for
the names. Speakers are divided into --groups groups. A fold holds the trials between two groups, or within one, and the
speakers of all other groups for training, so test and training speakers are disjoint. Each trial is in one fold. Writes
  data/nsc/{utt2spk,spk2utt,spk2gender,spk2age,spk2origin,trials/{pt1,pt2,pt3,all}}
  data/folds/K/{utt2spk,trials,train_trials}     train_trials: trials between training speakers

example: local/prepare_nsc.py /corpora/nsc data
"""

import argparse
import csv
import shutil
import sys
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "voxceleb/local"))
from corpus import need, run

from avsv.errors import InputError
from avsv.jobs.files import whole_file
from avsv.kaldi.tables import invert, read_lines, write_table

PARTS = ("pt1", "pt2", "pt3")


def main(args):
    if args.groups < 3:
        raise InputError(
            f"--groups {args.groups}: expected at least 3, because a fold tests on two groups and trains on the others"
        )
    with np.load(need(args.nsc / "embeddings.npz", "the embeddings"), allow_pickle=False) as arrays:
        utt2spk = {utt: utt.rpartition("_")[0] for utt in arrays["keys"].tolist()}
    trials, strata = {}, {}
    for part in PARTS:
        trials[part] = read_list(need(args.nsc / f"{part}_trials.csv", f"the trials of {part}"), part, utt2spk, strata)
    speakers = sorted(set(utt2spk.values()))
    shuffled = np.random.default_rng(args.seed).permutation(speakers).tolist()
    group = {speaker: number % args.groups for number, speaker in enumerate(shuffled)}
    nsc = args.data / "nsc"
    write_table(nsc / "utt2spk", utt2spk)
    write_table(nsc / "spk2utt", invert(utt2spk))
    for name, column in (("spk2gender", 1), ("spk2age", 2), ("spk2origin", 3)):
        write_table(nsc / name, {speaker: stratum[column].lower() for speaker, stratum in strata.items()})
    trials["all"] = [trial for part in PARTS for trial in trials[part]]
    for name, listed in trials.items():
        write_list(nsc / "trials" / name, listed)
    groups = [sorted((group[utt2spk[a]], group[utt2spk[b]])) for a, b, _ in trials["all"]]
    shutil.rmtree(args.data / "folds", ignore_errors=True)  # folds of another --groups
    for number, held_out in enumerate(combinations_with_replacement(range(args.groups), 2), 1):
        fold = args.data / "folds" / str(number)
        write_table(fold / "utt2spk", {utt: s for utt, s in utt2spk.items() if group[s] not in held_out})
        tested = [t for t, of in zip(trials["all"], groups, strict=True) if of == list(held_out)]
        apart = [t for t, of in zip(trials["all"], groups, strict=True) if not set(of) & set(held_out)]
        write_list(fold / "trials", tested)
        write_list(fold / "train_trials", apart)
    print(
        f"{args.data}: {len(utt2spk)} recordings of {len(speakers)} speakers, {len(groups)} trials in {number} folds",
        file=sys.stderr,
    )


def read_list(path: Path, part: str, utt2spk: dict, strata: dict) -> list[tuple[str, str, bool]]:
    """Read the trials of one list; stores the stratum of the first recording's speaker in `strata`."""
    trials = []
    for row in csv.DictReader(read_lines(path)):
        pair = [f"nsc{part[-1]}/{row[side].removesuffix('.wav')}" for side in ("utt1", "utt2")]
        if unknown := [utt for utt in pair if utt not in utt2spk]:
            raise InputError(f"{path}, line {len(trials) + 2}: {unknown[0]} has no embedding")
        trials.append((*pair, row["label"] == "1"))
        strata[utt2spk[pair[0]]] = row["stratum"].split(".")
    return trials


def write_list(path: Path, trials: list[tuple[str, str, bool]]) -> None:
    with whole_file(path) as out:
        out.writelines(f"{a} {b} {'target' if same else 'nontarget'}\n" for a, b, same in trials)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nsc", type=Path, help="folder with embeddings.npz and pt{1,2,3}_trials.csv")
    parser.add_argument("data", type=Path, help="folder to write to")
    parser.add_argument("--groups", type=int, default=5, help="groups of speakers (default: 5, which gives 15 folds)")
    parser.add_argument("--seed", type=int, default=0)
    run(main, parser)
