"""Audio features for synchrony: log mel energies of non-overlapping windows (MFEC) with derivatives, and MFCC."""

from functools import lru_cache

import numpy as np

from avsv.errors import InputError
from avsv.features.cepstra import cepstra
from avsv.features.fbank import RATE, fbank_and_energy

WINDOW = 320  # samples: 20 ms at 16 kHz, without overlap (Torfi et al., 2017)
FFT = 1024
N_MFEC = 40
N_MFCC, N_MFCC_BANDS = 13, 23
MFEC_RATE, MFCC_RATE = RATE // WINDOW, 100  # frames per second
DELTA_REACH = 2  # frames on each side of a derivative
FLOOR = 1e-10  # least energy; full scale is 1, and 16-bit samples resolve 1e-9
QUIET = 50.0  # dB, level of silence below the loudest window


@lru_cache(maxsize=1)
def mel_filters() -> np.ndarray:
    """Triangular filters evenly spaced in mel = 1127 ln(1 + f / 700) from 0 to 8 kHz.

    Each filter has height 1 at its centre and reaches 0 at its neighbours' centres.

    Returns
    -------
    (FFT / 2 + 1, N_MFEC) float32
    """
    hertz = np.arange(FFT // 2 + 1) * RATE / FFT
    mel = 1127 * np.log1p(hertz / 700)
    feet = np.linspace(0, mel[-1], N_MFEC + 2)
    step = feet[1]
    return np.maximum(0, 1 - np.abs(mel[:, None] - feet[None, 1:-1]) / step).astype(np.float32)


def with_floor(waveform: np.ndarray) -> np.ndarray:
    """Add noise 50 dB below the loudest 20 ms, with a fixed seed (our choice).

    Digital silence, for instance where a recording starts late, would otherwise give log energies far below all others
    and distort the means.

    Examples
    --------
    >>> bool(np.abs(with_floor(np.zeros(1000, np.float32))).max() > 0)
    False
    """
    windows = waveform[: len(waveform) // WINDOW * WINDOW].reshape(-1, WINDOW)
    loudest = np.sqrt(np.square(windows).mean(1).max(initial=0.0))
    noise = np.random.default_rng(0).standard_normal(len(waveform), dtype=np.float32)
    return waveform + np.float32(loudest * 10 ** (-QUIET / 20)) * noise


def log_mel_energies(waveform: np.ndarray) -> np.ndarray:
    """MFEC: log mel energies of non-overlapping 20 ms windows, FFT length 1024.

    Windows are rectangular, and the power spectrum is divided by the FFT length, as in SpeechPy, which the paper's
    authors used.

    Parameters
    ----------
    waveform : (n,) float32 at 16 kHz, full scale is 1

    Returns
    -------
    (n // 320, 40) float32, natural logarithm

    Raises
    ------
    InputError : the waveform is shorter than a window
    """
    n_frames = len(waveform) // WINDOW
    if not n_frames:
        raise InputError(
            f"the audio lasts {len(waveform) / RATE:.4f} s, expected at least one window of {WINDOW / RATE:g} s"
        )
    frames = waveform[: n_frames * WINDOW].reshape(n_frames, WINDOW)
    power = np.abs(np.fft.rfft(frames, FFT)) ** 2 / FFT
    return np.log(np.maximum(power.astype(np.float32) @ mel_filters(), FLOOR))


def derivative(features: np.ndarray) -> np.ndarray:
    """Slope of each feature over time, fitted to five frames; the first and last frames are repeated at the edges.

        d_t = sum_k k (x_{t+k} - x_{t-k}) / (2 sum_k k^2), k = 1, 2   (Young et al., The HTK Book)

    Examples
    --------
    >>> derivative(np.arange(6.0)[:, None]).ravel().tolist()
    [0.5, 0.8, 1.0, 1.0, 0.8, 0.5]
    """
    padded = np.pad(features, ((DELTA_REACH, DELTA_REACH), (0, 0)), mode="edge")
    n = len(features)
    slope = sum(
        k * (padded[DELTA_REACH + k : DELTA_REACH + k + n] - padded[DELTA_REACH - k : DELTA_REACH - k + n])
        for k in range(1, DELTA_REACH + 1)
    )
    return slope / (2 * sum(k * k for k in range(1, DELTA_REACH + 1)))


def mfec(waveform: np.ndarray) -> np.ndarray:
    """Log mel energies with first and second derivatives; an audio cube is 15 frames of them.

    The mean of each band over the recording is subtracted, which removes the microphone and the loudness (our choice).

    Parameters
    ----------
    waveform : (n,) float32 at 16 kHz, full scale is 1

    Returns
    -------
    (n // 320, 40, 3) float32

    Examples
    --------
    >>> mfec(np.ones(16000, np.float32)).shape
    (50, 40, 3)
    """
    static = log_mel_energies(with_floor(waveform))
    static -= static.mean(0)
    first = derivative(static)
    return np.stack([static, first, derivative(first)], axis=2)


def mfcc(waveform: np.ndarray) -> np.ndarray:
    """Kaldi's 13 cepstral coefficients of 25 ms frames every 10 ms, with the mean over the recording subtracted.

    Equal to `compute-mfcc-feats --high-freq=7600 --dither=0`: the cosine transform of 23 log mel energies, liftered;
    the first coefficient is the frame's log energy.

    Parameters
    ----------
    waveform : (n,) float32 at 16 kHz, full scale is 1

    Returns
    -------
    (t, 13) float32

    Raises
    ------
    InputError : the waveform is shorter than one frame

    Examples
    --------
    >>> mfcc(np.ones(16000, np.float32)).shape
    (98, 13)
    """
    frames = cepstra(*fbank_and_energy(with_floor(waveform), N_MFCC_BANDS), N_MFCC)
    return frames - frames.mean(0)
