"""Kaldi's mel-frequency cepstra, their derivatives over time, and the subtraction of a sliding mean."""

from functools import cache

import numpy as np

LIFTER = 22.0  # Kaldi's --cepstral-lifter


def cepstra(bands: np.ndarray, energy: np.ndarray, n: int) -> np.ndarray:
    """Mel-frequency cepstral coefficients (MFCC) from log mel energies.

    Same as Kaldi's `compute-mfcc-feats --num-ceps=N --use-energy=true --dither=0`: the orthonormal cosine transform of
    the log mel energies, liftered; the log energy of the frame replaces the first coefficient.

    Parameters
    ----------
    bands : (t, n_mels) log mel energies, see `fbank.fbank_and_energy`
    energy : (t,) log energies
    n : coefficients, at most n_mels

    Returns
    -------
    (t, n) float32

    Examples
    --------
    >>> cepstra(np.ones((1, 4), np.float32), np.array([5.0]), 2).round(4).tolist()
    [[5.0, 0.0]]
    """
    features = bands @ cosine_transform(bands.shape[1], n)
    features[:, 0] = energy
    return features


@cache
def cosine_transform(n_mels: int, n: int) -> np.ndarray:
    """The first columns of the orthonormal cosine transform (type II), liftered: (n_mels, n) float32."""
    order = np.arange(n)
    scale = np.sqrt(np.where(order, 2, 1) / n_mels)
    basis = scale * np.cos(np.pi / n_mels * np.outer(np.arange(n_mels) + 0.5, order))
    return (basis * (1 + LIFTER / 2 * np.sin(np.pi * order / LIFTER))).astype(np.float32)


def with_deltas(features: np.ndarray, order: int, window: int = 3) -> np.ndarray:
    """Features with their derivatives over time, as Kaldi's `add-deltas --delta-order=ORDER --delta-window=WINDOW`.

    The first derivative is the slope of a line fitted to 2 WINDOW + 1 frames; the second is its slope in turn. The
    first and last frames are repeated at the edges.

    Parameters
    ----------
    features : (t, d), t >= 1
    order : derivatives to append

    Returns
    -------
    (t, (order + 1) d), of the type of `features`

    Examples
    --------
    >>> with_deltas(np.arange(9.0)[:, None], 1)[4].round(4).tolist()
    [4.0, 1.0]
    """
    slope = np.arange(-window, window + 1) / (2 * np.square(np.arange(1, window + 1)).sum())
    kernel, parts = np.ones(1), [features]
    for _ in range(order):
        kernel = np.convolve(kernel, slope)
        reach = len(kernel) // 2
        padded = np.pad(features, ((reach, reach), (0, 0)), mode="edge")
        parts.append(sum((weight * padded[place : place + len(features)] for place, weight in enumerate(kernel)),
                         np.zeros_like(features, np.float64)))  # fmt: skip
    return np.concatenate(parts, axis=1).astype(features.dtype)


def subtract_sliding_mean(features: np.ndarray, window: int = 300) -> np.ndarray:
    """Features minus their mean over a window, as Kaldi's `apply-cmvn-sliding --center=true --norm-vars=false`.

    The window is centred on each frame; at the edges it is shifted to lie inside. It covers everything if the features
    have fewer frames.

    Parameters
    ----------
    features : (t, d)
    window : frames

    Returns
    -------
    (t, d), of the type of `features`

    Examples
    --------
    >>> subtract_sliding_mean(np.array([[0.0], [3.0], [6.0], [30.0]]), 3).ravel().tolist()
    [-3.0, 0.0, -7.0, 17.0]
    """
    n = len(features)
    sums = np.concatenate([np.zeros((1, features.shape[1])), features.cumsum(axis=0, dtype=np.float64)])
    begin = np.clip(np.arange(n) - window // 2, 0, max(n - window, 0))
    end = np.minimum(begin + window, n)
    return (features - (sums[end] - sums[begin]) / (end - begin)[:, None]).astype(features.dtype)
