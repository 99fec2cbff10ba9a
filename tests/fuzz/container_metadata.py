"""Random display metadata in containers: display matrices, pixel aspect ratios, edit lists.

The headers of small videos are modified byte by byte (tests/media/boxes.py), and the frames from `read_frames` and
`video_frames` are compared with the standard (ISO/IEC 14496-12: tkhd, pasp, elst), computed here with OpenCV.

    python -m tests.fuzz.container_metadata --cases 2000
"""

import argparse
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np

from avsv.media.frames import video_frames
from avsv.media.images import evenly_spaced, read_frames
from tests.media.boxes import scales, with_aspect, with_edits, with_matrix

WIDTH, HEIGHT, FPS = 96, 64, 25
TURNS = [np.array(turn) for turn in (
    ((1, 0), (0, 1)), ((-1, 0), (0, 1)), ((1, 0), (0, -1)), ((-1, 0), (0, -1)),
    ((0, 1), (1, 0)), ((0, -1), (1, 0)), ((0, 1), (-1, 0)), ((0, -1), (-1, 0)),
)]  # fmt: skip
ASPECTS = [(1, 1), (16, 15), (12, 11), (59, 54), (4, 3), (64, 45), (16, 11), (2, 1), (1, 2), (8, 9), (32, 27), (3, 4)]


def slope() -> np.ndarray:
    """An image without symmetry: red increases to the right, green downwards, one corner is blue."""
    x, y = np.meshgrid(np.linspace(30, 220, WIDTH), np.linspace(30, 220, HEIGHT))
    image = np.stack([np.full_like(x, 60), y, x], 2)
    image[: HEIGHT // 4, : WIDTH // 3, 0] = 200
    return image.astype(np.uint8)


def numbered(number: int) -> np.ndarray:
    """An image that encodes a number in five black or white stripes."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for bit in range(5):
        image[:, bit * 16 : bit * 16 + 16] = 255 * (number >> bit & 1)
    return image


def number_of(image: np.ndarray) -> int:
    return sum(int(image[HEIGHT // 2, bit * 16 + 8].mean() > 128) << bit for bit in range(5))


def write_movie(path: Path, images: list[np.ndarray], gop: int = 12, b_frames: int = 0) -> bytes:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "4", "bf": str(b_frames)})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv444p", gop
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path.read_bytes()


def expected_image(stored: np.ndarray, linear: np.ndarray) -> tuple[np.ndarray, float]:
    """A stored image displayed under the map x' = A x, scaled to 48 x 48, and its aspect ratio before scaling."""
    height, width = stored.shape[:2]
    corners = linear @ np.array([[0, width, 0, width], [0, 0, height, height]])
    low, high = corners.min(1), corners.max(1)
    to_square = np.diag(48 / (high - low)) @ linear
    matrix = np.concatenate([to_square, (-np.diag(48 / (high - low)) @ low)[:, None]], 1)
    # in OpenCV, pixel centres have integer coordinates
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return cv2.warpAffine(stored, matrix, (48, 48), flags=cv2.INTER_LINEAR), float((high - low)[0] / (high - low)[1])


def check_shown(stored: np.ndarray, shown: np.ndarray, linear: np.ndarray, about: object) -> None:
    wanted, aspect = expected_image(stored, linear)
    found = shown.shape[1] / shown.shape[0]
    assert abs(found / aspect - 1) < 1.5 / min(shown.shape[:2]), (about, found, aspect)
    small = cv2.resize(shown, (48, 48), interpolation=cv2.INTER_LINEAR)
    # leave out edges, where interpolation methods differ
    flat = np.ptp(cv2.dilate(wanted, None).astype(int) - cv2.erode(wanted, None), axis=2) < 12
    flat[[0, -1]] = flat[:, [0, -1]] = False
    difference = np.abs(small.astype(int) - wanted).max(2)[flat]
    assert flat.mean() > 0.2 and np.quantile(difference, 0.98) < 16, (about, flat.mean(), np.quantile(difference, 0.98))


def check_matrix(rng: np.random.Generator, folder: Path, plain: bytes, stored: np.ndarray) -> None:
    """One display matrix and one pixel aspect ratio."""
    matrix = TURNS[rng.integers(8)].astype(float)
    variant = rng.integers(4)
    if variant == 1:
        angle = rng.uniform(0, 2 * np.pi)
        matrix = matrix @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if variant == 2:
        matrix = matrix * rng.choice([0.5, 2, 3])
    aspect = ASPECTS[rng.integers(len(ASPECTS))]
    if variant == 3:  # the scale in the matrix, as QuickTime writes it, instead of a pasp box
        matrix, aspect = matrix * np.array(aspect)[:, None] / aspect[1], None
    data = with_matrix(plain, matrix)
    path = folder / "matrix.mp4"
    path.write_bytes(with_aspect(data, *aspect) if aspect else data)
    (a, b), (c, d) = np.round(matrix * 65536) / 65536
    linear = np.array([[a, c], [b, d]]) @ np.diag([aspect[0] / aspect[1], 1] if aspect else [1, 1])
    about = (matrix.tolist(), aspect)
    for shown in (read_frames(path, 1)[0], next(video_frames(path))[1]):
        check_shown(stored, shown, linear, about)


def check_edits(rng: np.random.Generator, folder: Path, movies: list[tuple[bytes, int]], n: int) -> None:
    """One edit list with one to three edits, on a video with or without reordered frames."""
    plain, lead = movies[rng.integers(len(movies))]
    movie, media = scales(plain)
    step = media // FPS
    edits, wanted = [], []
    if rng.random() < 0.3:
        edits.append((int(rng.integers(1, 20)) * movie // FPS, -1))
    for _ in range(rng.integers(1, 4)):
        first = int(rng.integers(0, n - 1))
        count = int(rng.integers(1, n - first + 1))
        edits.append((count * movie // FPS, lead + first * step))
        wanted += range(first, first + count)
    path = folder / "edits.mp4"
    path.write_bytes(with_edits(plain, edits))
    k = int(rng.integers(1, 8))
    found = [number_of(frame) for frame in read_frames(path, k)]
    assert found == [wanted[i] for i in evenly_spaced(len(wanted), k)], (edits, wanted, found)
    assert [number_of(frame) for _, frame in video_frames(path)] == wanted, (edits, wanted)


def check_many(seed: int, n_cases: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = write_movie(folder / "plain.mp4", [slope()] * 3)
        stored = read_frames(folder / "plain.mp4", 1)[0]
        images = [numbered(number) for number in range(30)]
        movies = [(write_movie(folder / "a.mp4", images), 0)]
        with_b = write_movie(folder / "b.mp4", images, b_frames=2)
        movies.append((with_b, 2 * scales(with_b)[1] // FPS))
        for case in range(n_cases):
            rng = np.random.default_rng([seed, case])
            check_matrix(rng, folder, plain, stored)
            check_edits(rng, folder, movies, len(images))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    check_many(args.seed, args.cases)
    print(f"{args.cases} matrices and as many edit lists: all agree with the standard")
