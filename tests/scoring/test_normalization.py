"""Score normalisation, compared with double loops."""

import csv

import numpy as np
import pytest

from avsv.errors import InputError, OptionError
from avsv.evaluation.errors import eer
from avsv.scoring.cosine import inner_products, unit_length
from avsv.scoring.normalization import METHODS, n_highest, normalize

RNG = np.random.default_rng(0)
RECORDINGS = unit_length(RNG.standard_normal((12, 5)))
COHORT = unit_length(RNG.standard_normal((40, 5)) + 0.3)
BOTH = COHORT, COHORT
PAIRS = RNG.integers(0, 12, (50, 2))
SCORES = np.array([RECORDINGS[a] @ RECORDINGS[b] for a, b in PAIRS], float)


def z(score, others):
    return (score - np.mean(others)) / np.std(others)


def of_cohort(recording):
    return [float(RECORDINGS[recording] @ member) for member in COHORT]


def zt(score, enroll, test):
    """zt-norm by definition: each cohort model's score of the test is z-normalised by its scores of the others."""
    models = []
    for number, model in enumerate(COHORT):
        others = [float(model @ member) for other, member in enumerate(COHORT) if other != number]
        models.append(z(float(RECORDINGS[test] @ model), others))
    return z(z(score, of_cohort(enroll)), models)


def by_loop(method, n_best, choice="own"):
    normalised = []
    for (a, b), score in zip(PAIRS, SCORES):
        if method == "zt-norm":
            normalised.append(zt(score, a, b))
            continue
        sides = []
        for recording, other in ((a, b), (b, a)):
            scores = np.array(of_cohort(recording))
            if method in ("as-norm", "mean-norm"):
                chosen = np.argsort(of_cohort(recording if choice == "own" else other))[-n_best:]
                scores = scores[chosen]
            sides.append(score - scores.mean() if method == "mean-norm" else z(score, scores))
        normalised.append({"z-norm": sides[0], "t-norm": sides[1]}.get(method, sum(sides) / 2))
    return normalised


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_best", [2, 10, 40])
def test_scores_match_a_double_loop(method, n_best):
    normalised = normalize(method, SCORES, PAIRS, RECORDINGS, BOTH, n_best)
    assert normalised == pytest.approx(by_loop(method, n_best), rel=1e-4)


@pytest.mark.parametrize("method", ["as-norm", "mean-norm"])
@pytest.mark.parametrize("n_best", [2, 10, 40])
def test_the_other_recordings_choice_matches_a_double_loop(method, n_best):
    normalised = normalize(method, SCORES, PAIRS, RECORDINGS, BOTH, n_best, "other")
    assert normalised == pytest.approx(by_loop(method, n_best, "other"), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("method", ["as-norm", "mean-norm"])
def test_members_of_a_recordings_own_fold_are_left_out(method):
    """Each trial equals the mean of its sides' scores, normalised by the cohort without the side's fold."""
    folds = np.arange(len(RECORDINGS)) % 3, np.arange(len(COHORT)) % 4  # the members of fold 3 serve everybody
    normalised = normalize(method, SCORES, PAIRS, RECORDINGS, BOTH, len(COHORT), "own", folds)
    for (a, b), score, found in zip(PAIRS, SCORES, normalised):
        sides = []
        for recording in (a, b):
            others = np.array(of_cohort(recording))[folds[1] != folds[0][recording]]
            sides.append(score - others.mean() if method == "mean-norm" else z(score, others))
        assert found == pytest.approx(sum(sides) / 2, rel=1e-4, abs=1e-5)


def test_folds_use_the_same_share_of_fewer_members():
    folds = np.zeros(len(RECORDINGS), int), np.arange(len(COHORT)) % 2
    normalised = normalize("mean-norm", SCORES, PAIRS, RECORDINGS, BOTH, 10, "own", folds)
    half = COHORT[1::2]
    assert normalised == pytest.approx(normalize("mean-norm", SCORES, PAIRS, RECORDINGS, (half, half), 5), rel=1e-5)


def test_of_a_few_members_at_least_two_are_used():
    """A tenth of the three members in other folds would be none."""
    folds = (
        np.ones(len(RECORDINGS), int),
        (np.arange(len(COHORT)) >= 3).astype(int),
    )
    normalised = normalize("mean-norm", SCORES, PAIRS, RECORDINGS, BOTH, len(COHORT) // 10, "own", folds)
    best = [np.sort(np.array(of_cohort(recording))[:3])[-2:].mean() for recording in range(len(RECORDINGS))]
    expected = [score - (best[a] + best[b]) / 2 for score, (a, b) in zip(SCORES, PAIRS, strict=True)]
    assert normalised == pytest.approx(expected, abs=1e-4)
    assert n_highest(4, top_share=0.3) == 2


@pytest.mark.parametrize(("method", "choice"), [("s-norm", "own"), ("as-norm", "other")])
def test_folds_go_with_own_highest_scores_only(method, choice):
    folds = np.zeros(len(RECORDINGS), int), np.ones(len(COHORT), int)
    with pytest.raises(OptionError):
        normalize(method, SCORES, PAIRS, RECORDINGS, BOTH, 10, choice, folds)


def test_a_fold_without_two_members_in_others_is_refused():
    folds = np.zeros(len(RECORDINGS), int), np.array([1, *[0] * (len(COHORT) - 1)])
    with pytest.raises(InputError):
        normalize("as-norm", SCORES, PAIRS, RECORDINGS, BOTH, 40, "own", folds)


def test_the_choices_differ():
    own, other = (normalize("as-norm", SCORES, PAIRS, RECORDINGS, BOTH, 10, choice) for choice in ("own", "other"))
    assert not np.allclose(own, other, rtol=0.01)


@pytest.mark.parametrize("method", ["z-norm", "t-norm", "zt-norm"])
def test_enrolment_and_test_side_of_the_cohort_are_distinguished(method):
    """Sides that differ but give the same inner products give the same scores."""
    turn, _ = np.linalg.qr(RNG.standard_normal((5, 5)))
    stretch = turn * [1, 2, 3, 4, 5]
    left, right = COHORT @ stretch, COHORT @ np.linalg.inv(stretch).T
    normalised = normalize(method, SCORES, PAIRS, RECORDINGS @ stretch, (left, right))
    assert normalised == pytest.approx(normalize(method, SCORES, PAIRS, RECORDINGS, BOTH), rel=1e-4)


def test_a_cohort_smaller_than_top_n_is_used_whole_with_a_warning(caplog):
    assert n_highest(40) == 40
    assert caplog.records[0].args == (40, 300)
    assert n_highest(40, top_share=0.25) == 10


@pytest.mark.parametrize(
    ("method", "cohort", "n_best", "n_scores"),
    [("s-norm", COHORT[:1], None, 1), ("as-norm", COHORT, 1, 1), ("zt-norm", COHORT[:2], None, 1)],
)
def test_one_cohort_score_is_refused(method, cohort, n_best, n_scores):
    with pytest.raises(InputError, match=f"found {n_scores}$"):
        normalize(method, SCORES, PAIRS, RECORDINGS, (cohort, cohort), n_best)


@pytest.mark.parametrize(("method", "choice"), [*((method, "own") for method in METHODS), ("as-norm", "other")])
def test_equal_cohort_scores_are_refused(method, choice):
    same = np.repeat(COHORT[:1], 5, axis=0)
    with pytest.raises(InputError, match="standard deviation"):
        normalize(method, SCORES, PAIRS, RECORDINGS, (same, same), 3, choice)


@pytest.mark.parametrize("choice", ["own", "other"])
@pytest.mark.parametrize("part", ["nsc1", "nsc2"])
def test_as_norm_with_a_cohort_of_other_speakers_lowers_the_eer_on_real_voices(real_data, part, choice):
    with np.load(real_data / "nsc" / "embeddings.npz", allow_pickle=False) as file:
        keys, unit = file["keys"].tolist(), unit_length(file["ecapa"].astype("f4"))
    here = np.array([key.startswith(part) for key in keys])
    rows = {key.split("/")[1]: number for number, key in enumerate(np.array(keys)[here].tolist())}
    with open(real_data / "nsc" / f"{part.replace('nsc', 'pt')}_trials.csv", encoding="utf-8") as table:
        lines = list(csv.DictReader(table))
    pairs = np.array([[rows[line[side].removesuffix(".wav")] for side in ("utt1", "utt2")] for line in lines])
    labels = np.array([line["label"] == "1" for line in lines])
    raw = inner_products(unit[here], unit[here], pairs)
    normalised = normalize("as-norm", raw, pairs, unit[here], (unit[~here], unit[~here]), 300, choice)
    assert eer(normalised, labels) < 0.75 * eer(raw, labels)
