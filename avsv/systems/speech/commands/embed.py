"""avsv speech embed: extract i-vectors.

Writes OUT_DIR/embedding.{ark,scp}, one i-vector for each recording with speech, for avsv lda, avsv plda and avsv score.
EXTRACTOR is a folder with final.ie and final.ubm, from avsv speech train-extractor or Kaldi; FEATURES must hold the
kind of features that it was trained on. I-vectors are compared after LDA and PLDA; their plain cosine is poor.

example:
  avsv features --kind mfcc data/vox1 exp/mfcc/vox1
  avsv speech embed --model exp/ivector exp/mfcc/vox1 exp/ivector/vox1
  avsv score --backend plda --plda exp/ivector/plda --trials data/vox1/trials/vox1-O \\
    --enroll exp/ivector/vox1/embedding.scp exp/ivector/scores/vox1-O.plda
"""

import os
from pathlib import Path

from avsv.commands._arguments import add_shard


def add_arguments(parser):
    parser.add_argument("--model", type=Path, required=True, metavar="EXTRACTOR", help="folder with an extractor")
    parser.add_argument("features", type=Path, metavar="FEATURES", help="folder of avsv features")
    parser.add_argument("out_dir", type=Path)
    add_shard(parser)


def run(args):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # jobs are parallel
    from avsv.jobs.fingerprints import digest, file_digest
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.media_files import with_stamps
    from avsv.kaldi.shards import make_archives
    from avsv.systems.speech.extractor_training import EXTRACTOR, SETTINGS, embed, load_extractor
    from avsv.systems.speech.frames import SpeechFrames
    from avsv.systems.speech.ubm_training import FULL

    speech, models = SpeechFrames(args.features), load_extractor(args.model)
    files = [args.model / name for name in (EXTRACTOR, FULL, SETTINGS)]
    name = f"voice:{digest([file_digest(file) for file in files if file.exists()])}"
    settings = {"model": name.removeprefix("voice:")}
    inputs = with_stamps(dict.fromkeys(speech.features), lambda utt: [speech.features[utt], speech.activity[utt]],
                         args.shard)  # fmt: skip
    made = MadeFrom(args.verb, {"model": files, "features": speech.tables}, settings)
    make_archives(args.out_dir, ["embedding"], inputs, settings, lambda utts, out: embed(*models, speech, utts, out),
                  args.shard, args.max_skipped, model=name, made=made)  # fmt: skip
