"""Reliability of log-likelihood ratios: how often are two recordings of the same person, where scores say so?"""

from dataclasses import dataclass

import numpy as np

from avsv.evaluation.clusters import Clusters
from avsv.evaluation.intervals import bounded_part, limits

EDGES = (-np.inf, -7.5, -6.0, -4.5, -3.0, -1.5, 0.0, 1.5, 3.0, 4.5, 6.0, 7.5, np.inf)


@dataclass(frozen=True)
class Reliability:
    """Predicted and observed log-likelihood ratio of the trials in each bin, (bins,) each.

    predicted : of the bin's mean posterior at prior 0.5, both classes weighted equally
    observed : log of the share of all targets in the bin over that of all nontargets; infinite with one class only
    low, high : its limits, from the 95 % limits of both shares, so at least 95 %
    n_target, n_nontarget : trials in the bin
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_target: np.ndarray
    n_nontarget: np.ndarray


def reliability(scores: np.ndarray, labels: np.ndarray, clusters: Clusters, edges: tuple = EDGES) -> Reliability:
    """Bins of trials for a reliability diagram (DeGroot and Fienberg, The Statistician 32, 1983), without empty ones.

    Parameters
    ----------
    scores : (n,) natural-log likelihood ratios
    labels : (n,) bool, True for a target trial; both classes present
    clusters : people of the trials
    edges : of the bins, ascending

    Examples
    --------
    >>> scores, labels = np.array([1.0, 1.0, 1.0, -1.0]), np.array([True, True, False, False])
    >>> bins = reliability(scores, labels, Clusters(np.array([[0, 0], [1, 1], [0, 1], [1, 2]]), labels))
    >>> bins.predicted.round(3).tolist(), bins.observed.round(3).tolist()  # ln(1 / (1 / 2))
    ([-1.0, 1.0], [-inf, 0.693])
    """
    places = np.searchsorted(np.asarray(edges), scores, side="right") - 1
    weights = np.where(labels, 1 / labels.sum(), 1 / (~labels).sum())
    probabilities = 1 / (1 + np.exp(-np.clip(scores, -500, 500)))
    rows = []
    for place in np.unique(places):
        inside = places == place
        mean = float(np.average(probabilities[inside], weights=weights[inside]))
        mean = min(max(mean, 1e-200), 1 - 1e-16)
        (target, target_ends), (other, other_ends) = (share(clusters, side, inside[labels == side])
                                                      for side in (True, False))  # fmt: skip
        with np.errstate(divide="ignore"):
            observed = np.log(target) - np.log(other)
            low, high = np.log(target_ends[0]) - np.log(other_ends[1]), np.log(target_ends[1]) - np.log(other_ends[0])
        counts = int((inside & labels).sum()), int((inside & ~labels).sum())
        rows.append([np.log(mean / (1 - mean)), observed, low, high, *counts])
    return Reliability(*np.array(rows, float).T)


def share(clusters: Clusters, of_targets: bool, inside: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Share of the target or nontarget trials in a bin, with its 95 % limits."""
    rate = float(inside.mean())
    part = bounded_part(rate, clusters.influence(of_targets, inside), clusters.n_people)
    return rate, limits(part, clusters.n_people, 1.0)
