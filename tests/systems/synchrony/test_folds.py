"""EER, AUC and average precision over folds of people, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from avsv.errors import InputError
from avsv.evaluation.errors import count_errors, eer
from avsv.evaluation.roc import average_precision
from avsv.systems.synchrony.folds import fold_people, measure_folds


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_equals_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    labels = rng.random(60) < 0.4
    scores = np.round(rng.normal(labels, 1), 1)  # with ties
    assert average_precision(count_errors(scores, labels)) == pytest.approx(average_precision_score(labels, scores))


def test_average_precision_of_one_class_is_not_a_number():
    assert np.isnan(average_precision(count_errors(np.zeros(3), np.ones(3, bool))))


def test_every_person_is_in_one_fold():
    folds = fold_people([f"p{i % 23}" for i in range(60)], 10)
    assert sorted(name for fold in folds for name in fold) == sorted({f"p{i}" for i in range(23)})
    assert {len(fold) for fold in folds} == {2, 3}
    assert folds == fold_people([f"p{i % 23}" for i in range(60)], 10)


def test_measures_are_means_over_the_folds():
    rng = np.random.default_rng(0)
    utt2spk = {f"u{i}": f"p{i // 2}" for i in range(12)}
    pairs = {utt: (rng.normal(1, 1, 9), rng.normal(2, 1, 14)) for utt in utt2spk}
    expected = []
    for people in fold_people(list(utt2spk.values()), 3):
        genuine, impostor = [], []
        for utt, (own, other) in pairs.items():
            if utt2spk[utt] in people:
                genuine += own.tolist()
                impostor += other.tolist()
        labels = np.array([True] * len(genuine) + [False] * len(impostor))
        scores = -np.array(genuine + impostor)
        expected.append((eer(scores, labels), roc_auc_score(labels, scores), average_precision_score(labels, scores)))
    summary = measure_folds(pairs, utt2spk, 3).summary()
    for name, column in zip(("eer", "auc", "ap"), np.array(expected).T, strict=True):
        assert summary[f"{name}_percent"] == pytest.approx(100 * column.mean())
        assert summary[f"{name}_sd"] == pytest.approx(100 * column.std(ddof=1))
    assert (summary["n_genuine"], summary["n_impostor"]) == (12 * 9, 12 * 14)


def test_too_few_people_and_unknown_clips_are_refused():
    pairs = {"u1": (np.ones(2), np.ones(2)), "u2": (np.ones(2), np.ones(2))}
    with pytest.raises(InputError, match="10 folds"):
        measure_folds(pairs, {"u1": "a", "u2": "b"})
    with pytest.raises(InputError, match=r"utt2spk.* u2"):
        measure_folds(pairs, {"u1": "a"}, 1)
