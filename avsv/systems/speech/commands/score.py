"""avsv speech score: score trials by GMM-UBM, with means adapted to the enrolment recordings.

The score is the mean log-likelihood ratio of the test recording's frames, speaker's model to UBM; only the five
likeliest Gaussians of a frame count. --enroll and --test are folders of avsv features. With --enroll-spk2utt
the enrolment names in the trials are models of several recordings.

example:
  avsv features --kind mfcc data/vox1 exp/mfcc/vox1
  avsv speech score --ubm exp/ubm --trials data/vox1/trials/vox1-O --enroll exp/mfcc/vox1 exp/gmm_ubm/scores/vox1-O.map
"""

import logging
import os
from pathlib import Path

from avsv.commands._arguments import add_missing, add_trials, positive, result_options

log = logging.getLogger("avsv")


def add_arguments(parser):
    add_trials(parser)
    parser.add_argument("--ubm", type=Path, required=True, help="folder of avsv speech train-ubm, or a final.dubm")
    parser.add_argument("--enroll", type=Path, required=True, metavar="FEATURES", help="features of the enrolment side")
    parser.add_argument("--test", type=Path, metavar="FEATURES", help="features of the test side (--enroll)")
    parser.add_argument(
        "--enroll-spk2utt", type=Path, metavar="FILE",
        help="recordings of each enrolment model, as in Kaldi's spk2utt; the trials then name models",
    )  # fmt: skip
    parser.add_argument(
        "--relevance", type=positive, default=16.0, metavar="FRAMES", help="relevance factor of the adaptation (16)"
    )
    add_missing(parser, "trials without speech on one side", "error", "drop", "NUMBER")
    parser.add_argument("out", type=Path, metavar="OUT", help="enroll test score")


def run(args):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads would only wait
    import numpy as np

    from avsv.jobs.fingerprints import file_digest
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.trials import read_trials
    from avsv.scoring.finite import companions, write_finite
    from avsv.scoring.missing import fill_missing, report_missing
    from avsv.systems.speech.frames import SpeechFrames
    from avsv.systems.speech.kaldi_files import read_diag_gmm
    from avsv.systems.speech.map_scoring import find_speech, score_pairs
    from avsv.systems.speech.ubm_training import DIAGONAL

    path = args.ubm / DIAGONAL if args.ubm.is_dir() else args.ubm
    enroll = SpeechFrames(args.enroll)
    test = SpeechFrames(args.test) if args.test else enroll
    inputs = {"trials": args.trials, "ubm": path, "enroll": enroll.tables, "models": args.enroll_spk2utt,
              "test": test.tables if args.test else None}  # fmt: skip
    made = MadeFrom(args.verb, inputs, result_options(args))
    if made.is_current(args.out):
        return
    ubm, trials = read_diag_gmm(path), read_trials(args.trials)
    pool, models, tests, pairs = find_speech(trials, enroll, test, args.enroll_spk2utt, args.missing)
    scores = score_pairs(ubm, enroll, models, test, tests, pairs, args.relevance)
    scores = fill_missing(args.missing, pool.complete, scores.astype(np.float32))
    report_missing(args.missing, args.out, trials, pool)
    if args.missing == "drop":
        trials = trials.take(pool.complete)
    write_finite(args.out, trials, scores, f"voice:{file_digest(path)} map-{args.relevance:g}")
    made.write(args.out, companions(args.out))
    log.info("%s: %d GMM-UBM scores", args.out, len(scores))
