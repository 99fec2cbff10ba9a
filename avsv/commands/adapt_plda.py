"""avsv adapt-plda: adapt a PLDA back-end to another domain, whose embeddings need no labels.

What Kaldi's ivector-adapt-plda does, with its options and defaults (its sre16 recipe gives 0.75 and 0.25): where the
domain varies more than the model expects, the excess goes to the covariances within and between people. The mean
becomes the domain's, so --embeddings should hold many people. OUT is a folder as avsv plda makes it.

example:
  avsv adapt-plda --plda exp/voice/plda --embeddings exp/voice/phone/embedding.scp \\
    --within-covar-scale 0.75 --between-covar-scale 0.25 exp/voice/plda_phone
"""

import logging
import os
from pathlib import Path

from avsv.commands._arguments import add_text, not_negative, result_options

log = logging.getLogger("avsv")
FILES = ("plda", "mean.vec", "transform.mat")


def add_arguments(parser):
    parser.add_argument("--plda", type=Path, required=True, metavar="DIR", help="what avsv plda made, or Kaldi")
    parser.add_argument("--embeddings", type=Path, required=True, metavar="SCP", help="of the domain")
    parser.add_argument(
        "--within-covar-scale", type=not_negative, default=0.3, metavar="X",
        help="share of the excess variance that goes to the covariance within people (0.3)",
    )  # fmt: skip
    parser.add_argument(
        "--between-covar-scale", type=not_negative, default=0.7, metavar="X", help="between people (0.7)"
    )
    parser.add_argument(
        "--mean-diff-scale", type=not_negative, default=1.0, metavar="X",
        help="share of the squared distance of the means that is added to the domain's variance (1)",
    )  # fmt: skip
    add_text(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder")


def run(args):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the matrices are small: threads would wait for each other
    from avsv.jobs.files import replaced_together
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.embeddings import read_embeddings
    from avsv.kaldi.origin import embeddings_model, same_model, trained_on, write_trained_on
    from avsv.scoring.adaptation import adapt_plda
    from avsv.scoring.plda_files import read_plda, write_plda

    made = MadeFrom(args.verb, {"plda": args.plda / "plda", "embeddings": args.embeddings}, result_options(args))
    if made.is_current(*(args.out / name for name in FILES)):
        return
    model = same_model({args.plda: trained_on(args.plda), args.embeddings: embeddings_model(args.embeddings)})
    plda, embeddings = read_plda(args.plda), read_embeddings(args.embeddings)
    scales = args.within_covar_scale, args.between_covar_scale, args.mean_diff_scale
    adapted = adapt_plda(plda, embeddings.vectors, *scales)
    with replaced_together(args.out / "plda"):
        write_plda(args.out, adapted, args.text)
        write_trained_on(args.out, model)
    for name in FILES:
        made.write(args.out / name)
    before, after = plda.gaussians.psi.mean(), adapted.gaussians.psi.mean()
    log.info(
        "%s: adapted to %d embeddings, mean ratio of the variances between and within people %.3g -> %.3g",
        args.out, len(embeddings), before, after,
    )  # fmt: skip
