"""The bootstrap over people, against a loop that counts every trial of every resample."""

from itertools import pairwise

import numpy as np
import pytest

from avsv.evaluation import bootstrap as module
from avsv.evaluation import resamples
from avsv.evaluation.bootstrap import SpeakerBootstrap, interval
from avsv.evaluation.errors import count_errors


def make_trials(n_people=12, n_trials=600, separation=1.5, seed=0, tied=False):
    rng = np.random.default_rng(seed)
    people = rng.integers(0, n_people, (n_trials, 2))
    people[: n_trials // 3, 1] = people[: n_trials // 3, 0]
    labels = people[:, 0] == people[:, 1]
    scores = rng.standard_normal(n_trials) + separation * labels + 0.5 * rng.standard_normal(n_people)[people[:, 0]]
    return people, labels, scores.round(1) if tied else scores


def eer_of_weighted_trials(scores, labels, weights):
    """Every threshold tried, with weights in place of counts."""
    points = []
    for threshold in [*sorted(set(scores.tolist())), np.inf]:
        accepted = scores >= threshold
        miss = weights[labels & ~accepted].sum() / weights[labels].sum()
        points.append((miss, weights[~labels & accepted].sum() / weights[~labels].sum()))
    for (miss0, fa0), (miss1, fa1) in pairwise(points):
        if miss0 <= fa0 and miss1 >= fa1:
            step = (fa0 - miss0) / ((fa0 - miss0) + (miss1 - fa1))
            return miss0 + step * (miss1 - miss0)
    raise AssertionError("the rates must cross")


def eers_by_loop(people, labels, scores, n_resamples, seed):
    rng = np.random.default_rng(seed)
    n_people = people.max() + 1
    eers = []
    for drawn in rng.integers(0, n_people, (n_resamples, n_people)):
        times = [(drawn == person).sum() for person in range(n_people)]
        weights = np.array([times[a] if a == b else times[a] * times[b] for a, b in people], float)
        eers.append(eer_of_weighted_trials(scores, labels, weights))
    return np.array(eers)


@pytest.mark.parametrize("separation", [-1.0, 0.0, 1.5, 5.0])
@pytest.mark.parametrize("tied", [False, True])
def test_resampled_eers_are_those_of_a_loop(separation, tied):
    people, labels, scores = make_trials(separation=separation, tied=tied)
    found = SpeakerBootstrap(people, labels, 40, seed=3).eers(scores, count_errors(scores, labels))
    assert found == pytest.approx(eers_by_loop(people, labels, scores, 40, 3), abs=1e-9)


def costs_of_weighted_trials(scores, labels, weights, p):
    """minDCF over every threshold, actDCF and Cllr, with weights in place of counts."""
    of_targets, of_nontargets = (weights * which / (weights * which).sum() for which in (labels, ~labels))

    def cost(accepted):
        return (p * (of_targets @ ~accepted) + (1 - p) * (of_nontargets @ accepted)) / min(p, 1 - p)

    least = min(cost(scores >= threshold) for threshold in [*np.unique(scores), np.inf])
    bits = np.logaddexp(0, np.where(labels, -scores, scores)) / np.log(2)
    return least, cost(scores >= np.log((1 - p) / p)), (of_targets + of_nontargets) @ bits / 2


def weights_by_loop(people, n_resamples, seed):
    n_people = people.max() + 1
    for drawn in np.random.default_rng(seed).integers(0, n_people, (n_resamples, n_people)):
        times = np.bincount(drawn, minlength=n_people)
        yield np.where(people[:, 0] == people[:, 1], times[people[:, 0]], times[people].prod(axis=1)).astype(float)


@pytest.mark.parametrize("p", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("separation", [-1.0, 0.0, 2.0, 8.0])
@pytest.mark.parametrize("tied", [False, True])
def test_resampled_costs_are_those_of_a_loop(separation, tied, p):
    people, labels, scores = make_trials(separation=separation, tied=tied)
    found = SpeakerBootstrap(people, labels, 20, seed=3).measures(scores, count_errors(scores, labels), [p])
    weights = weights_by_loop(people, 20, 3)
    least, actual, bits = zip(*(costs_of_weighted_trials(scores, labels, w, p) for w in weights), strict=True)
    assert found.min_dcf[p] == pytest.approx(least, abs=1e-9)
    assert found.act_dcf[p] == pytest.approx(actual, abs=1e-9)
    assert found.cllr == pytest.approx(bits, rel=1e-5)  # sums of costs are float32


def test_the_window_is_widened_for_costs_until_it_is_enough(monkeypatch):
    people, labels, scores = make_trials(separation=3.0)
    counts = count_errors(scores, labels)
    expected = SpeakerBootstrap(people, labels, 30).measures(scores, counts, [0.05]).min_dcf[0.05]
    chosen = []
    narrow = module.choose_points

    def choose_narrowly(counts, spread, *rest):
        chosen.append(spread)
        return narrow(counts, spread / 4, *rest)

    monkeypatch.setattr(module, "choose_points", choose_narrowly)
    found = SpeakerBootstrap(people, labels, 30).measures(scores, counts, [0.05]).min_dcf[0.05]
    assert found == pytest.approx(expected, abs=1e-12)
    assert len(set(chosen)) > 1


def test_thinned_thresholds_raise_min_dcf_by_next_to_nothing(monkeypatch):
    people, labels, scores = make_trials(n_people=40, n_trials=40000)
    counts = count_errors(scores, labels)
    thinned = SpeakerBootstrap(people, labels, 50).measures(scores, counts, [0.01, 0.05]).min_dcf
    monkeypatch.setattr(module, "EDGES", 10**6)
    exact = SpeakerBootstrap(people, labels, 50).measures(scores, counts, [0.01, 0.05]).min_dcf
    for p in (0.01, 0.05):
        assert (thinned[p] >= exact[p] - 1e-12).all()
        assert thinned[p] == pytest.approx(exact[p], abs=1e-3)


def test_infinite_costs_have_no_interval():
    people, labels, scores = make_trials()
    scores[np.flatnonzero(labels)[0]] = -np.inf
    found = SpeakerBootstrap(people, labels, 10).measures(scores, count_errors(scores, labels), [0.05])
    assert np.isnan(found.cllr).all()
    assert interval(found.cllr) is None
    assert np.isfinite(found.min_dcf[0.05]).all()


def test_some_of_the_trials_have_the_resamples_of_all():
    people, labels, scores = make_trials()
    some = np.arange(len(labels)) % 2 == 0
    found = (
        SpeakerBootstrap(people, labels, 20, seed=3)
        .take(some)
        .eers(scores[some], count_errors(scores[some], labels[some]))
    )
    expected = [eer_of_weighted_trials(scores[some], labels[some], w[some]) for w in weights_by_loop(people, 20, 3)]
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("dense", [0, 3])
def test_people_are_counted_in_a_square_table_or_not(monkeypatch, dense):
    people, labels, scores = make_trials()
    expected = SpeakerBootstrap(people, labels, 40).eers(scores, count_errors(scores, labels))
    monkeypatch.setattr(resamples, "DENSE", dense)
    monkeypatch.setattr(module, "CELLS", 100)  # so that the resamples are drawn in parts, too
    found = SpeakerBootstrap(people, labels, 40).eers(scores, count_errors(scores, labels))
    assert found == pytest.approx(expected, abs=1e-12)


def test_thinned_thresholds_change_next_to_nothing(monkeypatch):
    people, labels, scores = make_trials(n_people=40, n_trials=20000)
    counts = count_errors(scores, labels)
    thinned = SpeakerBootstrap(people, labels, 50).eers(scores, counts)
    monkeypatch.setattr(module, "EDGES", 10**6)
    assert thinned == pytest.approx(SpeakerBootstrap(people, labels, 50).eers(scores, counts), abs=5e-4)


def test_infinite_scores_are_scores():
    people, labels, scores = make_trials(tied=True)
    scores = np.where(scores > 2, np.inf, np.where(scores < -2, -np.inf, scores))
    ranks = np.searchsorted(np.unique(scores), scores).astype(float)
    found = SpeakerBootstrap(people, labels, 20).eers(scores, count_errors(scores, labels))
    assert found == pytest.approx(eers_by_loop(people, labels, ranks, 20, 0), abs=1e-9)


def test_interval_holds_the_eer_and_narrows_with_people():
    widths = []
    for n_people in (20, 200):
        people, labels, scores = make_trials(n_people=n_people, n_trials=30000)
        counts = count_errors(scores, labels)
        low, high = SpeakerBootstrap(people, labels, 300).eer_interval(scores, counts)
        assert low < 0.25 < high or low < np.median([low, high]) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_interval_covers_the_truth_as_often_as_it_says():
    """60 small worlds with an EER of 15.9 % in truth; the 95 % interval should miss it about 3 times."""
    covered = 0
    for world in range(60):
        rng = np.random.default_rng(world)
        people = rng.integers(0, 30, (3000, 2))
        people[:1500, 1] = people[:1500, 0]
        labels = people[:, 0] == people[:, 1]
        own = rng.standard_normal((30, 30)) * np.sqrt(0.5)  # what all trials of a pair of people share
        scores = own[people[:, 0], people[:, 1]] + np.sqrt(0.5) * rng.standard_normal(3000) + 2 * labels
        low, high = SpeakerBootstrap(people, labels, 200).eer_interval(scores, count_errors(scores, labels))
        covered += low <= 0.158655 <= high
    assert 52 <= covered <= 60


def test_one_class_or_one_person_has_no_interval():
    scores, labels = np.arange(4.0), np.array([True, True, False, False])
    one = np.zeros((4, 2), int)
    assert SpeakerBootstrap(one, labels).eer_interval(scores, count_errors(scores, labels)) is None
    targets = np.ones(4, bool)
    two = np.array([[0, 0], [1, 1], [0, 0], [1, 1]])
    assert SpeakerBootstrap(two, targets).eer_interval(scores, count_errors(scores, targets)) is None


def test_the_same_seed_gives_the_same_interval():
    people, labels, scores = make_trials()
    counts = count_errors(scores, labels)
    first, second = (SpeakerBootstrap(people, labels, 50).eer_interval(scores, counts) for _ in range(2))
    assert first == second


def test_a_resample_without_any_error_in_the_window_has_an_eer_of_zero():
    none, some = np.zeros(3), np.array([0.0, 0.5, 1.0])
    fnr, fpr = np.stack([none, some], axis=1), np.stack([none, some[::-1]], axis=1)
    assert module.crossings(fnr, fpr).tolist() == [0.0, 0.5]


def test_a_resample_of_one_class_has_no_eer():
    rates = np.linspace(0, 1, 3)[:, None]
    unknown = np.full((3, 1), np.nan)
    assert np.isnan(module.crossings(rates, unknown)).all() and np.isnan(module.crossings(unknown, rates)).all()
