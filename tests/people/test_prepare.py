"""avsv prepare: from a folder of media to a data directory."""

import os
import shutil

import pytest

from avsv.errors import InputError
from avsv.kaldi.data_dir import read_data_dir
from avsv.people import inspection
from avsv.people.preparation import prepare


@pytest.fixture
def run(avsv, tmp_path, media):
    """avsv prepare on the media, then avsv check: the output."""

    def call(*options, folder=None):
        status, output = avsv("prepare", *options, folder or media.folder, tmp_path / "data")
        assert status == 0, output
        assert avsv("check", tmp_path / "data")[0] == 0
        return output

    return call


def test_people_sessions_and_modalities_come_from_folders_and_contents(run, media, tables):
    media.video("ada/talk.mp4")
    media.video("ada/silent film.mp4", audio=False)
    media.wav("ada/monday/1.wav", seconds=1.5)
    media.wav("bob/a.wav")
    media.image("bob/a.png")
    media.image("bob/portrait.jpg")
    for number in range(3):
        media.image(f"bob/walk/{number}.png")
    media.wav("bob/b.anything")
    run()
    assert tables("utt2modality") == {
        "ada-monday--1": "voice", "ada-silent.film": "face", "ada-talk": "both", "bob-a": "both", "bob-b": "voice",
        "bob-portrait": "face", "bob-walk": "face",
    }  # fmt: skip
    assert {spk for utt, spk in tables("utt2spk").items() if utt.startswith("ada")} == {"ada"}
    assert tables("video.scp")["bob-walk"] == str(media.folder / "bob/walk")
    assert tables("wav.scp")["bob-a"].endswith("a.wav") and tables("video.scp")["bob-a"].endswith("a.png")
    assert tables("utt2vid") == {"ada-monday--1": "ada--monday"}
    assert tables("utt2dur")["ada-monday--1"] == "1.500" and "bob-walk" not in tables("utt2dur")
    assert tables("utt2file")["ada-silent.film"] == "ada/silent film.mp4"
    assert not tables("utt2labelled") and not tables("left_out.tsv")


def test_what_cannot_be_used_is_listed_with_the_reason_and_nothing_else_is_lost(run, media, tables):
    media.wav("ada/good.wav")
    media.wav("ada/short.wav", seconds=0.2)
    media.wav("ada/silent.wav", level=0)
    media.video("ada/cut.mp4")
    cut = media.folder / "ada/cut.mp4"
    cut.write_bytes(cut.read_bytes()[:300])
    (media.folder / "ada/empty.wav").write_bytes(b"")
    (media.folder / "ada/notes.txt").write_text("who is this?")
    shutil.copy(media.folder / "ada/good.wav", media.folder / "ada/sicher ist sicher.wav")
    media.wav("ada/ends in |")
    media.wav("ada/two\nlines.wav")
    media.wav("ada/white ")
    (media.folder / "ada/loop").symlink_to(media.folder)
    os.mkfifo(media.folder / "ada/pipe.wav")
    media.wav("ada/.hidden.wav")
    output = run()
    assert list(tables("utt2spk")) == ["ada-good"]
    left_out = tables("left_out.tsv")
    assert set(left_out) == {"ada/short.wav", "ada/silent.wav", "ada/cut.mp4", "ada/empty.wav", "ada/notes.txt",
                             "ada/sicher ist sicher.wav", "ada/ends in |", "ada/two\\nlines.wav", "ada/white ",
                             "ada/loop", "ada/pipe.wav"}  # fmt: skip
    assert left_out["ada/short.wav"][2] == "lasts 0.200 s" and "silent" in left_out["ada/silent.wav"][1]
    assert left_out["ada/sicher ist sicher.wav"][2] == "ada/good.wav"
    assert "one person only" in output


def test_the_voice_of_a_silent_video_is_left_out_its_images_stay(run, media, tables):
    media.video("ada/a.mp4", seconds=0.3)
    media.wav("bob/b.wav")
    run()
    assert tables("utt2modality") == {"ada-a": "face", "bob-b": "voice"}
    assert tables("left_out.tsv")["ada/a.mp4"][0] == "voice"


def test_one_content_under_two_names_is_used_for_nobody(run, media, tables):
    media.wav("ada/1.wav")
    media.wav("ada/2.wav")
    media.wav("bob/1.wav")
    shutil.copy(media.folder / "ada/1.wav", media.folder / "bob/2.wav")
    shutil.copy(media.folder / "bob/1.wav", media.folder / "who.wav")
    run()
    assert list(tables("utt2spk")) == ["ada-2", "bob-1"]
    assert {file: row[2] for file, row in tables("left_out.tsv").items()} == {
        "ada/1.wav": "bob/2.wav", "bob/2.wav": "ada/1.wav", "who.wav": "bob/1.wav",
    }  # fmt: skip


def test_of_files_with_one_name_the_recording_and_the_video_serve(run, media, tables):
    media.video("ada/x.mp4")
    media.wav("ada/x.wav")
    media.image("ada/x.png")
    run()
    assert tables("wav.scp") == {"ada-x": str(media.folder / "ada/x.wav")}
    assert tables("video.scp") == {"ada-x": str(media.folder / "ada/x.mp4")}
    assert {file: row[0] for file, row in tables("left_out.tsv").items()} == {"ada/x.mp4": "voice", "ada/x.png": "all"}


@pytest.mark.parametrize("name", ['O\'Neil "Q"', "שלום", "😀", "Ádám", "a b", "-rf", "$(id)", "*", "a;b"])
def test_any_name_of_a_person_or_file_is_kept_in_tables(run, media, tables, name):
    media.wav(f"{name}/{name}.wav")
    media.wav("bob/1.wav")
    run()
    (utt,) = (utt for utt in tables("utt2spk") if not utt.startswith("bob"))
    assert utt.isascii() and tables("utt2file")[utt] == f"{name}/{name}.wav"
    assert tables("spk2name")[tables("utt2spk")[utt]] == name and tables("wav.scp")[utt].endswith(f"/{name}.wav")


def test_unknown_people_are_nobodys_labels(run, media, tables, avsv, tmp_path):
    media.wav("ada/1.wav")
    media.wav("ada/2.wav")
    media.wav("loose.wav")
    media.wav("Unknown/1.wav")
    run()
    unknown = {"unknown-Unknown--1", "unknown-loose"}
    assert {utt for utt, answer in tables("utt2labelled").items() if answer == "no"} == unknown
    assert all(tables("utt2spk")[utt] == utt for utt in unknown) and "unknown-loose" not in tables("spk2name")
    from avsv.scoring.speakers import speaker_names
    from avsv.training.labels import label_clips

    data = read_data_dir(tmp_path / "data")
    assert speaker_names(["ada-1"], tmp_path / "data/utt2spk", "x") == ["ada"]
    with pytest.raises(InputError):
        speaker_names(["ada-1", "unknown-loose"], tmp_path / "data/utt2spk", "x")
    with pytest.raises(InputError):
        label_clips(data, data.wav, "audio")


def test_without_labels_folders_name_nobody(run, media, tables):
    media.wav("tuesday/1.wav")
    media.wav("2.wav")
    for number in range(2):
        media.image(f"camera/{number}.png")
    run("--unlabelled")
    assert set(tables("utt2spk")) == {"unknown-tuesday--1", "unknown-2", "unknown-camera"}
    assert set(tables("utt2labelled").values()) == {"no"}


def test_identifiers_stay_when_files_are_added_and_only_new_files_are_read(run, media, tables, monkeypatch):
    media.wav("ada/a b.wav")
    media.wav("bob/1.wav")
    run()
    before, read = tables("utt2spk"), []
    inspect = inspection.inspect
    monkeypatch.setattr(inspection, "inspect", lambda path: read.append(path) or inspect(path))
    assert "made already" in run() and not read
    media.wav("ada/a_b.wav")
    media.wav("Ada/a b.wav")
    media.image("ada/a b.jpg")
    run()
    assert before.items() <= tables("utt2spk").items() and len(tables("utt2spk")) == 4
    assert len(read) == 3
    shutil.rmtree(media.folder / "Ada")
    run()
    assert len(tables("utt2spk")) == 3 and len(read) == 3


def test_a_table_of_an_earlier_run_that_no_longer_applies_is_removed(run, media, tables):
    media.wav("a.wav")
    media.wav("b.wav")
    table = media.folder.parent / "people.csv"
    table.write_text("file,person,language\na.wav,ada,en\nb.wav,,hr\n")
    run("--table", table)
    assert tables("utt2language") == {"ada-a": "en", "unknown-b": "hr"}
    run("--unlabelled")
    assert not tables("utt2language") and not tables("spk2name")


def test_an_interrupted_run_keeps_what_it_has_read(media, tmp_path, monkeypatch):
    for number in range(8):
        media.wav(f"ada/{number}.wav")
    inspect, read = inspection.inspect, []

    def interrupted(path):
        if path.endswith("5.wav"):
            raise KeyboardInterrupt
        read.append(path)
        return inspect(path)

    monkeypatch.setattr(inspection, "inspect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(media.folder, tmp_path / "data")
    kept = set(inspection.recall(tmp_path / "data/.inspected.json"))
    assert kept and not (tmp_path / "data/utt2spk").exists()
    monkeypatch.setattr(inspection, "inspect", lambda path: read.append(path) or inspect(path))
    read.clear()
    assert prepare(media.folder, tmp_path / "data").n_clips == 8
    assert not kept & set(read)


def test_long_recordings_are_listed_and_overlong_ones_left_out(run, media, tables):
    media.wav("ada/long.wav", seconds=601)
    media.wav("ada/overlong.wav", seconds=4300)
    run()
    assert tables("needs_diarisation") == {"ada-long": "601"} and list(tables("utt2spk")) == ["ada-long"]
    assert tables("left_out.tsv")["ada/overlong.wav"][2] == "lasts 4300 s"


@pytest.mark.parametrize("content", [None, "notes", "hidden"])
def test_a_folder_without_media_is_refused(avsv, media, tmp_path, content):
    media.folder.mkdir()
    if content:
        (media.folder / ("notes.txt" if content == "notes" else ".DS_Store")).write_text("x")
    status, output = avsv("prepare", media.folder, tmp_path / "data")
    assert status == 1 and str(media.folder) in output and not (tmp_path / "data/utt2spk").exists()


def test_a_missing_folder_and_a_data_directory_of_the_users_own_are_refused(avsv, media, tmp_path):
    assert avsv("prepare", tmp_path / "absent", tmp_path / "data")[0] == 1
    media.wav("ada/1.wav")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/utt2spk").write_text("mine me\n")
    assert avsv("prepare", media.folder, tmp_path / "data")[0] == 1
    assert (tmp_path / "data/utt2spk").read_text() == "mine me\n"


def test_the_data_directory_may_lie_in_the_folder(run, media, tables, tmp_path):
    media.wav("media/ada/1.wav")
    shutil.move(media.folder / "media/ada", tmp_path / "ada")
    run(folder=tmp_path)
    run(folder=tmp_path)
    assert list(tables("utt2spk")) == ["ada-1"]
