"""avsv synchrony mouths: cut the mouths out of a data directory's videos, for the synchrony of mouth and sound.

Writes OUT_DIR/mouths.{ark,scp}: of every frame of a clip the mouth of the face that it is about, grey, 60 x 100 pixels,
with the frames' times. Key points are those of DATA_DIR/landmarks.scp where the corpus brings them (and --model is not
given), or a detector's. When the last shard is done, DATA_DIR gets mouths.scp. A clip without a face for 9 frames
together is skipped, counted and listed in OUT_DIR/skipped.

example:
  avsv synchrony mouths --model buffalo_l data/lrw exp/mouths/lrw
  avsv synchrony mouths --shard 1/4 data/train exp/mouths/train
"""

import logging
from pathlib import Path

from avsv.commands._arguments import prior, share
from avsv.jobs.fingerprints import file_digest
from avsv.jobs.shards import Shard
from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.media_files import with_stamps
from avsv.kaldi.shards import make_archives

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path, help="has video.scp and utt2spk")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--model", help="finds the faces: an InsightFace pack by name or folder, or an exp/ folder")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--det-thresh", type=prior, default=0.5, help="least score of a face, 0 to 1 (default: 0.5)")
    parser.add_argument("--shard", type=Shard.parse, default=Shard(), metavar="J/N", help="do part J of N")
    parser.add_argument("--max-skipped", type=share, default=0.05, help="share of clips that may fail (default: 0.05)")


def run(args):
    from avsv.errors import InputError
    from avsv.jobs.progress import progress
    from avsv.systems.synchrony.mouths import encode_mouths, find_mouths, known_mouths

    data = read_data_dir(args.data_dir)
    landmarks = {} if args.model else data.table("landmarks.scp")
    if not args.model and not landmarks:
        raise InputError(f"{args.data_dir}/landmarks.scp: is absent or empty; give --model, a pack that finds faces")
    detector, settings = None, {"key points": "landmarks.scp"}
    if args.model:
        from avsv.features.face_pack import load_pack

        pack = load_pack(args.model, args.device, ("detection",), threads=1 if args.shard.total > 1 else None)
        detector = pack.detection
        settings = {"detector": [file_digest(f) for f in pack.files("detection")], "det_thresh": args.det_thresh}
    inputs = {utt: [video, landmarks.get(utt)] for utt, video in data.video.items()}
    log.info("%s: %d of %d clips have a picture", args.data_dir, len(inputs), len(data.utts))

    def work(utts, out):
        for utt in progress(utts, "mouths"):
            video, points = inputs[utt]
            try:
                if detector is not None:
                    mouths = find_mouths(video, detector, args.det_thresh)
                elif points is not None:
                    mouths = known_mouths(video, points)
                else:
                    raise InputError(f"{args.data_dir}/landmarks.scp has no line for it")
            except InputError as error:
                out.skip(utt, str(error))
                continue
            out.write_bytes("mouths", utt, encode_mouths(mouths))

    stamped = with_stamps(inputs, lambda utt: [source for source in inputs[utt] if source], args.shard)
    make_archives(args.out_dir, ["mouths"], stamped, settings, work, args.shard, args.max_skipped,
                  copies={"mouths.scp": args.data_dir / "mouths.scp"})  # fmt: skip
