"""Statistics of recordings under a UBM: counts and sums of frames for each Gaussian (Baum-Welch statistics)."""

from dataclasses import dataclass

import numpy as np

from avsv.systems.speech.gmm import AT_ONCE, FullGmm, posteriors_of


@dataclass(frozen=True)
class Selection:
    """Which Gaussians a frame counts for.

    select : the likeliest by the diagonal of the UBM ; least_posterior : smaller posteriors become 0
    """

    select: int = 20
    least_posterior: float = 0.025


def alignment(ubm: FullGmm, frames: np.ndarray, selection: Selection) -> np.ndarray:
    """Posteriors of the Gaussians, small ones removed: (t, d) -> (t, k), each row sums to 1.

    As Kaldi's `gmm-gselect` and `fgmm-global-gselect-to-post`.
    """
    posteriors, _ = posteriors_of(ubm.log_joint(frames, selection.select))
    kept = posteriors >= np.minimum(selection.least_posterior, posteriors.max(axis=1, keepdims=True))
    posteriors *= kept
    return posteriors / posteriors.sum(axis=1, keepdims=True)


def statistics(ubm: FullGmm, frames: np.ndarray, selection: Selection, second: np.ndarray | None = None
               ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Counts and first-order sums of a recording.

    Parameters
    ----------
    frames : (t, d)
    second : (k, d, d), to which the second-order sums are added

    Returns
    -------
    (k,) ; (k, d), float64

    Examples
    --------
    >>> ubm = FullGmm(np.array([0.5, 0.5]), np.array([[-9.0], [9.0]]), np.ones((2, 1, 1)))
    >>> counts, first = statistics(ubm, np.array([[8.0], [9.0], [-9.0]]), Selection())
    >>> counts.tolist(), first.ravel().tolist()
    ([1.0, 2.0], [-9.0, 17.0])
    """
    counts, first = np.zeros(len(ubm.weights)), np.zeros(ubm.means.shape)
    for begin in range(0, len(frames), AT_ONCE):
        block = frames[begin : begin + AT_ONCE]
        posteriors = alignment(ubm, block, selection)
        counts += posteriors.sum(axis=0)
        first += posteriors.T @ block
        if second is not None:
            second += ubm.second_order(block, posteriors)
    return counts, first
