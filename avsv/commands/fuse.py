"""avsv fuse: combine the scores of several systems on the same trials.

--method mean averages them. --method logistic combines them by logistic regression into natural-log likelihood ratios.
It is trained on --train-trials and --train-scores (the same systems in the same order, other people); without them,
on the very trials that it is applied to, which flatters it. The model is saved as OUT.json; --model applies a saved
one. --quality and --train-quality are as in avsv calibrate. --folds trains on the same people honestly, if there are no
others: each trial is scored by a model that has seen nobody of its folds.

A trial without one system's score is an error. With --missing rest it is judged by the systems that have a score: by
their mean, or by a separate regression for every set of systems, trained on the training trials with these scores. A
trial without any score gets 0. A score is absent if the file has no line for it, or if avsv score --missing listed one
of its recordings in FILE.missing. The log counts the trials of each set.

--method quality adds up the log-likelihood ratios of the systems, each scaled by the quality of the recordings for that
system: of a noisy voice the voice score counts less, the face score as before. Scores and tables are NAME=FILE, so
that each table belongs to a system; log:FILE takes a table's logarithm. Repeat --train-trials, --train-scores and
--train-quality for each list to train on, clean and damaged: all weigh the same. One model serves every set of systems.
--ridge sets how strongly the influence of quality is pulled towards none; of several values, cross-validation over
people chooses.

example:
  avsv fuse --method logistic --missing rest --trials data/vox1/trials/vox1-O \\
    --scores exp/voice/scores/vox1-O.cosine exp/face/scores/vox1-O.cosine --train-trials data/dev/trials/dev \\
    --train-scores exp/voice/dev/dev.cosine exp/face/dev/dev.cosine exp/logistic/scores/vox1-O.cosine
  avsv fuse --method quality --missing rest --trials data/vox1/trials/vox1-O \\
    --scores voice=exp/voice/scores/vox1-O.cosine face=exp/face/scores/vox1-O.cosine \\
    --quality voice=exp/voice/vox1/utt2snr face=log:exp/face/vox1/utt2sharpness \\
    --train-trials data/dev/trials/dev --train-scores voice=exp/voice/dev/dev.cosine face=exp/face/dev/dev.cosine \\
    --train-quality voice=exp/voice/dev/utt2snr face=log:exp/face/dev/utt2sharpness \\
    --train-trials data/dev_noisy-0.6/trials/dev \\
    --train-scores voice=exp/voice/dev_noisy-0.6/dev.cosine face=exp/face/dev_noisy-0.6/dev.cosine \\
    --train-quality voice=exp/voice/dev_noisy-0.6/utt2snr face=log:exp/face/dev_noisy-0.6/utt2sharpness \\
    exp/quality/scores/vox1-O.cosine
"""

from pathlib import Path

from avsv.commands._arguments import Files, add_out, add_trials, take_out
from avsv.commands._score_lists import (
    add_training_lists,
    add_training_options,
    made_from_lists,
    read_score_lists,
    write_scores,
)


def add_arguments(parser):
    parser.add_argument("--method", choices=["mean", "logistic", "quality"], default="logistic", help="(logistic)")
    add_trials(parser)
    parser.add_argument(
        "--scores", nargs="+", action=Files, required=True, metavar="FILE",
        help="one per system: enroll test score; for --method quality NAME=FILE",
    )  # fmt: skip
    add_training_lists(parser, "the systems' scores for them; not for mean", "+")
    add_training_options(parser)
    parser.add_argument(
        "--folds", type=Path, metavar="FILE",
        help='of --method logistic: table "recording fold": score each trial by a model trained on the trials that '
        "share no fold with it; OUT.json is trained on all",
    )  # fmt: skip
    add_out(parser, "enroll test score")


def run(args):
    from avsv.errors import OptionError
    from avsv.scoring.finite import companions
    from avsv.scoring.score_lists import average_files

    take_out(args)
    given, train = read_score_lists(args)
    if args.folds and (args.method != "logistic" or args.model or args.quality):
        raise OptionError("--folds trains by --method logistic: leave out --model and --quality")
    made, model = made_from_lists(args, given, train)
    trained = args.method != "mean"
    if not trained and (given.quality or args.model or args.p_target is not None):
        raise OptionError("--quality, --p-target and --model belong to --method logistic and quality")
    if made.is_current(args.out) and (not trained or model.is_current(f"{args.out}.json")):
        return
    if trained:
        write_scores(args, given, train)
        model.write(f"{args.out}.json")
    else:
        average_files(Path(args.out), given, args.missing)
    made.write(args.out, companions(Path(args.out)))
