"""Trains calibrations on labels of which some may be wrong: suspected recordings are left out, until nothing changes.

A few wrong labels among the targets spoil a calibration: it learns that the same person may look entirely different,
and then finds no wrong label any more. The first round therefore trains on the better-matching targets only, and
suspects too many; further rounds train on all but the suspected recordings, as trimmed regression does.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.trials import Trials
from avsv.people.suspects import find_suspects, ratio_matrix
from avsv.scoring.cross_fitting import cross_fit

log = logging.getLogger("avsv")
ROUNDS = 10
DOUBTED = 0.6  # of the target trials are left out in the first round; chosen on minivox, see egs/own/README.md


def trusted_trials(
    pairs: Trials,
    pair_columns: np.ndarray,
    trials: Trials,
    columns: np.ndarray,
    people: Mapping[str, str],
    folds: Mapping[str, str],
    threshold: float,
) -> tuple[Trials, list[str]]:
    """The labelled trials without recordings whose label is suspected.

    Parameters
    ----------
    pairs, pair_columns : all pairs of recordings and their scores, (n, systems), NaN where absent
    trials, columns : labelled ones
    people : recording -> person, of the known ones
    folds : recording -> fold of its person, see `cross_fit`
    threshold : see `find_suspects`

    Returns
    -------
    trials that remain ; the suspected recordings

    Raises
    ------
    InputError : too few trials for a fold, see `cross_fit`
    """
    recordings = sorted({*pairs.enroll_ids, *pairs.test_ids, *people}, key=str.encode)
    patterns = range(1, 1 << columns.shape[1])
    suspected: set[str] | None = None
    for _ in range(ROUNDS):
        kept = likely_labels(columns, trials.labels) if suspected is None else without(trials, suspected)
        rest = trials.take(kept)
        try:
            ratios = cross_fit(pairs, pair_columns, rest, columns[kept], folds, patterns=patterns)
        except InputError:
            if suspected is not None:
                raise
            suspected = set()  # too few targets to leave some out
            continue
        matrix = ratio_matrix(pairs, ratios, recordings)
        found = {one.recording for one in find_suspects(matrix, recordings, people, threshold)}
        if found == suspected:
            break
        suspected = found
    return trials.take(without(trials, suspected or set())), sorted(suspected or ())


def likely_labels(columns: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n,) bool, all nontargets, and the targets but for those with the lowest mean rank of their scores (`DOUBTED`).

    Parameters
    ----------
    columns : (n, systems) float, NaN where absent
    labels : (n,) bool

    Examples
    --------
    >>> likely_labels(np.array([[0.9], [0.8], [0.1], [0.7], [0.0]]), np.arange(5) < 4).tolist()
    [True, True, False, False, True]
    """
    ranks = np.full(columns.shape, np.nan)
    for column, rank in zip(columns.T, ranks.T, strict=True):
        present = ~np.isnan(column)
        rank[present] = np.searchsorted(np.sort(column[present]), column[present]) / max(1, present.sum())
    counts = (~np.isnan(ranks)).sum(axis=1)
    means = np.where(counts > 0, np.nansum(ranks, axis=1) / np.maximum(counts, 1), np.inf)
    order = np.flatnonzero(labels)[np.argsort(means[labels], kind="stable")]
    kept = np.ones(len(labels), bool)
    kept[order[: int(DOUBTED * len(order))]] = False
    return kept


def without(trials: Trials, recordings: set[str]) -> np.ndarray:
    """(n,) bool, trials without any of the recordings."""

    def present(ids: Sequence[str]) -> np.ndarray:
        return np.array([name not in recordings for name in ids], bool)

    sides = [present(ids)[trials.pairs[:, n]] for n, ids in enumerate((trials.enroll_ids, trials.test_ids))]
    return sides[0] & sides[1]
