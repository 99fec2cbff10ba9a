"""Spectrogram images for image networks: silent frames are dropped, then the short-time magnitude is computed."""

import cv2
import numpy as np

from avsv.features.fbank import HOP, log_energy

FFT, BINS = 512, 256  # FFT length in samples; frequency bins from 0 to 7,969 Hz
WINDOW = 400  # samples (25 ms); one frame every 10 ms
FRAMES = 256  # frames per image (2.56 s)
LENGTH = (FRAMES - 1) * HOP + WINDOW  # samples per image
BELOW_DB = 30.0  # frames this far below the loudest one are dropped; our choice, the paper gives no threshold
RANGE_DB = 80.0  # dynamic range of the grey levels


def drop_silence(waveform: np.ndarray, below_db: float = BELOW_DB) -> np.ndarray:
    """Drop 10 ms frames with little energy, measured over the 25 ms that start at each frame.

    Parameters
    ----------
    waveform : (n,) float32 at 16 kHz
    below_db : frames weaker than the loudest one by more than this are dropped

    Returns
    -------
    (m,) float32, m <= n; the input itself if it is shorter than a frame

    Examples
    --------
    >>> loud = np.sin(np.arange(1600)).astype(np.float32)
    >>> len(drop_silence(np.concatenate([loud, np.zeros(16000, np.float32), loud])))  # windows that overlap it stay
    3520
    """
    energy = log_energy(waveform)
    if not len(energy):
        return waveform
    kept = energy > energy.max() - below_db * np.log(10) / 10
    frames = waveform[: len(kept) * HOP].reshape(-1, HOP)
    return np.concatenate([frames[kept].ravel(), waveform[len(kept) * HOP :] if kept[-1] else waveform[:0]])


def magnitude_image(waveform: np.ndarray, side: int = BINS) -> np.ndarray:
    """Short-time magnitude spectrogram as grey levels, low frequencies at the top, time to the right.

    Magnitudes are in decibels, and 80 dB below the loudest is black (our choice: on a linear scale, speech is a few
    bright dots).

    Parameters
    ----------
    waveform : (n,) float32 at 16 kHz; repeated or truncated to 2.575 s
    side : height and width of the image in pixels

    Returns
    -------
    (side, side) uint8

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    >>> int(magnitude_image(tone).max(1).argmax())  # 1000 Hz x 512 / 16000
    32
    """
    waveform = np.resize(waveform, LENGTH) if len(waveform) < LENGTH else waveform[:LENGTH]
    frames = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32), FFT)).T[:BINS]
    decibels = 20 * np.log10(np.maximum(magnitude, 1e-10))
    grey = np.clip((decibels - decibels.max()) / RANGE_DB + 1, 0, 1)
    return np.round(255 * cv2.resize(grey.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)).astype(
        np.uint8
    )
