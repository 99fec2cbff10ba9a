"""Several recordings of one person as one clip."""

import numpy as np
import pytest

from avsv.errors import InputError, OptionError
from avsv.features import quality_measures
from avsv.people.gallery_sides import CosineSides
from avsv.people.several import FACE_QUALITY, average_clips, template_weights
from avsv.scoring.verification import Clip

MODELS = {"voice": "voice:1", "face": "face:2"}


def clip(voice=None, face=None, quality=None):
    vectors = {name: np.array(v, np.float32) for name, v in (("voice", voice), ("face", face)) if v is not None}
    absent = {name: f"no {name}" for name in MODELS if name not in vectors}
    return Clip(vectors, absent, dict(MODELS), quality or {})


def test_each_modality_is_averaged_over_the_recordings_that_have_it():
    rng = np.random.default_rng(0)
    voices, faces = rng.standard_normal((3, 4)), rng.standard_normal((2, 5))
    clips = [clip(voices[0]), clip(voices[1], faces[0]), clip(voices[2], faces[1])]
    mean = average_clips(clips)
    assert mean.vectors["voice"] == pytest.approx(voices.mean(axis=0), abs=1e-6)
    assert mean.vectors["face"] == pytest.approx(faces.mean(axis=0), abs=1e-6)
    assert mean.models == MODELS and not mean.absent


def test_quality_is_the_mean_of_the_recordings_that_have_the_modality():
    clips = [clip([1.0], None, {"voice": {"utt2snr": 4.0}}), clip(None, [1.0], {"face": {"utt2face_size": 90.0}}),
             clip([1.0], None, {"voice": {"utt2snr": 8.0}})]  # fmt: skip
    assert average_clips(clips).quality == {"voice": {"utt2snr": 6.0}, "face": {"utt2face_size": 90.0}}


def test_a_modality_that_no_recording_has_is_absent_with_every_reason():
    mean = average_clips([clip([1.0]), clip([2.0])])
    assert "face" not in mean.vectors and mean.absent == {"face": "no face; no face"}


def test_one_recording_is_left_as_it_is():
    one = clip([0.1, 0.7], None, {"voice": {"utt2snr": 4.0}})
    assert average_clips([one]) is one


def test_clips_of_other_encoders_and_no_clips_are_refused():
    with pytest.raises(InputError, match="voice:3"):
        average_clips([clip([1.0]), Clip({}, {}, {"voice": "voice:3"})])
    with pytest.raises(OptionError):
        average_clips([])


def test_faces_are_weighted_by_the_quality_network_if_it_measured_all():
    assert FACE_QUALITY == quality_measures.FACE_QUALITY
    measured = [{"face": {FACE_QUALITY: q}, "voice": {FACE_QUALITY: 9 * q}} for q in (0.2, 0.6)]
    clips = [clip([1.0], [1.0, 0.0], measured[0]), clip([2.0], [0.0, 1.0], measured[1])]
    mean = average_clips([*clips, clip([3.0])])
    assert mean.vectors["face"] == pytest.approx([0.25, 0.75]) and mean.vectors["voice"] == pytest.approx([2.0])
    assert CosineSides("face").enrol(np.eye(2), template_weights(clips, "face")).vector == pytest.approx(
        mean.vectors["face"] / np.linalg.norm(mean.vectors["face"])
    )
    mean = average_clips([*clips, clip([3.0], [0.0, 1.0])])
    assert mean.vectors["face"] == pytest.approx([1 / 3, 2 / 3])
