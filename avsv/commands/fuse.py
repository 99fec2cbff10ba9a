"""avsv fuse: combine the scores of several systems on the same trials.

--method mean averages them. --method logistic combines them by logistic regression into natural-log likelihood ratios.
It is trained on --train-trials and --train-scores (the same systems in the same order, other speakers); without them,
on the very trials that it is applied to, which flatters it. The model is saved as OUT.json; --model applies a saved
one. --quality and --train-quality are as in avsv calibrate.

A trial without one system's score is an error. With --missing rest it is judged by the systems that have a score: by
their mean, or by a separate regression for every set of systems, trained on the training trials with these scores. A
trial without any score gets 0. A score is absent if the file has no line for it, or if avsv score --missing listed one
of its recordings in FILE.missing. The log counts the trials of each set.

example:
  avsv fuse --method logistic --missing rest --trials data/vox1/trials/vox1-O \\
    --scores exp/voice/scores/vox1-O.cosine exp/face/scores/vox1-O.cosine --train-trials data/dev/trials/dev \\
    --train-scores exp/voice/dev/dev.cosine exp/face/dev/dev.cosine exp/logistic/scores/vox1-O.cosine
"""

from pathlib import Path

from avsv.commands._arguments import (
    Files,
    add_out,
    add_training_options,
    add_trials,
    made_from_lists,
    read_score_lists,
    take_out,
)


def add_arguments(parser):
    parser.add_argument("--method", choices=["mean", "logistic"], default="logistic", help="(logistic)")
    add_trials(parser)
    parser.add_argument(
        "--scores", nargs="+", action=Files, required=True, metavar="FILE", help="one per system: enroll test score"
    )
    parser.add_argument("--train-trials", type=Path, metavar="FILE", help="labelled, of other speakers; not for mean")
    parser.add_argument(
        "--train-scores", nargs="+", action=Files, metavar="FILE", help="the systems' scores for them; not for mean"
    )
    add_training_options(parser)
    add_out(parser, "enroll test score")


def run(args):
    from avsv.errors import OptionError
    from avsv.scoring.finite import companions
    from avsv.scoring.score_lists import average_files, fuse_files

    take_out(args)
    given, train = read_score_lists(args)
    made, model = made_from_lists(args, given, train)
    logistic = args.method == "logistic"
    if not logistic and (given.quality or args.model or args.p_target is not None):
        raise OptionError("--quality, --p-target and --model belong to --method logistic")
    if made.is_current(args.out) and (not logistic or model.is_current(f"{args.out}.json")):
        return
    if logistic:
        fuse_files(Path(args.out), given, train, args.p_target or 0.01, args.model, args.missing)
        model.write(f"{args.out}.json")
    else:
        average_files(Path(args.out), given, args.missing)
    made.write(args.out, companions(Path(args.out)))
