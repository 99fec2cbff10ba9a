"""The bootstrap over speakers, compared with a loop over the trials of each resample."""

from itertools import pairwise

import numpy as np
import pytest

from avsv.evaluation import bootstrap as module
from avsv.evaluation import resamples
from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.errors import count_errors


def make_trials(n_speakers=12, n_trials=600, separation=1.5, seed=0, tied=False):
    rng = np.random.default_rng(seed)
    speakers = rng.integers(0, n_speakers, (n_trials, 2))
    speakers[: n_trials // 3, 1] = speakers[: n_trials // 3, 0]
    labels = speakers[:, 0] == speakers[:, 1]
    scores = rng.standard_normal(n_trials) + separation * labels + 0.5 * rng.standard_normal(n_speakers)[speakers[:, 0]]
    return speakers, labels, scores.round(1) if tied else scores


def eer_of_weighted_trials(scores, labels, weights):
    """EER over all thresholds, with weights instead of counts."""
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


def eers_by_loop(speakers, labels, scores, n_resamples, seed):
    rng = np.random.default_rng(seed)
    n_speakers = speakers.max() + 1
    eers = []
    for drawn in rng.integers(0, n_speakers, (n_resamples, n_speakers)):
        times = [(drawn == speaker).sum() for speaker in range(n_speakers)]
        weights = np.array([times[a] if a == b else times[a] * times[b] for a, b in speakers], float)
        eers.append(eer_of_weighted_trials(scores, labels, weights))
    return np.array(eers)


@pytest.mark.parametrize("separation", [-1.0, 0.0, 1.5, 5.0])
@pytest.mark.parametrize("tied", [False, True])
def test_resampled_eers_match_a_loop(separation, tied):
    speakers, labels, scores = make_trials(separation=separation, tied=tied)
    eers = SpeakerBootstrap(speakers, labels, 40, seed=3).eers(scores, count_errors(scores, labels))
    assert eers == pytest.approx(eers_by_loop(speakers, labels, scores, 40, 3), abs=1e-9)


def costs_of_weighted_trials(scores, labels, weights, p):
    """minDCF over all thresholds, actDCF and Cllr, with weights instead of counts."""
    of_targets, of_nontargets = (weights * which / (weights * which).sum() for which in (labels, ~labels))

    def cost(accepted):
        return (p * (of_targets @ ~accepted) + (1 - p) * (of_nontargets @ accepted)) / min(p, 1 - p)

    least = min(cost(scores >= threshold) for threshold in [*np.unique(scores), np.inf])
    bits = np.logaddexp(0, np.where(labels, -scores, scores)) / np.log(2)
    return least, cost(scores >= np.log((1 - p) / p)), (of_targets + of_nontargets) @ bits / 2


def weights_by_loop(speakers, n_resamples, seed):
    n_speakers = speakers.max() + 1
    for drawn in np.random.default_rng(seed).integers(0, n_speakers, (n_resamples, n_speakers)):
        times = np.bincount(drawn, minlength=n_speakers)
        yield np.where(speakers[:, 0] == speakers[:, 1], times[speakers[:, 0]], times[speakers].prod(axis=1)).astype(
            float
        )


@pytest.mark.parametrize("p", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("separation", [-1.0, 0.0, 2.0, 8.0])
@pytest.mark.parametrize("tied", [False, True])
def test_resampled_costs_match_a_loop(separation, tied, p):
    speakers, labels, scores = make_trials(separation=separation, tied=tied)
    resampled = SpeakerBootstrap(speakers, labels, 20, seed=3).measures(scores, count_errors(scores, labels), [p])
    weights = weights_by_loop(speakers, 20, 3)
    least, actual, bits = zip(*(costs_of_weighted_trials(scores, labels, w, p) for w in weights), strict=True)
    assert resampled.min_dcf[p] == pytest.approx(least, abs=1e-9)
    assert resampled.act_dcf[p] == pytest.approx(actual, abs=1e-9)
    assert resampled.cllr == pytest.approx(bits, rel=1e-5)  # sums of costs are float32


def test_a_window_too_narrow_for_the_costs_is_widened(monkeypatch):
    speakers, labels, scores = make_trials(separation=3.0)
    counts = count_errors(scores, labels)
    expected = SpeakerBootstrap(speakers, labels, 30).measures(scores, counts, [0.05]).min_dcf[0.05]
    chosen = []
    narrow = module.choose_points

    def choose_narrowly(counts, spread, *rest):
        chosen.append(spread)
        return narrow(counts, spread / 4, *rest)

    monkeypatch.setattr(module, "choose_points", choose_narrowly)
    widened = SpeakerBootstrap(speakers, labels, 30).measures(scores, counts, [0.05]).min_dcf[0.05]
    assert widened == pytest.approx(expected, abs=1e-12)
    assert len(set(chosen)) > 1


def test_thinned_thresholds_hardly_raise_min_dcf(monkeypatch):
    speakers, labels, scores = make_trials(n_speakers=40, n_trials=40000)
    counts = count_errors(scores, labels)
    thinned = SpeakerBootstrap(speakers, labels, 50).measures(scores, counts, [0.01, 0.05]).min_dcf
    monkeypatch.setattr(module, "EDGES", 10**6)
    exact = SpeakerBootstrap(speakers, labels, 50).measures(scores, counts, [0.01, 0.05]).min_dcf
    for p in (0.01, 0.05):
        assert (thinned[p] >= exact[p] - 1e-12).all()
        assert thinned[p] == pytest.approx(exact[p], abs=1e-3)


def test_infinite_costs_are_nan():
    speakers, labels, scores = make_trials()
    scores[np.flatnonzero(labels)[0]] = -np.inf
    resampled = SpeakerBootstrap(speakers, labels, 10).measures(scores, count_errors(scores, labels), [0.05])
    assert np.isnan(resampled.cllr).all()
    assert np.isfinite(resampled.min_dcf[0.05]).all()


def test_a_subset_of_the_trials_keeps_the_resamples_of_all():
    speakers, labels, scores = make_trials()
    some = np.arange(len(labels)) % 2 == 0
    bootstrap = SpeakerBootstrap(speakers, labels, 20, seed=3).take(some)
    eers = bootstrap.eers(scores[some], count_errors(scores[some], labels[some]))
    expected = [eer_of_weighted_trials(scores[some], labels[some], w[some]) for w in weights_by_loop(speakers, 20, 3)]
    assert eers == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("dense", [0, 3])
def test_the_size_of_the_square_table_does_not_matter(monkeypatch, dense):
    speakers, labels, scores = make_trials()
    expected = SpeakerBootstrap(speakers, labels, 40).eers(scores, count_errors(scores, labels))
    monkeypatch.setattr(resamples, "DENSE", dense)
    monkeypatch.setattr(module, "CELLS", 100)  # also draws the resamples in several blocks
    eers = SpeakerBootstrap(speakers, labels, 40).eers(scores, count_errors(scores, labels))
    assert eers == pytest.approx(expected, abs=1e-12)


def test_thinned_thresholds_hardly_change_the_eer(monkeypatch):
    speakers, labels, scores = make_trials(n_speakers=40, n_trials=20000)
    counts = count_errors(scores, labels)
    thinned = SpeakerBootstrap(speakers, labels, 50).eers(scores, counts)
    monkeypatch.setattr(module, "EDGES", 10**6)
    assert thinned == pytest.approx(SpeakerBootstrap(speakers, labels, 50).eers(scores, counts), abs=5e-4)


def test_infinite_scores_count_by_their_rank():
    speakers, labels, scores = make_trials(tied=True)
    scores = np.where(scores > 2, np.inf, np.where(scores < -2, -np.inf, scores))
    ranks = np.searchsorted(np.unique(scores), scores).astype(float)
    eers = SpeakerBootstrap(speakers, labels, 20).eers(scores, count_errors(scores, labels))
    assert eers == pytest.approx(eers_by_loop(speakers, labels, ranks, 20, 0), abs=1e-9)


def test_the_same_seed_gives_the_same_resamples():
    speakers, labels, scores = make_trials()
    counts = count_errors(scores, labels)
    first, second = (SpeakerBootstrap(speakers, labels, 50).eers(scores, counts) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_subset_keeps_the_pairs_of_people():
    speakers, labels, _ = make_trials()
    some = np.arange(len(labels)) % 2 == 0
    whole = SpeakerBootstrap(speakers, labels)
    errors = np.random.default_rng(0).random((~labels & some).sum()) < 0.2
    parts = (whole.take(some).clusters, SpeakerBootstrap(speakers[some], labels[some]).clusters)
    kept, renumbered = (part.influence(False, errors).variance for part in parts)
    assert kept == pytest.approx(renumbered)
