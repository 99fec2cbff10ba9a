"""The table utt2damage."""

import json

import pytest

from avsv.errors import UserError
from avsv.kaldi.damage import damage_table, read_damage
from avsv.kaldi.tables import write_table

BLUR = {"modality": "face", "kind": "gaussian-blur", "sigma": 3.0}
NOISE = {"modality": "voice", "kind": "noise", "sources": [["a b.wav", 0.5]], "snr": 4.2}


def test_what_is_written_is_read_by_modality(tmp_path):
    write_table(tmp_path / "utt2damage", damage_table({"a": [BLUR], "b": [NOISE, BLUR], "c": [NOISE]}))
    assert read_damage(tmp_path, "face") == {"a": BLUR, "b": BLUR}
    assert read_damage(tmp_path, "voice") == {"b": NOISE, "c": NOISE}


def test_one_damage_is_an_object_as_it_always_was():
    assert json.loads(damage_table({"a": [BLUR]})["a"]) == BLUR


def test_a_clean_set_has_no_damage(tmp_path):
    assert read_damage(tmp_path, "face") == {}


@pytest.mark.parametrize("text", ["mud", "3", "[3]", "{}", '{"modality": "face"}', '{"kind": "noise"}', "[[]]",
                                  '"both"', "null"])  # fmt: skip
def test_a_line_that_is_no_damage_is_told(tmp_path, text):
    (tmp_path / "utt2damage").write_text(f"a {text}\n")
    with pytest.raises(UserError, match=r"utt2damage, utterance a: expected a JSON object"):
        read_damage(tmp_path, "face")


def test_two_damages_to_one_modality_are_refused(tmp_path):
    write_table(tmp_path / "utt2damage", damage_table({"a": [BLUR, BLUR]}))
    with pytest.raises(UserError, match="utterance a: has 2 damages to the face, expected one"):
        read_damage(tmp_path, "face")
