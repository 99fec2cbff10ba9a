"""Face tracking: one track per face of a video, with five key points in every frame.

Faces are detected in every third frame, linked if their boxes overlap, and interpolated linearly in between. Paths are
smoothed, because detector jitter would look like talking.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from avsv.errors import InputError
from avsv.features.faces import detect_faces, prominence

EVERY = 3  # frames from one detection to the next
OVERLAP = 0.3  # least intersection over union of a face's boxes in two detections
GAP = 15  # frames for which a face may be hidden or missed before its track ends
LEAST = 9  # frames; shorter tracks are false alarms or useless
SMOOTH = 0.12  # seconds; a path is averaged over this time to each side


@dataclass(frozen=True)
class FaceTrack:
    """One face in consecutive frames.

    first : number of its first frame
    points : (n, 5, 2) float, key points from that frame on, x y in pixels
    box : (4,) float, the mean box: left, top, right, bottom in pixels
    prominence : sum of `avsv.features.faces.prominence` over its detections
    """

    first: int
    points: np.ndarray
    box: np.ndarray
    prominence: float


@dataclass
class Detections:
    """The detections of one face so far."""

    frames: list[int]
    boxes: list[np.ndarray]
    points: list[np.ndarray]
    prominence: float


def overlap(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box (4,) with boxes (n, 4).

    Examples
    --------
    >>> overlap(np.array([0.0, 0, 2, 2]), np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
    [0.333, 0.0]
    """
    low, high = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:], others[:, 2:])
    both = np.maximum(high - low, 0).prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1) + (one[2:] - one[:2]).prod()
    return both / (areas - both)


def track_faces(frames: Iterable[np.ndarray], detector: Any, det_thresh: float = 0.5) -> list[FaceTrack]:
    """Track all faces of a video.

    Parameters
    ----------
    frames : (h, w, 3) uint8 BGR each
    detector : `FacePack.detection`
    det_thresh : least score of a face, 0 to 1

    Returns
    -------
    tracks, the most prominent face first

    Raises
    ------
    InputError : no face is visible for 9 consecutive frames
    """
    known: list[Detections] = []
    number = -1
    for number, frame in enumerate(frames):
        if number % EVERY:
            continue
        boxes, points = detect_faces(frame, detector, det_thresh)
        weights = prominence(boxes, frame.shape[:2])
        free = [face for face in known if number - face.frames[-1] <= GAP]
        for index in np.argsort(-weights):
            near = overlap(boxes[index, :4], np.array([f.boxes[-1] for f in free])) if free else np.zeros(0)
            if len(near) and near.max() >= OVERLAP:
                face = free.pop(int(near.argmax()))
            else:
                face = Detections([], [], [], 0.0)
                known.append(face)
            face.frames.append(number)
            face.boxes.append(boxes[index, :4])
            face.points.append(points[index])
            face.prominence += float(weights[index])
    tracks = [make_track(face, number) for face in known if face.frames[-1] - face.frames[0] + 1 >= LEAST]
    if not tracks:
        raise InputError(f"no face was found in {LEAST} consecutive frames, among {number + 1} frames")
    return sorted(tracks, key=lambda track: -track.prominence)


def make_track(face: Detections, last: int) -> FaceTrack:
    """Interpolate a face's key points, from its first detection until just before it was missed.

    Parameters
    ----------
    last : number of the video's last frame
    """
    frames = np.arange(face.frames[0], min(face.frames[-1] + EVERY - 1, last) + 1)
    seen = np.stack(face.points).reshape(len(face.points), -1)
    points = np.stack([np.interp(frames, face.frames, column) for column in seen.T], 1).reshape(len(frames), 5, 2)
    return FaceTrack(face.frames[0], points, np.mean(face.boxes, 0), face.prominence)


def smooth_path(points: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Average a path over a short time around each frame.

    Parameters
    ----------
    points : (n, 5, 2) float
    times : (n,) seconds, ascending

    Returns
    -------
    (n, 5, 2) float

    Examples
    --------
    >>> path = np.zeros((5, 5, 2))
    >>> path[2] = 3.0
    >>> smooth_path(path, np.arange(5) / 10)[:, 0, 0].tolist()
    [0.0, 1.0, 1.0, 1.0, 0.0]
    """
    begin = np.searchsorted(times, times - SMOOTH, "left")
    end = np.searchsorted(times, times + SMOOTH, "right")
    sums = np.concatenate([np.zeros((1, *points.shape[1:])), np.cumsum(points, 0)])
    return (sums[end] - sums[begin]) / (end - begin)[:, None, None]
