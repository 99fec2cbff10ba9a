"""Faces of a clip: found, aligned by five key points to ArcFace's 112 x 112 template, and kept in archives."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from avsv.errors import InputError
from avsv.kaldi.packed import read_packed
from avsv.media.still_images import decode_jpeg

MOST_FACES = 500  # of a clip in an archive: a JPEG is at most 65535 pixels high
SIDE = 112  # pixels; ArcFace's template
# Where the eyes, the nose and the corners of the mouth come to lie, x y in pixels (left as the picture shows it first):
# the template of ArcFace (Deng et al., CVPR 2019), which InsightFace's packs are trained with.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
BORDER = 0.15  # of the picture's longer side, added all round: a detector misses a face that fills the picture
DET_SIZES = (160, 320)  # pixels; the least and the greatest side of what the detector sees at first
LAST_SIZE = 640  # pixels; tried where no face was found: a small face in a large picture


class Detection(NamedTuple):
    """A face that a detector found.

    points : (5, 2) float32 key points, x y in pixels of the picture
    score : how certain the detector is, 0 to 1
    size : square root of the area of its box, pixels of the picture
    """

    points: np.ndarray
    score: float
    size: float


@dataclass(frozen=True)
class ClipFaces:
    """The aligned faces of one clip.

    images : (n, 112, 112, 3) uint8 BGR, n >= 1
    scores, sizes : (n,) float, as in `Detection`; None where the faces come from an archive, which does not hold them
    """

    images: np.ndarray
    scores: np.ndarray | None = None
    sizes: np.ndarray | None = None


def detect_face(picture: np.ndarray, detector: Any, det_thresh: float = 0.5) -> Detection | None:
    """Find the one face that a clip is about: the one with the greatest `prominence`; None where there is no face.

    Parameters
    ----------
    picture : (h, w, 3) uint8 BGR
    detector : InsightFace's SCRFD object, as `FacePack.detection`
    det_thresh : the least score that counts as a face, 0 to 1
    """
    boxes, points = detect_faces(picture, detector, det_thresh)
    if not len(boxes):
        return None
    best = np.argmax(prominence(boxes, picture.shape[:2]))
    area = (boxes[best, 2] - boxes[best, 0]) * (boxes[best, 3] - boxes[best, 1])
    return Detection(points[best], float(boxes[best, 4]), float(np.sqrt(area)))


def detect_faces(picture: np.ndarray, detector: Any, det_thresh: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Find all faces of a picture; parameters as of `detect_face`.

    Returns
    -------
    (n, 5) float32, left, top, right, bottom in pixels, and score ; (n, 5, 2) float32, key points x y
    """
    border = round(BORDER * max(picture.shape[:2]))
    padded = cv2.copyMakeBorder(picture, border, border, border, border, cv2.BORDER_CONSTANT)
    for size in sizes_to_try(max(padded.shape[:2])):
        boxes, points = detector.detect(padded, input_size=(size, size), det_thresh=det_thresh)
        if len(boxes):
            return boxes - np.float32([border] * 4 + [0]), points - np.float32(border)
    return np.zeros((0, 5), np.float32), np.zeros((0, 5, 2), np.float32)


def prominence(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """How likely a clip is about each face: score x area x exp(-(d / r)^2). Our choice.

    d is the distance of the box's centre from the picture's centre and r half the picture's shorter side: large,
    certain and central, each in its measure.

    Parameters
    ----------
    boxes : (n, 5), as of `detect_faces`
    size : height and width of the picture

    Returns
    -------
    (n,) float
    """
    height, width = size
    x, y = (boxes[:, :2] + boxes[:, 2:4]).T / 2
    distance2 = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / (min(height, width) / 2) ** 2
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return boxes[:, 4] * area * np.exp(-distance2)


def sizes_to_try(side: int) -> list[int]:
    """Sides of the square that the detector sees, for a picture of this longer side.

    Examples
    --------
    >>> sizes_to_try(208), sizes_to_try(1920)
    ([224, 640], [320, 640])
    """
    least, greatest = DET_SIZES
    return [min(max(-(-side // 32) * 32, least), greatest), LAST_SIZE]


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The least-squares rotation, scale and shift that takes points `source` to `target` (Umeyama, PAMI 1991).

    In the plane and without reflection it is a linear problem: with points as complex numbers, target = a source + b.

    Parameters
    ----------
    source, target : (n, 2) float, n >= 2 points that do not coincide

    Returns
    -------
    (2, 3) float, as cv2.warpAffine takes it

    Examples
    --------
    >>> similarity(TEMPLATE / 2 + 3, TEMPLATE).round(3)
    array([[ 2., -0., -6.],
           [ 0.,  2., -6.]])
    """
    z, w = (points.astype(np.float64) @ [1, 1j] for points in (source, target))
    centred = z - z.mean()
    a = np.vdot(centred, w - w.mean()) / np.vdot(centred, centred).real
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def align_face(picture: np.ndarray, points: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Turn, scale and cut a face to the template; what lies outside of the picture is black.

    Parameters
    ----------
    picture : (h, w, 3) uint8
    points : (5, 2) float, eyes, nose and corners of the mouth, pixels

    Returns
    -------
    (side, side, 3) uint8
    """
    matrix = similarity(points, TEMPLATE * (side / SIDE))
    return cv2.warpAffine(picture, matrix, (side, side), borderValue=0)


def find_faces(frames: Sequence[np.ndarray], detector: Any, det_thresh: float = 0.5) -> ClipFaces:
    """Aligned faces of a clip's frames; a frame without a face is left out.

    Raises
    ------
    InputError : there is no face in any of the frames
    """
    detected = [(frame, detect_face(frame, detector, det_thresh)) for frame in frames]
    found = [(frame, face) for frame, face in detected if face is not None]
    if not found:
        raise InputError(f"no face was found in {len(frames)} frames")
    return ClipFaces(
        np.stack([align_face(frame, face.points) for frame, face in found]),
        np.array([face.score for _, face in found]),
        np.array([face.size for _, face in found]),
    )


def encode_faces(faces: np.ndarray) -> bytes:
    """Faces as archives hold them: 4 bytes that say how long (little endian), and one JPEG of the faces in a column."""
    ok, jpeg = cv2.imencode(".jpg", faces.reshape(-1, SIDE, 3), [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert ok
    return struct.pack("<I", len(jpeg)) + jpeg.tobytes()


def decode_faces(data: bytes) -> np.ndarray:
    """The inverse of `encode_faces`, (n, 112, 112, 3) uint8 BGR; InputError where the bytes are something else.

    Examples
    --------
    >>> decode_faces(encode_faces(np.full((2, 112, 112, 3), 50, np.uint8))).mean(axis=(1, 2, 3))
    array([50., 50.])
    """
    if len(data) < 5 or struct.unpack("<I", data[:4])[0] != len(data) - 4:
        raise InputError("there are no aligned faces here")
    try:
        column = decode_jpeg(data[4:], MOST_FACES * SIDE * SIDE)
    except InputError:
        raise InputError("there are no aligned faces here") from None
    if column.shape[1] != SIDE or column.shape[0] % SIDE:
        raise InputError("there are no aligned faces here")
    return column.reshape(-1, SIDE, SIDE, 3)


def read_faces(entry: str) -> np.ndarray:
    """Aligned faces of one clip.

    Parameters
    ----------
    entry : `path:offset`, a value of faces.scp

    Returns
    -------
    (n, 112, 112, 3) uint8 BGR

    Raises
    ------
    InputError : no such archive, one that is cut short, or no faces at that place
    """
    return read_packed(entry, decode_faces, "avsv align-faces", 1 << 26)
