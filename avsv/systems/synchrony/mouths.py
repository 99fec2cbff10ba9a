"""Mouth images of a clip: cropped from every frame, upright, grey, 60 x 100 pixels.

A face's five key points are aligned to ArcFace's template, and a rectangle around the mouth, twice as wide as the
mouth, is cropped from the aligned face (our choice; the papers only say "mouth area"). A mouth cube consists of
consecutive mouth images.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from avsv.errors import InputError
from avsv.features.face_tracks import FaceTrack, smooth_path, track_faces
from avsv.features.faces import TEMPLATE, similarity
from avsv.features.landmarks import read_landmarks
from avsv.importers.numpy_files import read_npz
from avsv.kaldi.packed import read_packed
from avsv.media.decoder_process import guarded_stream
from avsv.media.frames import video_frames
from avsv.media.still_images import decode_jpeg

HEIGHT, WIDTH = 60, 100  # pixels (Torfi et al., 2017)
MOUTH = TEMPLATE[3:].mean(0) + np.array([0, 2])  # in the template: between the corners, slightly below, where it opens
SCALE = WIDTH / (2 * (TEMPLATE[4, 0] - TEMPLATE[3, 0]))  # crop pixels per template pixel
PER_ROW = 16  # mouth images in each row of an archive's JPEG
MOST = PER_ROW * 1000  # mouth images per clip: a JPEG is at most 65,500 pixels high


@dataclass(frozen=True)
class Mouths:
    """Mouth images of one face in consecutive frames.

    images : (n, 60, 100) uint8, grey
    times : (n,) float, seconds on the common clock of video and audio
    """

    images: np.ndarray
    times: np.ndarray

    def at_rate(self, fps: float) -> np.ndarray:
        """Resample to a constant frame rate from time 0, (m, 60, 100) uint8.

        Each interval of the new rate gets the frame on display at its midpoint. Frames are repeated (25 to 30 fps:
        every fifth one twice) or dropped, never blended. Before the track starts, its first frame is repeated.
        """
        return self.images[frame_indices(self.times, fps)]


def frame_indices(times: np.ndarray, fps: float) -> np.ndarray:
    """Indices that resample frames to `fps` from time 0; a frame is on display until the next one's time.

    Examples
    --------
    >>> frame_indices(np.arange(10) / 25, 30).tolist(), frame_indices(np.arange(8) / 50, 25).tolist()
    ([0, 1, 2, 2, 3, 4, 5, 6, 7, 7, 8, 9], [1, 3, 5, 7])
    """
    last = times[-1] + (np.median(np.diff(times)) if len(times) > 1 else 1 / fps)
    middles = (np.arange(int(last * fps + 1e-6)) + 0.5) / fps
    return np.maximum(np.searchsorted(times, middles + 1e-6, "right") - 1, 0)


def cut_mouth(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Crop the mouth of the face with these key points, (60, 100) uint8; the image's edge extends beyond its border.

    Parameters
    ----------
    frame : (h, w, 3) uint8 BGR
    points : (5, 2) float, x and y of the five key points in pixels
    """
    matrix = SCALE * similarity(points, TEMPLATE)
    matrix[:, 2] += np.array([WIDTH, HEIGHT]) / 2 - 0.5 - SCALE * MOUTH
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    return cv2.warpAffine(grey, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def cut_mouths(video: Path | str, tracks: Sequence[FaceTrack], times: Sequence[float]) -> list[Mouths]:
    """Crop the mouths of several face tracks in one pass; `times` are the times of the video's frames in seconds."""
    paths = [smooth_path(t.points, np.array(times[t.first : t.first + len(t.points)])) for t in tracks]
    cuts: list[list[np.ndarray]] = [[] for _ in tracks]
    for number, (_, frame) in enumerate(guarded_stream(video_frames, video)):
        for track, path, cut in zip(tracks, paths, cuts, strict=True):
            if 0 <= number - track.first < len(path):
                cut.append(cut_mouth(frame, path[number - track.first]))
    return [Mouths(np.stack(cut), np.array(times[t.first : t.first + len(cut)])) for t, cut in zip(tracks, cuts)]


def find_all_mouths(
    video: Path | str, detector: Any, det_thresh: float = 0.5, most: int | None = None
) -> tuple[list[FaceTrack], list[Mouths]]:
    """Track all faces of a video and crop their mouths, the most prominent face first.

    Parameters
    ----------
    detector : InsightFace's SCRFD object
    most : largest number of faces to keep

    Raises
    ------
    InputError : the file has no video or no face, or a face is visible for more than 16,000 frames
    """
    times: list[float] = []

    def frames() -> Iterator[np.ndarray]:
        for time, frame in guarded_stream(video_frames, video):
            times.append(time)
            yield frame

    tracks = track_faces(frames(), detector, det_thresh)[:most]
    if max(len(track.points) for track in tracks) > MOST:
        raise InputError(f"{video}: expected at most {MOST} frames per face, found a longer track; split the video")
    return tracks, cut_mouths(video, tracks, times)


def find_mouths(video: Path | str, detector: Any, det_thresh: float = 0.5) -> Mouths:
    """Crop the mouth of the most prominent face of a video; see `find_all_mouths`."""
    return find_all_mouths(video, detector, det_thresh, most=1)[1][0]


def known_mouths(video: Path | str, landmarks: str) -> Mouths:
    """Crop the mouth with key points from the corpus; InputError if their number differs from the number of frames."""
    rows = read_landmarks(landmarks)
    times = [time for time, _ in guarded_stream(video_frames, video)]
    if len(times) != len(rows):
        raise InputError(f"{landmarks}: expected {len(times)} lines, one for each frame of {video}, found {len(rows)}")
    if len(times) > MOST:
        raise InputError(f"{video}: expected at most {MOST} frames, found {len(times)}; split the video")
    track = FaceTrack(0, rows[:, 4:].reshape(-1, 5, 2), rows[:, :4].mean(0), 1.0)
    return cut_mouths(video, [track], times)[0]


def encode_mouths(mouths: Mouths) -> bytes:
    """Encode for an archive: a 4-byte length, then an npz of the times and of one JPEG with 16 mouth images per row."""
    n = len(mouths.images)
    rows = -(-n // PER_ROW)
    sheet = np.zeros((rows * PER_ROW, HEIGHT, WIDTH), np.uint8)
    sheet[:n] = mouths.images
    sheet = sheet.reshape(rows, PER_ROW, HEIGHT, WIDTH).transpose(0, 2, 1, 3).reshape(rows * HEIGHT, PER_ROW * WIDTH)
    ok, jpeg = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert ok
    buffer = io.BytesIO()
    np.savez(buffer, times=mouths.times.astype(np.float64), jpeg=jpeg)
    return struct.pack("<I", buffer.tell()) + buffer.getvalue()


def decode_mouths(data: bytes) -> Mouths:
    """Invert `encode_mouths`; InputError for other bytes.

    Examples
    --------
    >>> mouths = Mouths(np.full((20, 60, 100), 70, np.uint8), np.arange(20) / 25)
    >>> decode_mouths(encode_mouths(mouths)).images.shape
    (20, 60, 100)
    """
    try:
        file = read_npz(io.BytesIO(data[4:]), "mouths")
        times, sheet = file["times"], decode_jpeg(file["jpeg"], (MOST + PER_ROW) * HEIGHT * WIDTH, grey=True)
        grid = sheet.reshape(-1, HEIGHT, PER_ROW, WIDTH).transpose(0, 2, 1, 3).reshape(-1, HEIGHT, WIDTH)
        if not len(times) <= len(grid) < len(times) + PER_ROW:
            raise ValueError
    except Exception:  # zipfile, numpy and OpenCV raise their own classes
        raise InputError("expected mouth images, found other data") from None
    return Mouths(grid[: len(times)], times)


def read_mouths(entry: str) -> Mouths:
    """Read the mouth images of one clip.

    Parameters
    ----------
    entry : `path:offset`, a value of mouths.scp

    Raises
    ------
    InputError : the archive is absent or truncated, or the record contains no mouth images
    """
    return read_packed(entry, decode_mouths, "avsv synchrony mouths", 1 << 30)
