"""Cost of log-likelihood ratios (Bruemmer and du Preez, Computer Speech and Language, 2006), in bits."""

import numpy as np

from avsv.evaluation.errors import POINTS, ErrorCounts


def softplus_bits(x: np.ndarray) -> np.ndarray:
    """log2(1 + exp(x)), without overflow."""
    return (np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))) / np.log(2.0)


def cllr(scores: np.ndarray, labels: np.ndarray) -> float:
    """Cost of log-likelihood ratios: their mean cost in bits, both classes weighted equally.

    0 is perfect, and 1 is the cost of a system without information (all ratios 0).

    Parameters
    ----------
    scores : (n,) float, natural-log likelihood ratios
    labels : (n,) bool, True for a target trial

    Returns
    -------
    float, infinite if an infinite score is wrong, NaN if a class has no trial

    Examples
    --------
    >>> cllr(np.zeros(4), np.array([True, False, False, False]))
    1.0
    """
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    n_target = int(labels.sum())
    if n_target in (0, len(labels)):
        return float("nan")
    sums = []
    for start in range(0, len(scores), POINTS):
        part = labels[start : start + POINTS]
        costs = bits(scores[start : start + POINTS], part)
        sums.append((costs[part].sum(), costs[~part].sum()))
    of_targets, of_nontargets = (sum(side) for side in zip(*sums, strict=True))
    return float((of_targets / n_target + of_nontargets / (len(labels) - n_target)) / 2)


def bits(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cost of each trial in bits, (n,) float64."""
    scores = np.asarray(scores, np.float64)
    return softplus_bits(np.where(labels, -scores, scores))


def min_cllr(counts: ErrorCounts) -> float:
    """Cllr after the best monotone map of the scores, found by pooling adjacent violators (PAV).

    NaN if a class has no trial.

    Examples
    --------
    >>> from avsv.evaluation.errors import count_errors
    >>> min_cllr(count_errors(np.array([0.0, 1.0, 2.0]), np.array([False, True, True])))
    0.0
    """
    if not counts.n_target or not counts.n_nontarget:
        return float("nan")
    # pool within blocks first, which reduces many millions of scores to a few thousand groups
    pooled = [
        pool_adjacent_violators(np.diff(misses), -np.diff(false_alarms))
        for _, misses, false_alarms in counts.blocks(overlap=1)
    ]
    targets, nontargets = pool_adjacent_violators(*(np.concatenate(side) for side in zip(*pooled, strict=True)))
    with np.errstate(divide="ignore"):
        ratio = np.log(targets / counts.n_target) - np.log(nontargets / counts.n_nontarget)
    # a group without nontargets has an infinite ratio, which costs its targets nothing; 0 * inf is never computed
    of_targets = targets[targets > 0] @ softplus_bits(-ratio[targets > 0]) / counts.n_target
    of_nontargets = nontargets[nontargets > 0] @ softplus_bits(ratio[nontargets > 0]) / counts.n_nontarget
    return float((of_targets + of_nontargets) / 2)


def pool_adjacent_violators(targets: np.ndarray, nontargets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge neighbouring groups until the share of targets strictly increases from group to group.

    Parameters
    ----------
    targets, nontargets : (k,) int, number of each at a score, in ascending order of the score

    Returns
    -------
    targets, nontargets : of the merged groups, two int64 arrays of equal length

    Notes
    -----
    The result does not depend on the order of merging. Whole runs that do not increase are therefore merged at once as
    long as this shortens the list, and the remaining groups one by one with the usual stack.

    Examples
    --------
    >>> [x.tolist() for x in pool_adjacent_violators(np.array([0, 1, 0, 1]), np.array([1, 0, 1, 0]))]
    [[0, 1, 1], [1, 1, 0]]
    """
    targets, nontargets = np.asarray(targets, np.int64), np.asarray(nontargets, np.int64)
    while len(targets) > 1:
        grows = targets[1:] * nontargets[:-1] > targets[:-1] * nontargets[1:]
        starts = np.flatnonzero(np.concatenate([[True], grows]))
        if len(starts) == len(targets):
            return targets, nontargets
        shrinks_much = len(starts) < 0.9 * len(targets)
        targets, nontargets = np.add.reduceat(targets, starts), np.add.reduceat(nontargets, starts)
        if not shrinks_much:
            return pool_one_by_one(targets, nontargets)
    return targets, nontargets


def pool_one_by_one(targets: np.ndarray, nontargets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`pool_adjacent_violators` with a stack."""
    done: list[tuple[int, int]] = []
    for group in zip(targets.tolist(), nontargets.tolist(), strict=True):
        while done and group[0] * done[-1][1] <= done[-1][0] * group[1]:
            before = done.pop()
            group = (group[0] + before[0], group[1] + before[1])
        done.append(group)
    merged = np.array(done, np.int64)
    return merged[:, 0], merged[:, 1]
