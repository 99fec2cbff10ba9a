"""avsv plda: train a PLDA back-end (mean, LDA, length normalisation, two-covariance PLDA).

OUT is a folder with mean.vec, transform.mat and plda in Kaldi's form; avsv score --backend plda --plda OUT uses it.
Embeddings of people who are not in utt2spk are an error; people with one embedding count for the spread of people.
--coral gives the training embeddings the mean and covariance of another domain first (avsv adapt-plda is another way).

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
    parser.add_argument("--embeddings", type=Path, required=True, metavar="SCP", help="of the training people")
    parser.add_argument("--utt2spk", type=Path, required=True, metavar="FILE", help="who is in each recording")
    parser.add_argument(
        "--lda-dim", type=at_least_one, metavar="N", help="dimensions kept by LDA; fewer than people (all of the space)"
    )
    parser.add_argument("--iterations", type=at_least_one, default=10, metavar="N", help="of EM (10)")
    parser.add_argument("--coral", type=Path, metavar="SCP", help="embeddings of the domain to be used in; unlabelled")
    add_text(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder")


def run(args):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the matrices are small: threads would wait for each other
    from avsv.jobs.files import replaced_together
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.embeddings import read_embeddings
    from avsv.kaldi.origin import embeddings_model, same_model, write_trained_on
    from avsv.scoring.adaptation import coral
    from avsv.scoring.plda_files import write_plda
    from avsv.scoring.plda_training import train_plda
    from avsv.scoring.speakers import speaker_numbers

    inputs = {"embeddings": args.embeddings, "people": args.utt2spk, "domain": args.coral}
    made = MadeFrom(args.verb, inputs, result_options(args))
    if made.is_current(*(args.out / name for name in FILES)):
        return
    model = same_model({path: embeddings_model(path) for path in (args.embeddings, args.coral) if path is not None})
    embeddings = read_embeddings(args.embeddings)
    people = speaker_numbers(embeddings, args.utt2spk, args.embeddings)
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
        "%s: PLDA of %d dimensions from %d embeddings of %d people, log-likelihood per embedding %.3f -> %.3f",
        args.out, len(plda.gaussians.psi), len(embeddings), people.max() + 1, likelihoods[0], likelihoods[-1],
    )  # fmt: skip
