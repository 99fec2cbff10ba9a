"""Speech as a picture: frames without energy dropped, then a short-time magnitude spectrogram, for picture networks."""

import cv2
import numpy as np

from avsv.features.fbank import HOP, log_energy

FFT, BINS = 512, 256  # samples of a window's transform; its frequencies from 0 to 7,969 Hz
WINDOW = 400  # samples, 25 ms; a frame every 10 ms
FRAMES = 256  # in a picture: 2.56 s
LENGTH = (FRAMES - 1) * HOP + WINDOW  # samples that make a picture
BELOW_DB = 30.0  # a frame this much weaker than the loudest one is no speech: our choice, as the paper's is [?]
RANGE_DB = 80.0  # of the picture's grey levels


def drop_silence(sound: np.ndarray, below_db: float = BELOW_DB) -> np.ndarray:
    """The sound without its frames of little energy: 10 ms each, judged by the 25 ms that begin there.

    Parameters
    ----------
    sound : (n,) float32 at 16 kHz
    below_db : what is weaker than the loudest frame by more than this is dropped

    Returns
    -------
    (m,) float32, m <= n; all of it where it is shorter than a frame

    Examples
    --------
    >>> loud = np.sin(np.arange(1600)).astype(np.float32)
    >>> len(drop_silence(np.concatenate([loud, np.zeros(16000, np.float32), loud])))  # windows that touch it stay
    3520
    """
    energy = log_energy(sound)
    if not len(energy):
        return sound
    kept = energy > energy.max() - below_db * np.log(10) / 10
    frames = sound[: len(kept) * HOP].reshape(-1, HOP)
    return np.concatenate([frames[kept].ravel(), sound[len(kept) * HOP :] if kept[-1] else sound[:0]])


def magnitude_picture(sound: np.ndarray, side: int = BINS) -> np.ndarray:
    """Short-time magnitude spectrogram as grey levels, low frequencies at the top, time to the right.

    Magnitudes are in decibels, 80 dB down from the loudest one is black (our choice: as magnitudes alone speech is a
    few bright dots).

    Parameters
    ----------
    sound : (n,) float32 at 16 kHz; repeated or cut to 2.575 s
    side : pixels

    Returns
    -------
    (side, side) uint8

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    >>> int(magnitude_picture(tone).max(1).argmax())  # 1000 Hz x 512 / 16000
    32
    """
    sound = np.resize(sound, LENGTH) if len(sound) < LENGTH else sound[:LENGTH]
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32), FFT)).T[:BINS]
    decibels = 20 * np.log10(np.maximum(magnitude, 1e-10))
    grey = np.clip((decibels - decibels.max()) / RANGE_DB + 1, 0, 1)
    return np.round(255 * cv2.resize(grey.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)).astype(
        np.uint8
    )
