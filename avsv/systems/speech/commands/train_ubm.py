"""avsv speech train-ubm: train a universal background model, diagonal and full Gaussian mixtures.

OUT gets, in Kaldi's binary formats, final.dubm (diagonal, for avsv speech score) and final.ubm (full covariances, for
avsv speech train-extractor), and log_likelihood, the log-likelihood per frame before each step of EM. FEATURES has
feats.scp and vad.scp.

Several jobs with --shard J/N share the work of each step; each takes over the parts of jobs that died, and a job alone
does them all. A training that was killed continues where it was and gives the same bytes. Another N adds up in another
order and differs in the last digits.

example:
  avsv features --kind mfcc data/vox2 exp/mfcc/vox2
  avsv speech train-ubm conf/ubm.yaml exp/mfcc/vox2 exp/ubm
  run.py JOB=1:4 exp/ubm/log/train.JOB.log avsv speech train-ubm --shard JOB/4 conf/ubm.yaml exp/mfcc/vox2 exp/ubm
"""

import os

from avsv.systems.speech.commands._arguments import add_training, read_training

INTERMIXED = True


def add_arguments(parser):
    add_training(parser)


def run(args):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the jobs are parallel; the number of threads changes sums
    from avsv.jobs.provenance import MadeFrom
    from avsv.systems.speech.frames import SpeechFrames
    from avsv.systems.speech.settings import UbmSettings
    from avsv.systems.speech.ubm_training import DIAGONAL, FULL, train_ubm

    settings, options = read_training(args, UbmSettings)
    speech = SpeechFrames(args.features)
    made = MadeFrom(args.verb, {"features": speech.tables}, options, settings.seed)
    if not made.is_current(*(args.out / name for name in (DIAGONAL, FULL))):
        train_ubm(speech, settings, args.out, made, args.shard)
