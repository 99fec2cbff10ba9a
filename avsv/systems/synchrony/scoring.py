"""Distances of mouth and sound: of pairs, at every offset of a clip, and what they say of the clip."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from avsv.errors import InputError

LARGEST = 0.6  # seconds that sound and picture may be apart in the search
LEAST_PAIRS = 3  # cubes that an offset needs to be judged by


class ClipVectors(Protocol):
    """What a network made of a clip, see `avsv.systems.synchrony.embedding.Vectors`."""

    mouths: np.ndarray
    sound: np.ndarray
    step: float
    sound_step: float
    first: int
    last: int


@dataclass(frozen=True)
class Synchrony:
    """How sound and picture of a clip lie to each other.

    offsets : (n,) float, seconds by which the sound comes late; below 0 it leads
    distances : (n,) float, mean distance of mouth and sound at each
    offset : the one of the least distance
    distance : the least distance
    confidence : median less least distance (Chung and Zisserman, 2016)
    """

    offsets: np.ndarray
    distances: np.ndarray
    offset: float
    distance: float
    confidence: float


def distance_matrix(vectors: ClipVectors, largest: float = LARGEST) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each mouth cube from the sound at every offset around it.

    Returns
    -------
    (lags,) float, offsets in seconds ; (cubes, lags) float, NaN where there is no sound
    """
    ratio = round(vectors.step / vectors.sound_step)
    reach = round(largest / vectors.sound_step)
    lags = np.arange(-reach, reach + 1)
    cubes = np.arange(vectors.first, vectors.last)
    places = cubes[:, None] * ratio + lags
    there = (places >= 0) & (places < len(vectors.sound))
    sound = vectors.sound[np.clip(places, 0, len(vectors.sound) - 1)]
    distance = np.linalg.norm(vectors.mouths[cubes, None] - sound, axis=2)
    return lags * vectors.sound_step, np.where(there, distance, np.nan)


def pair_distances(offsets: np.ndarray, matrix: np.ndarray, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances of a clip's genuine pairs, and of its impostors, whose sound is `shift` seconds later or earlier.

    Parameters
    ----------
    offsets, matrix : what `distance_matrix` gave

    Returns
    -------
    (n,) float ; (m,) float

    Raises
    ------
    InputError : the matrix does not reach as far as the shift

    Examples
    --------
    >>> pair_distances(np.array([-1.0, 0.0, 1.0]), np.array([[np.nan, 0.2, 0.9], [0.8, 0.1, np.nan]]), 1.0)
    (array([0.2, 0.1]), array([0.9, 0.8]))
    """
    columns = shift_columns(offsets, shift)
    step = offsets[1] - offsets[0]
    if max(abs(offsets[columns] - [0, -shift, shift])) > step / 2 + 1e-6:
        raise InputError(f"distances reach to {offsets[-1]:g} s, expected those of a shift of {shift:g} s")
    genuine, impostors = matrix[:, columns[0]], matrix[:, columns[1:]].ravel()
    return genuine[~np.isnan(genuine)], impostors[~np.isnan(impostors)]


def shift_columns(offsets: np.ndarray, shift: float) -> list[int]:
    """Columns of the offsets nearest to 0, -shift and shift: a network that moves in steps of 40 ms has no 0.1 s.

    Examples
    --------
    >>> grid = np.arange(-4, 5) * 0.04
    >>> grid[shift_columns(grid, 0.1)].round(2).tolist()
    [0.0, -0.12, 0.12]
    """
    return [int(np.abs(offsets - place).argmin()) for place in (0, -shift, shift)]


def find_offset(offsets: np.ndarray, matrix: np.ndarray) -> Synchrony:
    """Slide the sound along the picture: where do they fit best, and how much better than elsewhere?

    The distance at an offset is the mean over the cubes that have sound there. Cubes differ in how near they come to
    any sound, and not all have sound at every offset; so each cube's own mean is replaced by that of all first (our
    choice; the published search fills up with zeros). An offset with fewer than half of the cubes that the best
    covered one has is left out.

    Parameters
    ----------
    offsets, matrix : what `distance_matrix` gave

    Raises
    ------
    InputError : picture and sound overlap in fewer than three cubes
    """
    counts = (~np.isnan(matrix)).sum(0)
    most = counts.max(initial=0)
    if most < LEAST_PAIRS:
        raise InputError(f"picture and sound overlap in {most} pieces, at least {LEAST_PAIRS} are needed to find an "
                        "offset: the clip is too short, or the face is there for too short a time")  # fmt: skip
    usable = counts >= max(LEAST_PAIRS, most / 2)
    matrix, offsets = matrix[:, usable], offsets[usable]
    matrix = matrix[~np.isnan(matrix).all(1)]
    level = np.nanmean(matrix, 1, keepdims=True)
    distances = np.nanmean(matrix - level, 0) + level.mean()
    best = int(distances.argmin())
    return Synchrony(offsets, distances, float(offsets[best]), float(distances[best]),
                     float(np.median(distances) - distances[best]))  # fmt: skip


def describe_offset(seconds: float) -> str:
    """An offset in words.

    Examples
    --------
    >>> describe_offset(-0.08), describe_offset(0.12), describe_offset(0.0)
    ('sound leads by 80 ms', 'sound is late by 120 ms', 'sound and picture are in step')
    """
    milliseconds = round(1000 * seconds)
    if not milliseconds:
        return "sound and picture are in step"
    return f"sound leads by {-milliseconds} ms" if milliseconds < 0 else f"sound is late by {milliseconds} ms"
