"""Upright images with square pixels, rotated and mirrored as their files specify.

Videos carry a display matrix and a pixel aspect ratio, still images an EXIF orientation. Each is a linear map from the
stored image (x to the right, y down) to the displayed one; translations do not matter here.
"""

import numpy as np

MOST_ASPECT = 10.0  # real pixel aspect ratios are at most 4; a header beyond 10 is invalid
EXACT = 0.9998  # cosine of 1 degree: smaller angles are rounding errors in the header
LEAST_AREA = 0.1  # of the image of a unit square under a usable map
EXIF = {
    1: ((1, 0), (0, 1)),
    2: ((-1, 0), (0, 1)),
    3: ((-1, 0), (0, -1)),
    4: ((1, 0), (0, -1)),
    5: ((0, 1), (1, 0)),
    6: ((0, -1), (1, 0)),
    7: ((0, -1), (-1, 0)),
    8: ((0, 1), (-1, 0)),
}


def display_map(display: np.ndarray | None, aspect: float | None) -> np.ndarray:
    """The linear map of a video's pixels, from its display matrix and its pixel aspect ratio.

    Parameters
    ----------
    display : (9,) int, as in ffmpeg: a b u, c d v, x y w with x' = a x + c y and y' = b x + d y; None if absent
    aspect : width of a pixel divided by its height; None if unknown

    Returns
    -------
    (2, 2) float

    Examples
    --------
    >>> display_map(None, 2.0).tolist()
    [[2.0, 0.0], [0.0, 1.0]]
    """
    matrix = np.eye(2) if display is None else np.array(display, float).reshape(3, 3)[:2, :2].T / 65536
    if abs(np.linalg.det(matrix)) < 1e-6:  # it would collapse the image
        matrix = np.eye(2)
    across, down = np.hypot(*matrix.T)
    if aspect is None or (abs(across / down - 1) > 0.01 and abs(aspect / (across / down) - 1) < 0.001):
        aspect = 1.0  # ffmpeg computed it from this matrix, which is applied below
    return matrix * np.array([aspect, 1.0])


def split_map(matrix: np.ndarray) -> tuple[float, np.ndarray]:
    """Split a map into a stretch along x and a turn.

    Returns
    -------
    the stretch: a pixel aspect ratio of at most MOST_ASPECT, or 1 ; the turn: (2, 2) float, keeps lengths along x and y

    Examples
    --------
    >>> aspect, turn = split_map(np.array([[0.0, -1.0], [2.0, 0.0]]))
    >>> float(aspect), turn.tolist()
    (2.0, [[0.0, -1.0], [1.0, 0.0]])
    """
    lengths = np.hypot(*matrix)
    turn = matrix / lengths
    if abs(np.linalg.det(turn)) < LEAST_AREA:
        turn = np.eye(2)
    aspect = lengths[0] / lengths[1]
    return (aspect if 1 / MOST_ASPECT <= aspect <= MOST_ASPECT else 1.0), turn


def square_size(width: int, height: int, aspect: float, most_side: int, most_pixels: int) -> tuple[int, int]:
    """Width and height with square pixels: one side grows, or the other shrinks if the image would get too large.

    Examples
    --------
    >>> square_size(720, 576, 64 / 45, 16384, 40_000_000), square_size(64, 48, 0.5, 16384, 40_000_000)
    ((1024, 576), (64, 96))
    """
    grown = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    if max(grown) <= most_side and grown[0] * grown[1] <= most_pixels:
        return grown
    return (width, max(1, round(height / aspect))) if aspect > 1 else (max(1, round(width * aspect)), height)


def turn_image(image: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Rotate and mirror an image.

    Parameters
    ----------
    image : (height, width, 3) uint8
    turn : (2, 2) float that keeps lengths; angles other than multiples of 90 degrees are interpolated on black

    Returns
    -------
    (height, width, 3) uint8, contiguous

    Examples
    --------
    >>> row = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    >>> turn_image(row, np.array([[-1, 0], [0, 1]])).tolist()
    [[[3, 4, 5], [0, 1, 2]]]
    """
    if np.abs(np.diag(turn)).min() >= EXACT:
        across, down = turn[0, 0], turn[1, 1]
    elif abs(turn[0, 1]) >= EXACT <= abs(turn[1, 0]):
        image, across, down = image.swapaxes(0, 1), turn[0, 1], turn[1, 0]
    else:
        return warp_image(image, turn)
    return np.ascontiguousarray(image[:: 1 if down > 0 else -1, :: 1 if across > 0 else -1])


def warp_image(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply a linear map, (2, 2), to an image: bilinear, on black, with a canvas that fits the result."""
    from PIL import Image

    height, width = image.shape[:2]
    size = np.ceil(np.abs(matrix) @ (width, height) - 1e-6).astype(int)
    back = np.linalg.inv(matrix)
    shift = np.array([width, height]) / 2 - back @ (size / 2)
    rows = np.concatenate([back, shift[:, None]], 1).ravel()
    image = Image.fromarray(image).transform(
        tuple(size.tolist()), Image.Transform.AFFINE, tuple(rows), Image.Resampling.BILINEAR
    )
    return np.ascontiguousarray(image)
