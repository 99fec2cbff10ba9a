"""avsv plda: train a PLDA back-end (mean, LDA, length normalisation, two-covariance PLDA).

OUT is a folder with mean.vec, transform.mat and plda in Kaldi's format, for avsv score --backend plda --plda OUT.
Embeddings of speakers that are absent from utt2spk are an error; speakers with a single embedding contribute to the
between-speaker covariance only. Damaged versions of the same recordings, by a further --embeddings, teach PLDA which
directions damage changes. --coral first maps the training embeddings to the mean and covariance of another domain
(avsv adapt is an alternative).

example:
  avsv plda --embeddings exp/voice/vox2/embedding.scp --utt2spk data/vox2/utt2spk --lda-dim 150 exp/voice/plda
"""

import logging
import os
from pathlib import Path

from avsv.commands._arguments import add_text, at_least_one, result_options

log = logging.getLogger("avsv")
FILES = ("plda", "mean.vec", "transform.mat")


def add_arguments(parser):
    parser.add_argument(
        "--embeddings", type=Path, required=True, action="append", metavar="SCP",
        help="training embeddings; may be repeated, for damaged versions of the recordings",
    )  # fmt: skip
    parser.add_argument("--utt2spk", type=Path, required=True, metavar="FILE", help="speaker of each recording")
    parser.add_argument(
        "--lda-dim", type=at_least_one, metavar="N", help="dimensions kept by LDA, fewer than speakers (all)"
    )
    parser.add_argument("--iterations", type=at_least_one, default=10, metavar="N", help="EM iterations (10)")
    parser.add_argument("--coral", type=Path, metavar="SCP", help="unlabelled embeddings of the target domain")
    add_text(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder")


def run(args):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads would only wait
    from avsv.jobs.files import replaced_together
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.embeddings import read_embeddings, read_together
    from avsv.kaldi.origin import embeddings_model, same_model, write_trained_on
    from avsv.scoring.adaptation import coral
    from avsv.scoring.plda_files import write_plda
    from avsv.scoring.plda_training import train_plda
    from avsv.scoring.speakers import speaker_numbers

    inputs = {"embeddings": args.embeddings, "people": args.utt2spk, "domain": args.coral}
    made = MadeFrom(args.verb, inputs, result_options(args))
    if made.is_current(*(args.out / name for name in FILES)):
        return
    scps = [*args.embeddings, *([args.coral] if args.coral else [])]
    model = same_model({path: embeddings_model(path) for path in scps})
    embeddings = read_together(args.embeddings)
    people = speaker_numbers(embeddings, args.utt2spk, args.embeddings[0])
    vectors = embeddings.vectors
    if args.coral:
        vectors = coral(vectors, read_embeddings(args.coral).vectors)
    plda, likelihoods = train_plda(vectors, people, args.lda_dim, args.iterations)
    with replaced_together(args.out / "plda"):
        write_plda(args.out, plda, args.text)
        write_trained_on(args.out, model)
    for name in FILES:
        made.write(args.out / name)
    log.info(
        "%s: PLDA of %d dimensions from %d embeddings of %d speakers, log-likelihood per embedding %.3f -> %.3f",
        args.out, len(plda.gaussians.psi), len(embeddings), people.max() + 1, likelihoods[0], likelihoods[-1],
    )  # fmt: skip
