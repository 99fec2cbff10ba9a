"""avsv normalize: normalise scores against a cohort: z-norm, t-norm, zt-norm, s-norm, as-norm or mean-norm.

The cohort should contain speakers that are in no trial, ideally the models' training speakers. Recordings that are also
in the trials are left out; with --utt2spk and --cohort-utt2spk, so are all recordings of the trials' speakers. With
--cohort-utt2spk a cohort member is the mean embedding of a speaker, unless --cohort-of says otherwise.

as-norm uses the mean and standard deviation of the --top-n highest cohort scores (of all if the cohort is smaller):
those of the recording itself or, with --cohort-choice other, its scores against the members that score highest with the
other recording of the trial. The latter takes about twice as long. mean-norm subtracts the means only.

The cohort may be of the test's domain, even the test set itself: with --folds, a table "recording fold", a recording is
compared with the cohort recordings of the other folds only.

example:
  avsv normalize --method as-norm --trials data/vox1/trials/vox1-O --scores exp/voice/scores/vox1-O.cosine \\
    --enroll exp/voice/vox1/embedding.scp --cohort exp/voice/vox2/embedding.scp --cohort-utt2spk data/vox2/utt2spk \\
    exp/voice/scores/vox1-O.cosine_as-norm
"""

import logging
import os
from pathlib import Path

from avsv.commands._arguments import add_missing, add_trials, at_least_one, prior, registered_methods, result_options
from avsv.commands._backend import add_backend_arguments, backend_inputs, read_pool, system_of

log = logging.getLogger("avsv")


def add_arguments(parser):
    methods = registered_methods("normalization")
    parser.add_argument(
        "--method", required=True, choices=methods,
        help="; ".join(f"{name}: {summary}" for name, summary in methods.items()),
    )  # fmt: skip
    add_trials(parser)
    parser.add_argument("--scores", type=Path, required=True, metavar="FILE", help="raw scores: enroll test score")
    add_backend_arguments(parser)
    parser.add_argument("--cohort", type=Path, required=True, metavar="SCP", help="embeddings of the cohort")
    parser.add_argument("--cohort-utt2spk", type=Path, metavar="FILE", help="speaker of each cohort recording")
    parser.add_argument(
        "--cohort-of", choices=["speakers", "utterances"],
        help="cohort members: mean embeddings of speakers, or utterances (speakers with --cohort-utt2spk)",
    )  # fmt: skip
    parser.add_argument(
        "--utt2spk", type=Path, metavar="FILE", help="speaker of each trial recording, to keep them out of the cohort"
    )
    best = parser.add_mutually_exclusive_group()
    best.add_argument(
        "--top-n", type=at_least_one, metavar="N", help="highest cohort scores used by as-norm and mean-norm (300)"
    )
    best.add_argument("--top-share", type=prior, metavar="P", help="the same number as a share of the cohort, 0 to 1")
    parser.add_argument(
        "--cohort-choice", choices=["own", "other"],
        help="as-norm, mean-norm: members that score highest with the recording itself, or with the other one (own)",
    )  # fmt: skip
    parser.add_argument(
        "--folds", type=Path, metavar="FILE",
        help='as-norm, mean-norm: table "recording fold" of trials and cohort, which consists of recordings',
    )  # fmt: skip
    parser.add_argument(
        "--cohort-means", type=Path, metavar="FILE",
        help='also write the mean cohort score of each recording: a quality measure for avsv calibrate',
    )  # fmt: skip
    add_missing(parser, "trials without an embedding", "error", "drop", "keep")
    parser.add_argument("out", type=Path, metavar="OUT", help="enroll test score")


def run(args):
    # before numpy is imported: each core computes its own product (see cohort_statistics), and more BLAS threads would
    # only compete
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from avsv.errors import InputError
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.embeddings import read_embeddings
    from avsv.kaldi.origin import read_system
    from avsv.kaldi.scores import read_scores
    from avsv.kaldi.tables import read_table, write_table
    from avsv.kaldi.trials import read_trials
    from avsv.scoring.cohort import read_cohort
    from avsv.scoring.finite import companions, write_finite
    from avsv.scoring.missing import fill_missing, report_missing
    from avsv.scoring.normalization import METHODS, n_highest
    from avsv.scoring.trial_scores import cohort_means, normalize

    adaptive = METHODS[args.method].adaptive
    by_speaker = args.cohort_of == "speakers" or (args.cohort_of is None and args.cohort_utt2spk is not None)
    refuse_options_without_effect(args, adaptive, by_speaker)
    people = {"people": args.utt2spk, "people of the cohort": args.cohort_utt2spk, "folds": args.folds}
    more = {"scores": args.scores, "cohort": args.cohort, **people}
    record = MadeFrom(args.verb, {**backend_inputs(args), **more}, result_options(args))
    means_files = [args.cohort_means] if args.cohort_means else []
    if record.is_current(args.out, *means_files):
        return
    trials = read_trials(args.trials)
    pool, how = read_pool(args, trials)
    system = system_of(args, args.cohort)
    if None not in (system, made := read_system(args.scores)) and made != system:
        raise InputError(f"{args.scores}: scores of {made}, but the embeddings and options are of {system}")
    raw = read_scores(args.scores, trials, incomplete=args.missing == "drop")
    if args.folds:
        cohort, how["folds"] = read_embeddings(args.cohort), read_table(args.folds, 2, "recording fold")
    else:
        cohort = read_cohort(args.cohort, pool.embeddings, args.cohort_utt2spk, args.utt2spk, by_speaker)
    n_best = n_highest(len(cohort), args.top_n, args.top_share) if adaptive else len(cohort)
    how |= {"n_best": n_best, "names": (args.scores, args.cohort)}
    choice = args.cohort_choice or "own"
    normalized = normalize(raw, trials, pool, cohort, method=args.method, choice=choice, **how)
    for file in means_files:
        means = cohort_means(pool, cohort, n_best, how["backend"], how["enroll_method"])
        write_table(file, {name: f"{mean:.7g}" for name, mean in means.items()})
        record.write(file)
    scores = fill_missing(args.missing, pool.complete, normalized[pool.complete], raw)
    report_missing(args.missing, args.out, trials, pool)
    if args.missing == "drop":
        trials = trials.take(pool.complete)
    write_finite(args.out, trials, scores, system and f"{system}+{args.method}{choice_of(args)}")
    record.write(args.out, companions(args.out))
    log.info("%s: %d scores, %s against %d cohort members", args.out, len(scores), args.method, len(cohort))


def choice_of(args) -> str:
    """The selection of cohort members as part of a system's name; empty for the default.

    Examples
    --------
    >>> from argparse import Namespace
    >>> choice_of(Namespace(top_n=100, top_share=None, cohort_choice="other"))
    '-top-100-other'
    """
    from avsv.scoring.normalization import TOP_N

    best = args.top_share or args.top_n
    return f"-top-{best}" * (best not in (None, TOP_N)) + "-other" * (args.cohort_choice == "other")


def refuse_options_without_effect(args, adaptive: bool, by_speaker: bool) -> None:
    """Raise OptionError for options of adaptive methods if the method uses the whole cohort, or that contradict."""
    from avsv.errors import OptionError

    if args.folds and (by_speaker or args.utt2spk or args.cohort_means):
        raise OptionError("--folds keeps recordings apart: leave out --utt2spk, --cohort-utt2spk and --cohort-means")
    for option in ("top_n", "top_share", "cohort_choice", "folds"):
        if getattr(args, option) is not None and not adaptive:
            name = "--" + option.replace("_", "-")
            raise OptionError(f"{name} has no effect on {args.method}, which uses the whole cohort")
