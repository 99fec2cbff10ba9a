"""Unexpected values of environment variables: a default, or an error of one line."""

import logging

import pytest

from avsv.errors import InputError
from avsv.jobs.environment import number_in
from avsv.jobs.threads import n_allowed, n_asked, n_cores


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4", 4),
        ("4,2", 4),
        (" 3 ", 3),
        ("2 , 1", 2),
        ("", 0),
        ("many", 0),
        (",2", 0),
        ("-1", 0),
        ("1.5", 0),
        ("0", 0),
        ("²", 0),
        ("9" * 5000, 1024),
    ],
)
def test_the_number_of_threads_is_the_first_in_openmps_list(monkeypatch, text, number):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert n_asked() == number and n_allowed() == (number or n_cores())


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "²", "1 2", "9" * 50])
def test_an_invalid_rank_from_a_launcher_is_refused_by_name(monkeypatch, text):
    monkeypatch.setenv("RANK", text)
    with pytest.raises(InputError, match="RANK"):
        number_in("RANK")
    monkeypatch.setenv("RANK", "")
    assert number_in("RANK", 7) == 7


@pytest.mark.parametrize(("text", "status"), [("debug", 0), ("WARNING", 0), ("", 0), ("loud", 1), ("10", 1)])
def test_the_log_level_must_be_a_known_word(avsv, monkeypatch, tmp_path, text, status):
    monkeypatch.setenv("AVSV_LOG", text)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    (tmp_path / "utt2spk").write_text("a-1 a\n")
    (tmp_path / "spk2utt").write_text("a a-1\n")
    (tmp_path / "wav.scp").write_text("a-1 x.wav\n")
    found, text = avsv("split", "--help") if status == 0 else avsv("check", tmp_path)
    assert found == status and "Traceback" not in text
    assert status == 0 or "AVSV_LOG" in text


@pytest.mark.parametrize(
    "words",
    [
        ("features", "--max-skipped", "-1", "d", "o"),
        ("features", "--max-skipped", "1.5", "d", "o"),
        ("embed-voice", "--max-skipped", "nan", "--model", "m", "d", "o"),
        ("embed-voice", "--batch-seconds", "0", "--model", "m", "d", "o"),
        ("damage", "--seed", "-1", "--condition", "no-face", "d", "o"),
    ],
)
def test_options_out_of_range_are_refused_by_name(avsv, words):
    status, output = avsv(*words)
    assert status == 2 and words[1] in output and "Traceback" not in output


def test_an_argument_that_is_not_utf8_is_refused(avsv, tmp_path):
    status, output = avsv("check", f"{tmp_path}/d\udcff")
    assert status == 1 and "UTF-8" in output


def test_too_little_memory_is_reported_in_one_line(avsv, monkeypatch, tmp_path):
    for error in (MemoryError(), ImportError("libtorch_cpu.so: failed to map segment from shared object")):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr("avsv.cli.make_parser", fail)
        status, output = avsv("check", tmp_path)
        assert status == 1 and "memory" in output and "Traceback" not in output
