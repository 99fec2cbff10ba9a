"""Visual voice activity detection: does this mouth move as in speech?"""

import numpy as np

from avsv.systems.synchrony.mouths import HEIGHT, WIDTH, Mouths

RATE = 25  # decisions per second
INSIDE = (slice(10, 50), slice(20, 80))  # rows and columns of the lips and their range of motion
STILL = 0.5  # grey levels; frame-to-frame change that a codec causes in a still image
RATIO = 1.5  # least ratio of the motion inside the mouth to that around it
REACH = 6  # frames on each side over which motion is averaged: a quarter of a second


def mouth_motion(mouths: Mouths) -> np.ndarray:
    """Motion of the lips relative to their surroundings, every 25th of a second.

    Ratio of the mean absolute pixel change since the previous frame inside the mouth to that in the rest of the crop,
    each averaged over half a second. Changes of light, codec noise and small head movements affect both alike. All of
    this is our choice.

    Returns
    -------
    (t,) float, about 1 for a still mouth

    Examples
    --------
    >>> still = np.random.default_rng(0).integers(0, 9, (50, 60, 100), np.uint8)
    >>> bool(abs(mouth_motion(Mouths(still, np.arange(50) / 25)) - 1).max() < 0.1)
    True
    """
    images = mouths.at_rate(RATE).astype(np.float32)
    change = np.abs(np.diff(images, axis=0, prepend=images[:1]))
    inside = change[:, INSIDE[0], INSIDE[1]].mean((1, 2))
    n_inside = change[0, INSIDE[0], INSIDE[1]].size
    around = (change.sum((1, 2)) - inside * n_inside) / (HEIGHT * WIDTH - n_inside)
    kernel = np.ones(2 * REACH + 1)
    inside, around = (np.convolve(part, kernel)[REACH : REACH + len(part)] for part in (inside, around))
    return inside / np.maximum(around, STILL * len(kernel))


def mouth_activity(mouths: Mouths) -> np.ndarray:
    """True where the mouth moves as in speech, (t,) bool, 25 values per second from time 0."""
    return mouth_motion(mouths) > RATIO
