"""Synchrony of a single video file: the offset of its audio, and the active speaker among its faces."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from avsv.errors import InputError
from avsv.features.fbank import HOP, RATE, energy_vad, log_energy
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import read_waveform
from avsv.systems.synchrony.active_speakers import find_speakers, resample_flags
from avsv.systems.synchrony.embedding import SynchronyEmbedder
from avsv.systems.synchrony.mouth_activity import RATE as MOUTH_RATE
from avsv.systems.synchrony.mouth_activity import mouth_activity
from avsv.systems.synchrony.mouths import find_all_mouths, find_mouths
from avsv.systems.synchrony.offsets import LARGEST, Synchrony, distance_matrix, find_offset

log = logging.getLogger("avsv")


def file_offset(path: Path | str, embedder: SynchronyEmbedder, detector: Any, det_thresh: float = 0.5,
                largest: float = LARGEST, audio_track: int | None = None) -> Synchrony:  # fmt: skip
    """Offset between the audio of a video file and the mouth of its most prominent face; see `analyse_video`.

    Parameters
    ----------
    largest : largest offset to search, seconds
    """
    waveform = guarded(read_waveform, path, RATE, False, audio_track)
    try:
        mouths = find_mouths(path, detector, det_thresh)
        return find_offset(*distance_matrix(embedder.embed(mouths, waveform), largest))
    except InputError as error:
        raise with_path(error, path) from None


def analyse_video(path: Path | str, embedder: SynchronyEmbedder, detector: Any, det_thresh: float = 0.5,
                  audio_track: int | None = None) -> dict:  # fmt: skip
    """Track the faces of a video and find the active speaker.

    Parameters
    ----------
    detector : InsightFace's SCRFD object
    audio_track : number of the audio track, from 1; None for the default track

    Returns
    -------
    a record ready for JSON: `file`, `offset`, `step`, `voice_s`, `faces` (for each face `from`, `to`, `box`,
    `mouth_moves_s`, `score`, `confidence`, `speaks_s`, `scores`) and `speaker`, an index into `faces` or None

    Raises
    ------
    InputError : the file has no audio or no video, or no face is visible long enough
    """
    waveform = guarded(read_waveform, path, RATE, False, audio_track)
    faces, reason = [], None
    try:
        for track, mouths in zip(*find_all_mouths(path, detector, det_thresh), strict=True):
            try:
                vectors = embedder.embed(mouths, waveform)
                offsets, matrix = distance_matrix(vectors)
                find_offset(offsets, matrix)
                faces.append((track, mouths, vectors, matrix))
            except InputError as error:  # visible too briefly
                reason = error
                log.info("%s: skipped a face from %.2f to %.2f s: %s", path, *mouths.times[[0, -1]], error)
        if not faces:
            raise reason
    except InputError as error:
        raise with_path(error, path) from None
    n, step = max(vectors.last for _, _, vectors, _ in faces), embedder.step
    voice = resample_flags(energy_vad(log_energy(waveform)) > 0, RATE / HOP, step, n)
    moving = [resample_flags(mouth_activity(mouths), MOUTH_RATE, step, n) for _, mouths, _, _ in faces]
    distances = [(vectors.first, matrix) for _, _, vectors, matrix in faces]
    speakers = find_speakers(offsets, distances, step, voice, moving, embedder.net.threshold or 0.0)
    records = []
    for row, (track, mouths, _, _) in enumerate(faces):
        records.append({
            "from": float(mouths.times[0]), "to": float(mouths.times[-1]), "box": [float(side) for side in track.box],
            "mouth_moves_s": float(step * moving[row].sum()), "score": float(speakers.overall[row]),
            "confidence": speakers.synchrony[row].confidence, "speaks_s": float(step * speakers.speaking[row].sum()),
            "scores": [None if np.isnan(v) else round(float(v), 4) for v in speakers.scores[row]],
        })  # fmt: skip
    best = speakers.best if speakers.speaking[speakers.best].any() else None
    return {"file": str(path), "offset": speakers.offset, "step": step, "voice_s": float(step * voice.sum()),
            "faces": records, "speaker": best}  # fmt: skip


def with_path(error: InputError, path: Path | str) -> InputError:
    """The error with the path in front, unless its message contains the path already."""
    return error if str(path) in str(error) else InputError(f"{path}: {error}")
