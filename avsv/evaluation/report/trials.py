"""The worst errors of a system: false accepts and false rejects to listen to and view."""

from dataclasses import dataclass

import numpy as np

from avsv.kaldi.trials import Trials


@dataclass(frozen=True)
class WorstTrial:
    """A trial on the wrong side of the threshold, the worst of its pair of speakers.

    others : number of further errors of this kind between the same speakers
    """

    enroll: str
    test: str
    score: float
    others: int


def worst_trials(
    scores: np.ndarray, trials: Trials, people: np.ndarray, threshold: float, accepts: bool, most: int = 6
) -> tuple[list[WorstTrial], int]:
    """The worst errors of one kind, at most one per pair of speakers, and the total number of errors.

    Without this limit, two people who look or sound alike, or one bad recording, would fill the list.

    Parameters
    ----------
    scores : (trials,) float
    people : (trials, 2) int, the speakers of both sides
    threshold : a trial is accepted at or above it
    accepts : True for accepted nontargets, False for rejected targets

    Examples
    --------
    >>> trials = Trials(["a"], ["b", "c", "d"], np.array([[0, 0], [0, 1], [0, 2]]), np.zeros(3, bool))
    >>> people = np.array([[0, 1], [0, 1], [0, 2]])
    >>> worst, n_errors = worst_trials(np.array([3.0, 4.0, 2.0]), trials, people, 1.0, True)
    >>> [(one.test, one.others) for one in worst], n_errors
    ([('c', 1), ('d', 0)], 3)
    """
    wrong = ~trials.labels & (scores >= threshold) if accepts else trials.labels & (scores < threshold)
    errors = np.flatnonzero(wrong)
    order = errors[np.argsort(-scores[errors] if accepts else scores[errors], kind="stable")]
    low, high = np.sort(people[order], axis=1).astype(np.int64).T
    _, first, counts = np.unique(low << 32 | high, return_index=True, return_counts=True)
    worst = []
    for group in np.argsort(first)[:most]:
        trial = int(order[first[group]])
        worst.append(WorstTrial(*trials[trial], float(scores[trial]), int(counts[group]) - 1))
    return worst, len(errors)
