"""How similar recordings are to those of their domain: quality measures for fusion and calibration.

Where everybody sounds alike, or looks alike, a high score says less. The cosines of a recording with the most similar
recordings of its domain, mostly of other people, show how high a score must be there; score normalisation subtracts
their mean and divides by their deviation. As quality measures (see quality.py) they count as much as they help on the
training lists. With a cohort as small as a domain gives, this was better than score normalisation: on people of minivox
from sources held out of training, half of their voices sent through a telephone channel, the mean EER of ten conditions
was 5.1 % (as-norm 6.2, neither 5.4 %), and actDCF(0.01) without faces 1.0 (1.8, 1.3).
"""

from collections.abc import Callable

import numpy as np

from avsv.errors import InputError
from avsv.scoring.cohort_statistics import highest
from avsv.scoring.cosine import unit_length

TABLES = ("utt2similarity", "utt2similarity_deviation")
SHARE = 0.3  # of the members: the most similar ones
MOST_MEMBERS = 1000  # their matrix takes 0.8 MB for embeddings of 192 values
SAME = 0.99999  # cosine above which a member is the recording itself
ROWS = 1024  # recordings compared with the members at a time


def evenly_spaced(vectors: np.ndarray) -> np.ndarray:
    """At most 1,000 of the rows of (n, d), evenly spaced."""
    return vectors[np.linspace(0, len(vectors) - 1, min(len(vectors), MOST_MEMBERS)).round().astype(int)]


def choose_members(domain: np.ndarray, adapt: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Recordings that represent a domain, evenly spaced among all.

    Parameters
    ----------
    domain : (n, d) embeddings of the domain's recordings
    adapt : their map, (n, d) -> (n, d')

    Returns
    -------
    (m, d') float32 of length 1, m at most 1,000; without recordings equal to the mean, which have no direction

    Raises
    ------
    InputError : none is left

    Examples
    --------
    >>> choose_members(np.array([[3.0, 4.0], [0.0, 2.0]]), lambda vectors: vectors).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 1.0]]
    """
    adapted = adapt(evenly_spaced(domain))
    adapted = adapted[adapted.any(axis=1)]
    if not len(adapted):
        raise InputError("the domain's embeddings are all identical; give embeddings that vary")
    return unit_length(adapted)


def similarity(adapted: np.ndarray, members: np.ndarray) -> dict[str, np.ndarray]:
    """Mean and standard deviation of each recording's cosines with the most similar 30 % of the members.

    A member that is the recording itself does not count.

    Parameters
    ----------
    adapted : (n, d) embeddings after the map
    members : (m, d) from `choose_members`

    Returns
    -------
    table -> (n,) float64

    Raises
    ------
    InputError : an embedding is zero

    Examples
    --------
    >>> members = choose_members(np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), lambda vectors: vectors)
    >>> similarity(np.array([[2.0, 0.0], [3.0, 4.0]]), members)["utt2similarity"].round(3).tolist()
    [0.0, 0.8]
    """
    n_best = max(1, round(SHARE * len(members)))
    mean, deviation = np.empty(len(adapted)), np.empty(len(adapted))
    for start in range(0, len(adapted), ROWS):
        cosines = unit_length(adapted[start : start + ROWS]) @ members.T
        cosines = np.where(cosines > SAME, cosines.min(axis=1, keepdims=True), cosines)
        best = highest(cosines, n_best)
        mean[start : start + ROWS] = best.mean(axis=1, dtype=np.float64)
        deviation[start : start + ROWS] = best.std(axis=1, dtype=np.float64)
    return dict(zip(TABLES, (mean, deviation), strict=True))
