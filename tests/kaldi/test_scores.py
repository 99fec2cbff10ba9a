"""Score files: matched to trials in any order, and refused if they do not fit."""

import os
import threading

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.kaldi.scores import read_scores, write_scores
from avsv.kaldi.trials import Trials

TRIALS = Trials(["a", "b"], ["c", "d"], np.array([[0, 0], [0, 1], [1, 1]], np.int32))


@pytest.fixture
def scored(tmp_path):
    def read(text, trials=TRIALS, **options):
        path = tmp_path / "scores"
        path.write_text(text)
        return read_scores(path, trials, **options).tolist()

    return read


def test_order_of_the_lines_does_not_matter(scored):
    assert scored("a c 1\na d 2\nb d 3\n") == scored("b d 3\na c 1\na d 2\n") == [1, 2, 3]


def test_infinite_scores_are_read(scored):
    assert scored("a c -inf\na d 2e3\nb d inf\n") == [-np.inf, 2000, np.inf]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a c 1\na d 2\n", '1 of 3 trials have no score, the first: "b d"'),
        ("a c 1\na d 2\nb d 3\nb c 4\n", '1 of 4 scores .* line 4: "b c"'),
        ("x c 1\na d 2\nb d 3\n", 'the first on line 1: "x c"'),
        ("a c 1\na c 2\na d 2\nb d 3\n", '"a c" .* lines 1 and 2'),
        ("a c 1\na d nan\nb d 3\n", 'line 2: expected "enroll test score", bad score "nan"'),
        ("a c 1\na d x\nb d 3\n", 'line 2: .* bad score "x"'),
        ("a c 1\na d\nb d 3\n", 'line 2: expected "enroll test score", found 2 fields: "a d"'),
        ("", "has no scores"),
    ],
)
def test_files_that_do_not_fit_are_refused(scored, text, message):
    with pytest.raises(InputError, match=message):
        scored(text)


def test_a_repeated_line_with_the_same_score_is_accepted(scored):
    assert scored("a c 1\na c 1\na d 2\nb d 3\n") == [1, 2, 3]


def test_a_repeated_trial_must_have_one_score(scored):
    twice = Trials(["a"], ["c"], np.array([[0, 0], [0, 0]], np.int32))
    assert scored("a c 1\n", twice) == scored("a c 1\na c 1\n", twice) == [1, 1]
    with pytest.raises(InputError, match="lines 1 and 2"):
        scored("a c 1\na c 2\n", twice)


def test_incomplete_files_give_nan_on_request(scored):
    assert np.array_equal(scored("a d 2\n", incomplete=True), [np.nan, 2, np.nan], equal_nan=True)


def test_an_identifier_that_is_a_prefix_of_another_is_not_confused_with_it(scored):
    trials = Trials(["abcdefgh"], ["c"], np.array([[0, 0]], np.int32))
    with pytest.raises(InputError, match='"abcdefghi c"'):
        scored("abcdefghi c 1\n", trials)


def test_float32_scores_round_trip(tmp_path):
    scores = np.random.default_rng(0).standard_normal(3).astype(np.float32)
    write_scores(tmp_path / "s", TRIALS, scores)
    assert read_scores(tmp_path / "s", TRIALS) == pytest.approx(scores, rel=5e-7)


LABELLED = Trials(["a", "b"], ["c", "d"], np.array([[0, 0], [0, 1], [1, 1]], np.int32), np.array([True, False, True]))


@pytest.mark.parametrize(
    "text",
    [
        "a c 0.5 target\na d -0.25 nontarget\nb d 1 target\n",  # WeSpeaker
        "a c 0.5 target 9.1 9.2 0.1 0.2\na d -0.25 nontarget 9 9 0 0\nb d 1 target 8 8 0 0\n",  # with as-norm columns
        "a c 1 0.5\na d 0 -0.25\nb d 1 1\n",  # SpeechBrain
        "a c target 0.5\na d nontarget -0.25\nb d target 1\n",  # 3D-Speaker
        "a*c 0.5 1\na*d -0.25 0\nb*d 1 1\n",  # ESPnet
        "b d 1 target\na d -0.25 nontarget\na c 0.5 target\n",  # in another order
    ],
)
def test_score_files_of_other_toolkits_are_read(scored, text):
    assert scored(text) == scored(text, LABELLED) == [0.5, -0.25, 1]


@pytest.mark.parametrize("text", ["a c 0.5 1\na d -0.2 1\nb d 1 1\n", "b d 1.5 1\na d -0.2 1\na c 0.5 1\n"])
def test_a_label_that_contradicts_the_trials_is_refused_with_its_line(scored, text):
    with pytest.raises(InputError, match=r"line 2.* says target.* the trial list says nontarget"):
        scored(text, LABELLED)


def test_voxceleb_paths_in_a_score_file_match_utterances(scored):
    trials = Trials(["id1-v-00001"], ["id2-w-00002"], np.array([[0, 0]], np.int32))
    assert scored("id1/v/00001.wav id2/w/00002.wav 0.5\n", trials) == [0.5]


def test_names_with_slashes_match_literally_if_the_trials_have_them(scored):
    trials = Trials(["a/b.wav"], ["c/d.wav"], np.array([[0, 0]], np.int32))
    assert scored("a/b.wav c/d.wav 0.5\n", trials) == [0.5]


def test_a_pipe_is_refused_with_advice(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text("a c 1\n"), daemon=True)
    writer.start()
    with pytest.raises(InputError, match="is a pipe, which can be read only once; write it to a file"):
        read_scores(tmp_path / "pipe", TRIALS)


@pytest.mark.parametrize("text", ["x-1 y-1 5\nx/1.wav y-1 -5\nx-1 y-2 0\n", "x/1.wav y-1 -5\nx-1 y-1 5\nx-1 y-2 0\n",
                                  "x-1 y-1 5\nx-1 y-2 0\nx-1.wav y/1.m4a -5\n"])  # fmt: skip
def test_one_trial_in_two_spellings_with_two_scores_is_refused(text, scored):
    trials = Trials(["x-1"], ["y-1", "y-2"], np.array([[0, 0], [0, 1]], np.int32))
    with pytest.raises(InputError, match=r"lines \d and \d"):
        scored(text, trials)
    assert scored(text.replace("-5", "5"), trials) == [5, 0]


def test_trials_in_two_spellings_are_one_trial(scored):
    trials = Trials(["x-1", "x/1.wav"], ["y"], np.array([[0, 0], [1, 0]], np.int32))
    assert scored("x-1 y 5\nx/1.wav y 5\n", trials) == [5, 5]
    with pytest.raises(InputError, match="lines 1 and 2"):
        scored("x-1 y 5\nx/1.wav y 6\n", trials)


@pytest.mark.parametrize("text", ["1_0", "0.1_5", "\u0661", "0x1p3", "0,5", "1e"])
def test_numbers_in_python_syntax_are_refused_as_scores(tmp_path, text):
    (tmp_path / "scores").write_text(f"a b 0.5\nc d {text}\n")
    trials = Trials(["a", "c"], ["b", "d"], np.array([[0, 0], [1, 1]], np.int32))
    with pytest.raises(InputError, match="line 2"):
        read_scores(tmp_path / "scores", trials)
