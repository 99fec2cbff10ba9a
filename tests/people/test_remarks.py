"""Remarks on files: each appears if its measure is beyond the limit, and on real damage."""

import cv2
import numpy as np
import pytest
import soundfile

from avsv.embeddings.clip import embed_face
from avsv.embeddings.face import load_face_encoder
from avsv.errors import InputError
from avsv.features.quality_measures import audio_condition, face_quality, faces_condition, voice_quality
from avsv.media.waveforms import read_waveform
from avsv.people.remarks import find_remarks, remarks
from avsv.scoring.verification import Clip


def codes(clip):
    return {remark.code for remark in find_remarks(clip)}


def of_waveform(waveform):
    waveform = np.asarray(waveform, np.float32)
    return Clip(quality={"voice": voice_quality(waveform)}, observed={"voice": audio_condition(waveform)})


def speech(seconds=8):
    """Noise that switches on and off, in soft noise."""
    rng, times = np.random.default_rng(0), np.arange(16000 * seconds)
    return rng.normal(0, 0.1, len(times)) * (times // 4000 % 4 < 3) + rng.normal(0, 0.005, len(times))


def test_a_good_recording_has_no_remark():
    assert codes(of_waveform(speech())) == set()


@pytest.mark.parametrize(
    "change, code",
    [
        (lambda x: x[:32000], "little_speech"),
        (lambda x: x + np.random.default_rng(1).normal(0, 0.06, len(x)), "noisy"),
        (lambda x: 0.2 * np.sin(np.arange(len(x)) / 7), "steady"),
        (lambda x: x / 200, "quiet"),
        (lambda x: np.clip(x, -0.15, 0.15), "clipped"),
        (lambda x: 0.3 * np.clip(5 * x, -1, 1), "clipped"),  # and made softer afterwards
    ],
)
def test_each_damage_to_a_recording_is_remarked(change, code):
    assert code in codes(of_waveform(change(speech())))


def test_the_level_is_relative_to_full_scale():
    assert audio_condition(np.full(100, 0.1, np.float32))["level"] == pytest.approx(-20, abs=0.05)


def draw(folder, *squares, light=255, n=3):
    """Images of 400 x 400 with white squares (x, y, side), which the test pack detects as faces."""
    folder.mkdir()
    for number in range(n):
        image = np.random.default_rng(number).integers(0, 60, (400, 400, 3), np.uint8)
        for x, y, side in squares:
            image[y : y + side, x : x + side] = light
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder


def of_images(folder, pack):
    _, quality, observed = embed_face(folder, load_face_encoder(pack), 3)
    return Clip(quality={"face": quality}, observed={"face": observed})


def test_two_faces_in_view_are_counted(tmp_path, pack):
    one = of_images(draw(tmp_path / "one", (148, 148, 52)), pack)  # one cell of the test pack's detector
    two = of_images(draw(tmp_path / "two", (148, 148, 52), (44, 44, 52)), pack)
    assert one.observed["face"]["in_view"] == 1 and "several_faces" not in codes(one)
    assert two.observed["face"]["in_view"] == 2 and "several_faces" in codes(two)


def test_black_frames_are_named_as_the_reason(tmp_path, pack):
    for name, value in (("black", 3), ("grey", 60)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "0.png"), np.full((200, 200, 3), value, np.uint8))
        with pytest.raises(InputError) as error:
            embed_face(tmp_path / name, load_face_encoder(pack), 3)
        assert ("black" in str(error.value)) == (name == "black")


@pytest.mark.parametrize(
    "measures, code",
    [
        ({"utt2face_size": 40.0}, "small_face"), ({"utt2sharpness": 10.0}, "blurred"), ({"brightness": 20.0}, "dark"),
        ({"utt2face_score": 0.55}, "uncertain_face"), ({"agreement": 0.0}, "changing_face"),
        ({"in_view": 7}, "several_faces"),
    ],
)  # fmt: skip
def test_each_limit_of_a_face_gives_its_remark_and_nothing_else(measures, code):
    good = {"utt2face_size": 90.0, "utt2sharpness": 200.0, "utt2face_score": 0.8, "brightness": 120.0}
    assert codes(Clip(observed={"face": good})) == set()
    assert codes(Clip(observed={"face": {**good, **measures}})) == {code}


def test_an_absent_modality_is_remarked_with_its_reason():
    (text,) = remarks(Clip(absent={"face": "b.mp4: no face was found in 5 frames"}))
    assert "b.mp4" in text


def test_measures_that_were_not_taken_give_no_remark():
    assert remarks(Clip()) == [] and remarks(Clip({"voice": np.ones(2)}, quality={"voice": {}})) == []


def test_real_files_are_remarked_where_they_are_damaged(real_data, tmp_path):
    """A clip and a picture of minivox: as they are, clipped and dark."""
    path = sorted((real_data / "minivox/vox1/wav").rglob("*.wav"))[0]
    waveform = read_waveform(str(path))
    soundfile.write(tmp_path / "loud.wav", np.clip(20 * waveform, -1, 1), 16000)
    assert not {"clipped", "noisy", "quiet"} & codes(of_waveform(waveform))
    assert "clipped" in codes(of_waveform(read_waveform(str(tmp_path / "loud.wav"))))
    folder = sorted((real_data / "minivox/vox1/unzippedFaces").glob("*/1.6/*"))[0]
    image = cv2.imread(str(sorted(folder.iterdir())[0]))
    cv2.imwrite(str(tmp_path / "face.png"), image)
    cv2.imwrite(str(tmp_path / "dark.png"), image // 6)
    small = cv2.resize(image, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "small.png"), cv2.copyMakeBorder(small, 60, 60, 60, 60, cv2.BORDER_REPLICATE))
    assert codes(of_images(tmp_path / "face.png", real_data / "models/mobileface")) == set()
    assert "dark" in codes(of_images(tmp_path / "dark.png", real_data / "models/mobileface"))
    assert "small_face" in codes(of_images(tmp_path / "small.png", real_data / "models/mobileface"))


def test_faces_of_an_archive_have_no_count(pack):
    from avsv.features.faces import ClipFaces

    faces = ClipFaces(np.full((1, 112, 112, 3), 99, np.uint8))
    assert set(faces_condition(faces, np.ones((1, 4)))) == {"brightness"}
    assert "utt2face_size" not in face_quality(faces)
