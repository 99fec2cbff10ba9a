"""avsv fuse: the scores of several systems on the same trials -> one score file.

--method mean averages them. --method logistic weighs them by logistic regression and gives natural-log likelihood
ratios; it is trained on --train-trials and --train-scores (the same systems, in the same order, on other people), or
without them on the very trials that it is applied to, which flatters it. Its model is saved as OUT.json; --model
applies a saved one.

example:
  avsv fuse --method logistic --trials data/vox1/trials/vox1-O \\
    --scores exp/voice/scores/vox1-O.cosine exp/face/scores/vox1-O.cosine --train-trials data/dev/trials/dev \\
    --train-scores exp/voice/dev/dev.cosine exp/face/dev/dev.cosine exp/logistic/scores/vox1-O.cosine
"""

import logging
from pathlib import Path

from avsv.commands._arguments import Files, add_out, prior, take_out

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--method", choices=["mean", "logistic"], default="logistic", help="logistic")
    parser.add_argument("--trials", type=Path, required=True, help="enroll test [target|nontarget], or VoxCeleb's list")
    parser.add_argument(
        "--scores", nargs="+", action=Files, required=True, metavar="FILE", help="one file a system: enroll test score"
    )
    parser.add_argument("--train-trials", type=Path, metavar="FILE", help="labelled, of other people; not for mean")
    parser.add_argument(
        "--train-scores", nargs="+", action=Files, metavar="FILE", help="the systems' scores of them; not for mean"
    )
    parser.add_argument("--target-prior", type=prior, default=0.01, metavar="P", help="weight of targets (0.01)")
    parser.add_argument("--model", type=Path, metavar="JSON", help="apply this model, train nothing")
    add_out(parser, "enroll test score")


def run(args):
    from avsv.scoring.score_lists import average_files, fuse_files

    take_out(args)
    out, scores = Path(args.out), [Path(path) for path in args.scores]
    if args.method == "mean":
        average_files(out, args.trials, scores)
        return
    fuse_files(
        out,
        args.trials,
        scores,
        train_trials=args.train_trials,
        train_scores=[Path(path) for path in args.train_scores] if args.train_scores else None,
        target_prior=args.target_prior,
        model=args.model,
    )
