"""EER, AUC and average precision over folds of people, as in Torfi et al., 2017 (10 folds)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.errors import count_errors, equal_error
from avsv.evaluation.roc import auc, average_precision


@dataclass(frozen=True)
class Folds:
    """Measures of each fold, (n,) float from 0 to 1, and the numbers of pairs."""

    eer: np.ndarray
    auc: np.ndarray
    average_precision: np.ndarray
    n_genuine: int
    n_impostor: int

    def summary(self) -> dict:
        """Mean and standard deviation over the folds in percent, and the counts, ready for JSON."""
        summary: dict = {"folds": len(self.eer), "n_genuine": self.n_genuine, "n_impostor": self.n_impostor}
        for name, values in (("eer", self.eer), ("auc", self.auc), ("ap", self.average_precision)):
            summary[f"{name}_percent"] = float(100 * values.mean())
            summary[f"{name}_sd"] = float(100 * values.std(ddof=1)) if len(values) > 1 else 0.0
        return summary


def fold_people(people: Sequence[str], n_folds: int, seed: int = 0) -> list[set[str]]:
    """Divide people among folds of nearly equal size, at random with a fixed seed.

    Examples
    --------
    >>> [len(fold) for fold in fold_people(list("abcdefg"), 3)]
    [3, 2, 2]
    """
    names = sorted(set(people))
    if not 1 <= n_folds <= len(names):
        raise InputError(f"{n_folds} folds of {len(names)} people: expected at least one person in each fold")
    order = np.random.default_rng(seed).permutation(len(names))
    return [{names[i] for i in order[fold::n_folds]} for fold in range(n_folds)]


def measure_folds(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], utt2spk: Mapping[str, str], n_folds: int = 10
) -> Folds:
    """EER, AUC and average precision of mouth-audio pairs over folds of people.

    Parameters
    ----------
    pairs : clip -> distances of its genuine pairs and of its impostor pairs
    utt2spk : clip -> person

    Raises
    ------
    InputError : a clip is missing from utt2spk, or people are fewer than folds
    """
    unknown = sorted(pairs.keys() - utt2spk.keys())
    if unknown:
        raise InputError(f"{len(unknown)} clips are missing from utt2spk, such as {unknown[0]}")
    measures = []
    for people in fold_people([utt2spk[utt] for utt in pairs], n_folds):
        mine = [pairs[utt] for utt in pairs if utt2spk[utt] in people]
        genuine, impostor = (np.concatenate(part) for part in zip(*mine, strict=True))
        counts = count_errors(
            -np.concatenate([genuine, impostor]), np.arange(len(genuine) + len(impostor)) < len(genuine)
        )
        measures.append((equal_error(counts)[0], auc(counts), average_precision(counts)))
    sizes = [sum(len(pair[kind]) for pair in pairs.values()) for kind in (0, 1)]
    return Folds(*(np.array(column) for column in zip(*measures, strict=True)), *sizes)
