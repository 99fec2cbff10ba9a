"""An argument that is empty, as of a variable of the shell that is not set, is a mistake of usage for every verb."""

import pytest

from avsv.cli import main_verbs, systems

VERBS = [(verb,) for verb in main_verbs()] + [(name, verb) for name, verbs in systems().items() for verb in verbs]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_no_verb_takes_an_empty_argument_for_the_folder_it_is_in(avsv, verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, output = avsv(*verb, "data", "")
    assert status == 2
    assert f"argument {len(verb) + 1}" in output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("argv", [("--model", "", "data", "out"), ("--model=", "data", "out")])
def test_an_option_without_a_value_is_named(avsv, argv):
    status, output = avsv("embed-voice", *argv)
    assert status == 2
    assert "--model" in output
