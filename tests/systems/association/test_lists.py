"""Reading and writing face-voice lists: published ones, ours, and malformed ones."""

import tarfile

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.systems.association.lists import (
    Matching,
    find_protocols,
    item_id,
    read_gallery,
    read_matching,
    read_verification,
    write_matching,
)

HEAD = "id,voice-speaker-id,face-speaker-id,label,voice-path,face-path\n"
# target pairs, nontarget pairs, people: the published table of the lists
SEEN = {"random": (9010, 9010, 901), "G": (9010, 9010, 901), "A": (9010, 9010, 901), "N": (8920, 8920, 892),
        "GNA": (8690, 8690, 869)}  # fmt: skip
UNSEEN = {"random": (15248, 15248, 250), "G": (15248, 15248, 250), "A": (15248, 15248, 250),
          "N": (14097, 14096, 234), "GNA": (13641, 13639, 228)}  # fmt: skip
QUERIES = {"U": 10_000, "G": 10_000, "N": 9_360, "GN": 9_120}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The published lists, unpacked; the test is skipped if they are absent."""
    import os
    from pathlib import Path

    data = Path(os.environ.get("AVSV_REAL_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
    if not (data / "association.tar.xz").exists():
        pytest.skip("the published lists are absent: set AVSV_REAL_DATA to the folder of association.tar.xz")
    folder = tmp_path_factory.mktemp("published")
    with tarfile.open(data / "association.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "association"


@pytest.mark.parametrize(("kind", "counts"), [("seenheard", SEEN), ("unseenunheard", UNSEEN)])
def test_published_verification_lists_have_the_published_counts(published, kind, counts):
    lists = find_protocols(published).verification
    found = {}
    for group in counts:
        trials = read_verification(lists[f"{group}_{kind}"])
        people = {name.partition("/")[0] for name in trials.enroll_ids}
        found[group] = (int(trials.labels.sum()), int((~trials.labels).sum()), len(people))
    assert found == counts


def test_published_matching_lists_have_the_published_counts(published):
    lists = find_protocols(published).matching
    found = {name: len(read_matching(path)) for name, path in lists.items()}
    assert found == {f"{way}_{group}": n for way in ("v2f", "f2v") for group, n in QUERIES.items()}


def test_published_galleries_have_the_published_counts(published):
    voices, faces = (read_gallery(path) for path in find_protocols(published).retrieval)
    assert (len(voices), len(faces), set(voices.values())) == (20_000, 20_000, set(faces.values()))
    assert len(set(voices.values())) == 250


def test_the_published_layouts_give_a_clip_the_same_name():
    ids = {"Jim": "id10001"}
    assert item_id("Jim/v_1_0000012.wav", ids) == item_id("id10001/v_1/00012.wav", ids) == "id10001-v_1-00012"
    assert item_id("Jim/v_1/0000012.jpg", ids) == item_id("Jim/1.6/v_1/0000012.jpg", ids) == "id10001-v_1-0000012"


def test_a_matching_list_can_be_written_and_read(tmp_path):
    matching = Matching(["q1", "q2"], ["a", "b", "c"], np.array([1, 0]), np.array([[0, 2], [1, 0]]))
    write_matching(tmp_path / "v2f_U", matching)
    assert (tmp_path / "v2f_U").read_text() == "q2 a c\nq1 b a\n"
    again = read_matching(tmp_path / "v2f_U")
    assert [again.query_ids[q] for q in again.queries] == ["q2", "q1"]
    assert [[again.candidate_ids[c] for c in row] for row in again.candidates] == [["a", "c"], ["b", "a"]]


@pytest.mark.parametrize(
    ("text", "line"),
    [("q a b\nq a\n", 2), ("q a b\nq a b c\n", 2), ("q a a\n", 1), ("q a\n", 1)],
    ids=["too few", "too many", "a candidate twice", "one candidate"],
)
def test_a_malformed_line_of_a_matching_list_is_named(tmp_path, text, line):
    (tmp_path / "list").write_text(text)
    with pytest.raises(InputError, match=f"list, line {line}:"):
        read_matching(tmp_path / "list")


@pytest.mark.parametrize("row", ["1,1,1,2,a/b_1.wav,a/b/1.jpg", "1,1,1,1,a/b_1.wav"])
def test_a_malformed_line_of_a_published_verification_list_is_named(tmp_path, row):
    (tmp_path / "list").write_text(f"{HEAD}{row}\n")
    with pytest.raises(InputError, match="list, line 2:"):
        read_verification(tmp_path / "list")


def test_an_item_twice_in_a_gallery_is_named(tmp_path):
    (tmp_path / "voices").write_text("u1 a\nu1 b\n")
    with pytest.raises(InputError, match="voices, line 2:"):
        read_gallery(tmp_path / "voices")


def test_a_folder_without_lists_is_refused_with_the_command_that_draws_them(tmp_path):
    with pytest.raises(InputError, match="avsv association lists"):
        find_protocols(tmp_path)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (["0,p0,p0,0,a,b"], "line 2"),
        (["0,p0,p0,1,a,b", "1,p0,p1,1,a,c"], "line 3"),
        (["0,p0,p0,1,a,b", "1,p1,p0,0,a,b"], "line 3"),
        (["0,p0,p0,1,a,b", "1,p1,p1,1,c,b"], "line 3"),
    ],
)
def test_contradictory_labels_and_speakers_are_refused(tmp_path, rows, line):
    (tmp_path / "list").write_text(HEAD + "".join(f"{row}\n" for row in rows))
    with pytest.raises(InputError, match=line):
        read_verification(tmp_path / "list")
