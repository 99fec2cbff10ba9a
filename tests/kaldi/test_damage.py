"""The table utt2damage."""

import json

import pytest

from avsv.errors import InputError
from avsv.kaldi.damage import damage_table, read_damage
from avsv.kaldi.tables import write_table

BLUR = {"modality": "face", "kind": "gaussian-blur", "sigma": 3.0}
NOISE = {"modality": "voice", "kind": "noise", "sources": [["a b.wav", 0.5]], "snr": 4.2}


def test_written_damage_is_read_by_modality(tmp_path):
    write_table(tmp_path / "utt2damage", damage_table({"a": [BLUR], "b": [NOISE, BLUR], "c": [NOISE]}))
    assert read_damage(tmp_path, "face") == {"a": BLUR, "b": BLUR}
    assert read_damage(tmp_path, "voice") == {"b": NOISE, "c": NOISE}


def test_a_single_damage_is_written_as_an_object():
    assert json.loads(damage_table({"a": [BLUR]})["a"]) == BLUR


def test_a_clean_set_has_no_damage(tmp_path):
    assert read_damage(tmp_path, "face") == {}


@pytest.mark.parametrize("text", ["mud", "3", "[3]", "{}", '{"modality": "face"}', '{"kind": "noise"}', "[[]]",
                                  '"both"', "null"])  # fmt: skip
def test_a_line_without_damage_is_refused_by_utterance(tmp_path, text):
    (tmp_path / "utt2damage").write_text(f"a {text}\n")
    with pytest.raises(InputError, match=r"utt2damage, utterance a: expected a JSON object"):
        read_damage(tmp_path, "face")


def test_two_damages_to_one_modality_are_refused(tmp_path):
    write_table(tmp_path / "utt2damage", damage_table({"a": [BLUR, BLUR]}))
    with pytest.raises(InputError, match=r"utt2damage, utterance a: .*face.*line 1"):
        read_damage(tmp_path, "face")


GOOD = [NOISE, BLUR, {"modality": "voice", "kind": "speed", "factor": 0.9}, {"modality": "face", "kind": "missing"},
        {"modality": "voice", "kind": "reverberation", "sources": [["r.wav", 0]]},
        {"modality": "voice", "kind": "noise", "sources": [[["r.wav", 0.5, 2, -1, "rec"], 1]], "snr": -3},
        {"modality": "face", "kind": "occlusion", "share": 0.2, "aspect": 1, "x": 0, "y": 1, "fill": "noise", "seed": 3,
         "frames": 0.5, "order": 7}]  # fmt: skip


@pytest.mark.parametrize("record", GOOD)
def test_valid_records_are_read_unchanged(tmp_path, record):
    write_table(tmp_path / "utt2damage", {"a": json.dumps(record)})
    (found,) = read_damage(tmp_path, record["modality"]).values()
    assert json.loads(json.dumps(found)) == record


@pytest.mark.parametrize(
    "changed",
    [
        NOISE | {"kind": "thunder"}, NOISE | {"modality": "smell"}, NOISE | {"kind": ["noise"]}, NOISE | {"snr": "4"},
        NOISE | {"snr": True}, NOISE | {"snr": 1e9}, NOISE | {"sources": []}, NOISE | {"sources": ["a.wav"]},
        NOISE | {"sources": [["a.wav"]]}, NOISE | {"sources": [["a.wav", 2]]}, NOISE | {"sources": [[3, 0.5]]},
        NOISE | {"sources": [[["a.wav", 0, 1], 0.5]]}, NOISE | {"sources": [["a.wav", 0]] * 101},
        {"modality": "voice", "kind": "noise", "snr": 3},
        {"modality": "voice", "kind": "babble", "sources": [["a", 0]]},
        {"modality": "voice", "kind": "speed"}, {"modality": "voice", "kind": "speed", "factor": 0},
        BLUR | {"sigma": "3"}, BLUR | {"sigma": [3]}, BLUR | {"sigma": None}, BLUR | {"frames": 2},
        BLUR | {"order": 0.5}, BLUR | {"fill": 3},
    ],
)  # fmt: skip
def test_a_record_with_invalid_parameters_is_refused_with_its_line(tmp_path, changed):
    lines = {"a": json.dumps(BLUR), "b": json.dumps(changed)}
    write_table(tmp_path / "utt2damage", lines)
    for modality in ("voice", "face"):
        with pytest.raises(InputError, match=r"utt2damage, utterance b: .*line 2"):
            read_damage(tmp_path, modality)


@pytest.mark.parametrize("text", ['{"modality": "voice", "kind": "speed", "factor": NaN}',
                                  '{"modality": "voice", "kind": "speed", "factor": 1e999}',
                                  '{"modality": "voice", "kind": "missing", "kind": "speed"}', "[" * 5000])  # fmt: skip
def test_a_line_of_hostile_json_is_refused(tmp_path, text):
    (tmp_path / "utt2damage").write_text(f"a {text}\n")
    with pytest.raises(InputError, match="line 1"):
        read_damage(tmp_path, "voice")
