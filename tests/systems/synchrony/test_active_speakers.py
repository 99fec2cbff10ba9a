"""Active-speaker detection on synthetic distances."""

import numpy as np
import pytest

from avsv.systems.synchrony.active_speakers import find_speakers, mean_where, resample_flags, smooth

OFFSETS = np.arange(-5, 6) * 0.04
N = 60


def matrix(speaks, rng, column=5):
    """Distances of a face: lower by 1 at one offset while it speaks."""
    distances = 5 + 0.3 * rng.normal(size=(N, len(OFFSETS)))
    distances[speaks, column] -= 1
    return distances


def speakers(*faces, voice=None, moving=None, threshold=0.4):
    voice = np.ones(N, bool) if voice is None else voice
    moving = moving or [np.ones(N, bool)] * len(faces)
    return find_speakers(OFFSETS, list(faces), 0.04, voice, moving, threshold)


def test_the_face_with_the_matching_mouth_speaks(rng):
    found = speakers((0, matrix(slice(0), rng)), (0, matrix(slice(N), rng)))
    assert found.best == 1 and found.speaking[1].mean() > 0.95 and not found.speaking[0].any()
    assert found.overall[1] == pytest.approx(1, abs=0.2) and found.overall[0] == pytest.approx(0, abs=0.2)


def test_speakers_may_change(rng):
    found = speakers((0, matrix(slice(30), rng)), (0, matrix(slice(30, N), rng)))
    assert found.speaking[0, :18].all() and found.speaking[1, 42:].all()
    assert not (found.speaking[0] & found.speaking[1]).any()


def test_the_offset_of_the_file_is_that_of_the_most_confident_face(rng):
    found = speakers((0, matrix(slice(0), rng)), (0, matrix(slice(N), rng, column=8)))
    assert found.offset == pytest.approx(0.12) and found.best == 1


def test_nobody_speaks_without_voice_or_movement(rng):
    face = (0, matrix(slice(N), rng))
    assert not speakers(face, voice=np.zeros(N, bool)).speaking.any()
    assert not speakers(face, moving=[np.zeros(N, bool)]).speaking.any()
    assert speakers(face, voice=np.zeros(N, bool)).best == 0


def test_a_face_that_fits_no_better_than_chance_is_not_the_speaker(rng):
    assert speakers((0, matrix(slice(0), rng))).speaking.mean() < 0.1


def test_a_face_has_no_score_before_it_appears(rng):
    found = speakers((0, matrix(slice(N), rng)), (20, matrix(slice(0), rng)[:40]))
    assert np.isnan(found.scores[1, :20]).all() and not np.isnan(found.scores[1, 20:]).any()


def test_smoothing_averages_the_neighbours_without_nan():
    values = np.random.default_rng(0).normal(size=20)
    values[[3, 4, 11]] = np.nan
    for place, found in enumerate(smooth(values, 2)):
        assert found == pytest.approx(np.nanmean(values[max(0, place - 2) : place + 3]))


def test_means_and_flags_at_their_edges():
    assert mean_where(np.array([1.0, np.nan, 3.0]), np.array([False, True, True])) == 3.0
    assert mean_where(np.array([1.0, np.nan, 3.0]), np.array([False, True, False])) == 2.0
    assert np.isnan(mean_where(np.array([np.nan]), np.array([True])))
    assert resample_flags(np.ones(3, bool), 25, 0.04, 5).tolist() == [True, True, True, False, False]


@pytest.fixture
def rng():
    return np.random.default_rng(0)
