"""Values of options that are out of range are usage errors of every command that has the option."""

import pytest

VERBS = ["align-faces", "association embed", "embed-clips", "embed-face", "embed-voice", "features", "synchrony mouths",
         "synchrony score"]  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("value", ["-1", "1.5", "nan", "inf", "x", ""])
def test_a_share_is_between_0_and_1(avsv, verb, value):
    status, output = avsv(*verb.split(), f"--max-skipped={value}", "data", "out")
    assert status == 2 and "--max-skipped" in output


@pytest.mark.parametrize("value", ["-1", "0.5", "x", "²"])
def test_a_seed_is_an_integer_of_0_or_more(avsv, value):
    status, output = avsv("damage", "--condition", "no-face", f"--seed={value}", "data", "out")
    assert status == 2 and "--seed" in output
