"""Pictures as they are meant to be seen: turned, mirrored, and with square pixels, as their files say.

Videos carry a display matrix and a pixel aspect ratio, pictures an EXIF orientation. Each is a linear map from the
stored picture (x to the right, y down) to the shown one; a translation makes no difference here.
"""

import numpy as np

MOST_ASPECT = 10.0  # a pixel's sides in a video differ by 4 at most; beyond this the header is nonsense
EXACT = 0.9998  # cosine of 1 degree: less is a rounding error of the header
LEAST_AREA = 0.1  # of a unit square after a map that is of any use
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


def shown_map(display: np.ndarray | None, aspect: float | None) -> np.ndarray:
    """The map of a video's pixels, from its display matrix and its pixel aspect ratio.

    Parameters
    ----------
    display : (9,) int, as ffmpeg has it: a b u, c d v, x y w with x' = a x + c y and y' = b x + d y; None for none
    aspect : width of a pixel through its height; None where it is not known

    Returns
    -------
    (2, 2) float

    Examples
    --------
    >>> shown_map(None, 2.0).tolist()
    [[2.0, 0.0], [0.0, 1.0]]
    """
    matrix = np.eye(2) if display is None else np.array(display, float).reshape(3, 3)[:2, :2].T / 65536
    if abs(np.linalg.det(matrix)) < 1e-6:  # nothing would be seen
        matrix = np.eye(2)
    across, down = np.hypot(*matrix.T)
    if aspect is None or (abs(across / down - 1) > 0.01 and abs(aspect / (across / down) - 1) < 0.001):
        aspect = 1.0  # ffmpeg took it from this matrix, whose scale is applied below
    return matrix * np.array([aspect, 1.0])


def split_map(matrix: np.ndarray) -> tuple[float, np.ndarray]:
    """A map as a stretch along x and a turn: the pixel aspect ratio, and a map (2, 2) that keeps lengths along x and y.

    Whatever the map, the stretch is at most MOST_ASPECT, or none.

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
    """Width and height with square pixels: one side grows, or the other shrinks where the picture would be too large.

    Examples
    --------
    >>> square_size(720, 576, 64 / 45, 16384, 40_000_000), square_size(64, 48, 0.5, 16384, 40_000_000)
    ((1024, 576), (64, 96))
    """
    grown = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    if max(grown) <= most_side and grown[0] * grown[1] <= most_pixels:
        return grown
    return (width, max(1, round(height / aspect))) if aspect > 1 else (max(1, round(width * aspect)), height)


def turned(picture: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """A picture turned and mirrored.

    Parameters
    ----------
    picture : (height, width, 3) uint8
    turn : (2, 2) float that keeps lengths; other angles than multiples of 90 degrees are interpolated, on black

    Returns
    -------
    (height, width, 3) uint8, contiguous

    Examples
    --------
    >>> row = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    >>> turned(row, np.array([[-1, 0], [0, 1]])).tolist()
    [[[3, 4, 5], [0, 1, 2]]]
    """
    if np.abs(np.diag(turn)).min() >= EXACT:
        across, down = turn[0, 0], turn[1, 1]
    elif abs(turn[0, 1]) >= EXACT <= abs(turn[1, 0]):
        picture, across, down = picture.swapaxes(0, 1), turn[0, 1], turn[1, 0]
    else:
        return warped(picture, turn)
    return np.ascontiguousarray(picture[:: 1 if down > 0 else -1, :: 1 if across > 0 else -1])


def warped(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A picture under any linear map, (2, 2), as large as it becomes, bilinear, on black."""
    from PIL import Image

    height, width = picture.shape[:2]
    size = np.ceil(np.abs(matrix) @ (width, height) - 1e-6).astype(int)
    back = np.linalg.inv(matrix)
    shift = np.array([width, height]) / 2 - back @ (size / 2)
    rows = np.concatenate([back, shift[:, None]], 1).ravel()
    image = Image.fromarray(picture).transform(
        tuple(size.tolist()), Image.Transform.AFFINE, tuple(rows), Image.Resampling.BILINEAR
    )
    return np.ascontiguousarray(image)
