"""Mouths of a clip: cut out of every frame, upright, grey, 60 x 100 pixels; mouth cubes are consecutive ones.

A face's five key points say where the mouth is: they are brought to ArcFace's template, and of that face a rectangle
around the mouth is cut that is twice as wide as a mouth (our choice; the papers say no more than "mouth area").
"""

import io
import os
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
from avsv.media.decoder_process import guarded_stream
from avsv.media.frames import video_frames
from avsv.media.still_images import decode_jpeg

HEIGHT, WIDTH = 60, 100  # pixels (Torfi et al., 2017)
MOUTH = TEMPLATE[3:].mean(0) + np.array([0, 2])  # of the template: between the corners, a little down, where it opens
SCALE = WIDTH / (2 * (TEMPLATE[4, 0] - TEMPLATE[3, 0]))  # pixels of the cut a pixel of the template
PER_ROW = 16  # mouths beside each other in an archive's JPEG
MOST = PER_ROW * 1000  # mouths of one clip: a JPEG's sides end at 65,500 pixels


@dataclass(frozen=True)
class Mouths:
    """One face's mouth in consecutive frames.

    pictures : (n, 60, 100) uint8, grey
    times : (n,) float, seconds on the clock of picture and sound
    """

    pictures: np.ndarray
    times: np.ndarray

    def at_rate(self, fps: float) -> np.ndarray:
        """The mouths at a constant frame rate from time 0, (m, 60, 100) uint8, whatever the video's was.

        Each place of the new rate gets the frame that is shown in its middle; frames are repeated (25 -> 30 a second:
        every fifth twice) or left out, none is blended. Before the first frame of the track that one stands.
        """
        return self.pictures[frame_indices(self.times, fps)]


def frame_indices(times: np.ndarray, fps: float) -> np.ndarray:
    """Which frames to show to have `fps` of them a second from time 0 on; a frame is shown until the next one's time.

    Examples
    --------
    >>> frame_indices(np.arange(10) / 25, 30).tolist(), frame_indices(np.arange(8) / 50, 25).tolist()
    ([0, 1, 2, 2, 3, 4, 5, 6, 7, 7, 8, 9], [1, 3, 5, 7])
    """
    last = times[-1] + (np.median(np.diff(times)) if len(times) > 1 else 1 / fps)
    middles = (np.arange(int(last * fps + 1e-6)) + 0.5) / fps
    return np.maximum(np.searchsorted(times, middles + 1e-6, "right") - 1, 0)


def cut_mouth(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The mouth of a face with these five key points, (60, 100) uint8; the picture's edge goes on where it ends.

    Parameters
    ----------
    frame : (h, w, 3) uint8 BGR
    points : (5, 2) float, x y in pixels
    """
    matrix = SCALE * similarity(points, TEMPLATE)
    matrix[:, 2] += np.array([WIDTH, HEIGHT]) / 2 - 0.5 - SCALE * MOUTH
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    return cv2.warpAffine(grey, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def cut_mouths(video: Path | str, tracks: Sequence[FaceTrack], times: Sequence[float]) -> list[Mouths]:
    """The mouths of the faces of a video, whose frames come at `times`, in one pass."""
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
    """All faces of a video and their mouths, the most prominent one first.

    Parameters
    ----------
    detector : InsightFace's SCRFD object
    most : faces, if there are more

    Raises
    ------
    InputError : no face, no video, a face that is there for more than 16,000 frames
    """
    times: list[float] = []

    def frames() -> Iterator[np.ndarray]:
        for time, frame in guarded_stream(video_frames, video):
            times.append(time)
            yield frame

    tracks = track_faces(frames(), detector, det_thresh)[:most]
    if max(len(track.points) for track in tracks) > MOST:
        raise InputError(f"{video}: a face is there for more than {MOST} frames, which is the most; cut the video")
    return tracks, cut_mouths(video, tracks, times)


def find_mouths(video: Path | str, detector: Any, det_thresh: float = 0.5) -> Mouths:
    """The mouth of the face that a video is about; other faces are passed over. As `find_all_mouths`."""
    return find_all_mouths(video, detector, det_thresh, most=1)[1][0]


def known_mouths(video: Path | str, landmarks: str) -> Mouths:
    """The mouth of a video whose key points the corpus has; InputError where it has other frames."""
    rows = read_landmarks(landmarks)
    times = [time for time, _ in guarded_stream(video_frames, video)]
    if len(times) != len(rows):
        raise InputError(f"{landmarks}: has {len(rows)} lines, but {video} has {len(times)} frames")
    if len(times) > MOST:
        raise InputError(f"{video}: has {len(times)} frames, {MOST} are the most; cut the video")
    track = FaceTrack(0, rows[:, 4:].reshape(-1, 5, 2), rows[:, :4].mean(0), 1.0)
    return cut_mouths(video, [track], times)[0]


def encode_mouths(mouths: Mouths) -> bytes:
    """Mouths as archives hold them: 4 bytes that say how long, and an npz of the times and of a JPEG, 16 in a row."""
    n = len(mouths.pictures)
    rows = -(-n // PER_ROW)
    sheet = np.zeros((rows * PER_ROW, HEIGHT, WIDTH), np.uint8)
    sheet[:n] = mouths.pictures
    sheet = sheet.reshape(rows, PER_ROW, HEIGHT, WIDTH).transpose(0, 2, 1, 3).reshape(rows * HEIGHT, PER_ROW * WIDTH)
    ok, jpeg = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert ok
    buffer = io.BytesIO()
    np.savez(buffer, times=mouths.times.astype(np.float64), jpeg=jpeg)
    return struct.pack("<I", buffer.tell()) + buffer.getvalue()


def decode_mouths(data: bytes) -> Mouths:
    """The inverse of `encode_mouths`; InputError where the bytes are something else.

    Examples
    --------
    >>> mouths = Mouths(np.full((20, 60, 100), 70, np.uint8), np.arange(20) / 25)
    >>> decode_mouths(encode_mouths(mouths)).pictures.shape
    (20, 60, 100)
    """
    try:
        file = read_npz(io.BytesIO(data[4:]), "mouths")
        times, sheet = file["times"], decode_jpeg(file["jpeg"], (MOST + PER_ROW) * HEIGHT * WIDTH, grey=True)
        grid = sheet.reshape(-1, HEIGHT, PER_ROW, WIDTH).transpose(0, 2, 1, 3).reshape(-1, HEIGHT, WIDTH)
        if not len(times) <= len(grid) < len(times) + PER_ROW:
            raise ValueError
    except Exception:  # zip's, numpy's, OpenCV's own
        raise InputError("there are no mouths here") from None
    return Mouths(grid[: len(times)], times)


def read_mouths(entry: str) -> Mouths:
    """Mouths of one clip.

    Parameters
    ----------
    entry : `path:offset`, a value of mouths.scp

    Raises
    ------
    InputError : no such archive, one that is cut short, or no mouths at that place
    """
    path, _, offset = entry.rpartition(":")
    if not os.path.isfile(path):  # a FIFO would block
        raise InputError(f"{entry}: there is no such archive; run avsv synchrony mouths again")
    try:
        with open(path, "rb") as archive:
            archive.seek(int(offset))
            head = archive.read(4)
            size = struct.unpack("<I", head)[0] if len(head) == 4 else 0
            return decode_mouths(head + archive.read(min(size, 1 << 30)))
    except ValueError:
        raise InputError(f'{entry}: expected "path:offset", as avsv synchrony mouths writes it') from None
    except InputError as error:
        raise InputError(
            f"{entry}: {error}; the archive is cut short or another one; run avsv synchrony mouths again"
        ) from None
