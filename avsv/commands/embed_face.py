"""avsv embed-face: extract face embeddings for the clips in a data directory.

Writes OUT_DIR/embedding.{ark,scp}, one vector per clip: the mean of the length-normalised embeddings of its faces. If
the pack has a quality network, such as eDifFIQA(T), a face's weight in that mean is proportional to its quality.
Aligned faces come from DATA_DIR/faces.scp if avsv align-faces made it; otherwise the pack's detector finds and aligns
them. Damage listed in DATA_DIR/utt2damage is applied first; a face that is "missing" there gets no embedding.
OUT_DIR/skipped lists every clip with a video but no embedding, with the reason.

It also writes quality measures as tables "utt value", for calibrate --quality and evaluate --by. All but the number of
faces are means over a clip's faces:
  utt2face_score  the detector's score, 0 to 1
  utt2face_size   square root of the area of the detector's box, in pixels of the original image
  utt2sharpness   variance of the Laplacian of the aligned face, after the damage
  utt2num_faces   number of faces embedded and averaged
  utt2magnitude   Euclidean length of a face's embedding, before it is scaled to length 1
  utt2face_quality  what the pack's quality network says, after the damage; absent without one
With faces.scp, score and size are the ones that align-faces wrote to DATA_DIR.

--pool replaces the mean by attention on the faces' sharpness and magnitude, trained with task face_pool. That training
needs the embedding of every face: --keep-faces writes them (faces.{ark,scp}, one matrix per clip, and faces_sharpness).

Many clips of a noisy set are undamaged. With --reuse exp/face/vox1, embeddings of identical clips by the same networks
and options are copied from there; the table utt2input holds a hash of each vector's inputs as proof.

example:
  avsv embed-face --model buffalo_l data/vox1 exp/face/vox1
  avsv embed-face --model exp/face --device cuda --shard 2/4 data/vox1 exp/face/vox1
  avsv embed-face --model exp/face --reuse exp/face/vox1 data/vox1_noisy-0.6 exp/face/vox1_noisy-0.6
  avsv embed-face --model exp/face --pool exp/face_pool data/vox1 exp/face/vox1
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_detection_threshold, add_face_pack, add_reuse, add_shard, at_least_one

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path, help="with utt2spk, and video.scp or faces.scp")
    parser.add_argument("out_dir", type=Path)
    add_face_pack(parser)
    parser.add_argument("--frames-per-clip", type=at_least_one, default=5, help="faces averaged (5)")
    parser.add_argument(
        "--batch-size", type=at_least_one, default=8, help="faces per batch (8; larger is faster on a GPU only)"
    )
    add_detection_threshold(parser)
    add_shard(parser)
    parser.add_argument("--pool", type=Path, metavar="DIR", help="trained attention on the faces' sharpness (mean)")
    parser.add_argument("--keep-faces", action="store_true", help="also write every face's embedding; not with --reuse")
    add_reuse(parser)


def run(args):
    from avsv.embeddings.face import FaceEmbedder, archived_faces, assessed, damaged, embed_clips, media_faces
    from avsv.embeddings.face_pool import NAME, load_face_pool
    from avsv.errors import InputError, OptionError
    from avsv.features.face_pack import load_pack
    from avsv.features.quality_measures import FACE_QUALITY, FACE_TABLES
    from avsv.jobs.fingerprints import file_digest
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.damage import MISSING, read_damage
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.kaldi.media_files import with_stamps
    from avsv.kaldi.origin import face_model
    from avsv.kaldi.reuse import take_over
    from avsv.kaldi.shards import make_archives
    from avsv.kaldi.tables import read_table, write_table
    from avsv.models.registry import tell_licences

    if args.keep_faces and args.reuse:
        raise OptionError("--keep-faces: --reuse does not copy the embeddings of single faces; drop one of the two")
    pool = load_face_pool(args.pool) if args.pool else None
    data = read_data_dir(args.data_dir)
    damage = read_damage(args.data_dir, "face")
    missing = {utt: "missing by design" for utt, what in damage.items() if what["kind"] == MISSING}
    table, source, tasks = faces_of(data)
    if not source and not missing:
        raise InputError(f"{args.data_dir}: has neither video.scp nor faces.scp, so no faces to embed")
    aligned = table == "faces.scp"
    log.info("%s: %d of %d clips have a %s", args.data_dir, len(source), len(data.utts),
             "face in faces.scp" if aligned else "video or image; faces are detected now")  # fmt: skip
    detected = detection_of_archived(data) if aligned and source else {}
    without = {utt: "no face was found by avsv align-faces" for utt in data.video if utt not in source}
    without |= missing
    pack = load_pack(args.model, args.device, tasks, threads=1)
    tell_licences(pack.files(*tasks))
    embedder = FaceEmbedder(pack.recognition, args.batch_size)
    quality = FaceEmbedder(pack.quality, args.batch_size) if pack.quality else None
    if pool and quality:
        log.info("%s weights the faces; the quality network %s only measures them", args.pool, pack.quality.model_file)
    tables = (*FACE_TABLES, FACE_QUALITY) if quality else FACE_TABLES
    attention = [*pool.mean, *pool.std, *pool.weight] if pool else None
    settings = {
        "networks": [file_digest(file) for file in pack.files(*tasks)],
        "frames": args.frames_per_clip,
        "det_thresh": args.det_thresh,
        "batch": embedder.batch_size if quality is None else [embedder.batch_size, quality.batch_size],
        **({"pool": attention} if attention else {}),
    }
    archives = ["embedding", *(["faces", "faces_sharpness"] if args.keep_faces else [])]

    def work(utts, out):
        if aligned:
            read = archived_faces(source, args.frames_per_clip)
        else:
            read = media_faces(source, pack.detection, args.frames_per_clip, args.det_thresh)
        left = take_over(args.reuse, utts, tables, out)
        embed_clips(embedder, assessed(damaged(read, damage), quality), left, out, detected, pool, args.keep_faces)

    inputs = {utt: [damage.get(utt), *detected.get(utt, {}).values()] for utt in source if utt not in without}
    inputs = with_stamps(inputs, lambda utt: [source[utt]], args.shard)
    networks = [*pack.files(*tasks), args.pool and args.pool / NAME]
    data_tables = [args.data_dir / name for name in (table, "utt2damage")]
    made = MadeFrom(args.verb, {"model": networks, "data": data_tables}, settings)
    # a set in which all faces are missing by design has no embeddings; that is not an error
    if make_archives(args.out_dir, archives, inputs, settings, work, args.shard, args.max_skipped,
                     tables, may_be_empty=bool(missing),
                     model=face_model(pack.files("recognition"), attention), made=made):  # fmt: skip
        # clips that could not have an embedding are listed, but do not count as failures
        skipped = {**read_table(args.out_dir / "skipped"), **without}
        write_table(args.out_dir / "skipped", skipped)
        if skipped:
            log.info("%s: clips without a face embedding: %d, listed in skipped", args.out_dir, len(skipped))


def faces_of(data):
    """The table that lists the faces, its entries (utterance -> file), and the networks needed to embed them."""
    aligned = {utt: entry for utt, entry in data.table("faces.scp").items() if utt in data.utt2spk}
    if aligned or not data.video:
        return "faces.scp", aligned, ("recognition",)
    return "video.scp", data.video, ("detection", "recognition")


def detection_of_archived(data):
    """The measures that align-faces wrote for the faces in faces.scp: utterance -> table -> value."""
    from avsv.features.quality_measures import DETECTION_TABLES

    measures = {}
    for name in DETECTION_TABLES:
        table = data.table(name)
        if not table:
            log.warning("%s/%s: is absent or empty, so no clip has this measure; avsv align-faces writes it",
                        data.path, name)  # fmt: skip
        for utt, value in table.items():
            measures.setdefault(utt, {})[name] = value
    return measures
