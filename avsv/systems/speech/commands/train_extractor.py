"""avsv speech train-extractor: train an i-vector extractor on a UBM with full covariances.

OUT gets final.ie, in Kaldi's binary format, a copy of the UBM as final.ubm, config.yaml, and log_likelihood, the
log-likelihood per frame before each step of EM. --ubm takes a folder of avsv speech train-ubm, or Kaldi's final.ubm
for the same features. Jobs share the work as in avsv speech train-ubm; OUT/rounds holds 4 (1 + values a frame) bytes
for each Gaussian and recording until the training is complete.

example:
  avsv speech train-extractor --ubm exp/ubm conf/ivector.yaml exp/mfcc/vox2 exp/ivector
  avsv speech embed --model exp/ivector exp/mfcc/vox2 exp/ivector/vox2
  avsv plda --lda-dim 200 --embeddings exp/ivector/vox2/embedding.scp --utt2spk data/vox2/utt2spk exp/ivector/plda
"""

import os
from pathlib import Path

from avsv.systems.speech.commands._arguments import add_training, read_training

INTERMIXED = True


def add_arguments(parser):
    parser.add_argument("--ubm", type=Path, required=True, help="folder of avsv speech train-ubm, or a final.ubm")
    add_training(parser)


def run(args):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the jobs are parallel; the number of threads changes sums
    from avsv.jobs.provenance import MadeFrom
    from avsv.systems.speech.extractor_training import OUTPUTS, train_extractor
    from avsv.systems.speech.frames import SpeechFrames
    from avsv.systems.speech.settings import ExtractorSettings
    from avsv.systems.speech.ubm_training import FULL

    settings, options = read_training(args, ExtractorSettings)
    speech = SpeechFrames(args.features)
    ubm = args.ubm / FULL if args.ubm.is_dir() else args.ubm
    made = MadeFrom(args.verb, {"ubm": ubm, "features": speech.tables}, options, settings.seed)
    if not made.is_current(*(args.out / name for name in OUTPUTS)):
        train_extractor(speech, ubm, settings, args.out, made, args.shard)
