"""avsv normalize: z-norm, t-norm, s-norm or as-norm of a score file against a cohort.

The cohort is of people who are in none of the trials, best those the models were trained on. as-norm takes mean and
standard deviation of each recording's --top-n highest cohort scores, of the whole cohort where it is smaller.

example:
  avsv normalize --method as-norm --trials data/vox1/trials/vox1-O --scores exp/voice/scores/vox1-O.cosine \\
    --enroll exp/voice/vox1/embedding.scp --cohort exp/voice/vox2/embedding.scp --cohort-utt2spk data/vox2/utt2spk \\
    exp/voice/scores/vox1-O.cosine_as-norm
"""

import logging
import os
from pathlib import Path

from avsv.commands._arguments import at_least_one
from avsv.scoring.missing import missing_policy

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--method", required=True, choices=["z-norm", "t-norm", "s-norm", "as-norm"])
    parser.add_argument("--trials", type=Path, required=True, help="enroll test [target|nontarget], or VoxCeleb's list")
    parser.add_argument("--scores", type=Path, required=True, metavar="FILE", help="raw scores: enroll test score")
    parser.add_argument("--enroll", type=Path, required=True, metavar="SCP", help="embeddings of the enrolment side")
    parser.add_argument("--test", type=Path, metavar="SCP", help="embeddings of the test side (those of --enroll)")
    parser.add_argument("--cohort", type=Path, required=True, metavar="SCP", help="embeddings of the cohort")
    parser.add_argument(
        "--cohort-utt2spk", type=Path, metavar="FILE", help="make one mean embedding of each person of the cohort"
    )
    parser.add_argument("--top-n", type=at_least_one, default=300, metavar="N", help="for as-norm (300)")
    parser.add_argument(
        "--backend", choices=["cosine", "plda"], default="cosine", help="what made the raw scores (cosine)"
    )
    parser.add_argument("--plda", type=Path, metavar="DIR", help="what avsv plda made; cosine does not use it")
    parser.add_argument("--center", type=Path, metavar="FILE", help="the mean vector given to avsv score, if any")
    parser.add_argument(
        "--missing", type=missing_policy("error", "keep", "drop"), default="error", metavar="error|keep|drop",
        help="trials without an embedding: stop, keep the raw score, or leave out (error)",
    )  # fmt: skip
    parser.add_argument("out", type=Path, metavar="OUT", help="enroll test score")


def run(args):
    # each core makes a product of its own (see cohort_statistics); BLAS's threads would only be in the way
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import numpy as np

    from avsv.errors import UserError
    from avsv.kaldi.embeddings import Embeddings, read_embeddings
    from avsv.kaldi.scores import read_scores, write_scores
    from avsv.kaldi.trials import read_trials
    from avsv.scoring.backend import make_backend
    from avsv.scoring.normalization import average_by_person, normalize
    from avsv.scoring.people import people_numbers
    from avsv.scoring.pool import read_pool

    backend = make_backend(args.backend, args.plda, args.center)
    trials = read_trials(args.trials)
    pool = read_pool(trials, args.enroll, args.test)
    args.missing.check(trials, pool, args.test or args.enroll)
    complete = pool.complete
    raw = read_scores(args.scores, trials, incomplete=args.missing.policy == "drop")
    if np.isnan(raw[complete]).any():
        raise UserError(f"{args.scores}: trials whose embeddings are there have no score in it")
    cohort = read_embeddings(args.cohort)
    if not len(cohort):
        raise UserError(f"{args.cohort}: there are no embeddings in it")
    if args.cohort_utt2spk:
        people = people_numbers(cohort, args.cohort_utt2spk, args.cohort)
        means = average_by_person(cohort.vectors, people)
        cohort = Embeddings([f"person {number}" for number in range(len(means))], means)
    size, cohort_size = pool.embeddings.vectors.shape[1], cohort.vectors.shape[1]
    if complete.any() and size != cohort_size:
        raise UserError(f"{args.cohort}: embeddings of {cohort_size} values, those of the trials have {size}")

    recordings, _ = backend(pool.embeddings)
    _, members = backend(cohort)
    scores = raw[complete]
    if complete.any():
        scores = normalize(args.method, scores, pool.pairs[complete], recordings, members, args.top_n)
    scores = args.missing.fill(complete, scores, raw)
    args.missing.note(args.out, trials, pool)
    if args.missing.policy == "drop":
        trials = trials.take(complete)
    write_scores(args.out, trials, scores)
    log.info("%s: %d scores, %s against %d cohort members", args.out, len(scores), args.method, len(members))
