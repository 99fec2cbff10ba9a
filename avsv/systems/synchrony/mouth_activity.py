"""Visual voice activity: is this mouth moving as mouths do that talk?"""

import numpy as np

from avsv.systems.synchrony.mouths import HEIGHT, WIDTH, Mouths

RATE = 25  # a second, at which activity is told
INSIDE = (slice(10, 50), slice(20, 80))  # rows and columns of the lips, and where they go
STILL = 0.5  # grey levels of change in a frame that are none: what a codec does to a still picture
RATIO = 1.5  # of the motion inside to that around, at least
REACH = 6  # frames to each side over which motion is averaged: a quarter of a second


def mouth_motion(mouths: Mouths) -> np.ndarray:
    """How much more the lips move than what is around them, in each 25th of a second.

    The mean absolute change of a pixel since the frame before inside the mouth, over that in the rest of the cut:
    light, the codec's noise and a head that is not quite held still change both alike. Both are means over half a
    second. All of this is our choice.

    Returns
    -------
    (t,) float, about 1 for a still mouth

    Examples
    --------
    >>> still = np.random.default_rng(0).integers(0, 9, (50, 60, 100), np.uint8)
    >>> bool(abs(mouth_motion(Mouths(still, np.arange(50) / 25)) - 1).max() < 0.1)
    True
    """
    pictures = mouths.at_rate(RATE).astype(np.float32)
    change = np.abs(np.diff(pictures, axis=0, prepend=pictures[:1]))
    inside = change[:, INSIDE[0], INSIDE[1]].mean((1, 2))
    n_inside = change[0, INSIDE[0], INSIDE[1]].size
    around = (change.sum((1, 2)) - inside * n_inside) / (HEIGHT * WIDTH - n_inside)
    kernel = np.ones(2 * REACH + 1)
    inside, around = (np.convolve(part, kernel)[REACH : REACH + len(part)] for part in (inside, around))
    return inside / np.maximum(around, STILL * len(kernel))


def mouth_activity(mouths: Mouths) -> np.ndarray:
    """Where the mouth moves as if it talked, (t,) bool, 25 a second from time 0."""
    return mouth_motion(mouths) > RATIO
