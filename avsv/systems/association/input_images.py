"""Image inputs of the end-to-end networks: square spectrograms and square aligned faces."""

import cv2
import numpy as np

from avsv.systems.association.spectrogram import LENGTH, drop_silence, magnitude_image

MOST_IMAGES = 4  # spectrograms per clip


def spectrogram_images(waveform: np.ndarray, side: int, most: int = MOST_IMAGES) -> np.ndarray:
    """Spectrograms of a clip's speech without silence, in pieces of 2.575 s that cover it from start to end.

    Parameters
    ----------
    waveform : (n,) float32 at 16 kHz

    Returns
    -------
    (1 to `most`, side, side) uint8

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=80000).astype(np.float32)
    >>> spectrogram_images(noise, 96).shape, spectrogram_images(noise[:16000], 96).shape
    ((2, 96, 96), (1, 96, 96))
    """
    speech = drop_silence(waveform)
    n = min(most, max(1, -(-len(speech) // LENGTH)))
    starts = np.linspace(0, max(0, len(speech) - LENGTH), n).astype(int)
    return np.stack([magnitude_image(speech[start : start + LENGTH], side) for start in starts])


def square_face(face: np.ndarray, side: int) -> np.ndarray:
    """Resize an aligned face for the network; archives have 112 pixels, and larger sides are interpolated.

    Parameters
    ----------
    face : (h, h, 3) uint8 BGR

    Returns
    -------
    (3, side, side) uint8 RGB
    """
    method = cv2.INTER_AREA if side < len(face) else cv2.INTER_LINEAR
    return np.ascontiguousarray(cv2.resize(face, (side, side), interpolation=method)[:, :, ::-1].transpose(2, 0, 1))
