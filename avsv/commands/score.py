"""avsv score: score trials from embeddings by cosine or PLDA.

A trial with a missing embedding is an error unless --missing says otherwise; OUT.missing lists the recordings. With
--enroll-spk2utt the enrolment names in the trials are models of several recordings. A model without some of its
recordings counts as missing too; if --missing admits it, the model is built from the others.

--weights takes the weights that embed-pair wrote beside fused embeddings and restricts the cosine to the modalities
that both clips have: the voice of a clip with both modalities is compared at its full weight. Trials without a common
modality count as missing; OUT.missing lists them as "enroll test". For AVN-E with soft_attention_concat.

Embeddings, weights and back-end must come from one model. If the model is recorded (it is not for imported embeddings),
a mismatch is an error; otherwise the log says so. OUT.system records the model for avsv fuse.

example:
  avsv score --trials data/vox1/trials/vox1-O --enroll exp/voice/vox1/embedding.scp exp/voice/scores/vox1-O.cosine
  avsv score --backend plda --plda exp/voice/plda --enroll-spk2utt data/enroll/spk2utt --enroll-method by-the-book \\
    --trials data/test/trials/all --enroll exp/voice/enroll/embedding.scp --test exp/voice/test/embedding.scp scores
  avsv score --weights exp/avn_e/vox1/weights --missing 0 --trials data/vox1/trials/vox1-O \\
    --enroll exp/avn_e/vox1/embedding.scp exp/avn_e/scores/vox1-O.cosine_shared
"""

import logging
import os
from pathlib import Path

from avsv.commands._arguments import add_missing, add_trials, result_options
from avsv.commands._backend import add_backend_arguments, backend_inputs, read_pool, system_of

log = logging.getLogger("avsv")


def add_arguments(parser):
    add_trials(parser)
    add_backend_arguments(parser)
    parser.add_argument(
        "--weights", type=Path, nargs="+", metavar="FILE",
        help="weights beside fused embeddings: compare on the modalities that both clips have",
    )  # fmt: skip
    add_missing(parser, "trials without an embedding or without a common modality", "error", "drop", "NUMBER")
    parser.add_argument("out", type=Path, metavar="OUT", help="enroll test score")


def run(args):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # most of the time is file access: threads would only wait
    import numpy as np

    from avsv.errors import OptionError
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.trials import read_trials
    from avsv.scoring.finite import companions, write_finite
    from avsv.scoring.missing import fill_missing, refuse_disjoint, report_missing
    from avsv.scoring.trial_scores import score

    if args.weights and (args.backend != "cosine" or args.center or args.enroll_spk2utt):
        raise OptionError("--weights needs plain cosine scores of recordings: leave out --backend plda, --center and "
                        "--enroll-spk2utt")  # fmt: skip
    made = MadeFrom(args.verb, {**backend_inputs(args), "weights": args.weights}, result_options(args))
    if made.is_current(args.out):
        return
    trials = read_trials(args.trials)
    pool, how = read_pool(args, trials)
    system = system_of(args, *(args.weights or []))
    all_scores = score(trials, pool, **how, weights=args.weights or (), missing="nan")
    complete = ~np.isnan(all_scores) if args.weights else pool.complete
    disjoint = pool.complete & ~complete
    refuse_disjoint(args.missing, trials, disjoint.nonzero()[0])
    scores = fill_missing(args.missing, complete, all_scores if complete.all() else all_scores[complete])
    report_missing(args.missing, args.out, trials, pool, disjoint)
    if args.missing == "drop":
        trials = trials.take(complete)
    write_finite(args.out, trials, scores, system and system + "+shared" * bool(args.weights))
    made.write(args.out, companions(args.out))
    log.info("%s: %d %s scores", args.out, len(scores), args.backend)
