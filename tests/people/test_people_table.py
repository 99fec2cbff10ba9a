"""Tables that say who is in which file."""

import pytest

from avsv.errors import InputError
from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.segments import Segment
from avsv.people.people_table import read_people_table
from avsv.people.preparation import prepare


@pytest.fixture
def table(tmp_path):
    def write(text, name="people.csv"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    return write


@pytest.mark.parametrize("text", ["file\tperson\na b.wav\tAda, L.\n", 'person,file\r\n"Ada, L.",a b.wav\r\n\r\n',
                                  "\ufeffFile;Person\na b.wav;Ada, L.\n"])  # fmt: skip
def test_tabs_commas_and_semicolons_separate_fields(table, text):
    (row,) = read_people_table(table(text))
    assert (row.file, row.person, row.line) == ("a b.wav", "Ada, L.", 2)


@pytest.mark.parametrize(
    ("text", "line"),
    [("", 1), ("name,who\na,b\n", 1), ("file,person,file\n", 1), ("file,person,spk\na,b,c\n", 1),
     ("file,person,a b\n", 1), ("file,person\na.wav\n", 2),
     ("file,person\n,ada\n", 2), ("file,person,gender\na,ada,x\n", 2),
     ("file,person,begin,end\na,ada,2,1\n", 2), ("file,person,begin,end\na,ada,-1,1\n", 2),
     ("file,person,begin,end\na,ada,nan,1\n", 2), ("file,person\na,ada\na,bob\n", 3),
     ("file,person,begin,end\na,ada,1,2\na,bob,,\n", 3), ('file,person\n"x\ny",ada\na,b,c\n', 4)],
)  # fmt: skip
def test_a_wrong_line_is_named(table, text, line):
    path = table(text)
    with pytest.raises(InputError, match=rf"^{path}, line {line}: "):
        read_people_table(path)


@pytest.mark.parametrize("text", ["file,person\n", b"\xff\xfef\0i\0", b"file,person\n\xff,a\n"])
def test_a_table_without_rows_or_text_is_refused(table, text):
    with pytest.raises(InputError, match=r"people\.csv"):
        read_people_table(table(text))


def test_the_table_says_who_and_its_columns_become_tables(media, table, tmp_path, tables):
    for name in ("1", "2", "3", "4"):
        media.wav(f"{name}.wav")
    media.image("1.png")
    media.wav("other/unlisted.wav")
    rows = (
        "1.wav,Ada,s1,f,en\n2.wav,Ada,s2,female,en us\n3.wav,Bob,s1,m,\nother/absent.wav,Bob,s1,m,en\n4.wav,Bob,,M,hr\n"
    )
    prepare(media.folder, tmp_path / "data", table("file,person,session,gender,accent\n" + rows))
    assert tables("utt2spk") == {"Ada-1": "Ada", "Ada-2": "Ada", "Bob-3": "Bob", "Bob-4": "Bob"}
    assert tables("spk2gender") == {"Ada": "f", "Bob": "m"}
    assert tables("utt2vid") == {"Ada-1": "s1", "Ada-2": "s2", "Bob-3": "s1"}
    assert tables("utt2accent") == {"Ada-1": "en", "Ada-2": "en_us", "Bob-4": "hr"}
    assert tables("utt2modality")["Ada-1"] == "both"
    assert set(tables("left_out.tsv")) == {"other/absent.wav", "other/unlisted.wav"}


def test_two_genders_of_one_person_are_refused(media, table, tmp_path):
    media.wav("1.wav")
    media.wav("2.wav")
    with pytest.raises(InputError, match="Ada"):
        prepare(media.folder, tmp_path / "data", table("file,person,gender\n1.wav,Ada,f\n2.wav,Ada,m\n"))


def test_segments_of_a_recording_are_clips_of_their_own(media, table, tmp_path, tables, avsv):
    tape, video = media.wav("tape.wav", seconds=10), media.video("film.mp4", seconds=3)
    media.video("whole.mp4")
    rows = "tape.wav,ada,0.5,2.25\ntape.wav,bob,3,\ntape.wav,bob,1,1.2\ntape.wav,bob,2,20\n"
    rows += "film.mp4,ada,0,2\nwhole.mp4,bob,,\n"
    prepare(media.folder, tmp_path / "data", table("file,person,begin,end\n" + rows))
    assert avsv("check", tmp_path / "data")[0] == 0
    data = read_data_dir(tmp_path / "data")
    cuts = {utt: (part.path, part.start, part.end) for utt, part in data.wav.items() if isinstance(part, Segment)}
    assert cuts == {
        "ada-tape--00000500_00002250": (str(tape), 0.5, 2.25),
        "bob-tape--00003000_end": (str(tape), 3.0, -1.0),
        "ada-film--00000000_00002000": (str(video), 0.0, 2.0),
        "bob-whole": (str(media.folder / "whole.mp4"), 0.0, -1.0),
    }
    assert list(data.video) == ["bob-whole"]
    assert tables("utt2dur")["bob-tape--00003000_end"] == "7.000"
    lines = (tmp_path / "data/left_out.tsv").read_text().splitlines()[1:]
    assert sorted(line.split("\t")[0] for line in lines) == ["film.mp4", "tape.wav", "tape.wav"]
