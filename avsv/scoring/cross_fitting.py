"""Cross-fitted score fusion: each trial by a model that has seen nobody of its fold, when only one set is labelled."""

import logging
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.trials import Trials
from avsv.scoring.calibration import ScoreFusion, pattern_code, pattern_codes, train_fusion

log = logging.getLogger("avsv")


def cross_fit(
    trials: Trials,
    columns: np.ndarray,
    train_trials: Trials,
    train_columns: np.ndarray,
    folds: Mapping[str, str],
    p_target: float = 0.01,
    patterns: Iterable[int] | None = None,
) -> np.ndarray:
    """Log-likelihood ratios of trials, each by a fusion trained on the trials that share no fold with it.

    Where a fold's training trials do not suffice for the systems of a trial, fewer of its systems are used (none: the
    ratio is 0), and the log counts such trials.

    Parameters
    ----------
    trials, columns : to fuse, and their scores, (n, systems), NaN where absent
    train_trials, train_columns : the same, with labels
    folds : recording -> fold; a recording without one is in no training trial's way
    patterns : sets of systems that get a map, as for `train_fusion`

    Returns
    -------
    (n,) float64, natural logarithm

    Raises
    ------
    InputError : no target, or no nontarget trial, is left to train on

    Examples
    --------
    >>> trials = Trials(["a1", "b1"], ["a2", "b2"], np.array([[0, 0], [1, 1], [0, 1], [1, 0]]), np.arange(4) < 2)
    >>> more = Trials(["c1", "d1"], ["c2", "d2"], trials.pairs, trials.labels)
    >>> scores, folds = np.array([[2.0], [1.0], [0.0], [1.5]]), {"a1": "1", "a2": "1"}
    >>> bool((cross_fit(trials, scores, more, scores, folds) == train_fusion(scores, more.labels).apply(scores)).all())
    True
    """
    numbers = {fold: number for number, fold in enumerate(sorted(set(folds.values())))}
    of_trials, of_training = (fold_pairs(each, folds, numbers) for each in (trials, train_trials))
    kinds, kind = np.unique(of_trials, axis=0, return_inverse=True)
    ratios, n_reduced = np.zeros(len(trials)), 0
    patterns = None if patterns is None else list(patterns)
    for number, pair in enumerate(kinds):
        held_out = pair[pair >= 0]
        apart = ~np.isin(of_training, held_out).any(axis=1)
        labels = train_trials.labels[apart]
        if labels.all() or not labels.any():
            names = " and ".join(sorted({fold for fold, place in numbers.items() if place in held_out}))
            raise InputError(f"without fold {names} no target or no nontarget trial is left to train on; expected "
                            "three or more folds with people of several recordings")  # fmt: skip
        fusion = train_fusion(train_columns[apart], labels, p_target, patterns=patterns)
        rows = np.flatnonzero(kind.reshape(-1) == number)
        usable = usable_columns(fusion, columns[rows])
        n_reduced += int((np.isnan(usable) & ~np.isnan(columns[rows])).any(axis=1).sum())
        ratios[rows] = fusion.apply(usable)
    if n_reduced:
        log.warning("%d trials are fused without some of their scores: too few other trials have these", n_reduced)
    return ratios


def fold_pairs(trials: Trials, folds: Mapping[str, str], numbers: Mapping[str, int]) -> np.ndarray:
    """The folds of both sides of each trial, the lower number first, -1 for none; (n, 2) int."""

    def side(ids: Sequence[str]) -> np.ndarray:
        return np.array([numbers[folds[name]] if name in folds else -1 for name in ids], int)

    both = [side(ids)[trials.pairs[:, n]] for n, ids in enumerate((trials.enroll_ids, trials.test_ids))]
    return np.sort(np.stack(both, axis=1), axis=1)


def usable_columns(fusion: ScoreFusion, columns: np.ndarray) -> np.ndarray:
    """Scores with NaN for systems that a fusion cannot use, because it has no map for the set of a trial's systems.

    Of the sets that have a map and are part of the trial's, the one of most systems is used.

    Examples
    --------
    >>> from avsv.scoring.calibration import Map
    >>> fusion = ScoreFusion(["voice", "face"], 0.5, [], [Map([True, False], [2.0], 0.0)])
    >>> usable_columns(fusion, np.array([[1.0, 2.0], [np.nan, 2.0]])).tolist()
    [[1.0, nan], [nan, nan]]
    """
    known = {pattern_code(one.present): np.array(one.present) for one in fusion.maps}
    codes, usable = pattern_codes(columns), columns.copy()
    for code in set(np.unique(codes).tolist()) - {0, *known}:
        parts = [present for other, present in known.items() if other & code == other]
        kept = max(parts, key=np.sum, default=np.zeros(columns.shape[1], bool))
        usable[np.ix_(codes == code, ~kept)] = np.nan
    return usable
