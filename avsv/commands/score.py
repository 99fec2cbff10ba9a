"""avsv score: trials and embeddings -> a score file.

A trial whose embedding is missing stops the command, unless --missing says what to do; the recordings are then listed
in OUT.args.missing.

example:
  avsv score --trials data/vox1/trials/vox1-O --enroll exp/voice/vox1/embedding.scp exp/voice/scores/vox1-O.cosine
"""

import logging
from pathlib import Path

from avsv.scoring.missing import missing_policy

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--trials", type=Path, required=True, help="enroll test [target|nontarget], or VoxCeleb's list")
    parser.add_argument("--enroll", type=Path, required=True, metavar="SCP", help="embeddings of the enrolment side")
    parser.add_argument("--test", type=Path, metavar="SCP", help="embeddings of the test side (those of --enroll)")
    parser.add_argument("--backend", choices=["cosine", "plda"], default="cosine", help="cosine")
    parser.add_argument("--plda", type=Path, metavar="DIR", help="what avsv plda made; cosine does not use it")
    parser.add_argument("--center", type=Path, metavar="FILE", help="subtract this mean: a Kaldi vector (mean.vec)")
    parser.add_argument(
        "--missing", type=missing_policy("error", "drop", "score"), default="error", metavar="error|drop|NUMBER",
        help="trials without an embedding: stop, leave out, or give this score (error)",
    )  # fmt: skip
    parser.add_argument("out", type=Path, metavar="OUT", help="enroll test score")


def run(args):
    from avsv.kaldi.scores import write_scores
    from avsv.kaldi.trials import read_trials
    from avsv.scoring.backend import make_backend
    from avsv.scoring.cosine import inner_products
    from avsv.scoring.pool import read_pool

    trials = read_trials(args.trials)
    pool = read_pool(trials, args.enroll, args.test)
    args.missing.check(trials, pool, args.test or args.enroll)
    left, right = make_backend(args.backend, args.plda, args.center)(pool.embeddings)
    complete = pool.complete
    pairs = pool.pairs if complete.all() else pool.pairs[complete]
    scores = args.missing.fill(complete, inner_products(left, right, pairs))
    args.missing.note(args.out, trials, pool)
    if args.missing.policy == "drop":
        trials = trials.take(complete)
    write_scores(args.out, trials, scores)
    log.info("%s: %d %s scores", args.out, len(scores), args.backend)
