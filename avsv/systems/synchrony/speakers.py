"""Who is speaking: of several faces the one whose mouth belongs to the sound, at each moment and over all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avsv.systems.synchrony.scoring import Synchrony, find_offset

SMOOTH = 0.5  # seconds to each side that a face's score is averaged over


@dataclass(frozen=True)
class Speakers:
    """Scores of faces that one sound is compared with.

    offset : seconds by which the sound of the file is late, as the best face shows it
    found : of each face, how it lies to the sound
    scores : (faces, t) float, how much better the sound fits the mouth than the sound at other offsets does, averaged
        over a second; NaN where the face is not there
    overall : (faces,) float, each face's mean over the moments with a voice
    speaking : (faces, t) bool, the face with the highest score of a moment, if it reaches the threshold, its mouth
        moves, and there is a voice
    """

    offset: float
    found: list[Synchrony]
    scores: np.ndarray
    overall: np.ndarray
    speaking: np.ndarray

    @property
    def best(self) -> int:
        """The face that speaks more than the others do; among those that never do, the one of the highest score."""
        return int(np.lexsort((np.nan_to_num(self.overall, nan=-np.inf), self.speaking.sum(1)))[-1])


def find_speakers(
    offsets: np.ndarray,
    faces: Sequence[tuple[int, np.ndarray]],
    step: float,
    voice: np.ndarray,
    moving: Sequence[np.ndarray],
    threshold: float,
) -> Speakers:
    """Compare faces with one sound (the framewise confidence of Chung and Zisserman, 2016, for several faces).

    Sound and picture of a file are apart by one offset, whoever speaks: that of the face with the highest confidence.

    Parameters
    ----------
    offsets : (lags,) float, seconds
    faces : of each face the number of its first cube, and its distances (cubes, lags), as `distance_matrix` gives
    step : seconds from one cube to the next
    voice : (n,) bool, is there a voice, one for each cube of the file from time 0
    moving : of each face (n,) bool, does its mouth move
    threshold : the least score of a speaker

    Raises
    ------
    InputError : picture and sound overlap too little
    """
    found = [find_offset(offsets, matrix) for _, matrix in faces]
    leader = max(found, key=lambda synchrony: synchrony.confidence)
    column = int(np.abs(offsets - leader.offset).argmin())
    n = len(voice)
    scores = np.full((len(faces), n), np.nan)
    for row, (first, matrix) in enumerate(faces):
        gain = np.full(len(matrix), np.nan)
        there = ~np.isnan(matrix).all(1)
        gain[there] = np.nanmedian(matrix[there], 1) - matrix[there, column]
        end = min(n, first + len(gain))
        scores[row, first:end] = smooth(gain[: end - first], round(SMOOTH / step))
    overall = np.array([mean_where(row, voice) for row in scores])
    ready = np.nan_to_num(scores, nan=-np.inf)
    highest = ready == ready.max(0)
    speaking = highest & (ready >= threshold) & voice & np.stack([part[:n] for part in moving])
    return Speakers(leader.offset, found, scores, overall, speaking)


def smooth(values: np.ndarray, reach: int) -> np.ndarray:
    """Mean over up to `reach` neighbours on each side; what is NaN is left out, and is NaN where all of them are.

    Examples
    --------
    >>> smooth(np.array([0.0, 3.0, np.nan, 6.0]), 1).tolist()
    [1.5, 1.5, 4.5, 6.0]
    """
    kernel = np.ones(2 * reach + 1)
    there = ~np.isnan(values)
    sums, counts = (
        np.convolve(part, kernel)[reach : reach + len(values)] for part in (np.where(there, values, 0.0), there)
    )
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0.5)


def mean_where(values: np.ndarray, where: np.ndarray) -> float:
    """Mean of what is no NaN, where there is a voice; over all if there is none of it."""
    there = ~np.isnan(values)
    chosen = values[there & where] if (there & where).any() else values[there]
    return float(chosen.mean()) if len(chosen) else float("nan")


def resample_flags(flags: np.ndarray, rate: float, step: float, n: int) -> np.ndarray:
    """Flags that come `rate` a second, at the cubes of a network: (n,) bool, False after their end.

    Examples
    --------
    >>> resample_flags(np.array([True, False, True, True]), 20, 0.1, 4).tolist()
    [True, True, False, False]
    """
    places = np.round(np.arange(n) * step * rate).astype(int)
    return np.append(flags, False)[np.minimum(places, len(flags))].astype(bool)
