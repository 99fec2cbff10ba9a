#!/usr/bin/env python3
"""Write the labelled trials without recordings whose label is suspected, to train a calibration on.

Reads DATA_DIR/{pairs,trials}/all, utt2spk and utt2fold, and for each SYSTEM of EXP_DIR the scores own/pairs.cosine and
scores/all.cosine. Writes OUT, a list of trials.

example: local/trust_labels.py data/own exp voice face exp/labels/trusted
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "voxceleb/local"))
from corpus import log, run

from avsv.evaluation.dcf import bayes_threshold
from avsv.jobs.provenance import MadeFrom
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import read_labelled_trials, read_trials, write_trials
from avsv.people.trusted_labels import trusted_trials
from avsv.scoring.missing import missing_list
from avsv.scoring.score_lists import read_score_columns


def main(args):
    lists = [args.data_dir / name for name in ("pairs/all", "trials/all")]
    scores = [
        [args.exp_dir / system / name for system in args.systems] for name in ("own/pairs.cosine", "scores/all.cosine")
    ]
    used = [path for files in scores for file in files for path in (file, missing_list(file))]
    tables = [args.data_dir / name for name in ("utt2spk", "utt2fold")]
    made = MadeFrom("trust labels", {"trials": lists, "scores": used, "data": tables}, {"p_wrong": args.p_wrong})
    if made.is_current(args.out):
        return
    pairs, trials = read_trials(lists[0]), read_labelled_trials(lists[1])
    columns = [read_score_columns(*each, "rest") for each in zip((pairs, trials), scores, strict=True)]
    utt2spk, folds = map(read_table, tables)
    people = {utt: spk for utt, spk in utt2spk.items() if utt in {*trials.enroll_ids, *trials.test_ids}}
    threshold = float(bayes_threshold(args.p_wrong))
    trusted, suspected = trusted_trials(pairs, columns[0], trials, columns[1], people, folds, threshold)
    write_trials(args.out, trusted)
    made.write(args.out)
    log.info("%s: %d of %d trials, without %d recordings whose label is suspected", args.out, len(trusted), len(trials),
             len(suspected))  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("exp_dir", type=Path)
    parser.add_argument("systems", nargs="+")
    parser.add_argument("out", type=Path)
    parser.add_argument("--p-wrong", type=float, default=0.01, help="prior of a wrong label (default: 0.01)")
    run(main, parser)
