"""avsv operating-point: choose the threshold of decisions on labelled recordings of your own.

SCORES are log-likelihood ratios of avsv calibrate or avsv fuse for trials of your recordings, and --utt2spk says who is
in them: ten people are a beginning. The goal is one of two. --p-target, with --c-miss and --c-fa, is the prior
probability that two recordings show the same person, and what errors cost: the threshold follows from them, and your
recordings measure its errors. --false-acceptance is the highest rate at which strangers may be accepted: the threshold
is the lowest that keeps it on average over draws of people, which is higher than the one that so many of your trials
exceed. If your people are too few for that rate, the command says so, and gives the threshold that they support or that
of the calibration alone, whichever is higher.

OUT is a small JSON for avsv verify and avsv identify --operating-point. It holds the threshold, the error rates to
expect with 95 % confidence intervals for other people, and the hash of the calibration, SCORES.json, so that no other
models are decided by it. The errors are flattered if the calibration was trained on the same people, unless by avsv
fuse --folds.

--domain compares recordings of your own with those that the calibration was trained on, given their embeddings: do the
cosines of different people, the mean embedding and the quality tables beside them agree? Labels are not needed for it.
Give it once for each of voice and face. What differs is a warning, in OUT as well.

example:
  avsv operating-point --trials data/own/trials/all --scores exp/logistic/scores/own.cosine \\
    --utt2spk data/own/utt2spk --false-acceptance 0.01 --plot exp/own/decisions.png \\
    --domain exp/voice/own/embedding.scp exp/voice/dev/embedding.scp exp/own/operating_point.json
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_trials, positive, prior, result_options

log = logging.getLogger("avsv")


def add_arguments(parser):
    add_trials(parser, labelled=True)
    parser.add_argument("--scores", type=Path, required=True, metavar="SCORES", help="log-likelihood ratios of them")
    parser.add_argument("--utt2spk", type=Path, required=True, metavar="FILE", help="person of each recording")
    parser.add_argument("--calibration", type=Path, metavar="JSON", help="made the scores (SCORES.json)")
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument("--p-target", type=prior, metavar="P", help="prior probability of the same person")
    goal.add_argument("--false-acceptance", type=prior, metavar="RATE", help="highest rate of false acceptance")
    parser.add_argument("--c-miss", type=positive, metavar="X", help="with --p-target: cost of a false rejection (1)")
    parser.add_argument("--c-fa", type=positive, metavar="X", help="with --p-target: cost of a false acceptance (1)")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw reliability and error rates there (.png, .svg or .pdf)"
    )
    parser.add_argument(
        "--domain", type=Path, nargs=2, action="append", default=[], metavar=("SCP", "TRAIN_SCP"),
        help="embeddings of your recordings, and of the calibration's training data; may be repeated",
    )  # fmt: skip
    parser.add_argument("out", type=Path, metavar="OUT", help="JSON")


def run(args):
    from dataclasses import replace

    from avsv.errors import OptionError
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.scores import read_scores
    from avsv.kaldi.speakers import speakers_of
    from avsv.kaldi.tables import read_table
    from avsv.kaldi.trials import read_labelled_trials
    from avsv.people.domain_check import compare_domains, tables_beside
    from avsv.people.operating_point import Goal, write_operating_point
    from avsv.people.origin import calibration_of, warn_same_trials
    from avsv.people.thresholds import OwnTrials, choose, summary

    if args.false_acceptance is not None and (args.c_miss or args.c_fa):
        raise OptionError("--c-miss and --c-fa are options of --p-target")
    if args.plot and args.plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise OptionError(f"--plot {args.plot}: expected a name ending in .png, .svg or .pdf")
    goal = Goal(args.p_target, args.c_miss or 1.0, args.c_fa or 1.0, args.false_acceptance)
    source = args.calibration or Path(f"{args.scores}.json")
    scps = [scp for pair in args.domain for scp in pair]
    inputs = {"trials": args.trials, "scores": args.scores, "people": args.utt2spk, "calibration": source,
              "domain": scps, "quality": [table for scp in scps for table in tables_beside(scp)]}  # fmt: skip
    made = MadeFrom(args.verb, inputs, result_options(args))
    calibration = calibration_of(args.scores, source)
    trials = read_labelled_trials(args.trials)
    utt2spk = read_table(args.utt2spk, 2, "utterance speaker")
    speakers = speakers_of(trials, utt2spk, args.utt2spk)
    own = OwnTrials(read_scores(args.scores, trials), trials.labels, speakers)
    point = choose(own, goal, calibration)
    warnings = [*point.warnings, *warn_same_trials(source, args.trials, args.scores)]
    for scp, reference in args.domain:
        warnings += compare_domains(scp, reference, utt2spk)
    point = replace(point, warnings=warnings)
    write_operating_point(args.out, point)
    made.write(args.out)
    if args.plot:
        from avsv.jobs.files import whole_file
        from avsv.people.operating_point_plot import plot_operating_point

        with whole_file(args.plot, "wb") as out:
            plot_operating_point(own, point).savefig(out, format=args.plot.suffix[1:].lower(), dpi=120)
    for warning in warnings:
        log.warning("%s", warning)
    print(summary(own, point))
