"""avsv damage: from a clean set and the name of a condition to a noisy set and samples of it."""

import json

import cv2
import numpy as np
import pytest
import soundfile

from avsv.commands import damage as command
from avsv.features.face_damage import damage_face
from avsv.features.noisy_sets import CONDITIONS, SWEEPS, find_condition
from avsv.kaldi.tables import read_table, write_table


@pytest.fixture
def sets(tmp_path):
    """The data directories data/clean, with four clips, and data/musan."""
    rng, wav, video = np.random.default_rng(0), {}, {}
    for n in range(4):
        wav[f"p-{n}"], video[f"p-{n}"] = str(tmp_path / f"{n}.wav"), str(tmp_path / f"{n}.png")
        soundfile.write(wav[f"p-{n}"], rng.normal(0, 0.05, 16000), 16000)
        cv2.imwrite(video[f"p-{n}"], rng.integers(0, 256, (112, 112, 3), np.uint8))
    clean, musan = tmp_path / "data" / "clean", tmp_path / "data" / "musan"
    for name, table in (("wav.scp", wav), ("video.scp", video), ("utt2spk", dict.fromkeys(wav, "p"))):
        write_table(clean / name, table)
    sorts = {f"{sort}-1": sort for sort in ("noise", "music", "speech", "rir")}
    for name in sorts:
        soundfile.write(tmp_path / f"{name}.wav", rng.normal(0, 0.1, 20000) * np.exp(-np.arange(20000) / 3000), 16000)
    write_table(musan / "wav.scp", {name: str(tmp_path / f"{name}.wav") for name in sorts})
    write_table(musan / "utt2spk", sorts)
    return clean, musan


def test_the_help_lists_every_condition(avsv):
    status, output = avsv("damage", "--help")
    assert status == 0
    for name in CONDITIONS:
        assert name in output
    assert all(f"{sweep}-" in output for sweep in SWEEPS)
    for word in ("noisy-0.6", "blur-4"):
        assert word in command.__doc__ and find_condition(word)


@pytest.mark.parametrize("name", [*CONDITIONS, "noisy-1", "snr-5", "blur-4"])
def test_every_condition_gives_a_valid_and_reproducible_set(avsv, sets, tmp_path, name):
    clean, musan = sets
    for out in ("one", "two"):
        status, output = avsv("damage", "--condition", name, "--noises", musan, clean, tmp_path / out)
        assert status == 0, output
    assert avsv("check", tmp_path / "one")[0] == 0
    one, two = (
        {f.name: f.read_bytes() for f in (tmp_path / out).glob("*") if f.name != "made_from.json"}  # contains times
        for out in ("one", "two")
    )
    assert one == two
    assert list((tmp_path / "one").rglob("*.wav")) == []  # the set consists of tables alone


def test_samples_show_a_clip_before_and_after_damage(avsv, sets, tmp_path):
    clean, musan = sets
    out = tmp_path / "noisy"
    status, output = avsv("damage", "--condition", "both-noisy", "--noises", musan, "--listen", 100, clean, out)
    assert status == 0, output
    records = {utt: json.loads(text) for utt, text in read_table(out / "utt2damage").items()}
    assert len(list((out / "listen").iterdir())) == 4 * 3
    for utt, (voice, face) in records.items():
        original, _ = soundfile.read(out / "listen" / f"{utt}.clean.wav")
        damaged, _ = soundfile.read(out / "listen" / f"{utt}.{voice['kind']}.wav")
        assert len(original) == len(damaged)
        if "snr" in voice:  # up to 16-bit rounding
            noise = damaged - original
            assert 10 * np.log10(np.sum(original**2) / np.sum(noise**2)) == pytest.approx(voice["snr"], abs=0.1)
        pair = cv2.imread(str(out / "listen" / f"{utt}.{face['kind']}.png"))
        parameters = {key: value for key, value in face.items() if key not in ("modality", "kind")}
        assert pair.shape == (112, 224, 3)
        assert np.array_equal(pair[:, 112:], damage_face(pair[:, :112], face["kind"], parameters))


def test_samples_show_different_kinds_of_damage(avsv, sets, tmp_path):
    clean, musan = sets
    out = tmp_path / "noisy"
    avsv("damage", "--condition", "both-noisy", "--noises", musan, "--listen", 2, "--seed", 1, clean, out)
    kinds = [path.name.split(".")[1] for path in (out / "listen").iterdir() if ".clean." not in path.name]
    assert len(kinds) == len(set(kinds)) == 2


def test_an_unreadable_clip_has_no_sample_and_does_not_stop_the_others(avsv, sets, tmp_path, caplog):
    clean, musan = sets
    (tmp_path / "2.wav").write_bytes(b"")
    status, _ = avsv("damage", "--condition", "noise", "--noises", musan, "--listen", 9, clean, tmp_path / "noisy")
    assert status == 0 and "p-2" in caplog.text
    assert len(list((tmp_path / "noisy" / "listen").iterdir())) == 3 * 2


@pytest.mark.parametrize("arguments, expected, word", [
    (["--condition", "mud"], 1, '"mud"'), (["--condition", "noisy-7"], 1, '"noisy-7"'),
    (["--condition", "noisy-0.6"], 1, "--noises"), ([], 2, "--condition"),
])  # fmt: skip
def test_the_error_names_the_missing_or_wrong_option(avsv, sets, tmp_path, arguments, expected, word):
    status, output = avsv("damage", *arguments, sets[0], tmp_path / "noisy")
    assert status == expected and word in output and "Traceback" not in output
    assert not (tmp_path / "noisy").exists()


def test_faces_need_no_noises(avsv, sets, tmp_path):
    assert avsv("damage", "--condition", "face-noisy", sets[0], tmp_path / "noisy")[0] == 0


def test_a_noisy_set_is_not_damaged_again_and_the_clean_one_not_overwritten(avsv, sets, tmp_path):
    clean, _ = sets
    assert avsv("damage", "--condition", "no-face", clean, tmp_path / "noisy")[0] == 0
    status, output = avsv("damage", "--condition", "no-voice", tmp_path / "noisy", tmp_path / "worse")
    assert status == 1 and str(tmp_path / "noisy") in output
    status, output = avsv("damage", "--condition", "no-voice", clean, clean)
    assert status == 1 and str(clean) in output
