"""avsv enroll, identify and gallery with small networks, from media files to names."""

import json
import shutil

import cv2
import numpy as np
import pytest
import soundfile

from avsv.embeddings.clip import embed
from avsv.embeddings.face import load_face_encoder
from avsv.embeddings.voice import load_voice_encoder
from avsv.people.operating_point import calibration_digest, write_operating_point
from avsv.scoring.calibration import read_fusion
from tests.commands.clips import write_video
from tests.people.galleries import operating_point

NOBODY = REFUSED = 3


def voice(seed):
    """Eight tones of random frequencies, which lossy coding keeps."""
    rng, times = np.random.default_rng(seed), np.arange(16000) / 16000
    tones = np.sin(2 * np.pi * rng.uniform(150, 7000, (8, 1)) * times).sum(axis=0) * np.hanning(16000)
    return (0.05 * tones + 1e-4 * rng.standard_normal(16000)).astype(np.float32)


def picture(seed):
    """Large grey blocks that compress well, and one white square, which the test pack detects as a face."""
    blocks = np.random.default_rng(seed).integers(0, 120, (25, 25, 3), np.uint8)
    image = blocks.repeat(16, axis=0).repeat(16, axis=1)
    image[148:200, 148:200] = 255
    return image


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Videos of four people, one of them in two files, and files without voice or face."""
    folder = tmp_path_factory.mktemp("media")
    for seed, name in enumerate(("ann", "bo", "cy", "stranger")):
        write_video(folder / f"{name}.mp4", [picture(seed)] * 3, voice(seed))
        soundfile.write(folder / f"{name}.wav", voice(seed), 16000)
        cv2.imwrite(str(folder / f"{name}.png"), picture(seed))
    soundfile.write(folder / "still.wav", np.zeros(16000), 16000)
    (folder / "notes.txt").write_text("no media")
    return folder


@pytest.fixture(scope="module")
def calibration(media, encoders):
    """A steep map, as the cosines of untrained networks are high for everybody: its zero lies between the classes."""
    names = ("ann", "bo", "cy", "stranger")
    clips = [embed(media / f"{name}.mp4", *encoders) for name in names]
    maps, zero = {}, {}
    for modality, ending in (("voice", "wav"), ("face", "png")):
        others = [embed(media / f"{name}.{ending}", *encoders) for name in names]
        one, other = (np.stack([clip.vectors[modality] for clip in side]) for side in (clips, others))
        one, other = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (one, other))
        cosines = np.concatenate([one @ other.T, one @ one.T])
        same = np.concatenate([np.eye(4, dtype=bool)] * 2)
        highest, lowest = cosines[~same].max(), cosines[same].min()
        assert highest < lowest
        maps[modality] = float(40 / (lowest - highest))
        zero[modality] = float(-maps[modality] * (highest + lowest) / 2)
    has = [{"present": [True, True], "weights": [*maps.values()], "offset": sum(zero.values())},
           {"present": [True, False], "weights": [maps["voice"]], "offset": zero["voice"]},
           {"present": [False, True], "weights": [maps["face"]], "offset": zero["face"]}]  # fmt: skip
    model = {"systems": ["v", "f"], "target_prior": 0.5, "measures": [], "maps": has,
             "trained_on": [f"{clips[0].models[name]} cosine" for name in ("voice", "face")]}  # fmt: skip
    path = media.parent / "calibration.json"
    path.write_text(json.dumps(model))
    return path


@pytest.fixture(scope="module")
def encoders(encoder, pack):
    return load_voice_encoder(encoder), load_face_encoder(pack)


@pytest.fixture
def models(encoder, pack, calibration):
    return ["--voice", encoder, "--face", pack, "--calibration", calibration]


@pytest.fixture
def people(avsv, models, media, tmp_path, encoders, monkeypatch):
    """A gallery with Ann (a video) and Bo (a recording and an image); commands take encoders that are loaded once."""
    for name, loaded in zip(("voice", "face"), encoders, strict=True):
        monkeypatch.setattr(f"avsv.embeddings.{name}.load_{name}_encoder", lambda *_, loaded=loaded: loaded)
    path = tmp_path / "people.gallery"
    status, output = avsv("enroll", *models, path, "Ann", media / "ann.mp4", "--consent", "signed 2026-01-02")
    assert status == 0, output
    assert avsv("enroll", path, "Bo", media / "bo.wav", media / "bo.png")[0] == 0
    return path


def test_three_commands_from_files_to_a_name(avsv, people, media):
    status, output = avsv("identify", people, media / "ann.mp4", media / "bo.mp4")
    assert status == 0
    lines = [line for line in output.splitlines() if line.startswith(str(media))]
    assert "Ann" in lines[0] and "Bo" in lines[1] and "voice and face" in lines[1]


def test_a_stranger_is_nobody_with_an_exit_code_of_its_own(avsv, people, media):
    status, output = avsv("identify", people, media / "stranger.mp4")
    assert status == NOBODY and "nobody" in output


def test_json_of_identify(avsv, people, media):
    status, output = avsv("identify", people, "--json", media / "ann.wav", media / "stranger.png", media / "notes.txt")
    assert status == 1
    found, nobody, unusable = json.loads(output[output.index("[") : output.rindex("]") + 1])
    assert found["name"] == "Ann" and found["candidates"][0]["modalities"] == ["voice"] and found["people"] == 2
    assert set(found) == {"file", "name", "candidates", "threshold", "margin", "nobody_probability", "people",
                          "modalities", "absent", "remarks"}  # fmt: skip
    total = sum(one["probability"] for one in found["candidates"]) + found["nobody_probability"]
    assert total == pytest.approx(1, abs=1e-6)
    assert nobody["name"] is None and nobody["modalities"] == ["face"]
    assert set(unusable) == {"file", "error"} and "notes.txt" in unusable["error"]


def test_an_operating_point_replaces_the_prior(avsv, people, media, calibration, tmp_path):
    for name, digest in (("own", calibration_digest(read_fusion(calibration))), ("other", "0123")):
        write_operating_point(tmp_path / f"{name}.json", operating_point(1000.0, digest))
    status, output = avsv("identify", people, "--json", media / "ann.mp4", "--operating-point", tmp_path / "own.json")
    (result,) = json.loads(output)
    assert status == NOBODY and result["threshold"] == pytest.approx(1000 + np.log(2))
    status, output = avsv("identify", people, media / "ann.mp4", "--operating-point", tmp_path / "other.json")
    assert status == 1 and "other.json" in output


def test_a_file_that_cannot_be_used_alone_is_an_error(avsv, people, media):
    for name in ("still.wav", "notes.txt", "absent.mp4"):
        status, output = avsv("identify", people, media / name)
        assert status == 1 and name in output


def test_enrolment_refuses_the_same_file_and_the_same_person(avsv, people, media):
    status, output = avsv("enroll", people, "Ann", media / "ann.mp4")
    assert status == 1 and "already" in output
    status, output = avsv("enroll", people, "Anna", media / "ann.wav")
    assert status == REFUSED and "Ann " in output
    status, output = avsv("enroll", people, "--json", "Anna", media / "ann.wav")
    assert status == REFUSED and json.loads(output[output.index("{") :])["enrolled"] is False
    assert avsv("enroll", people, "--force", "Anna", media / "ann.wav")[0] == 0


def test_enrolment_refuses_a_recording_of_somebody_else(avsv, people, media):
    status, output = avsv("enroll", people, "Ann", media / "cy.mp4")
    assert status == REFUSED and "cy.mp4" in output


def test_list_show_rename_remove(avsv, people, media):
    def as_json(*argv):
        status, output = avsv("gallery", "--json", *argv)
        assert status == 0
        return json.loads(output)

    listed = as_json("list", people)
    assert [(one["name"], one["recordings"], one["voice"], one["face"]) for one in listed] == [
        ("Ann", 1, 1, 1), ("Bo", 2, 1, 1)]  # fmt: skip
    shown = as_json("show", people, "Ann")["recordings"][0]
    assert shown["file"] == str(media / "ann.mp4") and shown["consent"] == "signed 2026-01-02"
    assert set(shown["quality"]) == {"voice", "face"}
    assert "signed 2026-01-02" in avsv("gallery", "show", people, "Ann")[1]
    assert as_json("rename", people, "Bo", "Bo Ek")["name"] == "Bo Ek"
    removed = as_json("remove", people, "Bo Ek")[0]
    assert removed["embeddings"] == {"voice": 1, "face": 1} and removed["log_emptied"]
    assert [one["file"] for one in removed["recordings"]] == [str(media / "bo.wav"), str(media / "bo.png")]
    assert [one["name"] for one in as_json("list", people)] == ["Ann"]
    assert avsv("identify", people, media / "bo.mp4")[0] == NOBODY


def test_removing_several_people_is_all_or_nothing_for_wrong_names(avsv, people):
    status, output = avsv("gallery", "remove", people, "Ann", "Nobody")
    assert status == 1 and "Nobody" in output
    assert avsv("gallery", "remove", people, "Ann", "Bo")[0] == 0
    assert json.loads(avsv("gallery", "--json", "list", people)[1]) == []


def test_export_import_check_rebuild(avsv, people, media, tmp_path):
    def as_json(*argv, status=0):
        code, output = avsv("gallery", "--json", *argv)
        assert code == status, output
        return json.loads(output)

    assert as_json("export", people, tmp_path / "all.npz") == {"file": str(tmp_path / "all.npz"), "recordings": 3}
    copy = tmp_path / "copy.gallery"
    assert as_json("import", copy, tmp_path / "all.npz") == {"people": 2, "recordings": 3, "made": True}
    assert as_json("list", copy) == as_json("list", people)
    status, output = avsv("gallery", "import", copy, tmp_path / "all.npz")
    assert status == 1 and "Ann" in output
    checked = as_json("check", copy)
    assert checked == {"current": True, "damage": [], "encoders": {"voice": None, "face": None}, "media": [],
                       "people": 2, "recordings": 3}  # fmt: skip
    assert as_json("rebuild", copy)["embedded"] == 0
    rebuilt = as_json("rebuild", copy, "--frames-per-clip", 2)
    assert rebuilt == {"embedded": 3, "resumed": 0, "dropped": [], "removed_people": []}
    assert avsv("identify", copy, media / "ann.mp4")[0] == 0
    for action in ("list", "show", "check", "rebuild"):
        names = ["Ann"] if action == "show" else []
        assert avsv("gallery", action, copy, *names)[0] == 0
    assert avsv("gallery", "list", copy, "--frames-per-clip", 2)[0] == 2


def test_check_ends_with_a_status_of_its_own_if_the_encoders_have_changed(avsv, people, monkeypatch):
    class Other:
        model = "voice:other"

    monkeypatch.setattr("avsv.embeddings.voice.load_voice_encoder", lambda *_: Other)
    status, output = avsv("gallery", "check", people)
    assert status == 3 and "voice:other" in output and "rebuild" in output


def test_wrong_numbers_of_names_are_usage_errors(avsv, people):
    for argv in (["list", people, "x"], ["show", people], ["rename", people, "Ann"], ["remove", people]):
        assert avsv("gallery", *argv)[0] == 2


def test_a_gallery_is_made_once_and_only_from_all_its_models(avsv, models, media, tmp_path, people, calibration):
    status, output = avsv("enroll", tmp_path / "absent.gallery", "Ann", media / "ann.mp4")
    assert status == 1 and "absent.gallery" in output
    status, output = avsv("enroll", *models[:4], tmp_path / "new.gallery", "Ann", media / "ann.mp4")
    assert status == 1 and "--calibration" in output and not (tmp_path / "new.gallery").exists()
    assert avsv("enroll", *models, people, "Cy", media / "cy.mp4")[0] == 0  # the same models again
    other = json.loads(calibration.read_text()) | {"target_prior": 0.01}
    (tmp_path / "other.json").write_text(json.dumps(other))
    status, output = avsv("enroll", *models[:5], tmp_path / "other.json", people, "D", media / "stranger.mp4")
    assert status == 1 and "people.gallery" in output


def test_an_encoder_that_has_changed_is_refused(avsv, models, media, tmp_path, encoder):
    moved = tmp_path / "voice"
    shutil.copytree(encoder, moved)
    path = tmp_path / "people.gallery"
    assert avsv("enroll", "--voice", moved, *models[2:], path, "Ann", media / "ann.mp4")[0] == 0
    text = (moved / "hyperparams.yaml").read_text()
    (moved / "hyperparams.yaml").write_text(text + "# changed\n")
    status, output = avsv("identify", path, media / "ann.mp4")
    assert status == 1 and str(moved) in output and "rebuild" in output
