"""Log mel spectrograms of speech, the input of the voice-to-face networks (Wen, Raj and Singh, NeurIPS 2019).

64 bands from 20 to 7200 Hz, 25 ms frames, 100 frames per second, frames without speech dropped, each band normalised to
mean 0 and variance 1 over the whole recording before crops are cut. The paper detects speech with WebRTC's detector in
mode 2; Kaldi's energy-based detection is OURS.
"""

import numpy as np

from avsv.errors import InputError
from avsv.features.fbank import energy_vad, fbank_and_energy

N_MELS = 64
HIGH_FREQ = 7200.0  # Hz
FRAMES_PER_SECOND = 100
LEAST_FRAMES = 32  # the embedder's stride


def speech_frames(waveform: np.ndarray) -> np.ndarray:
    """Log mel energies of the frames with speech.

    Parameters
    ----------
    waveform : (n,) float32 at 16 kHz, full scale is 1

    Returns
    -------
    (t, 64) float32, natural logarithm, t >= 32

    Raises
    ------
    InputError : less than 0.32 s of speech

    Examples
    --------
    >>> tone = 0.1 * np.sin(0.3 * np.arange(16000))
    >>> speech_frames(np.concatenate([tone, np.zeros(16000)]).astype(np.float32)).shape
    (102, 64)
    """
    mels, energy = fbank_and_energy(waveform, N_MELS, HIGH_FREQ)
    mels = mels[energy_vad(energy) > 0]
    if len(mels) < LEAST_FRAMES:
        raise InputError(f"expected at least {LEAST_FRAMES / FRAMES_PER_SECOND:.2f} s of speech, found "
                        f"{len(mels) / FRAMES_PER_SECOND:.2f} s in {len(waveform) / 16000:.2f} s of audio")  # fmt: skip
    return mels


def take_frames(frames: np.ndarray, begin: float, n: int) -> np.ndarray:
    """Take `n` consecutive frames at `begin`, 0 to 1 of the possible starts; shorter inputs are repeated cyclically.

    Examples
    --------
    >>> take_frames(np.arange(5)[:, None], 1.0, 2)[:, 0], take_frames(np.arange(2)[:, None], 0.0, 5)[:, 0]
    (array([3, 4]), array([0, 1, 0, 1, 0]))
    """
    if len(frames) < n:
        start = int(begin * len(frames)) % len(frames)
        return frames[(start + np.arange(n)) % len(frames)]
    start = min(int(begin * (len(frames) - n + 1)), len(frames) - n)
    return frames[start : start + n]


def normalise_bands(frames: np.ndarray) -> np.ndarray:
    """Normalise each band to mean 0 and variance 1 over the frames; a constant band becomes 0.

    Parameters
    ----------
    frames : (t, bands), all speech frames of a recording

    Returns
    -------
    (bands, t) float32, the layout of the embedder's input

    Examples
    --------
    >>> normalise_bands(np.array([[1.0, 5.0], [3.0, 5.0]]))
    array([[-1.,  1.],
           [ 0.,  0.]], dtype=float32)
    """
    centred = frames - frames.mean(0)
    return np.ascontiguousarray((centred / np.maximum(frames.std(0), 1e-5)).T, np.float32)
