"""Enrolment: names, and the checks on new recordings."""

import unicodedata
from dataclasses import replace

import numpy as np
import pytest

from avsv.errors import InputError, OptionError
from avsv.people.gallery_enrolment import EnrolmentRefused, Sample, check_name
from avsv.people.several import average_clips
from avsv.scoring.verification import Clip, verify
from tests.people.galleries import MODELS, World, by_quality, logistic, make_gallery

NAMES = ['O\'Neil "Bo" / \\', "\u05d3\u05d5\u05d3 \u05db\u05d4\u05df", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647",
         "\u674e\u5c0f\u9f99", "Robert'); DROP TABLE people;--", "..", "-x", "x" * 200]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_all_kinds_are_kept(tmp_path, name):
    world, gallery = World(), make_gallery(tmp_path)
    assert gallery.enroll(name, [world.sample(0)]).name == name
    assert [one.name for one in gallery.people()] == [name]
    assert gallery.identify([world.clip(0)])[0].candidates[0].name == name
    gallery.rename(name, "other")
    gallery.rename("other", name)
    assert gallery.remove(name).name == name and gallery.people() == []


def test_a_name_is_one_person_however_it_is_composed(tmp_path):
    world, gallery = World(), make_gallery(tmp_path)
    gallery.enroll(unicodedata.normalize("NFD", "Zo\u00eb"), [world.sample(0)])
    assert not gallery.enroll("Zo\u00eb", [world.sample(0)]).is_new
    assert gallery.people()[0].n_recordings == len(gallery.recordings("Zoe\u0308")) == 2


@pytest.mark.parametrize(
    "name", ["", " ", " Ann", "Ann ", "a\nb", "a\tb", "a\x1b[2J", "a\0b", "a\u202eb", "a\u2028b", "\ud800", "x" * 201]
)
def test_names_that_cannot_be_shown_are_refused(tmp_path, name):
    world, gallery = World(), make_gallery(tmp_path)
    with pytest.raises(OptionError):
        check_name(name)
    with pytest.raises(OptionError):
        gallery.enroll(name, [world.sample(0)])
    gallery.enroll("Ann", [world.sample(0)])
    with pytest.raises(OptionError):
        gallery.rename("Ann", name)
    assert [one.name for one in gallery.people()] == ["Ann"]


def test_a_name_that_is_taken_or_unknown_is_refused(tmp_path):
    world, gallery = World(), make_gallery(tmp_path)
    gallery.enroll("a", [world.sample(0)])
    gallery.enroll("b", [world.sample(1)])
    for call in (lambda: gallery.rename("a", "b"), lambda: gallery.rename("c", "d"), lambda: gallery.remove("c"),
                 lambda: gallery.recordings("c")):  # fmt: skip
        with pytest.raises(InputError):
            call()
    gallery.rename("a", "a")
    assert [one.name for one in gallery.people()] == ["a", "b"]


def test_the_same_content_is_enrolled_once(tmp_path):
    world, gallery = World(), make_gallery(tmp_path)
    sample = world.sample(0)
    gallery.enroll("a", [sample])
    copy = replace(sample, path="/elsewhere/copy.mp4")
    for force in (False, True):
        with pytest.raises(InputError, match=r"/elsewhere/copy\.mp4"):
            gallery.enroll("a", [copy], force=force)
    with pytest.raises(EnrolmentRefused, match="as a"):
        gallery.enroll("b", [copy])
    assert [one.name for one in gallery.people()] == ["a"]
    gallery.enroll("b", [copy], force=True)
    other = world.sample(1)
    with pytest.raises(InputError, match="once"):
        gallery.enroll("c", [other, replace(other, path="/twice.mp4")], force=True)
    with pytest.raises(OptionError):
        gallery.enroll("c", [])


def test_somebody_enrolled_under_another_name_is_refused(tmp_path):
    world, gallery = World(noise=0.2), make_gallery(tmp_path)
    for person in range(5):
        gallery.enroll(f"p{person}", [world.sample(person)])
    for modalities in (["voice"], ["face"], ["voice", "face"]):
        with pytest.raises(EnrolmentRefused, match="p3"):
            gallery.enroll("again", [world.sample(3, modalities)])
    assert gallery.enroll("p3", [world.sample(3)]).warnings == []
    forced = gallery.enroll("again", [world.sample(3)], force=True)
    assert forced.is_new and any("p3" in text for text in forced.warnings)


@pytest.mark.parametrize("fusion", [logistic(), by_quality()], ids=["logistic", "by quality"])
def test_recordings_that_do_not_match_are_refused_or_warned_of_by_their_ratio(tmp_path, fusion):
    world, gallery = World(3, noise=0.7), make_gallery(tmp_path, fusion)
    first = world.sample(0)
    gallery.enroll("a", [first])
    known, outcomes = [first.clip], set()
    for number in range(40):
        sample = world.sample(0 if number % 2 else number, world.some_modalities())
        ratio = verify(average_clips(known), sample.clip, fusion).ratio
        try:
            result = gallery.enroll("a", [sample])
            outcome = "warned" if any("log-likelihood" in text for text in result.warnings) else "silent"
            known.append(sample.clip)
        except EnrolmentRefused:
            outcome = "refused"
        expected = "refused" if ratio < -np.log(20) else "warned" if ratio < 0 else "silent"
        assert outcome == expected, ratio
        outcomes.add(outcome)
    assert len(outcomes) == 3


def test_two_people_in_a_file_are_refused_and_poor_quality_is_a_warning(tmp_path):
    world, gallery = World(), make_gallery(tmp_path)
    clip = world.clip(0)
    clip.quality["voice"] |= {"utt2dur": 1.0, "utt2speech": 0.5}
    result = gallery.enroll("a", [Sample("/short.mp4", "1", clip)])
    assert any("speech" in text and "/short.mp4" in text for text in result.warnings)
    for number, observed in enumerate(({"in_view": 2}, {"agreement": 0.0})):
        two = replace(world.clip(5), observed={"face": observed})
        with pytest.raises(EnrolmentRefused, match=f"/two{number}.mp4") as refusal:
            gallery.enroll("b", [Sample(f"/two{number}.mp4", f"t{number}", two)])
        assert len(refusal.value.reasons) == 1
    assert [one.name for one in gallery.people()] == ["a"]


def test_embeddings_that_cannot_be_compared_are_refused(tmp_path):
    world, gallery = World(), make_gallery(tmp_path, by_quality())
    zero, infinite, bare, other = (world.clip(n) for n in range(4))
    zero.vectors["voice"] = np.zeros(48, np.float32)
    infinite.vectors["face"] = np.full(32, np.inf, np.float32)
    del bare.quality["face"]["utt2face_size"]
    gallery.enroll("a", [world.sample(9)])
    short = replace(other, vectors={"voice": np.ones(5, np.float32), "face": other.vectors["face"]})
    foreign = Clip(other.vectors, {}, {**MODELS, "face": "face:9"}, other.quality)
    for number, clip in enumerate((zero, infinite, bare, short, foreign)):
        with pytest.raises(InputError):
            gallery.enroll("b", [Sample(f"/{number}", str(number), clip)], force=True)
    assert [one.name for one in gallery.people()] == ["a"] and gallery.identify([world.clip(9)])[0].n_people == 1


def test_consent_quality_and_reasons_are_kept(tmp_path):
    world, gallery = World(), make_gallery(tmp_path)
    sample = replace(world.sample(0, ["face"]), audio_track=2)
    gallery.enroll("a", [sample], consent="signed; see file 7")
    (one,) = gallery.recordings("a")
    assert (one.path, one.digest, one.consent, one.audio_track) == (sample.path, sample.digest, "signed; see file 7", 2)
    assert one.modalities == ("face",) and one.absent == {"voice": "no voice"}
    assert one.quality == {"face": sample.clip.quality["face"]}
