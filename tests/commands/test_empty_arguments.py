"""An empty argument, as from an unset shell variable, is a usage error for every verb."""

import pytest

from avsv.cli import main_verbs, systems

VERBS = [(verb,) for verb in main_verbs()] + [(name, verb) for name, verbs in systems().items() for verb in verbs]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_an_empty_argument_never_means_the_working_directory(avsv, verb, tmp_path, monkeypatch):
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
