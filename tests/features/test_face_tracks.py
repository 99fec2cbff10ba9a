"""Tracking faces through a video."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.features.face_tracks import LEAST, overlap, smooth_path, track_faces
from tests.systems.synchrony.talking import Detector, draw


def test_two_faces_are_two_tracks_over_all_frames():
    tracks = track_faces([draw([0.2, 0.8])] * 20, Detector())
    assert [(t.first, len(t.points)) for t in tracks] == [(0, 20), (0, 20)]
    assert sorted(t.box[0] for t in tracks) == pytest.approx([24, 184], abs=2)


def test_a_briefly_missed_face_keeps_its_track():
    face, no_face = draw([0.5]), draw([None])
    assert len(track_faces([face] * 9 + [no_face] * 6 + [face] * 9, Detector())) == 1


def test_a_face_elsewhere_starts_another_track():
    tracks = track_faces([draw([0.5, None])] * 12 + [draw([None, 0.5])] * 12, Detector())
    assert sorted((t.first, len(t.points)) for t in tracks) == [(0, 12), (12, 12)]


def test_points_between_two_detections_are_interpolated_linearly():
    frames = [np.roll(draw([0.5]), 2 * i, axis=1) for i in range(12)]
    (track,) = track_faces(frames, Detector())
    assert np.allclose(np.diff(track.points[:10, 0, 0]), 2, atol=0.5)


def test_a_video_without_a_face_or_with_a_brief_one_is_an_error():
    with pytest.raises(InputError, match="12 frames"):
        track_faces([draw([None])] * 12, Detector())
    with pytest.raises(InputError, match="no face"):
        track_faces([draw([0.5])] * (LEAST - 3) + [draw([None])] * 12, Detector())
    with pytest.raises(InputError, match="0 frames"):
        track_faces([], Detector())


def test_overlap_equals_the_share_of_common_pixels():
    rng = np.random.default_rng(0)
    for _ in range(20):
        boxes = [np.sort(rng.integers(0, 12, (2, 2)), 0) + np.array([[0], [1]]) for _ in range(2)]
        areas = []
        for (left, top), (right, bottom) in boxes:
            areas.append({(x, y) for x in range(left, right) for y in range(top, bottom)})
        expected = len(areas[0] & areas[1]) / len(areas[0] | areas[1])
        assert overlap(boxes[0].ravel(), boxes[1].ravel()[None])[0] == pytest.approx(expected)


def test_a_smoothed_path_is_the_mean_over_nearby_times():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.08, 30))
    points = rng.normal(size=(30, 5, 2))
    expected = [points[np.abs(times - time) <= 0.12].mean(0) for time in times]
    assert np.allclose(smooth_path(points, times), expected)
