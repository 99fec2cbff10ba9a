"""avsv score: trials and embeddings -> a score file.

A trial whose embedding is missing stops the command, unless --missing says what to do; the recordings are then listed
in OUT.missing. With --enroll-spk2utt the trials' enrolment names are models of several recordings; one that lacks some
of them counts as missing too, and where --missing lets it pass it is made of the others.

example:
  avsv score --trials data/vox1/trials/vox1-O --enroll exp/voice/vox1/embedding.scp exp/voice/scores/vox1-O.cosine
  avsv score --backend plda --plda exp/voice/plda --enroll-spk2utt data/enroll/spk2utt --enroll-method by-the-book \\
    --trials data/test/trials/all --enroll exp/voice/enroll/embedding.scp --test exp/voice/test/embedding.scp scores
"""

import logging
import os
from pathlib import Path

from avsv.commands._backend import add_backend_arguments, read_sides
from avsv.scoring.missing import missing_policy

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--trials", type=Path, required=True, help="enroll test [target|nontarget], or VoxCeleb's list")
    add_backend_arguments(parser)
    parser.add_argument(
        "--missing", type=missing_policy("error", "drop", "score"), default="error", metavar="error|drop|NUMBER",
        help="trials without an embedding: stop, leave out, or give this score (error)",
    )  # fmt: skip
    parser.add_argument("out", type=Path, metavar="OUT", help="enroll test score")


def run(args):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # reading and writing take the time: threads would only wait
    from avsv.kaldi.scores import write_scores
    from avsv.kaldi.trials import read_trials
    from avsv.scoring.cosine import inner_products

    trials = read_trials(args.trials)
    pool, left, right, _ = read_sides(args, trials)
    complete = pool.complete
    pairs = pool.pairs if complete.all() else pool.pairs[complete]
    scores = args.missing.fill(complete, inner_products(left, right, pairs))
    args.missing.note(args.out, trials, pool)
    if args.missing.policy == "drop":
        trials = trials.take(complete)
    write_scores(args.out, trials, scores)
    log.info("%s: %d %s scores", args.out, len(scores), args.backend)
