"""Trains calibrations on labels of which some may be wrong: suspected recordings are left out, until nothing changes.

A few wrong labels among the targets spoil a calibration: it learns that the same person may look entirely different,
and then finds no wrong label any more. This is the usual trimming of robust regression.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from avsv.kaldi.trials import Trials
from avsv.people.suspects import find_suspects, ratio_matrix
from avsv.scoring.cross_fitting import cross_fit

log = logging.getLogger("avsv")
ROUNDS = 10


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
    suspected: set[str] = set()
    for _ in range(ROUNDS):
        kept = without(trials, suspected)
        rest = trials.take(kept)
        ratios = cross_fit(pairs, pair_columns, rest, columns[kept], folds, patterns=patterns)
        matrix = ratio_matrix(pairs, ratios, recordings)
        found = {one.recording for one in find_suspects(matrix, recordings, people, threshold)}
        if found == suspected:
            break
        suspected = found
    return trials.take(without(trials, suspected)), sorted(suspected)


def without(trials: Trials, recordings: set[str]) -> np.ndarray:
    """(n,) bool, trials without any of the recordings."""

    def present(ids: Sequence[str]) -> np.ndarray:
        return np.array([name not in recordings for name in ids], bool)

    sides = [present(ids)[trials.pairs[:, n]] for n, ids in enumerate((trials.enroll_ids, trials.test_ids))]
    return sides[0] & sides[1]
