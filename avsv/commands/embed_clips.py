"""avsv embed-clips: extract embeddings with a network that processes audio and faces jointly (AVN-F).

Writes OUT_DIR/embedding.{ark,scp}, one vector per clip from all of its audio and faces; utt2modality, the modalities
present (both | voice | face); and utt2voice_weight, the mean attention weight of the voice. Faces come from
DATA_DIR/faces.scp if avsv align-faces made it; otherwise the detector in EXP_DIR finds them. Damage listed in
DATA_DIR/utt2damage is applied first. OUT_DIR/skipped lists every clip without both audio and a face, with the reason.

AVN-J has no separate command: its experiment contains a voice encoder, a face pack and a fusion network for
avsv embed-voice --model exp/avn_j/voice, embed-face --model exp/avn_j/face and embed-pair --model exp/avn_j.

example:
  avsv embed-clips --model exp/avn_f data/test exp/avn_f/test
  avsv embed-clips --model exp/avn_f --reuse exp/avn_f/test data/test_noisy-0.6 exp/avn_f/test_noisy-0.6
"""

import logging
from pathlib import Path

from avsv.commands._arguments import (
    add_allow_pipes,
    add_audio_track,
    add_detection_threshold,
    add_device,
    add_reuse,
    add_shard,
    at_least_one,
)

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path, help="with utt2spk, and wav.scp, video.scp or faces.scp")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--model", type=Path, required=True, metavar="EXP_DIR", help="finished training of task avn_f")
    add_device(parser)
    parser.add_argument("--frames-per-clip", type=at_least_one, default=5, help="largest number of faces per clip (5)")
    add_detection_threshold(parser)
    add_shard(parser)
    add_reuse(parser)
    add_audio_track(parser)
    add_allow_pipes(parser)


def run(args):
    from avsv.embeddings.avn_f import TABLES, embed_clips, make_avn_f_embedder
    from avsv.embeddings.face import archived_faces, damaged, media_faces
    from avsv.embeddings.voice import read_clip
    from avsv.jobs.fingerprints import file_digest
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.damage import MISSING, noise_files, read_damage
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.kaldi.media_files import with_stamps
    from avsv.kaldi.reuse import take_over
    from avsv.kaldi.shards import make_archives
    from avsv.models.avn_f import AVN_F
    from avsv.models.checkpoint import load

    data = read_data_dir(args.data_dir)
    damage = [read_damage(args.data_dir, modality) for modality in ("voice", "face")]
    sources = [data.wav, {u: entry for u, entry in data.table("faces.scp").items() if u in data.utt2spk} or data.video]
    sources = [{utt: where for utt, where in source.items() if records.get(utt, {}).get("kind") != MISSING}
               for source, records in zip(sources, damage, strict=True)]  # fmt: skip
    wav, images = sources
    load(args.model, AVN_F)  # fail early if the folder has no such network
    detector = None
    if images and not data.table("faces.scp"):
        detector = load_detector(args)
    settings = {
        "model": file_digest(AVN_F.path(args.model)),
        "detector": detector and file_digest(detector.model_file),
        "frames": args.frames_per_clip,
        "det_thresh": args.det_thresh,
    }
    if args.audio_track is not None:
        settings["audio_track"] = args.audio_track
    inputs = {utt: [utt in wav, *(records.get(utt) for records in damage)] for utt in {**wav, **images}}
    inputs = with_stamps(inputs, lambda utt: [*(t[utt] for t in sources if utt in t), *noise_files(damage[0].get(utt))],
                         args.shard)  # fmt: skip

    def work(utts, out):
        left = take_over(args.reuse, utts, TABLES, out)
        if detector:
            read_faces = media_faces(images, detector, args.frames_per_clip, args.det_thresh)
        else:
            read_faces = archived_faces(images, args.frames_per_clip)
        readers = (
            lambda utt: read_clip(wav[utt], damage[0].get(utt), args.allow_pipes, args.audio_track),
            damaged(read_faces, damage[1]),
        )
        present = {utt: (utt in wav, utt in images) for utt in left}
        embed_clips(make_avn_f_embedder(args.model, args.device), left, readers, present, out)

    sources = [args.data_dir / name for name in ("wav.scp", "video.scp" if detector else "faces.scp", "utt2damage")]
    made = MadeFrom(args.verb, {"model": AVN_F.path(args.model), "data": sources}, settings)
    make_archives(args.out_dir, ["embedding"], inputs, settings, work, args.shard, args.max_skipped,
                  TABLES, model=f"clips:{settings['model']}", made=made)  # fmt: skip


def load_detector(args):
    from avsv.errors import InputError
    from avsv.features.face_pack import load_pack

    if not (args.model / "detector.onnx").exists():
        raise InputError(f"{args.data_dir}: has no faces.scp, and {args.model} has no detector.onnx to detect faces; "
                        f"run avsv align-faces --model PACK {args.data_dir} OUT_DIR first")  # fmt: skip
    threads = 1 if args.shard.total > 1 else None
    return load_pack(args.model, args.device, ("detection",), threads).detection
