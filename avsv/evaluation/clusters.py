"""How much each person moves the mean over trials: the variance of an error rate when trials share people.

Two trials are dependent if they share a person. The variance of a mean is therefore the sum of r r' over all pairs of
trials that share one, where r is a trial's deviation from the mean divided by the number of trials. The sum over people
of their squared sums of r counts the pairs of trials between the same two people twice, so these are subtracted once
(Fafchamps and Gubert, "The formation of risk sharing networks", Journal of Development Economics 83(2), 2007; Aronow,
Samii and Assenova, "Cluster-robust variance estimation for dyadic data", Political Analysis 23(4), 2015).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import t as student

NORMAL_975 = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


@dataclass(frozen=True)
class Influence:
    """Contribution of each person, and of each pair of people, to the deviation of an estimate.

    people : (n,) float
    pairs : (m,) float, contribution of the trials between two people, which is also part of both people's
    """

    people: np.ndarray
    pairs: np.ndarray

    def __add__(self, other: "Influence") -> "Influence":
        return Influence(self.people + other.people, self.pairs + other.pairs)

    def __sub__(self, other: "Influence") -> "Influence":
        return self + -1.0 * other

    def __rmul__(self, factor: float) -> "Influence":
        return Influence(factor * self.people, factor * self.pairs)

    def covariance(self, other: "Influence") -> float:
        """Covariance of two estimates on the same trials."""
        return float(self.people @ other.people - self.pairs @ other.pairs)

    @property
    def variance(self) -> float:
        """Variance of the estimate; 0 if the difference of the two sums comes out negative."""
        return max(0.0, self.covariance(self))

    def inflation(self, n_people: int) -> float:
        """Factor on the variance that makes a normal interval one of Student's t.

        The degrees of freedom are Satterthwaite's (Biometrics Bulletin 2(6), 1946) for a sum of squares over people,
        with its variance estimated from their fourth powers. If few people make most of the errors, there are few
        degrees of freedom; at least 2, and at most one fewer than people.

        Examples
        --------
        >>> round(Influence(np.ones(4), np.zeros(1)).inflation(4), 2)  # 3 degrees of freedom
        2.64
        """
        square, fourth = float((self.people**2).sum()), float((self.people**4).sum())
        spread = fourth - square**2 / n_people
        degrees = 2 * square**2 / spread if spread > 0 else np.inf
        return float((student.ppf(0.975, np.clip(degrees, 2, max(2, n_people - 1))) / NORMAL_975) ** 2)


class Clusters:
    """People of the trials, for variances of means over target or nontarget trials.

    Parameters
    ----------
    speakers : (trials, 2) int, speaker on each side
    labels : (trials,) bool, True for a target trial
    pairs : (trials,) int from `number_pairs`; None to number the pairs of people
    """

    def __init__(self, speakers: np.ndarray, labels: np.ndarray, pairs: np.ndarray | None = None):
        self.labels = np.asarray(labels, bool)
        self.n_speakers = int(speakers.max(initial=-1)) + 1
        self.n_people = int((np.bincount(speakers.ravel(), minlength=1) > 0).sum())
        self.of_targets, self.of_nontargets = speakers[self.labels], speakers[~self.labels]
        pairs = number_pairs(speakers) if pairs is None else pairs
        self.n_pairs, self.pairs = int(pairs.max(initial=-1)) + 1, pairs[~self.labels]

    @property
    def none(self) -> Influence:
        """No influence of anybody."""
        return 0.0 * self.totals[0]

    @cached_property
    def totals(self) -> tuple[Influence, Influence]:
        """Number of target and of nontarget trials of each person and pair."""
        return tuple(self.sums(of_targets, np.ones(len(self.side(of_targets)))) for of_targets in (True, False))

    def side(self, of_targets: bool) -> np.ndarray:
        """Speakers of the target or of the nontarget trials, (trials, 2)."""
        return self.of_targets if of_targets else self.of_nontargets

    def sums(self, of_targets: bool, values: np.ndarray) -> Influence:
        """Sum of the values of each person's trials, and of each pair's."""
        speakers, n = self.side(of_targets), self.n_speakers
        some = np.flatnonzero(values)  # errors are rare
        speakers, values = speakers[some], values[some].astype(np.float64)
        people = np.bincount(speakers[:, 0], values, n)
        two = speakers[:, 0] != speakers[:, 1]
        if not two.any():
            return Influence(people, np.zeros(self.n_pairs))
        people += np.bincount(speakers[two, 1], values[two], n)
        if of_targets:
            return Influence(people, np.zeros(self.n_pairs))
        return Influence(people, np.bincount(self.pairs[some][two], values[two], self.n_pairs))

    def influence(self, of_targets: bool, values: np.ndarray) -> Influence:
        """Influence of each person and pair on the mean of the values over target or nontarget trials.

        Means over pairs of n people deviate less from their own mean than from the population's, for which the
        variance is raised by n / (n - 2).

        Parameters
        ----------
        values : (target trials,) or (nontarget trials,) bool or float
        """
        n_trials = len(values)
        centred = self.sums(of_targets, values) - (np.sum(values) / n_trials) * self.totals[not of_targets]
        return np.sqrt(self.n_people / max(1, self.n_people - 2)) / n_trials * centred


def number_pairs(speakers: np.ndarray) -> np.ndarray:
    """Number of each trial's unordered pair of people, from 0, (trials,) int.

    Examples
    --------
    >>> number_pairs(np.array([[0, 1], [2, 2], [1, 0]])).tolist()
    [0, 1, 0]
    """
    low, high = speakers.min(axis=1).astype(np.int64), speakers.max(axis=1)
    return np.unique(low * (int(speakers.max(initial=0)) + 1) + high, return_inverse=True)[1].reshape(-1)
