"""The preparation scripts on a synthetic VoxCeleb, and on minivox if available."""

import importlib
import itertools
import re
import shutil

import cv2
import numpy as np
import pytest
import soundfile

from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.validation import check
from tests.egs.voxceleb.scripts import LOCAL, prepare


@pytest.fixture
def vox1(tmp_path):
    """Two people, two videos, two clips; one video has no images."""
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
    status, output = prepare("prepare_voxceleb1.py", vox1, tmp_path / "data")
    assert status == 0, output
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


def test_lists_of_another_corpus_have_its_name(vox1, tmp_path):
    status, output = prepare("prepare_voxceleb1.py", "--lists", "second", vox1, tmp_path / "data")
    assert status == 0, output
    assert [path.name for path in (tmp_path / "data/trials").iterdir()] == ["second-O"]


def table(path):
    return dict(line.split(" ", 1) for line in path.read_text().splitlines())


def left_out(output, why):
    """The counts in the log's lines on items that were left out."""
    return [int(count) for count in re.findall(rf"left out (\d+) .*{re.escape(why)}", output)]


def test_voxceleb1_in_other_common_layouts_gives_the_same_clips(vox1, tmp_path):
    """Images without 1.6/ and under the id, suffixes in capitals, flac beside wav, files of macOS and Windows."""
    assert prepare("prepare_voxceleb1.py", vox1, tmp_path / "as published")[0] == 0
    faces, wav = vox1 / "unzippedFaces", vox1 / "wav"
    for video in (faces / "A.B._Cee/1.6").iterdir():
        video.rename(faces / "A.B._Cee" / video.name)
    (faces / "A.B._Cee/1.6").rmdir()
    (faces / "D_E").rename(faces / "id10002")
    (faces / "id10002/1.6/vid-A_x/0000001.jpg").rename(faces / "id10002/1.6/vid-A_x/0000001.JPG")
    (wav / "id10001/vidB/00001.wav").rename(wav / "id10001/vidB/00001.WAV")
    soundfile.write(wav / "id10001/vidB/00002.flac", np.zeros(8000), 16000)
    (wav / "id10002/vidB/00002.wav").unlink()
    soundfile.write(wav / "id10002/vidB/00002.flac", np.zeros(8000), 16000)
    for name in (".DS_Store", "id10001/.DS_Store", "id10001/vidB/._00001.wav", "id10002/vidB/Thumbs.db"):
        (wav / name).write_bytes(b"\0\5\26\7")
    (wav / "id10001/vidB/readme.txt").write_text("x")
    (wav / "index.html").write_text("x")
    (faces / "A.B._Cee/vidB/._0000001.jpg").write_bytes(b"\0\5\26\7")
    (faces / "id10002/1.6/vidB/._0000001.jpg").write_bytes(b"\0\5\26\7")  # the only file
    status, output = prepare("prepare_voxceleb1.py", vox1, tmp_path / "data")
    assert status == 0, output
    assert check(tmp_path / "data") == []
    for name in ("utt2spk", "utt2dur", "trials/vox1-O", "utt2vid", "spk2gender", "spk2nationality"):
        assert (tmp_path / "data" / name).read_text() == (tmp_path / "as published" / name).read_text()
    assert table(tmp_path / "data/video.scp").keys() == table(tmp_path / "as published/video.scp").keys()
    assert table(tmp_path / "data/wav.scp")["id10001-vidB-00002"].endswith("00002.wav")
    assert left_out(output, "hidden") == [4] and left_out(output, "other forms") == [1]
    assert left_out(output, "are not .wav") == [1] and left_out(output, "ID/VIDEO") == [1]


def test_the_two_parts_of_voxceleb1_are_joined(vox1, tmp_path):
    (vox1 / "dev/wav").mkdir(parents=True)
    (vox1 / "wav/id10001").rename(vox1 / "dev/wav/id10001")
    (vox1 / "test").mkdir()
    (vox1 / "wav").rename(vox1 / "test/wav")
    assert prepare("prepare_voxceleb1.py", vox1, tmp_path / "data")[0] == 0
    assert len(table(tmp_path / "data/wav.scp")) == 8 and check(tmp_path / "data") == []


def test_a_corpus_without_any_face_is_an_error(vox1, tmp_path):
    (vox1 / "unzippedFaces").rename(vox1 / "x")
    (vox1 / "unzippedFaces").mkdir()
    (vox1 / "x").rename(vox1 / "unzippedFaces/faces")
    status, output = prepare("prepare_voxceleb1.py", vox1, tmp_path / "data")
    assert status == 1 and "unzippedFaces" in output.splitlines()[-1]


@pytest.fixture
def vox2(tmp_path):
    """Two people, two videos, two clips: copies of one mp4 with audio, and the audio as m4a."""
    import av

    source = tmp_path / "clip.mp4"
    with av.open(str(source), "w") as out:
        video, audio = out.add_stream("mpeg4", rate=25), out.add_stream("aac", rate=16000, layout="mono")
        video.width = video.height = 32
        for _ in range(5):
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.rate = 16000
        out.mux([*audio.encode(frame), *audio.encode(None), *video.encode(None)])
    for spk in ("id1", "id2"):
        for video in ("a", "b"):
            for clip in ("00001", "00002"):
                for part, ending in (("mp4", "mp4"), ("aac", "m4a")):
                    path = tmp_path / "vox2/dev" / part / spk / video / f"{clip}.{ending}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, path)
    meta = "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set\r\nid1 ,n1 ,m ,dev\r\nid2 ,n2 ,f ,dev\r\n"
    (tmp_path / "vox2/vox2_meta.csv").write_bytes(b"\xef\xbb\xbf" + meta.encode())
    return tmp_path / "vox2"


def convert(folder, to, keep):
    """Convert the m4a files below a folder to wav files in `to`; `keep` the originals."""
    for path in sorted(folder.rglob("*.m4a")):
        new = to / path.relative_to(folder).with_suffix(".wav")
        new.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(new, np.zeros(4096), 16000)
        if not keep:
            path.unlink()


@pytest.mark.parametrize(
    ("layout", "wavs"),
    [
        ("m4a", 0),
        ("wav", 8),
        ("wav beside", 0),
        ("half wav", 3),
        ("wav/", 8),
        ("wav/ beside", 0),
        ("M4A", 0),
        ("none", 0),
    ],
)
def test_voxceleb2_in_every_layout_gives_the_same_clips(vox2, tmp_path, layout, wavs):
    aac = vox2 / "dev/aac"
    match layout:
        case "wav" | "wav beside":
            convert(aac, aac, keep=layout == "wav beside")
        case "wav/" | "wav/ beside":
            convert(aac, vox2 / "dev/wav", keep=layout == "wav/ beside")
            if layout == "wav/":
                shutil.rmtree(aac)
        case "half wav":
            convert(aac, aac, keep=True)
            for path in sorted(aac.rglob("*.m4a"))[:3]:
                path.unlink()
            for path in sorted(aac.rglob("*.wav"))[3:5]:
                path.unlink()
        case "M4A":
            for path in list(vox2.rglob("*.m4a")) + list(vox2.rglob("*.mp4")):
                path.rename(path.with_suffix(path.suffix.upper()))
        case "none":
            shutil.rmtree(aac)
    for path in list(vox2.rglob("00001.*")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
    status, output = prepare("prepare_voxceleb2.py", vox2, tmp_path / "data", "--jobs", 1)
    assert status == 0, output
    assert check(tmp_path / "data") == []
    utts = {f"{spk}-{video}-{clip}" for spk in ("id1", "id2") for video in "ab" for clip in ("00001", "00002")}
    wav, video = table(tmp_path / "data/wav.scp"), table(tmp_path / "data/video.scp")
    assert wav.keys() == video.keys() == utts
    assert sum(path.endswith(".wav") for path in wav.values()) == wavs
    assert table(tmp_path / "data/utt2dur").keys() == utts
    assert left_out(output, "hidden")[0] == 4
    assert sum(left_out(output, "other forms")) == {"wav beside": 8, "half wav": 3}.get(layout, 0)
    assert sum(left_out(output, "in aac/ too")) == 0 or layout == "wav/ beside"


def test_clips_with_one_modality_are_counted(vox2, tmp_path):
    (vox2 / "dev/aac/id1/a/00001.m4a").unlink()
    (vox2 / "dev/mp4/id2/b/00002.mp4").unlink()
    _, output = prepare("prepare_voxceleb2.py", vox2, tmp_path / "data", "--jobs", 1)
    assert "1 of 8 clips have no audio, such as id1-a-00001" in output
    assert "1 of 8 clips have no faces, such as id2-b-00002" in output


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
def test_a_missing_part_is_reported_in_one_line(vox1, tmp_path, piece, message):
    path = vox1 / piece
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    status, output = prepare("prepare_voxceleb1.py", vox1, tmp_path / "data")
    assert status == 1 and message in output.strip().splitlines()[-1]


def test_minivox_is_read_completely_with_the_right_numbers_of_trials(real_data, tmp_path):
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
    for name in ("vox1", "vox2", "dev", "musan_train", "musan_dev", "musan_test"):
        assert check(tmp_path / name) == []
        people[name] = set(read_data_dir(tmp_path / name).utt2spk.values())
    assert [len(people[name]) for name in ("vox1", "vox2", "dev")] == [24, 44, 6]
    assert not people["vox2"] & people["dev"] and people["musan_test"] == {"noise", "music", "speech", "rir"}
    genders = read_data_dir(tmp_path / "dev").table("spk2gender")
    assert sorted(genders.values()) == ["f"] * 3 + ["m"] * 3
    lists = {path.name: len(path.read_text().splitlines()) for path in (tmp_path / "vox1/trials").iterdir()}
    assert lists == {"vox1-O": 5760, "vox1-E": 28560, "vox1-H": 15060}


def test_missing_parts_of_voxceleb2_and_musan_are_named(tmp_path):
    (tmp_path / "vox2/dev").mkdir(parents=True)
    status, output = prepare("prepare_voxceleb2.py", tmp_path / "vox2", tmp_path / "data")
    assert status == 1 and "dev/mp4/ID/VIDEO/CLIP.mp4" in output
    status, output = prepare("prepare_musan.py", tmp_path, tmp_path, tmp_path / "data")
    assert status == 1 and "the part noise/ of MUSAN" in output


def test_a_list_removed_from_the_corpus_is_removed_and_the_users_own_is_kept(vox1, tmp_path):
    shutil.copyfile(vox1 / "veri_test2.txt", vox1 / "list_test_all2.txt")
    assert prepare("prepare_voxceleb1.py", vox1, tmp_path / "data")[0] == 0
    (tmp_path / "data/trials/mine").write_text("a b target\n")
    (vox1 / "list_test_all2.txt").unlink()
    status, output = prepare("prepare_voxceleb1.py", vox1, tmp_path / "data")
    assert status == 0 and "vox1-E" in output
    assert sorted(path.name for path in (tmp_path / "data/trials").iterdir()) == ["mine", "vox1-O"]


def test_held_out_people_of_an_earlier_run_do_not_overlap_with_training(tmp_path):
    """--held-out 0 after an earlier --held-out 2: otherwise data/dev would keep two people of data/train."""
    corpus = tmp_path / "vox2"
    rows = ["VoxCeleb2 ID,VGGFace2 ID,Gender,Set"]
    for number in range(6):
        spk = f"id0000{number}"
        rows.append(f"{spk},n{number},{'mf'[number % 2]},dev")
        (corpus / "dev/mp4" / spk / "video").mkdir(parents=True)
        (corpus / "dev/mp4" / spk / "video/00001.mp4").write_bytes(b"no video")
    (corpus / "vox2_meta.csv").write_text("\n".join(rows) + "\n")
    where = ["--held-out-dir", tmp_path / "dev", corpus, tmp_path / "train"]
    status, output = prepare("prepare_voxceleb2.py", "--held-out", 2, *where)
    assert status == 0, output
    status, output = prepare("prepare_voxceleb2.py", *where)
    assert status == 1 and str(tmp_path / "dev") in output
    shutil.rmtree(tmp_path / "dev")
    assert prepare("prepare_voxceleb2.py", *where)[0] == 0


def voxceleb2_of(folder, n_people):
    """People in a VoxCeleb2 without readable media, two videos each."""
    rows = ["VoxCeleb2 ID,VGGFace2 ID,Gender,Set"]
    for number in range(n_people):
        spk = f"id0000{number}"
        rows.append(f"{spk},n{number},{'mf'[number % 2]},dev")
        for video in ("a", "b"):
            (folder / "dev/mp4" / spk / video).mkdir(parents=True)
            (folder / "dev/mp4" / spk / video / "00001.mp4").write_bytes(b"no video")
    (folder / "vox2_meta.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_validation_people_are_in_no_other_set(tmp_path):
    corpus = voxceleb2_of(tmp_path / "vox2", 8)
    chosen = tmp_path / "chosen"
    chosen.write_text("id00001\nid00004\n\n")
    where = ["--held-out", 2, "--held-out-dir", tmp_path / "dev", "--validation-dir", tmp_path / "other", corpus,
             tmp_path / "train"]  # fmt: skip
    status, output = prepare("prepare_voxceleb2.py", "--validation", chosen, *where)
    assert status == 0, output
    people = {name: set(table(tmp_path / name / "utt2spk").values()) for name in ("train", "dev", "other")}
    assert people["other"] == {"id00001", "id00004"}
    assert [len(people[name]) for name in ("train", "dev")] == [4, 2]
    assert not people["train"] & people["dev"] and not people["other"] & (people["train"] | people["dev"])
    trials = (tmp_path / "other/trials/other").read_text().splitlines()
    assert sum(line.endswith(" target") for line in trials) == 2 and len(trials) == 6
    status, output = prepare("prepare_voxceleb2.py", *where)
    assert status == 1 and str(tmp_path / "other") in output


@pytest.mark.parametrize("text, place", [("id00001\nid99999\n", "line 2"), ("\nid1\n", "line 2")])
def test_an_unknown_validation_person_is_named(tmp_path, text, place):
    corpus = voxceleb2_of(tmp_path / "vox2", 4)
    (tmp_path / "chosen").write_text(text)
    status, output = prepare("prepare_voxceleb2.py", "--validation", tmp_path / "chosen", corpus, tmp_path / "train")
    assert status == 1 and f"{tmp_path}/chosen, {place}" in output and not (tmp_path / "train").exists()


def test_validation_people_leave_enough_to_train_on(tmp_path):
    corpus = voxceleb2_of(tmp_path / "vox2", 4)
    (tmp_path / "chosen").write_text("id00000\nid00001\n")
    options = ["--held-out", 2, "--held-out-dir", tmp_path / "dev", "--validation", tmp_path / "chosen"]
    status, output = prepare("prepare_voxceleb2.py", *options, corpus, tmp_path / "train")
    assert status == 1 and "--held-out 2" in output


@pytest.fixture
def make_trials(monkeypatch):
    """The function of prepare_voxceleb2.py."""
    monkeypatch.syspath_prepend(LOCAL)
    return importlib.import_module("prepare_voxceleb2").make_trials


def pairs_of(trials, label):
    chosen = trials.labels == label
    return {(trials.enroll_ids[a], trials.test_ids[b]) for a, b in trials.pairs[chosen].tolist()}


def test_trials_of_held_out_people_are_drawn_from_all_pairs(make_trials):
    """Names whose plain order separates the clips of a video, and a person without targets."""
    utts = [f"id{person}-{video}-{clip}" for person in (1, 10, 2) for video in ("V", "V-X", "W")
            for clip in ("00001", "zzz")] + ["id3-V-00001", "id3-V-00002"]  # fmt: skip
    person, video = (lambda utt: utt.split("-")[0]), (lambda utt: utt.rsplit("-", 1)[0])
    everything = [frozenset(pair) for pair in itertools.combinations(utts, 2)]
    target = {pair for pair in everything if len({person(u) for u in pair}) == 1 and len({video(u) for u in pair}) == 2}
    nontarget = {pair for pair in everything if len({person(u) for u in pair}) == 2}
    trials = make_trials(utts, 0)
    assert {frozenset(pair) for pair in pairs_of(trials, True)} == target
    drawn = [{frozenset(pair) for pair in pairs_of(make_trials(utts, seed), False)} for seed in range(40)]
    assert all(len(one) == 4 * len(target) or one == nontarget for one in drawn)
    assert set().union(*drawn) == nontarget
    assert len(make_trials(utts, 0, most=5)) == 10
    assert len(make_trials(["id1-a-1"], 0)) == 0


def test_thousands_of_held_out_people_take_no_list_of_all_pairs(make_trials):
    """36 billion pairs."""
    utts = [f"id{person:05d}-v{video}-{clip:05d}" for person in range(1500) for video in range(30) for clip in range(6)]
    trials = make_trials(utts, 0)
    assert len(pairs_of(trials, True)) == len(pairs_of(trials, False)) == 20000
    assert all(a.split("-")[0] == b.split("-")[0] and a.split("-")[1] != b.split("-")[1]
               for a, b in pairs_of(trials, True))  # fmt: skip
    assert all(a.split("-")[0] != b.split("-")[0] for a, b in pairs_of(trials, False))
    assert len({a.split("-")[0] for a, _ in pairs_of(trials, True)}) > 1400
