"""avsv synchrony offset: are the audio and video of a file in sync, and do they belong together?

Tracks the most prominent face, slides the audio along its mouth, and prints the offset with the least mean distance and
the confidence: the median distance over all offsets minus the least one. If the confidence is below the threshold
determined on the network's held-out people, mouth and audio do not belong together and the offset means nothing.
--table also prints the distance at every offset.

Viewers hardly notice offsets between audio leading by 125 ms and audio lagging by 45 ms.

example:
  avsv synchrony offset --model exp/syncnet --face buffalo_l talk.mp4
  avsv synchrony offset --model exp/syncnet --face exp/face_detector --table talk.mp4
"""

from pathlib import Path

from avsv.systems.synchrony.commands._arguments import add_largest_offset, add_video_options, load_video_models


def add_arguments(parser):
    parser.add_argument("file", type=Path, help="a video with audio")
    add_video_options(parser)
    add_largest_offset(parser)
    parser.add_argument("--table", action="store_true", help="print the distance at every offset")


def run(args):
    from avsv.systems.synchrony.offsets import describe_offset
    from avsv.systems.synchrony.video_files import file_offset

    embedder, detector = load_video_models(args)
    result = file_offset(args.file, embedder, detector, args.det_thresh, args.largest, args.audio_track)
    print(f"{args.file}: {describe_offset(result.offset)}, confidence {result.confidence:.2f}")
    threshold = embedder.net.threshold
    if threshold is None:
        print(f"cannot tell whether mouth and audio belong together: {args.model} was trained without held-out people")
    elif result.confidence < threshold:
        print(f"the mouth does not belong to this audio: confidence below {threshold:.2f}")
    if args.table:
        print("offset ms  distance")
        for offset, distance in zip(result.offsets, result.distances, strict=True):
            print(f"{1000 * offset:9.0f}  {distance:8.3f}")
