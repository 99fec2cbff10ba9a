"""Cross-fitted fusion against a plain loop over the trials."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.kaldi.trials import Trials
from avsv.scoring.calibration import train_fusion
from avsv.scoring.cross_fitting import cross_fit

NAMES = [f"{person}{n}" for person in "abcdef" for n in range(3)]
PAIRS = np.array([(i, j) for i in range(18) for j in range(i + 1, 18)], np.int32)
LABELS = np.array([NAMES[i][0] == NAMES[j][0] for i, j in PAIRS])
FOLDS = {name: str("abcdef".index(name[0]) // 2) for name in NAMES}


def draw(seed=0):
    rng = np.random.default_rng(seed)
    return LABELS[:, None] + rng.standard_normal((len(LABELS), 2))


def test_every_trial_is_scored_by_a_model_that_has_seen_nobody_of_its_folds():
    trials, scores = Trials(NAMES, NAMES, PAIRS, LABELS), draw()
    ratios = cross_fit(trials, scores, trials, scores, FOLDS)
    for number in range(0, len(trials), 7):
        held_out = {FOLDS[name] for name in trials[number]}
        apart = np.array([held_out.isdisjoint({FOLDS[name] for name in trials[n]}) for n in range(len(trials))])
        model = train_fusion(scores[apart], LABELS[apart])
        assert ratios[number] == pytest.approx(model.apply(scores[number : number + 1])[0], abs=1e-9)


def test_a_recording_without_a_fold_is_scored_by_a_model_of_all_others():
    trials, scores = Trials(NAMES, NAMES, PAIRS, LABELS), draw()
    new = Trials(["x"], ["y", "a0"], np.array([[0, 0], [0, 1]], np.int32))
    ratios = cross_fit(new, np.ones((2, 2)), trials, scores, FOLDS)
    apart = np.array(["0" not in {FOLDS[name] for name in trials[n]} for n in range(len(trials))])
    expected = [train_fusion(scores[rows], LABELS[rows]).apply(np.ones((1, 2)))[0] for rows in (slice(None), apart)]
    assert ratios.tolist() == pytest.approx(expected, abs=1e-9)


def test_a_system_without_training_trials_in_some_fold_is_not_used_there():
    trials, scores = Trials(NAMES, NAMES, PAIRS, LABELS), draw()
    of_a = np.array([all(name[0] == "a" for name in trials[n]) for n in range(len(trials))])
    scores[~of_a, 1] = np.nan  # only the first person has the second modality
    ratios = cross_fit(trials, scores, trials, scores, FOLDS, patterns=[1, 2, 3])
    alone = cross_fit(trials, scores[:, :1], trials, scores[:, :1], FOLDS)
    assert ratios == pytest.approx(alone, abs=1e-6)


def test_two_folds_leave_nothing_to_train_on():
    trials, scores = Trials(NAMES, NAMES, PAIRS, LABELS), draw()
    with pytest.raises(InputError):
        cross_fit(trials, scores, trials, scores, {name: str(name < "d") for name in NAMES})
