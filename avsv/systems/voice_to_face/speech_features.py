"""Log mel spectrograms of the speech in recordings, as the voice-to-face networks take them.

64 bands from 20 to 7200 Hz, 25 ms frames, 100 a second, only those with speech, each band normalised to mean 0 and
variance 1 over the whole recording, before any crop is cut: Wen, Raj and Singh, NeurIPS 2019. They detect speech with
WebRTC's detector in mode 2; Kaldi's detection by energy is OURS.
"""

import numpy as np

from avsv.errors import InputError
from avsv.features.fbank import energy_vad, fbank_and_energy

N_MELS = 64
HIGH_FREQ = 7200.0  # Hz
FRAMES_A_SECOND = 100
LEAST_FRAMES = 32  # the embedder's stride: fewer make not one whole output


def speech_frames(sound: np.ndarray) -> np.ndarray:
    """Log mel energies of the frames with speech.

    Parameters
    ----------
    sound : (n,) float32 at 16 kHz, full scale is 1

    Returns
    -------
    (t, 64) float32, natural logarithm, t >= 32

    Raises
    ------
    InputError : less than 0.32 s of speech, or no whole frame

    Examples
    --------
    >>> tone = 0.1 * np.sin(0.3 * np.arange(16000))
    >>> speech_frames(np.concatenate([tone, np.zeros(16000)]).astype(np.float32)).shape
    (102, 64)
    """
    mels, energy = fbank_and_energy(sound, N_MELS, HIGH_FREQ)
    mels = mels[energy_vad(energy) > 0]
    if len(mels) < LEAST_FRAMES:
        raise InputError(f"{len(mels) / FRAMES_A_SECOND:.2f} s of speech were found in {len(sound) / 16000:.2f} s of "
                        f"sound, at least {LEAST_FRAMES / FRAMES_A_SECOND:.2f} s are needed")  # fmt: skip
    return mels


def take_frames(frames: np.ndarray, begin: float, n: int) -> np.ndarray:
    """`n` frames in a row from `begin`, a share (0-1) of where they may begin; fewer than `n` go round and round.

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
    (bands, t) float32: as the embedder's convolutions take them

    Examples
    --------
    >>> normalise_bands(np.array([[1.0, 5.0], [3.0, 5.0]]))
    array([[-1.,  1.],
           [ 0.,  0.]], dtype=float32)
    """
    centred = frames - frames.mean(0)
    return np.ascontiguousarray((centred / np.maximum(frames.std(0), 1e-5)).T, np.float32)
