"""avsv adapt-plda: adapt a PLDA back-end to another domain, from unlabelled embeddings.

The method, options and defaults are those of Kaldi's ivector-adapt-plda (its sre16 recipe sets the scales to 0.75 and
0.25): variance of the domain beyond the model's prediction is added to the within-speaker and between-speaker
covariances. The mean is replaced by the domain's, so --embeddings should cover many speakers. OUT has the same files as
the folder of avsv plda.

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
    parser.add_argument("--plda", type=Path, required=True, metavar="DIR", help="folder of avsv plda or Kaldi")
    parser.add_argument("--embeddings", type=Path, required=True, metavar="SCP", help="embeddings of the new domain")
    parser.add_argument(
        "--within-covar-scale", type=not_negative, default=0.3, metavar="X",
        help="share of the excess variance added to the within-speaker covariance (0.3)",
    )  # fmt: skip
    parser.add_argument(
        "--between-covar-scale", type=not_negative, default=0.7, metavar="X", help="the same between speakers (0.7)"
    )
    parser.add_argument(
        "--mean-diff-scale", type=not_negative, default=1.0, metavar="X",
        help="share of the squared distance between the means added to the domain's variance (1)",
    )  # fmt: skip
    add_text(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder")


def run(args):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads would only wait
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
        "%s: adapted to %d embeddings, mean ratio of between-speaker to within-speaker variance %.3g -> %.3g",
        args.out, len(embeddings), before, after,
    )  # fmt: skip
