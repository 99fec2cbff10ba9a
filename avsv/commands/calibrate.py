"""avsv calibrate: scores -> natural-log likelihood ratios.

An affine map by logistic regression, trained on --train-trials and --train-scores: the same system's scores of other
people. Without them it is trained on the very trials that it is applied to, which flatters actDCF and Cllr. The model
is saved as OUT.json; --model applies a saved one.

example:
  avsv calibrate --trials data/vox1/trials/vox1-O --scores exp/voice/scores/vox1-O.cosine \\
    --train-trials data/dev/trials/dev --train-scores exp/voice/dev/dev.cosine exp/voice/scores/vox1-O.cosine_calibrated
"""

import logging
from pathlib import Path

from avsv.commands._arguments import prior

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--trials", type=Path, required=True, help="enroll test [target|nontarget], or VoxCeleb's list")
    parser.add_argument("--scores", type=Path, required=True, metavar="FILE", help="to be calibrated")
    parser.add_argument("--train-trials", type=Path, metavar="FILE", help="labelled trials of other people")
    parser.add_argument("--train-scores", type=Path, metavar="FILE", help="the same system's scores of them")
    parser.add_argument("--target-prior", type=prior, default=0.01, metavar="P", help="weight of targets (0.01)")
    parser.add_argument("--model", type=Path, metavar="JSON", help="apply this model, train nothing")
    parser.add_argument("out", type=Path, metavar="OUT", help="enroll test log-likelihood-ratio")


def run(args):
    from avsv.scoring.score_lists import fuse_files

    fuse_files(
        args.out,
        args.trials,
        [args.scores],
        train_trials=args.train_trials,
        train_scores=[args.train_scores] if args.train_scores else None,
        target_prior=args.target_prior,
        model=args.model,
    )
