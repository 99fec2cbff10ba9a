"""avsv evaluate: error rates and costs of score files, with confidence intervals.

EER: linear interpolation where FNR and FPR cross; ties are one threshold. minDCF and actDCF: normalised by the cost of
the better constant decision. actDCF, Cllr and the rates at 0 interpret scores as natural-log likelihood ratios, so
calibrate first. FNR and FPR at 0: shares of targets rejected and of nontargets accepted at the threshold 0, where avsv
verify decides at prior 0.5. FNMR(x): the lowest miss rate with a false acceptance rate of at most x. AUC: ties count
half. Intervals (of the EER; in the JSON also of minDCF, actDCF and Cllr) are 95 % confidence intervals for other
speakers of the same population, and hold with few errors; "at most X" means that the lower end is 0. Speakers are read
from --utt2spk; without it, recordings connected by target trials are one speaker.

--by FILE adds the measures of subsets. FILE has lines "recording value", or "speaker value" with --utt2spk. Text values
form one subset per pair (f-f, f-m, m-m); numbers are cut at their quartiles, by the lower side of a trial.

example:
  avsv evaluate --trials data/vox1/trials/vox1-O --json exp/voice/scores/vox1-O.json exp/voice/scores/vox1-O.cosine
  avsv evaluate --trials data/vox1/trials/vox1-O --by data/vox1/spk2gender --utt2spk data/vox1/utt2spk SCORES
"""

import logging
from pathlib import Path

from avsv.commands._arguments import Priors, add_intervals, add_missing, add_p_target, add_trials, result_options

log = logging.getLogger("avsv")


def add_arguments(parser):
    add_trials(parser, labelled=True)
    add_p_target(parser, "more_scores")
    parser.add_argument(
        "--fmr", nargs="+", action=Priors, rest="more_scores", default=[0.01, 0.001], metavar="X",
        help="false match rates at which to give the false non-match rate (0.01 0.001)",
    )  # fmt: skip
    add_intervals(parser)
    parser.add_argument(
        "--by", type=Path, action="append", default=[], metavar="FILE",
        help="table of recordings or, with --utt2spk, of speakers that splits the trials into subsets; may be repeated",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the measures there")
    parser.add_argument("--roc", type=Path, metavar="OUT", help="write ROC points there: scores, threshold, FPR, FNR")
    add_missing(parser, "trials without a score", "error", "drop")
    parser.add_argument("scores", nargs="*", metavar="SCORES", help="enroll test score")
    parser.set_defaults(fail=parser.error, more_scores=[])


def run(args):
    import numpy as np

    from avsv.evaluation.bootstrap import bootstrap
    from avsv.evaluation.errors import count_errors
    from avsv.evaluation.measures import measure, measure_present, table, warn_reversed
    from avsv.evaluation.roc import roc_points, write_roc
    from avsv.evaluation.subsets import measure_subsets, read_groupings, subset_table
    from avsv.jobs.files import write_json
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.scores import read_scores
    from avsv.kaldi.trials import read_labelled_trials

    paths = [*args.scores, *args.more_scores]
    if not paths:
        args.fail("the following arguments are required: SCORES")
    inputs = {"scores": paths, "trials": args.trials, "people": args.utt2spk, "by": args.by}
    made = MadeFrom(args.verb, inputs, {**result_options(args), "p_target": args.p_target, "fmr": args.fmr})
    trials = read_labelled_trials(args.trials)
    if trials.labels.all() or not trials.labels.any():
        log.warning("%s: found trials of one class only, so error rates are undefined", args.trials)
    groupings = read_groupings(args.by, trials, args.utt2spk)
    resamples = bootstrap(trials, args.utt2spk, args.resamples)
    drop = args.missing == "drop"
    rows, curves = {}, {}
    for path in paths:
        scores = read_scores(path, trials, incomplete=drop)
        how = {"bootstrap": resamples, "p_target": args.p_target, "fmr": args.fmr}
        rows[path] = (measure_present(path, scores, trials.labels, **how) if drop
                      else measure(scores, trials.labels, **how))  # fmt: skip
        warn_reversed(path, rows[path])
        if groupings:
            rows[path]["subsets"] = {
                name: measure_subsets(scores, trials, grouping, args.p_target, resamples, args.fmr)
                for name, grouping in groupings.items()
            }
        if args.roc:
            present = ~np.isnan(scores)
            curves[path] = roc_points(count_errors(scores[present], trials.labels[present]))
    print(table(rows))
    for name, grouping in groupings.items():
        print(f"\n{subset_table(name, grouping, {path: row['subsets'][name] for path, row in rows.items()})}")
    if args.json:
        write_json(args.json, rows)
    if args.roc:
        write_roc(args.roc, curves)
    for out in (args.json, args.roc):
        if out:
            made.write(out)
