"""Cost of log-likelihood ratios (Bruemmer and du Preez, Computer Speech and Language, 2006), in bits."""

import numpy as np

from avsv.evaluation.errors import POINTS, ErrorCounts


def softplus_bits(x: np.ndarray) -> np.ndarray:
    """log2(1 + exp(x)), without overflow."""
    return (np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))) / np.log(2.0)


def cllr(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean cost in bits of scores taken as natural-log likelihood ratios, both classes weighing the same.

    0 is perfect, 1 is what a system of constant 0 gets; infinite where an infinite score is wrong; NaN where one class
    has no trial.

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
    """What each trial costs in bits, (n,) float64."""
    scores = np.asarray(scores, np.float64)
    return softplus_bits(np.where(labels, -scores, scores))


def min_cllr(counts: ErrorCounts) -> float:
    """Cllr after the best monotone change of the scores: that of pooled adjacent violators (PAV).

    NaN where one class has no trial.

    Examples
    --------
    >>> from avsv.evaluation.errors import count_errors
    >>> min_cllr(count_errors(np.array([0.0, 1.0, 2.0]), np.array([False, True, True])))
    0.0
    """
    if not counts.n_target or not counts.n_nontarget:
        return float("nan")
    # block by block first, while all of a block is at hand: what is left of many millions is a few thousand
    pooled = [
        pool_adjacent_violators(np.diff(misses), -np.diff(false_alarms))
        for _, misses, false_alarms in counts.blocks(overlap=1)
    ]
    targets, nontargets = pool_adjacent_violators(*(np.concatenate(side) for side in zip(*pooled, strict=True)))
    with np.errstate(divide="ignore"):
        ratio = np.log(targets / counts.n_target) - np.log(nontargets / counts.n_nontarget)
    # a block with no nontargets has an infinite ratio, which costs its targets nothing (and 0 * inf is not formed)
    of_targets = targets[targets > 0] @ softplus_bits(-ratio[targets > 0]) / counts.n_target
    of_nontargets = nontargets[nontargets > 0] @ softplus_bits(ratio[nontargets > 0]) / counts.n_nontarget
    return float((of_targets + of_nontargets) / 2)


def pool_adjacent_violators(targets: np.ndarray, nontargets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge neighbouring groups until the share of targets strictly grows from group to group.

    Parameters
    ----------
    targets, nontargets : (k,) int, how many of each a score has, in ascending order of the score

    Returns
    -------
    the same of the merged groups, two arrays of equal length

    Notes
    -----
    Groups whose share does not grow are merged in any order with the same result. So whole falling runs are merged at
    once while that shrinks the list, and what is left goes through the usual stack, one by one.

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
    done: list[tuple[int, int]] = []
    for group in zip(targets.tolist(), nontargets.tolist(), strict=True):
        while done and group[0] * done[-1][1] <= done[-1][0] * group[1]:
            before = done.pop()
            group = (group[0] + before[0], group[1] + before[1])
        done.append(group)
    merged = np.array(done, np.int64)
    return merged[:, 0], merged[:, 1]
