"""Trial lists: the forms that are read, the errors, and the round trip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsv.errors import InputError
from avsv.kaldi import columns
from avsv.kaldi.trials import Trials, read_labelled_trials, read_trials, write_trials


@pytest.fixture
def listed(tmp_path):
    """Read a trial list with this text."""

    def read(text):
        path = tmp_path / "trials"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_trials(path)

    return read


def named(trials):
    return [trials[number] for number in range(len(trials))]


def test_kaldi_list_keeps_identifiers_as_written(listed):
    trials = listed("nsc1/a_1 nsc1/a_2.wav target\nnsc1/a_1 b nontarget\n")
    assert named(trials) == [("nsc1/a_1", "nsc1/a_2.wav"), ("nsc1/a_1", "b")]
    assert trials.labels.tolist() == [True, False]
    assert trials.pairs.dtype == np.int32


def test_list_without_labels_has_none(listed):
    trials = listed("a b\na c\n")
    assert trials.labels is None
    assert named(trials) == [("a", "b"), ("a", "c")]


def test_voxceleb_paths_become_utterance_identifiers(listed):
    trials = listed("1 id1/v-_x/00001.wav id1/w/00002.m4a\n0 id1/v-_x/00001.wav id2/z/00003.wav\n")
    assert named(trials) == [("id1-v-_x-00001", "id1-w-00002"), ("id1-v-_x-00001", "id2-z-00003")]
    assert trials.labels.tolist() == [True, False]


def test_each_identifier_is_listed_once(listed):
    trials = listed("a b target\na b target\nb a nontarget\n")
    assert (trials.enroll_ids, trials.test_ids) == (["a", "b"], ["b", "a"])


@pytest.mark.parametrize(
    "text", ["a b target\r\nc d nontarget\r\n", "a\tb\ttarget\nc  d nontarget \n", "a b target\nc d nontarget"]
)
def test_white_space_does_not_matter(listed, text):
    assert named(listed(text)) == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line is empty"),
        ("a b c d\n", 'line 1: expected "enroll test target|nontarget" or'),
        ("a b target\nc d\n", 'line 2: expected "enroll test target|nontarget", found 2 fields: "c d"'),
        ("a b target\n\nc d target\n", "line 2: .* found 0 fields"),
        ("a b\nc d target\n", 'line 2: expected "enroll test", found 3 fields'),
        ("a b target\nc d impostor\n", 'line 2: expected .* found "c d impostor"'),
        ("a b target\nc d targets\n", "line 2"),
        ("1 a b\n2 c d\n", 'line 2: .* found "2 c d"'),
        ("a b target\na b nontarget\n", 'the pair "a b" is in the list as target and as nontarget: trials 1 and 2'),
        (b"a \xff target\n", "is not UTF-8"),
    ],
)
def test_wrong_lists_are_refused_with_the_line(listed, text, message):
    with pytest.raises(InputError, match=message):
        listed(text)


def test_absent_file_and_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such file"):
        read_trials(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a folder"):
        read_trials(tmp_path)


def test_a_list_without_labels_is_refused_where_labels_are_needed(tmp_path):
    (tmp_path / "t").write_text("a b\n")
    with pytest.raises(InputError, match="no labels"):
        read_labelled_trials(tmp_path / "t")


def test_a_published_list_is_read_completely(real_data):
    trials = read_trials(real_data / "veri_test.txt")
    assert len(trials) == 37720
    assert trials.labels.sum() == 18860
    assert trials[0] == ("id10270-x6uYqmx31kE-00001", "id10270-8jEAjG6SegY-00008")


identifier = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x3FF, exclude_characters="\x7f\x85\xa0"), min_size=1, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(identifier, identifier), min_size=1, max_size=50), size=st.integers(1, 200))
def test_written_trials_are_read_block_by_block(tmp_path_factory, pairs, size):
    enroll, test = (list(dict.fromkeys(side)) for side in zip(*pairs))
    rows = np.array([[enroll.index(a), test.index(b)] for a, b in pairs], np.int32)
    path = tmp_path_factory.mktemp("trials") / "trials"
    write_trials(path, Trials(enroll, test, rows, np.array([hash(pair) % 2 == 0 for pair in pairs])))
    before, columns.BLOCK = columns.BLOCK, size
    try:
        again = read_trials(path)
    finally:
        columns.BLOCK = before
    assert named(again) == pairs
    assert np.array_equal(again.pairs, rows)
    assert again.labels.tolist() == [hash(pair) % 2 == 0 for pair in pairs]


def test_identifiers_that_share_a_hash_stay_apart(listed, monkeypatch):
    monkeypatch.setattr(columns, "hash_words", lambda words: np.zeros(len(words[0]), np.uint64))
    assert named(listed("a b target\nb b nontarget\na c target\n")) == [("a", "b"), ("b", "b"), ("a", "c")]


def test_a_label_of_1_or_0_may_come_last(listed):
    trials = listed("id1-enroll test/id1-a-1.wav 1\nid1-enroll test/id2-a-1.wav 0\n")
    assert named(trials) == [("id1-enroll", "test/id1-a-1.wav"), ("id1-enroll", "test/id2-a-1.wav")]
    assert trials.labels.tolist() == [True, False]


def test_a_column_with_values_besides_1_and_0_is_not_the_label(listed):
    assert named(listed("1 a 1\n2 b 0\n0 c 1\n")) == [("1", "a"), ("2", "b"), ("0", "c")]
    assert named(listed("1 a 1\n0 b 2\n")) == [("a", "1"), ("b", "2")]
    with pytest.raises(InputError, match="line 1"):
        listed("1 a 1\n0 b 0\n")


@pytest.mark.parametrize("separator", ["\t", ",", " "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_keys_of_nists_evaluations_are_recognised_by_their_header(listed, separator, end, mark):
    rows = ["modelid segmentid side targettype gender", "1001 a.sph a target m", "1002 a.sph a nontarget m",
            "1001 b.sph a nontarget f"]  # fmt: skip
    trials = listed(mark + end.join(row.replace(" ", separator) for row in rows) + end)
    assert named(trials) == [("1001", "a.sph"), ("1002", "a.sph"), ("1001", "b.sph")]
    assert trials.labels.tolist() == [True, False, False]


def test_nists_columns_may_be_in_any_order_and_without_labels(listed):
    assert named(listed("targettype\tsegmentid\timageid\nnontarget\tb.mp4\ta.jpg\n")) == [("a.jpg", "b.mp4")]
    trials = listed("modelid\tsegmentid\tside\n1\tx\ta\n")
    assert named(trials) == [("1", "x")] and trials.labels is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("modelid segmentid side targettype\n1 x a target\n1 y b target\n", "line 3"),
        ("modelid,segmentid,targettype\n1,x,target\n1,,target\n", "line 3"),
        ("modelid segmentid targettype\n1 x target\n1 y maybe\n", "line 3"),
        ("modelid segmentid targettype\n", "no trials"),
        ("modelid imageid segmentid targettype\n1 i x target\n", "imageid"),
        ("modelid segmentid targettype\n1 x target\n2 x target\n1 x nontarget\n", "lines 2 and 4"),
    ],
)
def test_invalid_nist_tables_are_refused_with_the_line(listed, text, line):
    with pytest.raises(InputError, match=line):
        listed(text)


@pytest.mark.parametrize(
    "text",
    ["1 x/1.wav y/1.wav\n1 z y\n0 x-1.wav y/1.wav\n", "x-1 y-1 target\nz y target\nx/1.wav y/1 nontarget\n",
     "x-1 y-1 1\nz y 1\nx/1.m4a y-1.wav 0\n"],
)  # fmt: skip
def test_one_pair_in_two_spellings_has_one_label(listed, text):
    with pytest.raises(InputError, match="lines 1 and 3"):
        listed(text)
    assert len(listed(text.replace("\n0 ", "\n1 ").replace("nontarget", "target").replace("wav 0", "wav 1"))) == 3


def test_paths_that_become_one_identifier_are_one_recording(listed):
    trials = listed("1 x/1.wav y/1.wav\n0 x-1.wav z/1.wav\n")
    assert trials.enroll_ids == ["x-1"] and named(trials) == [("x-1", "y-1"), ("x-1", "z-1")]


def test_an_identifier_with_a_zero_byte_is_refused(listed):
    with pytest.raises(InputError, match="trials"):
        listed("a b target\na\0 b nontarget\n")
