"""The offset search against plain loops and synthetic clips with a known delay of the audio."""

from types import SimpleNamespace

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.systems.synchrony.offsets import distance_matrix, find_offset, pair_distances, shift_columns


def clip(n=40, late=0, step=0.04, audio_step=0.04, noise=0.3, seed=0, first=0):
    """A clip with the same random vectors for mouth and audio, the audio delayed by `late` audio steps."""
    rng = np.random.default_rng(seed)
    ratio = round(step / audio_step)
    truth = np.cumsum(rng.normal(size=(n * ratio + 100, 8)), 0) / 3
    mouths = truth[50 : 50 + n * ratio : ratio] + noise * rng.normal(size=(n, 8))
    audio = truth[50 - late : 50 - late + n * ratio]
    return SimpleNamespace(mouths=mouths, audio=audio + noise * rng.normal(size=audio.shape), step=step,
                           audio_step=audio_step, first=first, last=n)  # fmt: skip


@pytest.mark.parametrize("step, audio_step", [(0.04, 0.04), (0.1, 0.02)])
def test_the_distance_matrix_equals_plain_loops(step, audio_step):
    vectors = clip(12, step=step, audio_step=audio_step, first=2)
    offsets, matrix = distance_matrix(vectors, 0.2)
    assert offsets[0] == pytest.approx(-0.2) and offsets[-1] == pytest.approx(0.2)
    assert matrix.shape == (10, len(offsets))
    for row, cube in enumerate(range(2, 12)):
        for column, offset in enumerate(offsets):
            place = round((cube * step + offset) / audio_step)
            if 0 <= place < len(vectors.audio):
                expected = np.sqrt(((vectors.mouths[cube] - vectors.audio[place]) ** 2).sum())
                assert matrix[row, column] == pytest.approx(expected)
            else:
                assert np.isnan(matrix[row, column])


@pytest.mark.parametrize("late", [-10, -3, 0, 1, 10])
def test_the_offset_of_delayed_audio_is_found(late):
    found = find_offset(*distance_matrix(clip(50, late)))
    assert found.offset == pytest.approx(0.04 * late)
    assert found.confidence == pytest.approx(np.median(found.distances) - found.distances.min())
    assert found.distance == found.distances.min()


def test_offsets_are_multiples_of_the_audio_step():
    assert find_offset(*distance_matrix(clip(20, late=7, step=0.1, audio_step=0.02))).offset == pytest.approx(0.14)


def test_audio_of_another_clip_has_lower_confidence():
    own, other = clip(50, seed=1), clip(50, seed=2)
    mixed = SimpleNamespace(**{**vars(own), "audio": other.audio})
    assert find_offset(*distance_matrix(mixed)).confidence < 0.5 * find_offset(*distance_matrix(own)).confidence


def test_distances_are_plain_means_if_every_cube_has_audio_at_every_offset():
    matrix = np.random.default_rng(0).random((9, 5))
    found = find_offset(np.arange(-2, 3) * 0.04, matrix)
    assert np.allclose(found.distances, matrix.mean(0))


def test_genuine_and_impostor_pairs_are_the_columns_of_their_shifts():
    vectors = clip(30)
    genuine, impostors = pair_distances(*distance_matrix(vectors, 0.6), 0.4)
    assert np.allclose(genuine, np.linalg.norm(vectors.mouths - vectors.audio, axis=1))
    later = np.linalg.norm(vectors.mouths[:20] - vectors.audio[10:], axis=1)
    earlier = np.linalg.norm(vectors.mouths[10:] - vectors.audio[:20], axis=1)
    assert np.allclose(np.sort(impostors), np.sort(np.concatenate([earlier, later])))
    with pytest.raises(InputError, match=r"0\.2 s"):
        pair_distances(*distance_matrix(vectors, 0.2), 0.4)


def test_a_clip_with_too_few_cubes_is_refused():
    with pytest.raises(InputError, match="at least 3 cubes, found 2"):
        find_offset(*distance_matrix(clip(2)))
    silent = clip(10)
    silent.audio = np.zeros((1, 8))
    with pytest.raises(InputError, match="at least 3 cubes"):
        find_offset(*distance_matrix(silent))


def test_a_shift_between_two_steps_is_rounded_to_the_nearest():
    """Steps of 40 ms: 0.1 s lies between 0.08 and 0.12 s."""
    offsets = np.arange(-15, 16) * 0.04
    for shift in (0.1, 0.2, 0.3, 0.5):
        zero, early, late = offsets[shift_columns(offsets, shift)]
        assert zero == 0 and early < 0 < late
        assert abs(late - shift) <= 0.02 + 1e-9 and abs(early + shift) <= 0.02 + 1e-9
    assert offsets[shift_columns(offsets, 0.2)[2]] == pytest.approx(0.2)
