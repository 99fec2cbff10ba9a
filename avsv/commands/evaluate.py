"""avsv evaluate: error rates and costs of score files, with confidence intervals.

EER: linear between thresholds where FNR and FPR cross, ties are one threshold. minDCF and actDCF: normalised by the
cost of the better constant decision. actDCF and Cllr take scores as natural-log likelihood ratios: calibrate first.
FNMR(x): the smallest share of missed targets with at most the share x of the nontargets accepted. AUC: ties count half.
Intervals (of the EER; in the JSON also of minDCF, actDCF and Cllr) are from 1,000 resamples of the people in the
trials; people are those of --utt2spk, otherwise recordings are of one person where target trials connect them.

--by FILE tells the measures of subsets too. FILE has lines "recording value", or "person value" with --utt2spk. Text
makes a subset of each pair of values (f-f, f-m, m-m); numbers are cut at their quartiles, by the lower side of a trial.

example:
  avsv evaluate --trials data/vox1/trials/vox1-O --json exp/voice/scores/vox1-O.json exp/voice/scores/vox1-O.cosine
  avsv evaluate --trials data/vox1/trials/vox1-O --by data/vox1/spk2gender --utt2spk data/vox1/utt2spk SCORES
"""

import logging
from pathlib import Path

from avsv.commands._arguments import Priors, add_missing, add_p_target, add_resamples

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--trials", type=Path, required=True, help="enroll test target|nontarget, or VoxCeleb's list")
    add_p_target(parser, "more_scores")
    parser.add_argument(
        "--fmr", nargs="+", action=Priors, rest="more_scores", default=[0.01, 0.001], metavar="X",
        help="false match rates to tell the false non-match rate at (0.01 0.001)",
    )  # fmt: skip
    parser.add_argument("--utt2spk", type=Path, help="who is in each recording, for intervals and --by")
    parser.add_argument(
        "--by", type=Path, action="append", default=[], metavar="FILE",
        help="measure subsets by this table of recordings or people; may be given several times",
    )  # fmt: skip
    add_resamples(parser)
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the measures there too")
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
    from avsv.jobs.provenance import refuse_stale
    from avsv.kaldi.scores import read_scores
    from avsv.kaldi.trials import read_labelled_trials

    paths = [*args.scores, *args.more_scores]
    if not paths:
        args.fail("the following arguments are required: SCORES")
    refuse_stale(*paths)
    trials = read_labelled_trials(args.trials)
    if trials.labels.all() or not trials.labels.any():
        log.warning("%s: all trials are of one class, so error rates are not defined", args.trials)
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
