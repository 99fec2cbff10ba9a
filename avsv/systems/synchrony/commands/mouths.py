"""avsv synchrony mouths: crop the mouth of the main face from every frame of a data directory's videos.

Writes OUT_DIR/mouths.{ark,scp}: for every frame of a clip the mouth of its most prominent face, grey, 60 x 100 pixels,
with the frame's time. The key points come from a detector (--model), or else from DATA_DIR/landmarks.scp if the corpus
has them. When the last shard is done, mouths.scp is copied to DATA_DIR. A clip without a face in 9 consecutive frames
is skipped, counted and listed in OUT_DIR/skipped.

example:
  avsv synchrony mouths --model buffalo_l data/lrw exp/mouths/lrw
  avsv synchrony mouths --shard 1/4 data/train exp/mouths/train
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_detection_threshold, add_device, add_shard

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path, help="has video.scp and utt2spk")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--model", help="face detector: an InsightFace pack by name or folder, or an exp/ folder")
    add_device(parser)
    add_detection_threshold(parser)
    add_shard(parser)


def run(args):
    from avsv.errors import InputError
    from avsv.jobs.fingerprints import file_digest
    from avsv.jobs.progress import progress
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.kaldi.media_files import with_stamps
    from avsv.kaldi.shards import make_archives
    from avsv.systems.synchrony.mouths import encode_mouths, find_mouths, known_mouths

    data = read_data_dir(args.data_dir)
    landmarks = {} if args.model else data.table("landmarks.scp")
    if not args.model and not landmarks:
        raise InputError(f"{args.data_dir}/landmarks.scp: is absent or empty; give --model with a face detector")
    detector, settings = None, {"key points": "landmarks.scp"}
    if args.model:
        from avsv.features.face_pack import load_pack

        pack = load_pack(args.model, args.device, ("detection",), threads=1 if args.shard.total > 1 else None)
        detector = pack.detection
        settings = {"detector": [file_digest(f) for f in pack.files("detection")], "det_thresh": args.det_thresh}
    inputs = {utt: [video, landmarks.get(utt)] for utt, video in data.video.items()}
    log.info("%s: %d of %d clips have video", args.data_dir, len(inputs), len(data.utts))

    def work(utts, out):
        for utt in progress(utts, "mouths"):
            video, points = inputs[utt]
            try:
                if detector is not None:
                    mouths = find_mouths(video, detector, args.det_thresh)
                elif points is not None:
                    mouths = known_mouths(video, points)
                else:
                    raise InputError(f"{args.data_dir}/landmarks.scp: this clip is missing")
            except InputError as error:
                out.skip(utt, str(error))
                continue
            out.write_bytes("mouths", utt, encode_mouths(mouths))

    stamped = with_stamps(dict.fromkeys(inputs), lambda utt: [source for source in inputs[utt] if source], args.shard)
    sources = {"data": [args.data_dir / "video.scp", args.data_dir / "landmarks.scp"]}
    if detector is not None:
        sources = {"model": pack.files("detection"), "data": args.data_dir / "video.scp"}
    made = MadeFrom(args.verb, sources, settings)
    make_archives(args.out_dir, ["mouths"], stamped, settings, work, args.shard, args.max_skipped,
                  copies={"mouths.scp": args.data_dir / "mouths.scp"}, made=made)  # fmt: skip
