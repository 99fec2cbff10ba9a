"""Active-speaker detection: which of several faces produces the audio, at each moment and overall?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avsv.systems.synchrony.offsets import Synchrony, find_offset

SMOOTH = 0.5  # seconds on each side over which a face's score is averaged


@dataclass(frozen=True)
class Speakers:
    """Scores of several faces against one audio track.

    offset : delay of the audio in seconds, estimated from the best face
    synchrony : offset and confidence of each face
    scores : (faces, t) float, how much better the mouth fits the audio at this offset than at others, averaged over a
        second; NaN where the face is not visible
    overall : (faces,) float, mean score of each face over the moments with voice
    speaking : (faces, t) bool, True for the face with the highest score of a moment if the score reaches the threshold,
        the mouth moves and there is voice
    """

    offset: float
    synchrony: list[Synchrony]
    scores: np.ndarray
    overall: np.ndarray
    speaking: np.ndarray

    @property
    def best(self) -> int:
        """The face that speaks longest; if none speaks, the one with the highest score."""
        return int(np.lexsort((np.nan_to_num(self.overall, nan=-np.inf), self.speaking.sum(1)))[-1])


def find_speakers(
    offsets: np.ndarray,
    faces: Sequence[tuple[int, np.ndarray]],
    step: float,
    voice: np.ndarray,
    moving: Sequence[np.ndarray],
    threshold: float,
) -> Speakers:
    """Compare several faces with one audio track (framewise confidence of Chung and Zisserman, 2016).

    All faces of a file share one offset between audio and video: that of the face with the highest confidence.

    Parameters
    ----------
    offsets : (lags,) float, seconds
    faces : for each face the index of its first cube and its distances (cubes, lags) from `distance_matrix`
    step : seconds from one cube to the next
    voice : (n,) bool, voice activity at each cube of the file from time 0
    moving : for each face (n,) bool, mouth activity
    threshold : least score of a speaker

    Raises
    ------
    InputError : video and audio overlap too little
    """
    synchrony = [find_offset(offsets, matrix) for _, matrix in faces]
    leader = max(synchrony, key=lambda face: face.confidence)
    column = int(np.abs(offsets - leader.offset).argmin())
    n = len(voice)
    scores = np.full((len(faces), n), np.nan)
    for row, (first, matrix) in enumerate(faces):
        gain = np.full(len(matrix), np.nan)
        covered = ~np.isnan(matrix).all(1)
        gain[covered] = np.nanmedian(matrix[covered], 1) - matrix[covered, column]
        end = min(n, first + len(gain))
        scores[row, first:end] = smooth(gain[: end - first], round(SMOOTH / step))
    overall = np.array([mean_where(row, voice) for row in scores])
    ready = np.nan_to_num(scores, nan=-np.inf)
    highest = ready == ready.max(0)
    speaking = highest & (ready >= threshold) & voice & np.stack([part[:n] for part in moving])
    return Speakers(leader.offset, synchrony, scores, overall, speaking)


def smooth(values: np.ndarray, reach: int) -> np.ndarray:
    """Moving average over `reach` neighbours on each side that ignores NaN; NaN where all values are NaN.

    Examples
    --------
    >>> smooth(np.array([0.0, 3.0, np.nan, 6.0]), 1).tolist()
    [1.5, 1.5, 4.5, 6.0]
    """
    kernel = np.ones(2 * reach + 1)
    valid = ~np.isnan(values)
    sums, counts = (
        np.convolve(part, kernel)[reach : reach + len(values)] for part in (np.where(valid, values, 0.0), valid)
    )
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0.5)


def mean_where(values: np.ndarray, where: np.ndarray) -> float:
    """Mean of the values at `where` without NaN; over all values if none remain; NaN if all are NaN."""
    valid = ~np.isnan(values)
    chosen = values[valid & where] if (valid & where).any() else values[valid]
    return float(chosen.mean()) if len(chosen) else float("nan")


def resample_flags(flags: np.ndarray, rate: float, step: float, n: int) -> np.ndarray:
    """Resample flags at `rate` per second to the cubes of a network, (n,) bool, False beyond their end.

    Examples
    --------
    >>> resample_flags(np.array([True, False, True, True]), 20, 0.1, 4).tolist()
    [True, True, False, False]
    """
    places = np.round(np.arange(n) * step * rate).astype(int)
    return np.append(flags, False)[np.minimum(places, len(flags))].astype(bool)
