"""avsv synchrony offset: are picture and sound of a video in step, and does the mouth belong to the sound at all?

Finds the face that the video is about, slides the sound along its mouth, and tells the offset with the least mean
distance, and the confidence: how much less that is than the median over all offsets. Below the threshold that the
network's held-out people gave, mouth and sound do not belong together, and the offset means nothing. With --table the
distance at every offset is printed, too.

Offsets from 125 ms of leading to 45 ms of being late are hardly noticed by people.

example:
  avsv synchrony offset --model exp/syncnet --face buffalo_l talk.mp4
  avsv synchrony offset --model exp/syncnet --face exp/face_detector --table talk.mp4
"""

from pathlib import Path

from avsv.commands._arguments import add_audio_track, not_negative, prior


def add_arguments(parser):
    parser.add_argument("file", type=Path, help="a video with sound")
    parser.add_argument("--model", type=Path, required=True, help="an exp/ folder of task syncnet or coupled_cnn")
    parser.add_argument("--face", required=True, metavar="PACK", help="an InsightFace pack, or an exp/ folder")
    parser.add_argument("--largest", type=not_negative, default=0.6, metavar="SECONDS", help="offset looked at (0.6)")
    parser.add_argument("--table", action="store_true", help="print the distance at every offset")
    parser.add_argument("--det-thresh", type=prior, default=0.5, help="least score of a face, 0 to 1 (default: 0.5)")
    add_audio_track(parser)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")


def run(args):
    from avsv.errors import InputError
    from avsv.features.face_pack import load_pack
    from avsv.media.decoder_process import guarded
    from avsv.media.waveforms import read_waveform
    from avsv.systems.synchrony.embedding import make_synchrony_embedder
    from avsv.systems.synchrony.mouths import find_mouths
    from avsv.systems.synchrony.scoring import describe_offset, distance_matrix, find_offset

    embedder = make_synchrony_embedder(args.model, args.device)
    detector = load_pack(args.face, args.device, ("detection",)).detection
    sound = guarded(read_waveform, args.file, 16000, False, args.audio_track)
    try:
        mouths = find_mouths(args.file, detector, args.det_thresh)
        found = find_offset(*distance_matrix(embedder.embed(mouths, sound), args.largest))
    except InputError as error:
        raise InputError(str(error) if str(args.file) in str(error) else f"{args.file}: {error}") from None
    print(f"{args.file}: {describe_offset(found.offset)}, confidence {found.confidence:.2f}")
    threshold = embedder.net.threshold
    if threshold is None:
        print(f"whether mouth and sound belong together is not told: {args.model} was trained without held-out people")
    elif found.confidence < threshold:
        print(f"the mouth does not belong to this sound: confidence below {threshold:.2f}")
    if args.table:
        print("offset ms  distance")
        for offset, distance in zip(found.offsets, found.distances, strict=True):
            print(f"{1000 * offset:9.0f}  {distance:8.3f}")
