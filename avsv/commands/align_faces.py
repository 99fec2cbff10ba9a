"""avsv align-faces: detect and align the faces in a data directory's clips.

Writes OUT_DIR/faces.{ark,scp}, the aligned faces (112 x 112 pixels) from up to --frames-per-clip frames of each clip as
one JPEG, and the tables utt2face_score and utt2face_size: the detector's mean score and mean face size in pixels. After
the last shard, DATA_DIR gets faces.scp, which embed-face and the training of face networks read, and both tables. A
clip without a face is skipped, counted and listed in OUT_DIR/skipped; clips without video are counted.

example:
  avsv align-faces --model buffalo_l data/vox1 exp/faces/vox1
  avsv align-faces --model exp/face_detector --shard 1/4 data/train exp/faces/train
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_detection_threshold, add_face_pack, add_shard, at_least_one

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path, help="with video.scp and utt2spk")
    parser.add_argument("out_dir", type=Path)
    add_face_pack(parser)
    parser.add_argument("--frames-per-clip", type=at_least_one, default=5, help="frames per clip to search (5)")
    add_detection_threshold(parser)
    add_shard(parser)


def run(args):
    from avsv.embeddings.face import media_faces, read_ahead
    from avsv.errors import InputError
    from avsv.features.face_pack import load_pack
    from avsv.features.faces import encode_faces
    from avsv.features.quality_measures import DETECTION_TABLES, face_quality
    from avsv.jobs.fingerprints import file_digest
    from avsv.jobs.progress import progress
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.kaldi.media_files import with_stamps
    from avsv.kaldi.shards import make_archives

    data = read_data_dir(args.data_dir)
    if not data.video:
        raise InputError(f"{args.data_dir}/video.scp: is absent or empty; expected a video or image for each clip")
    log.info("%s: %d of %d clips have a video or image", args.data_dir, len(data.video), len(data.utts))
    pack = load_pack(args.model, args.device, ("detection",), threads=1)
    settings = {
        "detector": [file_digest(file) for file in pack.files("detection")],
        "frames": args.frames_per_clip,
        "det_thresh": args.det_thresh,
    }

    def work(utts, out):
        read = media_faces(data.video, pack.detection, args.frames_per_clip, args.det_thresh)
        for utt, faces in read_ahead(read, progress(utts, "align faces")):
            if isinstance(faces, InputError):
                out.skip(utt, str(faces))
                continue
            out.write_bytes("faces", utt, encode_faces(faces.images))
            quality = face_quality(faces)
            for table in DETECTION_TABLES:
                out.note(table, utt, quality[table])

    inputs = with_stamps(dict.fromkeys(data.video), lambda utt: [data.video[utt]], args.shard)
    sources = {"model": pack.files("detection"), "data": args.data_dir / "video.scp"}
    made = MadeFrom(args.verb, sources, settings)
    copies = {name: args.data_dir / name for name in (*DETECTION_TABLES, "faces.scp")}
    make_archives(args.out_dir, ["faces"], inputs, settings, work, args.shard, args.max_skipped, DETECTION_TABLES,
                  copies=copies, made=made)  # fmt: skip
