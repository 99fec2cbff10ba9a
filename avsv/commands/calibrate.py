"""avsv calibrate: map scores to natural-log likelihood ratios.

The map is affine, by logistic regression on --train-trials and --train-scores: scores of the same system for other
speakers. Without them it is trained on the very trials that it is applied to, which flatters actDCF and Cllr. The model
is saved as OUT.json; --model applies a saved one.

--quality takes quality measures of the recordings, tables "utterance value" such as durations; the lower and the higher
value of a trial's two recordings enter the regression beside its score. log:FILE takes the logarithm, which suits
durations, counts and sizes. --train-quality lists the tables of the training recordings in the same order.

With --method quality, the scale of the score depends on quality as well: see avsv fuse, which has the same options. Its
--train-trials, --train-scores and --train-quality may be repeated, for clean and damaged recordings.

--missing rest gives 0 (no evidence) to trials without a score, and to trials with recordings that avsv score --missing
listed as absent; a recording without a quality value gets the median of the training set. The log counts them.

example:
  avsv calibrate --trials data/vox1/trials/vox1-O --scores exp/voice/scores/vox1-O.cosine \\
    --train-trials data/dev/trials/dev --train-scores exp/voice/dev/dev.cosine \\
    --quality log:data/vox1/utt2dur exp/voice/vox1/utt2snr --train-quality log:data/dev/utt2dur exp/voice/dev/utt2snr \\
    exp/voice/scores/vox1-O.cosine_calibrated
"""

from pathlib import Path

from avsv.commands._arguments import add_out, add_trials, take_out
from avsv.commands._score_lists import (
    add_training_lists,
    add_training_options,
    made_from_lists,
    read_score_lists,
    write_scores,
)


def add_arguments(parser):
    parser.add_argument("--method", choices=["logistic", "quality"], default="logistic", help="(logistic)")
    add_trials(parser)
    parser.add_argument("--scores", required=True, metavar="FILE", help="scores to calibrate")
    add_training_lists(parser, "the same system's scores for them", 1)
    add_training_options(parser)
    add_out(parser, "enroll test log-likelihood-ratio")


def run(args):
    from avsv.scoring.finite import companions

    take_out(args)
    args.scores = [args.scores]
    given, train = read_score_lists(args)
    made, model = made_from_lists(args, given, train)
    if made.is_current(args.out) and model.is_current(f"{args.out}.json"):
        return
    write_scores(args, given, train)
    made.write(args.out, companions(Path(args.out)))
    model.write(f"{args.out}.json")
