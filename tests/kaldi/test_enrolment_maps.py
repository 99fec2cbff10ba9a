"""Enrolment maps in the forms that corpora publish."""

import pytest

from avsv.errors import InputError
from avsv.kaldi.enrolment_maps import read_enrolment_map


@pytest.fixture
def read(tmp_path):
    def write_and_read(text, *args):
        (tmp_path / "enroll.map").write_text(text)
        return read_enrolment_map(tmp_path / "enroll.map", *args)

    return write_and_read


def test_cn_celebs_paths_stay_as_written(read):
    assert read("id1-enroll id1/a-1.wav id1/a-2.wav\n") == {"id1-enroll": ["id1/a-1.wav", "id1/a-2.wav"]}


def test_a_recording_named_by_path_and_by_identifier_is_a_repetition(read):
    text = "id1-enroll id1/a-1.wav id1/a-2.wav\nid2-enroll id2/a.wav id2-a\n"
    assert read(text, ["id1-enroll"]) == {"id1-enroll": ["id1/a-1.wav", "id1/a-2.wav"]}
    with pytest.raises(InputError, match="id2-enroll"):
        read(text)


def test_only_those_asked_for_are_returned_and_unknown_ones_have_no_recordings(read):
    assert read("m a b\nn c\n", ["x", "n"]) == {"x": [], "n": ["c"]}


@pytest.mark.parametrize("text", [
    "modelid\tsegmentid\n1001\ta.sph\n1002\tc.flac\n1001\tb.sph\n",
    "modelid,segmentid\n1001,a.sph\n1002,c.flac\n1001,b.sph\n",
    "segmentid modelid side\na.sph 1001 a\n\nc.flac 1002 a\nb.sph 1001 a\n",
    '"modelid","segmentid"\n"1001","a.sph"\n"1002","c.flac"\n"1001","b.sph"\n',
    "modelid\timageid\n1001\ta.sph\n1002\tc.flac\n1001\tb.sph\n",
])  # fmt: skip
def test_nist_tables_have_one_recording_a_line(read, text):
    assert read(text) == {"1001": ["a.sph", "b.sph"], "1002": ["c.flac"]}


def test_labels_from_0_on_are_voxblink2s_gallery(read):
    lines = [f"id{n}/video/{take}.wav {n}" for take in range(2) for n in range(11)]
    models = read("\n".join(lines))
    assert list(models) == [str(n) for n in range(11)]
    assert models["10"] == ["id10/video/0.wav", "id10/video/1.wav"]


def test_numbered_recordings_with_a_gap_are_recordings_of_models(read):
    assert read("a 1\nb 2\n") == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize(("text", "named"), [
    ("", "empty"),
    ("m\n", '"m"'),
    ("m a\nm b\n", "line 2"),
    ("modelid segmentid\n", "no models"),
    ("modelid segmentid\n1001 a x\n", "line 2"),
    ("a/v.wav 0\na-v 0\n", '"0"'),
])  # fmt: skip
def test_a_wrong_map_is_refused(read, text, named):
    with pytest.raises(InputError, match=rf"enroll\.map.*{named}"):
        read(text)
