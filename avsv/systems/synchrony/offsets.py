"""Distances between mouth and audio at every offset of a clip, and the offset and confidence that follow from them."""

from dataclasses import dataclass

import numpy as np

from avsv.errors import InputError

LARGEST = 0.6  # seconds; largest offset searched
LEAST_PAIRS = 3  # cubes needed to judge an offset


@dataclass(frozen=True)
class ClipVectors:
    """The vectors that a synchrony network computed for one clip.

    mouths : (n, d) float32, one for each mouth cube; cubes start every `step` seconds from time 0
    audio : (m, d) float32, one for each audio cube; cubes start every `audio_step` seconds from time 0
    step, audio_step : seconds; `step` is a multiple of `audio_step`
    first, last : range of mouth cubes in which the face is visible
    """

    mouths: np.ndarray
    audio: np.ndarray
    step: float
    audio_step: float
    first: int
    last: int


@dataclass(frozen=True)
class Synchrony:
    """Offset between the audio and the video of a clip.

    offsets : (n,) float, delay of the audio in seconds; negative if the audio leads
    distances : (n,) float, mean distance of mouth and audio at each offset
    offset : the offset with the least distance
    distance : the least distance
    confidence : median distance minus least distance (Chung and Zisserman, 2016)
    """

    offsets: np.ndarray
    distances: np.ndarray
    offset: float
    distance: float
    confidence: float


def distance_matrix(vectors: ClipVectors, largest: float = LARGEST) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each mouth cube from the audio at every offset.

    Returns
    -------
    (lags,) float, offsets in seconds ; (cubes, lags) float, NaN beyond the audio
    """
    ratio = round(vectors.step / vectors.audio_step)
    reach = round(largest / vectors.audio_step)
    lags = np.arange(-reach, reach + 1)
    cubes = np.arange(vectors.first, vectors.last)
    places = cubes[:, None] * ratio + lags
    valid = (places >= 0) & (places < len(vectors.audio))
    audio = vectors.audio[np.clip(places, 0, len(vectors.audio) - 1)]
    distance = np.linalg.norm(vectors.mouths[cubes, None] - audio, axis=2)
    return lags * vectors.audio_step, np.where(valid, distance, np.nan)


def pair_distances(offsets: np.ndarray, matrix: np.ndarray, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances of a clip's genuine pairs, and of impostor pairs with the audio `shift` seconds later or earlier.

    Parameters
    ----------
    offsets, matrix : from `distance_matrix`

    Returns
    -------
    (n,) float, genuine ; (m,) float, impostor

    Raises
    ------
    InputError : the shift is beyond the largest offset of the matrix

    Examples
    --------
    >>> pair_distances(np.array([-1.0, 0.0, 1.0]), np.array([[np.nan, 0.2, 0.9], [0.8, 0.1, np.nan]]), 1.0)
    (array([0.2, 0.1]), array([0.9, 0.8]))
    """
    columns = shift_columns(offsets, shift)
    step = offsets[1] - offsets[0]
    if max(abs(offsets[columns] - [0, -shift, shift])) > step / 2 + 1e-6:
        raise InputError(f"expected distances at a shift of {shift:g} s, found offsets up to {offsets[-1]:g} s")
    genuine, impostors = matrix[:, columns[0]], matrix[:, columns[1:]].ravel()
    return genuine[~np.isnan(genuine)], impostors[~np.isnan(impostors)]


def shift_columns(offsets: np.ndarray, shift: float) -> list[int]:
    """Columns of the offsets nearest to 0, -shift and shift; a network with steps of 40 ms has no offset of 0.1 s.

    Examples
    --------
    >>> grid = np.arange(-4, 5) * 0.04
    >>> grid[shift_columns(grid, 0.1)].round(2).tolist()
    [0.0, -0.12, 0.12]
    """
    return [int(np.abs(offsets - place).argmin()) for place in (0, -shift, shift)]


def find_offset(offsets: np.ndarray, matrix: np.ndarray) -> Synchrony:
    """Find the offset of the least mean distance by sliding the audio along the mouth.

    The distance at an offset is the mean over the cubes with audio at that offset. Cubes differ in their mean distance
    to any audio, and not all cubes have audio at every offset; therefore each cube's own mean is first replaced by the
    overall mean (our choice; the published search pads with zeros). Offsets with fewer than half as many cubes as the
    best covered offset are left out.

    Parameters
    ----------
    offsets, matrix : from `distance_matrix`

    Raises
    ------
    InputError : video and audio overlap in fewer than three cubes
    """
    counts = (~np.isnan(matrix)).sum(0)
    most = counts.max(initial=0)
    if most < LEAST_PAIRS:
        raise InputError(f"expected video and audio to overlap in at least {LEAST_PAIRS} cubes, found {most}: the clip "
                        "is too short, or the face is visible too briefly")  # fmt: skip
    usable = counts >= max(LEAST_PAIRS, most / 2)
    matrix, offsets = matrix[:, usable], offsets[usable]
    matrix = matrix[~np.isnan(matrix).all(1)]
    level = np.nanmean(matrix, 1, keepdims=True)
    distances = np.nanmean(matrix - level, 0) + level.mean()
    best = int(distances.argmin())
    return Synchrony(offsets, distances, float(offsets[best]), float(distances[best]),
                     float(np.median(distances) - distances[best]))  # fmt: skip


def describe_offset(seconds: float) -> str:
    """Describe an offset as text.

    Examples
    --------
    >>> describe_offset(-0.08), describe_offset(0.12), describe_offset(0.0)
    ('audio leads by 80 ms', 'audio lags by 120 ms', 'audio and video are in sync')
    """
    milliseconds = round(1000 * seconds)
    if not milliseconds:
        return "audio and video are in sync"
    return f"audio leads by {-milliseconds} ms" if milliseconds < 0 else f"audio lags by {milliseconds} ms"
