"""Damage to faces: its effect and strength, and its reproducibility from a record."""

import json

import cv2
import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.special import erf

from avsv.errors import InputError
from avsv.features.face_damage import (
    DRAW,
    KINDS,
    NOISY,
    check_severities,
    damage_face,
    damage_faces,
    draw_face_damage,
    streak,
)

FACE = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
POINT = np.zeros((112, 112, 3), np.uint8)
POINT[56, 56] = 255


def spread(image):
    """Standard deviation of the position of the light, (vertical, horizontal), pixels."""
    light = image.astype(float).sum(2)
    places = np.mgrid[:112, :112]
    return [np.sqrt((light * (p - (light * p).sum() / light.sum()) ** 2).sum() / light.sum()) for p in places]


def test_a_gaussian_blur_spreads_a_point_by_sigma():
    lit = np.zeros((112, 112, 3), np.uint8)
    lit[46:67, 46:67] = 255  # uniform over 21 pixels: variance (21^2 - 1) / 12
    down, across = spread(damage_face(lit, "gaussian-blur", {"sigma": 4.0}))
    assert down == pytest.approx(np.sqrt(4.0**2 + 440 / 12), rel=0.02) and across == pytest.approx(down, rel=1e-3)


@pytest.mark.parametrize("sigma", [2.0, 3.3, 5.0, 8.0])
def test_the_sigma_of_a_blurred_edge_is_the_one_in_the_record(sigma):
    edge = np.zeros((112, 112, 3), np.uint8)
    edge[:, 56:] = 200
    profile = damage_face(edge, "gaussian-blur", {"sigma": sigma})[50, :, 0].astype(float)
    (measured, middle), _ = curve_fit(lambda x, s, m: 100 * (1 + erf((x - m) / (s * np.sqrt(2)))), np.arange(112.0),
                                   profile, (3.0, 55.0))  # fmt: skip
    assert measured == pytest.approx(sigma, rel=0.03) and middle == pytest.approx(55.5, abs=0.1)


@pytest.mark.parametrize("side", [8, 14, 28])
def test_down_scaling_leaves_no_detail_finer_than_its_pixels(side):
    waves = 127.5 + 100 * np.sin(2 * np.pi * np.arange(112) * 0.75 * side / 112)  # above Nyquist's side / 2 waves
    slow = 127.5 + 100 * np.sin(2 * np.pi * np.arange(112) * 0.1 * side / 112)
    fine, coarse = (np.tile(w[None, :, None], (112, 1, 3)).round().astype(np.uint8) for w in (waves, slow))
    spectrum = [np.abs(np.fft.rfft(damage_face(p, "down-scaling", {"side": side})[56, :, 0] - 127.5)) for p in
                (fine, coarse)]  # fmt: skip
    place = round(0.75 * side)
    assert spectrum[0][place] < 0.25 * np.abs(np.fft.rfft(waves - 127.5))[place]
    assert spectrum[1].max() > 0.8 * np.abs(np.fft.rfft(slow - 127.5)).max()


@pytest.mark.parametrize("light", [0.02, 0.1, 0.5])
def test_low_light_keeps_its_share_of_the_light_and_adds_shot_noise(light):
    grey = np.full((112, 112, 3), 200, np.uint8)
    dark = damage_face(grey, "low-light", {"light": light, "photons": 1000, "seed": 3})
    linear = (dark / 255.0) ** 2.2
    expected = light * (200 / 255) ** 2.2
    assert linear.mean() == pytest.approx(expected, rel=0.02)
    assert linear.std() == pytest.approx(np.sqrt(expected / 1000), rel=0.1)  # Poisson: variance = mean


def test_low_light_adds_different_noise_to_each_frame_of_a_clip():
    frames = np.stack([np.full((112, 112, 3), v, np.uint8) for v in (200, 201)])
    dark = damage_faces(frames, {"kind": "low-light", "light": 0.05, "photons": 1000, "seed": 0}).astype(float)
    assert abs(np.corrcoef(dark[0].ravel(), dark[1].ravel())[0, 1]) < 0.05


def test_lower_jpeg_quality_takes_fewer_bytes_and_causes_a_larger_error():
    face = cv2.GaussianBlur(FACE, (0, 0), 2)
    sizes, errors = [], []
    for quality in (3, 10, 30, 90):
        poor = damage_face(face, "jpeg", {"quality": quality})
        sizes.append(len(cv2.imencode(".png", poor)[1]))
        errors.append(np.abs(poor.astype(int) - face).mean())
    assert sizes == sorted(sizes) and errors == sorted(errors, reverse=True) and errors[-1] < 3 < errors[0]


@pytest.mark.parametrize("kind, moved, still", [("motion-blur-vertical", 0, 1), ("motion-blur-horizontal", 1, 0)])
def test_motion_blur_spreads_a_point_in_its_direction_only(kind, moved, still):
    measured = spread(damage_face(POINT, kind, {"length": 15.0}))
    assert measured[moved] == pytest.approx(np.sqrt((15**2 - 1) / 12), rel=0.02) and measured[still] == 0


@pytest.mark.parametrize("length", [1.0, 2.0, 3.0, 9.5, 10.0, 20.0])
def test_a_streak_has_its_length_and_keeps_the_light(length):
    kernel = streak(length)
    assert kernel.sum() == pytest.approx(1) and len(kernel) % 2 == 1
    assert (kernel > 0).sum() >= length and kernel.max() == pytest.approx(1 / length, rel=1e-5)


@pytest.mark.parametrize("fill", ["plain", "noise"])
@pytest.mark.parametrize("x, y", [(0.0, 0.0), (0.5, 0.3), (1.0, 1.0)])
def test_an_occlusion_hides_exactly_its_share(fill, x, y):
    damaged = damage_face(FACE, "occlusion", {"share": 0.2, "aspect": 1.3, "x": x, "y": y, "fill": fill, "seed": 1})
    changed = (damaged != FACE).any(axis=2)
    assert changed.mean() == pytest.approx(0.2, abs=0.01)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    box = damaged[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert (len(np.unique(box.reshape(-1, 3), axis=0)) == 1) == (fill == "plain")


def test_drawn_damage_covers_every_kind_within_its_severity_and_is_json():
    rng = np.random.default_rng(0)
    drawn = [draw_face_damage(rng, {kind: {} for kind in KINDS}) for _ in range(400)]
    assert {d["kind"] for d in drawn} == set(KINDS) == set(DRAW)
    for damage in drawn:
        assert damage["modality"] == "face" and json.loads(json.dumps(damage)) == damage
        assert 2 <= damage.get("sigma", 2) <= 5
        assert 10 <= damage.get("length", 10) <= 20
        assert 0.15 <= damage.get("share", 0.15) <= 0.30
        assert 10 <= damage.get("side", 10) <= 20
        assert 0.005 <= damage.get("light", 0.01) <= 0.02
        assert 3 <= damage.get("quality", 3) <= 10


def test_by_default_the_kinds_of_the_noisy_sets_are_drawn():
    rng = np.random.default_rng(0)
    assert {draw_face_damage(rng)["kind"] for _ in range(100)} == set(NOISY)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_record_does_the_same_damage(kind, seed):
    damage = draw_face_damage(np.random.default_rng(seed), {kind: {}})
    assert damage == draw_face_damage(np.random.default_rng(seed), {kind: {}})
    once, again = (damage_faces(np.stack([FACE, FACE]), damage) for _ in range(2))
    assert once.shape == (2, 112, 112, 3) and once.dtype == np.uint8
    assert np.array_equal(once, again) and np.array_equal(once[0], once[1]) and not np.array_equal(once[0], FACE)


def test_other_severities_can_be_drawn_for_training():
    rng = np.random.default_rng(0)
    drawn = [draw_face_damage(rng, {"gaussian-blur": {"sigma": (0.5, 1.0)}}) for _ in range(20)]
    assert all(d["kind"] == "gaussian-blur" and 0.5 <= d["sigma"] <= 1 for d in drawn)


def test_damage_does_not_change_its_input():
    before = FACE.copy()
    for kind in KINDS:
        damage_faces(FACE[None], draw_face_damage(np.random.default_rng(0), {kind: {}}))
    assert np.array_equal(FACE, before)


@pytest.mark.parametrize("kind, parameters", [
    ("mud", {}), ("gaussian-blur", {}), ("gaussian-blur", {"sigma": 2, "colour": 1}),
    ("gaussian-blur", {"sigma": "much"}), ("gaussian-blur", {"sigma": -1}),
    ("motion-blur-vertical", {"length": float("nan")}), ("motion-blur-vertical", {"length": 1e9}),
    ("occlusion", {"share": 2, "aspect": 1, "x": 0, "y": 0, "fill": "noise", "seed": 1}),
    ("occlusion", {"share": 0.2, "aspect": 1, "x": 3, "y": 0, "fill": "noise", "seed": 1}),
    ("occlusion", {"share": 0.2, "aspect": 1, "x": 0, "y": 0, "fill": "lace", "seed": 1}),
    ("down-scaling", {"side": 0}), ("down-scaling", {"side": 500}), ("down-scaling", {"side": "small"}),
    ("low-light", {"light": 0, "photons": 1000, "seed": 1}), ("low-light", {"light": 2, "photons": 1, "seed": 1}),
    ("jpeg", {"quality": 0}), ("jpeg", {"quality": 101}),
])  # fmt: skip
def test_invalid_records_are_refused(kind, parameters):
    with pytest.raises(InputError, match=f'face damage "{kind}"'):
        damage_face(FACE, kind, parameters)


def test_a_gaussian_blur_can_have_the_seven_pixel_kernel_of_the_paper():
    dot = np.zeros((112, 112, 3), np.uint8)
    dot[50, 60] = 255
    damage = draw_face_damage(np.random.default_rng(0), {"gaussian-blur": {"sigma": [3, 3], "size": 7}})
    assert (damage["sigma"], damage["size"]) == (3.0, 7)
    blurred = damage_faces(dot[None], damage)[0, :, :, 0]
    weights = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 3.0**2))
    weights /= weights.sum()
    assert np.abs(blurred[47:54, 57:64] - 255 * np.outer(weights, weights)).max() <= 1
    assert not blurred[46].any() and not blurred[:, 64].any()


@pytest.mark.parametrize(
    "severities",
    [{"fog": {}}, {"gaussian-blur": {"size": 6}}, {"gaussian-blur": {"sigma": [-1, -1]}}, {"gaussian-blur": 3},
     {"motion-blur-vertical": {"length": [0, 0.5]}}, {"occlusion": {"sigma": [1, 2]}},
     {"jpeg": {"quality": ["a", "b"]}}],
)  # fmt: skip
def test_impossible_severities_are_refused(severities):
    with pytest.raises(InputError):
        check_severities(severities)
