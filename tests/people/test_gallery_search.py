"""Identification: equal to verification of everybody, thresholds and posterior probabilities."""

from dataclasses import replace

import numpy as np
import pytest

from avsv.errors import InputError, OptionError
from avsv.people import gallery_packed
from avsv.people.operating_point import calibration_digest
from avsv.people.several import average_clips
from avsv.scoring.verification import Clip, verify
from tests.people.galleries import MODELS, World, by_quality, logistic, make_gallery, operating_point


def fill(gallery, world, n_people):
    """Enrol people with one to three recordings in any mixture of modalities: name -> samples."""
    enrolled = {}
    for person in range(n_people):
        samples = [world.sample(person, world.some_modalities()) for _ in range(world.rng.integers(1, 4))]
        gallery.enroll(f"p{person:02d}", samples, force=True)
        enrolled[f"p{person:02d}"] = samples
    return enrolled


def ratios_one_by_one(enrolled, probe, fusion):
    """name -> (ratio, cosines) by verify of the averaged recordings, for people with a common modality."""
    verdicts = {name: verify(average_clips([one.clip for one in samples]), probe, fusion)
                for name, samples in enrolled.items()}  # fmt: skip
    return {name: (one.ratio, one.cosines) for name, one in verdicts.items() if one.cosines}, verdicts


@pytest.mark.parametrize("fusion", [logistic(), by_quality()], ids=["logistic", "by quality"])
def test_identification_equals_verifying_everybody(tmp_path, monkeypatch, fusion):
    monkeypatch.setattr(gallery_packed, "ROWS", 8)
    monkeypatch.setattr(gallery_packed, "CHUNK", 2)
    world, gallery = World(1), make_gallery(tmp_path, fusion)
    enrolled = fill(gallery, world, 40)
    probes = [world.clip(person % 40, world.some_modalities()) for person in range(0, 60, 3)]
    for probe, result in zip(probes, gallery.identify(probes, top=7, p_target=0.2), strict=True):
        expected, everybody = ratios_one_by_one(enrolled, probe, fusion)
        ranked = sorted(expected, key=lambda name: -expected[name][0])[:7]
        assert [one.name for one in result.candidates] == ranked
        for one in result.candidates:
            assert one.ratio == pytest.approx(expected[one.name][0], abs=1e-9)
            assert one.scores == pytest.approx(expected[one.name][1], abs=1e-9)
        weights = np.exp([one.ratio for one in everybody.values()]) * 0.2 / 40
        best = np.exp(expected[ranked[0]][0]) * 0.2 / 40
        assert result.candidates[0].probability == pytest.approx(best / (weights.sum() + 0.8), rel=1e-4)
        assert result.nobody == pytest.approx(0.8 / (weights.sum() + 0.8), rel=1e-4)
        assert result.threshold == pytest.approx(np.log(0.8 / 0.2) + np.log(40))
        assert result.name == (ranked[0] if expected[ranked[0]][0] > result.threshold else None)
        assert result.margin == pytest.approx(result.candidates[0].ratio - result.candidates[1].ratio)


def test_people_and_strangers_are_told_apart(tmp_path):
    world, gallery = World(2, noise=0.2), make_gallery(tmp_path)
    fill(gallery, world, 20)
    known = gallery.identify([world.clip(person) for person in range(20)])
    assert [one.name for one in known] == [f"p{person:02d}" for person in range(20)]
    strangers = gallery.identify([world.clip(person) for person in range(20, 40)])
    assert sum(one.name is None for one in strangers) >= 18


def test_an_operating_points_threshold_stands_for_the_prior_that_it_implies(tmp_path):
    world, gallery = World(3), make_gallery(tmp_path)
    fill(gallery, world, 10)
    point = operating_point(float(np.log(99)), calibration_digest(logistic()))
    probe = world.clip(3)
    by_prior = gallery.identify([probe], p_target=0.01)[0]
    by_point = gallery.identify([probe], operating_point=point)[0]
    assert by_prior.name == by_point.name
    assert by_prior.threshold == pytest.approx(by_point.threshold) == pytest.approx(np.log(99) + np.log(10))
    other = replace(point, calibration=calibration_digest(by_quality()))
    with pytest.raises(InputError):
        gallery.identify([probe], operating_point=other)


def test_an_empty_gallery_answers_nobody(tmp_path):
    result = make_gallery(tmp_path).identify([World().clip(0)])[0]
    assert (result.name, result.candidates, result.n_people, result.nobody) == (None, [], 0, 1.0)


def test_people_without_a_common_modality_are_no_candidates_but_keep_their_share_of_the_prior(tmp_path):
    world, gallery = World(4), make_gallery(tmp_path)
    gallery.enroll("seen", [world.sample(0, ["face"])])
    result = gallery.identify([world.clip(0, ["voice"])])[0]
    assert result.name is None and result.candidates == [] and result.nobody == pytest.approx(0.5)


def test_equal_people_are_ranked_by_name_and_all_found(tmp_path, monkeypatch):
    world, gallery = World(5), make_gallery(tmp_path)
    clip = world.clip(0)
    for number in range(60):
        sample = world.sample(0)
        gallery.enroll(f"twin{number:02d}", [type(sample)(sample.path, sample.digest, clip)], force=True)
    result = gallery.identify([clip], top=3)[0]
    assert [one.name for one in result.candidates] == ["twin00", "twin01", "twin02"] and result.margin == 0


def test_clips_of_other_encoders_and_wrong_options_are_refused(tmp_path):
    world, gallery = World(6), make_gallery(tmp_path)
    gallery.enroll("a", [world.sample(0)])
    with pytest.raises(InputError, match="voice:9"):
        gallery.identify([Clip(world.clip(0).vectors, {}, {**MODELS, "voice": "voice:9"})])
    with pytest.raises(OptionError):
        gallery.identify([world.clip(0)], p_target=1.0)
    with pytest.raises(OptionError):
        gallery.identify([world.clip(0)], top=0)


def test_a_calibration_without_a_map_for_the_modalities_is_an_error(tmp_path):
    fusion = logistic()
    del fusion.maps[1:]
    world, gallery = World(7), make_gallery(tmp_path, fusion)
    gallery.enroll("a", [world.sample(0)])
    with pytest.raises(InputError, match="no map"):
        gallery.identify([world.clip(0, ["voice"])])
