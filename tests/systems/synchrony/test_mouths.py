"""Cropping mouths from videos of any frame rate, and storing them in archives."""

import cv2
import numpy as np
import pytest

from avsv.errors import InputError
from avsv.features.faces import TEMPLATE
from avsv.systems.synchrony.mouths import (
    HEIGHT,
    WIDTH,
    Mouths,
    cut_mouth,
    encode_mouths,
    find_mouths,
    frame_indices,
    known_mouths,
    read_mouths,
)
from tests.systems.synchrony.talking import Detector, draw, talk, write_talk

OPENING = talk(np.random.default_rng(0), 50)


def darkness(images):
    """Share of black pixels in the middle of each mouth."""
    return (images[:, 10:55, 25:75] < 60).mean((1, 2))


@pytest.mark.parametrize("turn, scale", [(0, 1.0), (20, 0.7), (-30, 1.6)])
def test_a_mouth_is_cropped_upright_and_at_a_fixed_size(turn, scale):
    image = draw([0.5])
    matrix = cv2.getRotationMatrix2D((80, 80), turn, scale)
    points = TEMPLATE + 24
    moved = cv2.warpAffine(image, matrix, (160, 160), borderValue=(40, 40, 40))
    plain = cut_mouth(image, points)
    turned = cut_mouth(moved, points @ matrix[:, :2].T + matrix[:, 2])
    assert plain.shape == (HEIGHT, WIDTH)
    assert np.abs(plain.astype(float) - turned).mean() < 8
    columns = np.flatnonzero((plain < 60).any(0))
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(WIDTH / 2, abs=2)  # centred,
    assert columns[-1] - columns[0] == pytest.approx(WIDTH / 2, abs=4)  # and half as wide as the crop


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 29.97])
@pytest.mark.parametrize("wanted", [25, 30])
def test_resampling_takes_the_frame_on_display_at_the_midpoint_of_each_interval(fps, wanted):
    times = np.arange(60) / fps
    expected = []
    for place in range(int(60 / fps * wanted + 1e-6)):
        middle = (place + 0.5) / wanted
        expected.append(max(index for index, time in enumerate(times) if time <= middle + 1e-6))
    assert frame_indices(times, wanted).tolist() == expected


def test_a_late_track_repeats_its_first_frame_before_it_starts():
    assert frame_indices(np.array([0.2, 0.24, 0.28]), 25).tolist() == [0, 0, 0, 0, 0, 0, 1, 2]


@pytest.mark.parametrize("fps", [24, 30, 50])
def test_cropped_mouths_follow_the_openings_of_the_video(tmp_path, fps):
    times = np.arange(50) / fps
    mouths = find_mouths(write_talk(tmp_path / "a.mp4", OPENING[:, None], times), Detector())
    assert mouths.images.shape == (50, 60, 100) and np.allclose(mouths.times, times, atol=1e-3)
    assert np.corrcoef(darkness(mouths.images), OPENING)[0, 1] > 0.95


def test_a_variable_frame_rate_becomes_constant(tmp_path):
    times = np.cumsum(np.tile([0.02, 0.06, 0.04, 0.04], 10))
    times -= times[0]
    write_talk(tmp_path / "a.mp4", OPENING[:40, None], times)
    found = darkness(find_mouths(tmp_path / "a.mp4", Detector()).at_rate(25))
    expected = OPENING[[max(i for i, t in enumerate(times) if t <= (k + 0.5) / 25 + 1e-3) for k in range(len(found))]]
    assert np.corrcoef(found, expected)[0, 1] > 0.95


def test_a_rotated_phone_video_is_made_upright(tmp_path):
    path = write_talk(tmp_path / "a.mp4", OPENING[:20, None], np.arange(20) / 25, turned=True)
    assert np.corrcoef(darkness(find_mouths(path, Detector()).images), OPENING[:20])[0, 1] > 0.95


def test_key_points_of_the_corpus_are_used(tmp_path):
    path = write_talk(tmp_path / "a.mp4", OPENING[:20, None], np.arange(20) / 25)
    row = "\t".join(map(str, [24, 24, 112, 112, *(TEMPLATE + 24).ravel()]))
    lines = ["FRAME", *(f"{i}\t{row}" for i in range(20))]
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n")
    found = known_mouths(path, str(tmp_path / "a.txt"))
    assert np.abs(found.images.astype(int) - find_mouths(path, Detector()).images).mean() < 5
    for rows in (lines[:16], [*lines, *lines[1:3]]):
        (tmp_path / "a.txt").write_text("\n".join(rows) + "\n")
        with pytest.raises(InputError, match=r"a\.mp4"):
            known_mouths(path, str(tmp_path / "a.txt"))


def test_mouths_survive_an_archive(tmp_path):
    rng = np.random.default_rng(0)
    shades = [np.full((n, 60, 100), 9 * n, np.uint8) + rng.integers(0, 3, (n, 1, 1), np.uint8) for n in (1, 16, 17)]
    archive, entries = b"", []
    for number, images in enumerate(shades):
        archive += f"utt{number} ".encode()
        entries.append(f"{tmp_path}/m.ark:{len(archive)}")
        archive += encode_mouths(Mouths(images, np.arange(len(images)) / 25))
    (tmp_path / "m.ark").write_bytes(archive)
    for entry, images in zip(entries, shades, strict=True):
        found = read_mouths(entry)
        assert found.images.shape == images.shape and len(found.times) == len(images)
        assert np.abs(found.images.astype(int) - images).max() < 6  # of 255, after JPEG compression
    (tmp_path / "m.ark").write_bytes(archive[:-20])
    for entry in (entries[-1], f"{tmp_path}/m.ark:3", f"{tmp_path}/m.ark", f"{tmp_path}/absent:4"):
        with pytest.raises(InputError, match="mouths"):
            read_mouths(entry)


def test_a_video_without_a_face_is_refused(tmp_path):
    write_talk(tmp_path / "a.mp4", [[None]] * 12, np.arange(12) / 25)
    with pytest.raises(InputError, match="no face"):
        find_mouths(tmp_path / "a.mp4", Detector())
