"""DET curves and their bands."""

import numpy as np
import pytest

from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.det import det_band, det_points, lowest_rate, normal_deviate
from avsv.evaluation.errors import count_errors


def two_way_trials(n_speakers, seed=0):
    """All pairs of the clips of all speakers, two each; scores with speaker effects."""
    rng = np.random.default_rng(seed)
    clips = np.repeat(np.arange(n_speakers), 2)
    one, other = np.triu_indices(len(clips), 1)
    speakers = np.stack([clips[one], clips[other]], axis=1)
    labels = speakers[:, 0] == speakers[:, 1]
    effect = rng.standard_normal(n_speakers)
    scores = rng.standard_normal(len(labels)) + 2 * labels + 0.5 * effect[speakers].sum(axis=1)
    return speakers, labels, scores


def test_the_curve_consists_of_true_rates():
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 0.5
    counts = count_errors(rng.standard_normal(300) + labels, labels)
    fpr, fnr = det_points(counts)
    assert set(zip(fpr, fnr)) <= set(zip(counts.fpr, counts.fnr))
    assert (np.diff(fpr) <= 0).all()
    assert (np.diff(fnr) >= 0).all()


def test_the_band_covers_the_curve_of_the_population_at_one_fpr():
    """60 lists; the pointwise band should miss the population's FNR at an FPR of about 10 % three times."""
    speakers, labels, scores = two_way_trials(600, seed=3)
    truth = count_errors(scores, labels)
    covered = 0
    for seed in range(60):
        speakers, labels, scores = two_way_trials(20, seed=seed)
        fpr, low, high = det_band(scores, count_errors(scores, labels), SpeakerBootstrap(speakers, labels))
        place = int(np.argmin(np.abs(fpr - 0.1)))
        point = int(np.argmin(np.abs(truth.fpr - fpr[place])))
        covered += low[place] <= truth.fnr[point] <= high[place]
    assert covered >= 53


def test_the_band_of_a_system_without_errors_has_an_upper_end():
    speakers, labels, scores = two_way_trials(20)
    scores = scores + 30 * labels
    _, low, high = det_band(scores, count_errors(scores, labels), SpeakerBootstrap(speakers, labels))
    assert (low == 0).all() and (high > 0).all() and high[-1] < 0.5


def test_the_band_contains_the_curve_nearly_everywhere():
    speakers, labels, scores = two_way_trials(30, seed=1)
    counts = count_errors(scores, labels)
    places, low, high = det_band(scores, counts, SpeakerBootstrap(speakers, labels, 200))
    own = np.interp(places, counts.fpr[::-1], counts.fnr[::-1])
    assert ((low <= own) & (own <= high)).mean() > 0.9


def test_one_speaker_gives_no_band():
    labels = np.array([True, False])
    counts = count_errors(np.array([1.0, 0.0]), labels)
    assert det_band(np.array([1.0, 0.0]), counts, SpeakerBootstrap(np.zeros((2, 2), np.int32), labels, 10)) is None


@pytest.mark.parametrize(
    ("n_target", "n_nontarget", "expected"), [(100, 900, 0.005), (5, 5, 0.02), (10**6, 10**6, 1e-4)]
)
def test_axes_begin_at_half_an_error_within_limits(n_target, n_nontarget, expected):
    assert lowest_rate(n_target, n_nontarget) == expected


def test_rates_of_0_and_1_have_finite_deviates_outside_the_plot():
    assert normal_deviate(np.array([0.0])) < normal_deviate(np.array([1e-4]))
    assert np.isfinite(normal_deviate(np.array([0.0, 1.0]))).all()
