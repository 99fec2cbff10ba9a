"""Faces of a clip: detected, aligned by five key points to ArcFace's 112 x 112 template, and stored in archives."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from avsv.errors import InputError
from avsv.kaldi.packed import read_packed
from avsv.media.still_images import decode_jpeg

MOST_FACES = 500  # per clip in an archive, since a JPEG is at most 65535 pixels high
SIDE = 112  # pixels; ArcFace's template
# Positions of the eyes, the nose and the corners of the mouth, x y in pixels, the image's left side first: ArcFace's
# template (Deng et al., CVPR 2019), with which InsightFace's packs are trained.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
BORDER = 0.15  # of the longer side, added all around, since detectors miss a face that fills the image
DET_SIZES = (160, 320)  # pixels; least and greatest side of the detector's input at the first attempt
LAST_SIZE = 640  # pixels; the second attempt, for a small face in a large image
COMPARABLE = 0.5  # of the side of the chosen face; smaller faces belong to the background
BLACK = 16  # mean brightness of an image, 0 to 255, below which it is called almost black


class Detection(NamedTuple):
    """A detected face.

    points : (5, 2) float32 key points, x y in pixels of the image
    score : confidence of the detector, 0 to 1
    size : square root of the box's area, pixels of the image
    in_view : number of faces in the image with at least half its size, itself included
    """

    points: np.ndarray
    score: float
    size: float
    in_view: int = 1


@dataclass(frozen=True)
class ClipFaces:
    """The aligned faces of one clip.

    images : (n, 112, 112, 3) uint8 BGR, n >= 1
    scores, sizes : (n,) float, as in `Detection`; None for faces from an archive, which does not store them
    in_view : (n,) int, as in `Detection`; None for faces from an archive
    quality : (n,) float, from the pack's quality network, higher for a better face; None without one
    """

    images: np.ndarray
    scores: np.ndarray | None = None
    sizes: np.ndarray | None = None
    in_view: np.ndarray | None = None
    quality: np.ndarray | None = None


def detect_face(image: np.ndarray, detector: Any, det_thresh: float = 0.5) -> Detection | None:
    """Detect the face with the greatest `prominence`; None if the image has no face.

    Parameters
    ----------
    image : (h, w, 3) uint8 BGR
    detector : `FacePack.detection`
    det_thresh : least score of a face, 0 to 1
    """
    boxes, points = detect_faces(image, detector, det_thresh)
    if not len(boxes):
        return None
    best = np.argmax(prominence(boxes, image.shape[:2]))
    sizes = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    in_view = int((sizes >= COMPARABLE * sizes[best]).sum())
    return Detection(points[best], float(boxes[best, 4]), float(sizes[best]), in_view)


def detect_faces(image: np.ndarray, detector: Any, det_thresh: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Detect all faces of an image; the parameters are those of `detect_face`.

    Returns
    -------
    (n, 5) float32: left, top, right, bottom in pixels, score ; (n, 5, 2) float32: key points, x y in pixels
    """
    border = round(BORDER * max(image.shape[:2]))
    padded = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_CONSTANT)
    for size in sizes_to_try(max(padded.shape[:2])):
        boxes, points = detector.detect(padded, input_size=(size, size), det_thresh=det_thresh)
        if len(boxes):
            return boxes - np.float32([border] * 4 + [0]), points - np.float32(border)
    return np.zeros((0, 5), np.float32), np.zeros((0, 5, 2), np.float32)


def prominence(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Rank the faces of an image by how likely the clip shows that person: score x area x exp(-(d / r)^2).

    d is the distance between the centres of the box and the image, r half the image's shorter side. A large, certain
    and central face wins. The formula is our choice.

    Parameters
    ----------
    boxes : (n, 5), from `detect_faces`
    size : height and width of the image

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
    """Sides of the detector's square input, in the order to try, for an image with this longer side.

    Examples
    --------
    >>> sizes_to_try(208), sizes_to_try(1920)
    ([224, 640], [320, 640])
    """
    least, greatest = DET_SIZES
    return [min(max(-(-side // 32) * 32, least), greatest), LAST_SIZE]


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The least-squares rotation, scaling and shift from points `source` to `target` (Umeyama, PAMI 1991).

    In the plane and without reflection the problem is linear: with points as complex numbers, target = a source + b.

    Parameters
    ----------
    source, target : (n, 2) float, n >= 2 points that do not coincide

    Returns
    -------
    (2, 3) float, for cv2.warpAffine

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


def align_face(image: np.ndarray, points: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Rotate, scale and crop a face to the template; pixels from outside the image are black.

    Parameters
    ----------
    image : (h, w, 3) uint8
    points : (5, 2) float: eyes, nose and corners of the mouth, x y in pixels
    side : of the result, pixels

    Returns
    -------
    (side, side, 3) uint8
    """
    matrix = similarity(points, TEMPLATE * (side / SIDE))
    return cv2.warpAffine(image, matrix, (side, side), borderValue=0)


def find_faces(frames: Sequence[np.ndarray], detector: Any, det_thresh: float = 0.5) -> ClipFaces:
    """Detect and align the most prominent face in each frame of a clip; frames without a face are skipped.

    Raises
    ------
    InputError : no frame has a face
    """
    faces = [(frame, face) for frame in frames if (face := detect_face(frame, detector, det_thresh)) is not None]
    if not faces:
        black = all(frame.mean() < BLACK for frame in frames)
        raise InputError(f"no face was found in {len(frames)} frames{', which are almost black' if black else ''}")
    return ClipFaces(
        np.stack([align_face(frame, face.points) for frame, face in faces]),
        np.array([face.score for _, face in faces]),
        np.array([face.size for _, face in faces]),
        np.array([face.in_view for _, face in faces]),
    )


def encode_faces(faces: np.ndarray) -> bytes:
    """Encode faces for an archive: a 4-byte little-endian length, and one JPEG of the faces stacked in a column.

    Parameters
    ----------
    faces : (n, 112, 112, 3) uint8 BGR
    """
    ok, jpeg = cv2.imencode(".jpg", faces.reshape(-1, SIDE, 3), [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert ok
    return struct.pack("<I", len(jpeg)) + jpeg.tobytes()


def decode_faces(data: bytes) -> np.ndarray:
    """Inverse of `encode_faces`: (n, 112, 112, 3) uint8 BGR; raises InputError for other bytes.

    Examples
    --------
    >>> decode_faces(encode_faces(np.full((2, 112, 112, 3), 50, np.uint8))).mean(axis=(1, 2, 3))
    array([50., 50.])
    """
    refusal = InputError("expected aligned faces")
    if len(data) < 5 or struct.unpack("<I", data[:4])[0] != len(data) - 4:
        raise refusal
    try:
        column = decode_jpeg(data[4:], MOST_FACES * SIDE * SIDE)
    except InputError:
        raise refusal from None
    if column.shape[1] != SIDE or column.shape[0] % SIDE:
        raise refusal
    return column.reshape(-1, SIDE, SIDE, 3)


def read_faces(entry: str) -> np.ndarray:
    """Read the aligned faces of one clip.

    Parameters
    ----------
    entry : `path:offset`, a value of faces.scp

    Returns
    -------
    (n, 112, 112, 3) uint8 BGR

    Raises
    ------
    InputError : no such archive, a truncated one, or no faces at that offset
    """
    return read_packed(entry, decode_faces, "avsv align-faces", 1 << 26)
