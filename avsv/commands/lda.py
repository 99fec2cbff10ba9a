"""avsv lda: estimate the mean and a transform of embeddings, LDA or whitening, for cosine scores.

OUT is a folder with mean.vec and transform.mat in the format of Kaldi's ivector-mean and ivector-compute-lda. avsv
score --center OUT/mean.vec --transform OUT/transform.mat applies both, then scales to length 1; --center alone only
subtracts the mean. Whitening needs no labels. avsv plda trains its own LDA.

example:
  avsv lda --embeddings exp/voice/vox2/embedding.scp --utt2spk data/vox2/utt2spk --dim 150 exp/voice/lda
"""

import logging
import os
from pathlib import Path

from avsv.commands._arguments import add_text, at_least_one, result_options

log = logging.getLogger("avsv")
FILES = ("mean.vec", "transform.mat")


def add_arguments(parser):
    parser.add_argument("--embeddings", type=Path, required=True, metavar="SCP", help="training embeddings")
    parser.add_argument("--method", choices=["lda", "whiten"], default="lda", help="transform to estimate (lda)")
    parser.add_argument("--utt2spk", type=Path, metavar="FILE", help="speaker of each recording; needed for lda")
    parser.add_argument("--dim", type=at_least_one, metavar="N", help="dimensions to keep (all)")
    add_text(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder")


def run(args):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads would only wait
    from avsv.errors import OptionError
    from avsv.jobs.files import replaced_together
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.embeddings import read_embeddings
    from avsv.kaldi.origin import embeddings_model, write_trained_on
    from avsv.scoring.lda import class_statistics, train_lda
    from avsv.scoring.projection import Projection, write_projection
    from avsv.scoring.speakers import speaker_numbers
    from avsv.scoring.whitening import train_whitening

    if (args.method == "lda") != (args.utt2spk is not None):
        raise OptionError("--method lda needs --utt2spk FILE; --method whiten does not use it")
    made = MadeFrom(args.verb, {"embeddings": args.embeddings, "people": args.utt2spk}, result_options(args))
    if made.is_current(*(args.out / name for name in FILES)):
        return
    embeddings = read_embeddings(args.embeddings)
    if args.method == "whiten":
        projection = train_whitening(embeddings.vectors, args.dim)
    else:
        people = speaker_numbers(embeddings, args.utt2spk, args.embeddings)
        statistics = class_statistics(embeddings.vectors, people)
        projection = Projection(statistics.center, train_lda(statistics, args.dim))
    model = embeddings_model(args.embeddings)
    with replaced_together(args.out / "mean.vec"):
        write_projection(args.out, projection, args.text)
        write_trained_on(args.out, model)
    for name in FILES:
        made.write(args.out / name)
    done = {"lda": "LDA", "whiten": "whitening"}[args.method]
    log.info("%s: %s to %d dimensions from %d embeddings", args.out, done, len(projection.transform), len(embeddings))
