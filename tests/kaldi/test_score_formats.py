"""Forms of score files: each toolkit's form is recognised, and ambiguous files are refused."""

import pytest

from avsv.errors import InputError
from avsv.kaldi.score_formats import LABELS, LINES, recognise_scores

A, B = "id10270/5r0dWxy17C8/00001", "id10270/8jEAjG6SegY/00008"


@pytest.fixture
def form(tmp_path):
    """The form of a score file of the given text: (fields, enroll, test, score, label, star)."""

    def recognise(text):
        (tmp_path / "scores").write_text(text)
        found = recognise_scores(tmp_path / "scores")
        return found.fields, found.enroll, found.test, found.score, found.label, found.star

    return recognise


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{A} {B} 0.31245\n", (3, 0, 1, 2, None, False)),  # Kaldi
        (f"{A}.wav {B}.wav 0.31245 target\n", (4, 0, 1, 2, 3, False)),  # WeSpeaker
        (f"{A}.wav {B}.wav 3.12450 nontarget 12.1000 9.3500 0.1200 0.0900\n", (8, 0, 1, 2, 3, False)),  # its as-norm
        (f"{A}.wav {B}.wav 3.12450 12.1000 9.3500 0.1200 0.0900\n", (7, 0, 1, 2, None, False)),  # without label
        (f"{A} {B} target 3.1" + " 1.0" * 12 + "\n", (16, 0, 1, 3, 2, False)),  # its calibration factors
        (f"{A}.wav {B}.wav target 0.31245\n", (4, 0, 1, 3, 2, False)),  # 3D-Speaker
        (f"{A}.wav {B}.wav 0 0.31245\n", (4, 0, 1, 3, 2, False)),
        (f"{A} {B} 1 0.312450\n", (4, 0, 1, 3, 2, False)),  # SpeechBrain
        (f"{A}*{B} -0.7312 1\n", (4, 0, 1, 2, 3, True)),  # ESPnet
        (f"{A}*{B} -0.7312\n", (3, 0, 1, 2, None, True)),
    ],
)
def test_each_toolkits_form_is_recognised(form, line, expected):
    assert form(line) == expected


def test_the_label_is_the_field_that_reads_as_a_label_on_every_line(form):
    assert form("a b 1 0\nc d 0.5 1\n") == (4, 0, 1, 2, 3, False)
    assert form("a b 1 0\nc d 0 -0.5\n") == (4, 0, 1, 3, 2, False)


def test_tabs_separate_fields_too(form):
    assert form("a\tb\t0\t0.5\n")[3:5] == (3, 2)


def test_star_may_be_part_of_kaldis_names(form):
    assert form("a*1 b*2 0.5\n") == (3, 0, 1, 2, None, False)
    assert form("a*1 2 1\na*1 3 0.5\n") == (3, 0, 1, 2, None, False)


def test_lines_with_another_number_of_fields_are_left_to_the_reader(form):
    assert form("a b 0.5 target\na b\nc d 0.1 nontarget\n") == (4, 0, 1, 2, 3, False)


def test_malformed_scores_are_left_to_the_reader(form):
    assert form("a b x\n") == (3, 0, 1, 2, None, False)
    assert form("a b x target\n") == (4, 0, 1, 2, 3, False)


def test_label_words_mark_targets():
    assert [LABELS[word] for word in (b"1", b"target", b"0", b"nontarget")] == [True, True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'has no scores, expected "enroll test score"'),
        ("\n", 'line 1: expected .* found 0 fields: ""'),
        ("a\n", 'line 1: expected .* found 1 fields: "a"'),
        ("a b\n", 'line 1: expected .* found 2 fields: "a b"'),
        ("a b 1 0\nc d 0 0\n", r'line 1: .* both be the label .* first 2 lines\): "a b 1 0". Keep three columns'),
        ("a b 0.5 0.7\n", 'line 1: expected .* found "a b 0.5 0.7"'),
        ("a b 0.5 1\nc d 0.2 0\ne f 0.2 targte\n", 'line 3: expected .*label.* found "e f 0.2 targte"'),
        ("a b 1 0.5\nc d 0.5 1\n", 'line 2: expected .*the same field on each line; found "c d 0.5 1"'),
        ("a b 0.5 0.1 0.2\n", 'line 1: expected .* found "a b 0.5 0.1 0.2"'),
        ("a b 1 0.5 target\n", 'line 1: expected .* found 5 fields: "a b 1 0.5 target"'),
        ("a b target\n", 'line 1: .* "a b target" is a trial'),
        ("1 a.wav b.wav\n", 'line 1: .* "1 a.wav b.wav" is a trial'),
        ("a*b*c 0.5 1\n", r'line 1: .*"a\*b\*c 0.5 1"'),
    ],
)
def test_lines_that_fit_no_form_or_several_are_refused(form, text, message):
    with pytest.raises(InputError, match=message):
        form(text)


def test_only_the_first_lines_are_read(form):
    assert form("a b 0.5 1\n" * LINES + "hello\n" * 10) == (4, 0, 1, 2, 3, False)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such file"):
        recognise_scores(tmp_path / "nowhere")
