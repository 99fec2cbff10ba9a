"""avsv synchrony active-speaker: which of the faces of a video is speaking?

All faces are followed through the video, and each mouth is compared with the sound. Told of each face: from when to
when it is there, where (the middle of its box in pixels), how long its mouth moves (visual voice activity), its score
(how much better the sound fits its mouth than the same sound earlier or later), and how long it speaks: where there
is a voice, its mouth moves, and its score is the highest of all faces and reaches the threshold that the network's
held-out people gave. The speaker is the face that speaks longest.

--table writes a line for each file, "NAME LEFT TOP RIGHT BOTTOM" of the speaker's box, NAME being the file's without
its ending; --json everything, with a score for each face and moment.

example:
  avsv synchrony active-speaker --model exp/syncnet --face buffalo_l talk.mp4
  avsv synchrony active-speaker --model exp/syncnet --face exp/face_detector --table speakers --json speakers.json *.mp4
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_audio_track, prior

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="videos with sound")
    parser.add_argument("--model", type=Path, required=True, help="an exp/ folder of task syncnet or coupled_cnn")
    parser.add_argument("--face", required=True, metavar="PACK", help="an InsightFace pack, or an exp/ folder")
    parser.add_argument("--table", type=Path, help="write the speaker's box of each file")
    parser.add_argument("--json", type=Path, help="write all that was found")
    parser.add_argument("--det-thresh", type=prior, default=0.5, help="least score of a face, 0 to 1 (default: 0.5)")
    add_audio_track(parser)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")


def run(args):
    from avsv.errors import InputError
    from avsv.features.face_pack import load_pack
    from avsv.jobs.files import write_json
    from avsv.jobs.progress import progress
    from avsv.kaldi.tables import write_table
    from avsv.systems.synchrony.embedding import make_synchrony_embedder

    embedder = make_synchrony_embedder(args.model, args.device)
    detector = load_pack(args.face, args.device, ("detection",)).detection
    boxes, records = {}, []
    for path in progress(args.files, "active speaker", unit="file"):
        try:
            record = look_at(path, embedder, detector, args.det_thresh, args.audio_track)
        except InputError as error:
            if len(args.files) == 1:
                raise
            log.warning("left out %s", error)
            continue
        records.append(record)
        tell(record)
        speaker = record["speaker"]
        if speaker is not None:
            boxes[path.stem] = " ".join(f"{side:.0f}" for side in record["faces"][speaker]["box"])
    if not records:
        raise InputError(f"none of {len(args.files)} files could be looked at")
    if args.table:
        write_table(args.table, boxes)
    if args.json:
        write_json(args.json, records)
    if len(args.files) > 1:
        log.info("%d of %d files looked at, a speaker found in %d", len(records), len(args.files), len(boxes))


def look_at(path, embedder, detector, det_thresh, audio_track=None):
    """What is found in one file, as JSON can hold it."""
    import numpy as np

    from avsv.errors import InputError
    from avsv.features.fbank import HOP, RATE, energy_vad, log_energy
    from avsv.media.decoder_process import guarded
    from avsv.media.waveforms import read_waveform
    from avsv.systems.synchrony.mouth_activity import RATE as MOUTH_RATE
    from avsv.systems.synchrony.mouth_activity import mouth_activity
    from avsv.systems.synchrony.mouths import find_all_mouths
    from avsv.systems.synchrony.scoring import distance_matrix, find_offset
    from avsv.systems.synchrony.speakers import find_speakers, resample_flags

    sound = guarded(read_waveform, path, RATE, False, audio_track)
    faces, reason = [], None
    try:
        for track, mouths in zip(*find_all_mouths(path, detector, det_thresh), strict=True):
            try:
                vectors = embedder.embed(mouths, sound)
                offsets, matrix = distance_matrix(vectors)
                find_offset(offsets, matrix)
                faces.append((track, mouths, vectors, matrix))
            except InputError as error:  # there for too short a time
                reason = error
                log.info("%s: a face from %.2f to %.2f s is passed over: %s", path, *mouths.times[[0, -1]], error)
        if not faces:
            raise reason
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    n, step = max(vectors.last for _, _, vectors, _ in faces), embedder.step
    voice = resample_flags(energy_vad(log_energy(sound)) > 0, RATE / HOP, step, n)
    moving = [resample_flags(mouth_activity(mouths), MOUTH_RATE, step, n) for _, mouths, _, _ in faces]
    rows = [(vectors.first, matrix) for _, _, vectors, matrix in faces]
    found = find_speakers(offsets, rows, step, voice, moving, embedder.net.threshold or 0.0)
    records = []
    for row, (track, one, _, _) in enumerate(faces):
        records.append({
            "from": float(one.times[0]), "to": float(one.times[-1]), "box": [float(side) for side in track.box],
            "mouth_moves_s": float(step * moving[row].sum()), "score": float(found.overall[row]),
            "confidence": found.found[row].confidence, "speaks_s": float(step * found.speaking[row].sum()),
            "scores": [None if np.isnan(v) else round(float(v), 4) for v in found.scores[row]],
        })  # fmt: skip
    speaker = found.best if found.speaking[found.best].any() else None
    return {"file": str(path), "offset": found.offset, "step": step, "voice_s": float(step * voice.sum()),
            "faces": records, "speaker": speaker}  # fmt: skip


def tell(record):
    from avsv.systems.synchrony.scoring import describe_offset

    faces = record["faces"]
    print(f"{record['file']}: {len(faces)} face{'s' * (len(faces) > 1)}, {record['voice_s']:.1f} s of voice, "
          f"{describe_offset(record['offset'])}")  # fmt: skip
    for number, face in enumerate(faces, 1):
        x, y = (face["box"][0] + face["box"][2]) / 2, (face["box"][1] + face["box"][3]) / 2
        print(f"  face {number} at {x:.0f},{y:.0f}, {face['from']:.2f}-{face['to']:.2f} s: mouth moves "
              f"{face['mouth_moves_s']:.1f} s, score {face['score']:.2f}, speaks {face['speaks_s']:.1f} s")  # fmt: skip
    if record["speaker"] is None:
        print("  none of them is the speaker")
    else:
        print(f"  the speaker is face {record['speaker'] + 1}")
