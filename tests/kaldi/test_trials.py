"""Trial lists: the forms that are read, what is refused, and that they come back as they were."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsv.errors import UserError
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


def test_each_identifier_is_there_once(listed):
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
    with pytest.raises(UserError, match=message):
        listed(text)


def test_absent_file_and_folder_are_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: there is no such file"):
        read_trials(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is a folder"):
        read_trials(tmp_path)


def test_list_without_labels_is_no_labelled_list(tmp_path):
    (tmp_path / "t").write_text("a b\n")
    with pytest.raises(UserError, match="no labels"):
        read_labelled_trials(tmp_path / "t")


def test_published_list_is_read_whole(real_data):
    trials = read_trials(real_data / "veri_test.txt")
    assert len(trials) == 37720
    assert trials.labels.sum() == 18860
    assert trials[0] == ("id10270-x6uYqmx31kE-00001", "id10270-8jEAjG6SegY-00008")


identifier = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x3FF, exclude_characters="\x7f\x85\xa0"), min_size=1, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(identifier, identifier), min_size=1, max_size=50), size=st.integers(1, 200))
def test_what_is_written_is_read_block_by_block(tmp_path_factory, pairs, size):
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
