"""avsv synchrony active-speaker: which of the faces in a video is speaking?

Tracks all faces through the video and compares each mouth with the audio. Prints for each face when and where it is
visible (the middle of its box in pixels), how long its mouth moves (visual voice activity), its score (how much better
its mouth fits the audio than the same audio earlier or later), and how long it speaks. A face speaks while there is
voice, its mouth moves, and its score is the highest of all faces and reaches the threshold determined on the network's
held-out people. The speaker is the face that speaks longest.

--table writes one line per file, "NAME LEFT TOP RIGHT BOTTOM": the file's name without its extension and the speaker's
box. --json writes all results, including the score of each face over time.

example:
  avsv synchrony active-speaker --model exp/syncnet --face buffalo_l talk.mp4
  avsv synchrony active-speaker --model exp/syncnet --face exp/face_detector --table speakers --json speakers.json *.mp4
"""

import logging
from pathlib import Path

from avsv.systems.synchrony.commands._arguments import add_video_options, load_video_models

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="videos with audio")
    add_video_options(parser)
    parser.add_argument("--table", type=Path, help="write the speaker's box of each file")
    parser.add_argument("--json", type=Path, help="write all results")


def run(args):
    from avsv.errors import InputError
    from avsv.jobs.files import write_json
    from avsv.jobs.progress import progress
    from avsv.kaldi.tables import write_table
    from avsv.systems.synchrony.video_files import analyse_video

    embedder, detector = load_video_models(args)
    boxes, records = {}, []
    for path in progress(args.files, "active speaker", unit="file"):
        try:
            record = analyse_video(path, embedder, detector, args.det_thresh, args.audio_track)
        except InputError as error:
            if len(args.files) == 1:
                raise
            log.warning("skipped %s", error)
            continue
        records.append(record)
        print_record(record)
        speaker = record["speaker"]
        if speaker is not None:
            boxes[path.stem] = " ".join(f"{side:.0f}" for side in record["faces"][speaker]["box"])
    if not records:
        raise InputError(f"none of {len(args.files)} files could be analysed")
    if args.table:
        write_table(args.table, boxes)
    if args.json:
        write_json(args.json, records)
    if len(args.files) > 1:
        log.info("%d of %d files analysed, a speaker found in %d", len(records), len(args.files), len(boxes))


def print_record(record):
    from avsv.systems.synchrony.offsets import describe_offset

    faces = record["faces"]
    print(f"{record['file']}: {len(faces)} face{'s' * (len(faces) > 1)}, {record['voice_s']:.1f} s of voice, "
          f"{describe_offset(record['offset'])}")  # fmt: skip
    for number, face in enumerate(faces, 1):
        x, y = (face["box"][0] + face["box"][2]) / 2, (face["box"][1] + face["box"][3]) / 2
        print(f"  face {number} at {x:.0f},{y:.0f}, {face['from']:.2f}-{face['to']:.2f} s: mouth moves "
              f"{face['mouth_moves_s']:.1f} s, score {face['score']:.2f}, speaks {face['speaks_s']:.1f} s")  # fmt: skip
    if record["speaker"] is None:
        print("  no face is speaking")
    else:
        print(f"  the speaker is face {record['speaker'] + 1}")
