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

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--trials", type=Path, required=True, help="enroll test target|nontarget, or VoxCeleb's list")
    parser.add_argument(
        "--p-target", type=prior, nargs="+", default=[0.01, 0.05], metavar="P", help="target priors (0.01 0.05)"
    )
    parser.add_argument("--utt2spk", type=Path, help="who is in each recording, for the interval")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the interval; 0: none (1000)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the measures there too")
    parser.add_argument(
        "--missing", choices=["error", "drop"], default="error",
        help="trials without a score: stop, or leave them out and count them (error)",
    )  # fmt: skip
    parser.add_argument("scores", nargs="+", type=Path, metavar="SCORES", help="enroll test score")


def prior(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise ValueError
    return value


def run(args):
    from avsv.errors import UserError
    from avsv.evaluation.bootstrap import SpeakerBootstrap
    from avsv.evaluation.measures import measure, table
    from avsv.evaluation.people import people_of
    from avsv.files import write_json
    from avsv.kaldi.scores import read_scores
    from avsv.kaldi.tables import read_table
    from avsv.kaldi.trials import read_trials

    trials = read_trials(args.trials)
    if trials.labels is None:
        raise UserError(f'{args.trials}: these trials have no labels; expected "enroll test target|nontarget"')
    if trials.labels.all() or not trials.labels.any():
        log.warning("%s: all trials are of one class: error rates are not defined", args.trials)
    utt2spk = read_table(args.utt2spk, 2, "utterance speaker") if args.utt2spk else None
    bootstrap = None
    if args.resamples:
        bootstrap = SpeakerBootstrap(people_of(trials, utt2spk), trials.labels, args.resamples)
    rows = {}
    for path in args.scores:
        rows[str(path)] = measure(read_scores(path, trials), trials.labels, args.p_target, bootstrap)
    print(table(rows))
    if args.json:
        write_json(args.json, rows)
