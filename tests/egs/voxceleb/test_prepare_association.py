"""Sets of people for association: the published split, a drawn one, the lists' media."""

import pytest

from avsv.kaldi.data_dir import read_data_dir, write_data_dir
from tests.egs.voxceleb.scripts import prepare

SETS = ("train", "seen", "valid", "unseen")


@pytest.fixture
def data(tmp_path):
    """12 people, half of each gender, three videos of two clips."""
    utts = {f"id{p:05d}-v{v}-{c}": f"id{p:05d}" for p in range(12) for v in range(3) for c in range(2)}
    write_data_dir(tmp_path / "vox1", {
        "utt2spk": utts, "wav.scp": dict.fromkeys(utts, "a.wav"), "video.scp": dict.fromkeys(utts, "a.mp4"),
        "utt2vid": {utt: utt[:-2] for utt in utts},
        "spk2gender": {spk: "mf"[int(spk[2:]) % 2] for spk in utts.values()},
    })  # fmt: skip
    return tmp_path / "vox1"


def test_a_drawn_split_keeps_people_apart_and_genders_even(data, tmp_path):
    status, text = prepare("prepare_association.py", "--counts", 6, 2, 4, data, tmp_path / "out")
    assert status == 0, text
    sets = {name: read_data_dir(tmp_path / "out" / name) for name in SETS}
    people = {name: set(of.utt2spk.values()) for name, of in sets.items()}
    assert [len(people[name]) for name in SETS] == [6, 6, 2, 4] and people["train"] == people["seen"]
    assert (
        not people["train"] & people["unseen"] | people["train"] & people["valid"] | people["valid"] & people["unseen"]
    )
    assert sorted(sets["unseen"].table("spk2gender").values()) == ["f", "f", "m", "m"]


def test_seen_clips_come_from_videos_outside_the_training_set(data, tmp_path):
    prepare("prepare_association.py", "--counts", 6, 2, 4, data, tmp_path / "out")
    videos = [set(read_data_dir(tmp_path / "out" / name).table("utt2vid").values()) for name in ("train", "seen")]
    assert not videos[0] & videos[1] and len(videos[1]) == 6 and len(videos[0]) == 12


def test_the_published_split_is_applied_by_name(data, tmp_path):
    numbers = [1, 1, 3, 1, 2, 2, 4, 4, 4, 1, 1, 4]
    (tmp_path / "splits").write_text("".join(f"Name_{p} {n} \n" for p, n in enumerate(numbers)))
    rows = "".join(f"id{p:05d}\tName_{p}\tm\tX\tdev\n" for p in range(12))
    (tmp_path / "meta").write_text("VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n" + rows)
    status, text = prepare("prepare_association.py", "--splits", tmp_path / "splits", "--meta", tmp_path / "meta", data,
                           tmp_path / "out")  # fmt: skip
    assert status == 0, text
    people = {name: set(read_data_dir(tmp_path / "out" / name).utt2spk.values()) for name in SETS}
    assert people["unseen"] == {f"id{p:05d}" for p in (6, 7, 8, 11)}
    assert people["valid"] == {"id00004", "id00005"} and "id00002" in people["train"]
    assert "Name_3 id00003\n" in (tmp_path / "out/ids").read_text()


def test_too_many_requested_people_are_refused_in_one_line(data, tmp_path):
    status, text = prepare("prepare_association.py", "--counts", 10, 2, 4, data, tmp_path / "out")
    assert status == 1 and "--counts 10 2 4" in text.splitlines()[-1]


def test_recordings_and_images_of_the_published_lists_become_clips(tmp_path):
    corpus, lists = tmp_path / "corpus", tmp_path / "lists"
    for path in ("wav/id10001/v/00001.wav", "unzippedFaces/Jim/1.6/v/0000025.jpg"):
        (corpus / path).parent.mkdir(parents=True)
        (corpus / path).write_bytes(b"")
    (lists / "matching").mkdir(parents=True)
    row = "id10001/v/00001.wav Jim/1.6/v/0000025.jpg Ann/1.6/w/0000001.jpg\n"
    (lists / "matching/matching_v2f_U.csv").write_text(row)
    (tmp_path / "ids").write_text("Ann id10002\nJim id10001\n")
    status, text = prepare("prepare_listed.py", "--ids", tmp_path / "ids", "--lists", lists, corpus, tmp_path / "out")
    assert status == 0 and "1 of 3 recordings and images of the lists are not in the corpus" in text
    data = read_data_dir(tmp_path / "out")
    assert (list(data.wav), list(data.video)) == (["id10001-v-00001"], ["id10001-v-0000025"])
