"""The preparations on a made-up VoxCeleb, and on minivox where it is."""

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.validation import check

LOCAL = Path(__file__).resolve().parents[3] / "egs" / "voxceleb" / "local"


def prepare(script, *argv):
    done = subprocess.run(
        [sys.executable, LOCAL / script, *map(str, argv)], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def vox1(tmp_path):
    """Two people, two videos, two clips; one video has no pictures."""
    corpus = tmp_path / "vox 1"
    for spk, name in (("id10001", "A.B._Cee"), ("id10002", "D_E")):
        for video in ("vid-A_x", "vidB"):
            for clip in ("00001", "00002"):
                path = corpus / "wav" / spk / video / f"{clip}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, np.zeros(8000), 16000)
            faces = corpus / "unzippedFaces" / name / "1.6" / video
            faces.mkdir(parents=True)
            if (spk, video) != ("id10002", "vidB"):
                cv2.imwrite(str(faces / "0000001.jpg"), np.zeros((8, 8, 3), np.uint8))
    (corpus / "vox1_meta.csv").write_text(
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
        "id10001\tA.B._Cee\tm\tIreland\ttest\nid10002\tD_E\tf\tNew Zealand\ttest\n"
    )
    (corpus / "veri_test2.txt").write_text(
        "1 id10001/vid-A_x/00001.wav id10001/vidB/00002.wav\n0 id10001/vidB/00001.wav id10002/vidB/00001.wav\n"
    )
    return corpus


def test_voxceleb1_becomes_a_valid_data_directory(vox1, tmp_path):
    status, said = prepare("prepare_voxceleb1.py", vox1, tmp_path / "data")
    assert status == 0, said
    assert check(tmp_path / "data") == []
    data = read_data_dir(tmp_path / "data")
    assert len(data.wav) == 8 and len(data.video) == 6
    assert data.table("utt2modality")["id10002-vidB-00001"] == "voice"
    assert data.table("utt2dur")["id10001-vid-A_x-00001"] == "0.500"
    assert data.table("spk2gender") == {"id10001": "m", "id10002": "f"}
    assert data.table("utt2vid")["id10001-vid-A_x-00001"] == "id10001-vid-A_x"
    assert data.video["id10001-vid-A_x-00001"].endswith("A.B._Cee/1.6/vid-A_x")
    assert (tmp_path / "data/trials/vox1-O").read_text() == (
        "id10001-vid-A_x-00001 id10001-vidB-00002 target\nid10001-vidB-00001 id10002-vidB-00001 nontarget\n"
    )


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        ("wav", "wav: not found; expected wav/ID/VIDEO/CLIP.wav"),
        ("unzippedFaces", "unzippedFaces: not found"),
        ("vox1_meta.csv", "vox1_meta.csv: not found"),
        ("veri_test2.txt", "has no trial list"),
        ("wav/id10001/vidB/00001.wav", "1 clips of its trials are not in"),
        (".", "not found; expected the folder of VoxCeleb1"),
    ],
)
def test_a_missing_piece_is_one_clear_line(vox1, tmp_path, piece, message):
    path = vox1 / piece
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    status, said = prepare("prepare_voxceleb1.py", vox1, tmp_path / "data")
    assert status == 1 and message in said.strip().splitlines()[-1]


def test_minivox_is_read_whole_and_its_trials_keep_their_counts(real_data, tmp_path):
    mini = real_data / "minivox"
    assert prepare("prepare_voxceleb1.py", mini / "vox1", tmp_path / "vox1")[0] == 0
    assert (
        prepare(
            "prepare_voxceleb2.py",
            "--held-out",
            6,
            "--held-out-dir",
            tmp_path / "dev",
            mini / "vox2",
            tmp_path / "vox2",
        )[0]
        == 0
    )
    assert prepare("prepare_musan.py", mini / "musan", mini / "RIRS_NOISES", tmp_path / "musan")[0] == 0
    people = {}
    for name in ("vox1", "vox2", "dev", "musan"):
        assert check(tmp_path / name) == []
        people[name] = set(read_data_dir(tmp_path / name).utt2spk.values())
    assert [len(people[name]) for name in ("vox1", "vox2", "dev")] == [24, 44, 6]
    assert not people["vox2"] & people["dev"] and people["musan"] == {"noise", "music", "speech", "rir"}
    genders = read_data_dir(tmp_path / "dev").table("spk2gender")
    assert sorted(genders.values()) == ["f"] * 3 + ["m"] * 3
    lists = {path.name: len(path.read_text().splitlines()) for path in (tmp_path / "vox1/trials").iterdir()}
    assert lists == {"vox1-O": 5760, "vox1-E": 28560, "vox1-H": 15060}


def test_voxceleb2_without_its_parts_is_told(tmp_path):
    (tmp_path / "vox2/dev").mkdir(parents=True)
    status, said = prepare("prepare_voxceleb2.py", tmp_path / "vox2", tmp_path / "data")
    assert status == 1 and "dev/mp4/ID/VIDEO/CLIP.mp4" in said
    status, said = prepare("prepare_musan.py", tmp_path, tmp_path, tmp_path / "data")
    assert status == 1 and "the part noise/ of MUSAN" in said
