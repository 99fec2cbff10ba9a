"""avsv evaluate: error rates and costs of score files, with confidence intervals.

EER: linear between thresholds where FNR and FPR cross, ties are one threshold. minDCF and actDCF: normalised by the
cost of the better constant decision. actDCF and Cllr take scores as natural-log likelihood ratios: calibrate first.
The interval is of the EER, by 1,000 resamples of the people in the trials; people are those of --utt2spk, otherwise
recordings are of one person where target trials connect them.

example:
  avsv evaluate --trials data/vox1/trials/vox1-O --json exp/voice/scores/vox1-O.json exp/voice/scores/vox1-O.cosine
"""

import logging
from pathlib import Path

from avsv.commands._arguments import Priors

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--trials", type=Path, required=True, help="enroll test target|nontarget, or VoxCeleb's list")
    parser.add_argument(
        "--p-target", nargs="+", action=Priors, rest="more_scores", default=[0.01, 0.05], metavar="P",
        help="target priors of minDCF and actDCF (0.01 0.05)",
    )  # fmt: skip
    parser.add_argument("--utt2spk", type=Path, help="who is in each recording, for the interval")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the interval; 0: none (1000)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the measures there too")
    parser.add_argument(
        "--missing", choices=["error", "drop"], default="error",
        help="trials without a score: stop, or leave them out and count them (error)",
    )  # fmt: skip
    parser.add_argument("scores", nargs="*", metavar="SCORES", help="enroll test score")
    parser.set_defaults(fail=parser.error, more_scores=[])


def run(args):
    from avsv.evaluation.measures import make_bootstrap, measure_file, table
    from avsv.files import write_json
    from avsv.kaldi.trials import read_labelled_trials

    paths = [*args.scores, *args.more_scores]
    if not paths:
        args.fail("the following arguments are required: SCORES")
    trials = read_labelled_trials(args.trials)
    if trials.labels.all() or not trials.labels.any():
        log.warning("%s: all trials are of one class, so error rates are not defined", args.trials)
    bootstrap = make_bootstrap(trials, args.utt2spk, args.resamples)
    drop = args.missing == "drop"
    rows = {path: measure_file(path, trials, args.p_target, bootstrap, drop) for path in paths}
    print(table(rows))
    if args.json:
        write_json(args.json, rows)
