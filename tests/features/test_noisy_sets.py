"""Noisy test sets: the damage of each condition, and its dependence on seed and clip alone."""

import hashlib
import json
import shutil
from collections import Counter
from functools import cache

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.features import audio_damage, face_damage
from avsv.features.noisy_sets import CONDITIONS, draw_damage, find_condition, needs_noises, write_noisy_set
from avsv.kaldi.data_dir import read_data_dir, write_data_dir
from avsv.kaldi.validation import check

NOISES = {sort: [f"{sort}{n}.wav" for n in range(4)] for sort in ("noise", "music", "speech", "rir")}
EVERY = [*CONDITIONS, "noisy-0.6", "snr-5", "blur-4", "frames-0.5"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """1,000 clips, 10 of them with a face only and 10 with a voice only; no test changes them."""
    folder = tmp_path_factory.mktemp("data") / "clean"
    utts = [f"s{n:03d}-v-1" for n in range(1000)]
    write_data_dir(folder, {
        "wav.scp": {utt: f"{utt}.wav" for utt in utts[:990]},
        "video.scp": {utt: f"{utt}.mp4" for utt in utts[10:]},
        "utt2spk": {utt: utt[:4] for utt in utts},
    })  # fmt: skip
    (folder / "trials").mkdir()
    (folder / "trials" / "list").write_text(f"{utts[0]} {utts[1]} nontarget\n")
    return read_data_dir(folder)


def draw(data, name, seed=0):
    return draw_damage(data, find_condition(name), NOISES, seed)


@pytest.fixture(scope="module")
def drawn(data):
    """The damage of a condition with seed 0, drawn once for several tests."""
    return cache(lambda name: draw(data, name))


def of(damage, modality):
    return {utt: record for utt, records in damage.items() for record in records if record["modality"] == modality}


def kinds(damage, modality):
    return Counter(record["kind"] for record in of(damage, modality).values())


def without(record, *keys):
    return {key: value for key, value in record.items() if key not in keys}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_a_noisy_set_damages_one_modality_in_its_share_of_the_clips(data, share):
    damage = draw(data, f"noisy-{share}")
    assert len(damage) == pytest.approx(980 * share, abs=4 * np.sqrt(980 * share * (1 - share)))
    assert all(len(records) == 1 for records in damage.values())
    for modality, noisy in (("voice", audio_damage.NOISY), ("face", face_damage.NOISY)):
        counts = kinds(damage, modality)
        assert set(counts) == {*noisy, "missing"}
        assert all(0.5 < 10 * count / len(damage) < 1.6 for count in counts.values())


def test_the_noisy_sets_are_those_of_the_published_results(data):
    """Hashes of the damage drawn before other conditions were added (numpy 2.4.6)."""
    for name, seed, expected in (("noisy-0.6", 0, "96257bc6406605f2"), ("noisy-0.3", 1, "03d8e82ee15a5333")):
        drawn = {utt: records[0] for utt, records in draw(data, name, seed).items()}
        assert hashlib.sha256(json.dumps(drawn).encode()).hexdigest()[:16] == expected


def test_clips_have_the_same_damage_in_sets_with_a_larger_share(data):
    few, more = draw(data, "noisy-0.3"), draw(data, "noisy-0.8")
    assert few == {utt: records for utt, records in more.items() if utt in few} and len(few) < len(more)


def test_both_noisy_combines_voice_noisy_and_face_noisy(data):
    voice, face, both = (draw(data, name) for name in ("voice-noisy", "face-noisy", "both-noisy"))
    assert set(kinds(voice, "voice")) == set(audio_damage.NOISY) and not of(voice, "face")
    assert set(kinds(face, "face")) == set(face_damage.NOISY) and not of(face, "voice")
    assert of(voice, "voice").keys() == data.wav.keys() and of(face, "face").keys() == data.video.keys()
    assert of(both, "voice") == of(voice, "voice") and of(both, "face") == of(face, "face")


def test_damage_to_voice_and_face_is_independent(data):
    both = draw(data, "both-noisy")
    pairs = Counter(tuple(what["kind"] for what in records) for records in both.values() if len(records) == 2)
    assert len(pairs) == 16 and all(30 < count < 95 for count in pairs.values())


def test_a_modality_goes_missing_only_from_clips_that_have_both(data):
    both = data.wav.keys() & data.video.keys()
    for name, modality in (("no-voice", "voice"), ("no-face", "face")):
        assert draw(data, name) == {utt: [{"modality": modality, "kind": "missing"}] for utt in both}
    half = draw(data, "half-missing")
    assert 430 < len(half) < 550 and half.keys() <= both
    assert set(kinds(half, "voice")) == set(kinds(half, "face")) == {"missing"}
    assert 190 < len(of(half, "voice")) < 300


@pytest.mark.parametrize("kind", [*audio_damage.KINDS, *face_damage.KINDS])
def test_each_kind_of_damage_is_a_condition_that_hits_every_clip(data, drawn, kind):
    damage = drawn(kind)
    modality, table = ("voice", data.wav) if kind in audio_damage.KINDS else ("face", data.video)
    assert {what["kind"] for records in damage.values() for what in records} == {kind}
    assert of(damage, modality).keys() == damage.keys() == table.keys()


def test_the_sets_of_a_sweep_differ_in_severity_alone(data):
    low, high = (of(draw(data, name), "voice") for name in ("snr--5", "snr-12.5"))
    assert {what["snr"] for what in low.values()} == {-5} and {what["snr"] for what in high.values()} == {12.5}
    assert {utt: without(what, "snr") for utt, what in low.items()} == {
        utt: without(what, "snr") for utt, what in high.items()
    }
    assert {what["kind"] for what in low.values()} == {"noise", "music", "babble"} and low.keys() == data.wav.keys()
    blur = of(draw(data, "blur-4"), "face")
    assert all(what == {"modality": "face", "kind": "gaussian-blur", "sigma": 4} for what in blur.values())


@pytest.mark.parametrize("name", EVERY)
def test_damage_depends_on_seed_and_clip_alone(data, drawn, name):
    damage = drawn(name)
    few = [{utt: path for utt, path in reversed(table.items()) if utt < "s500"} for table in (data.wav, data.video)]
    part = type(data)(data.path, data.utt2spk, *few)
    assert draw(part, name) == {utt: what for utt, what in damage.items() if utt < "s500"}
    if name not in ("no-voice", "no-face", "blur-4"):  # these are not random
        assert draw(data, name, seed=1) != damage


@pytest.mark.parametrize("name", EVERY)
def test_noises_are_needed_exactly_by_conditions_that_use_them(drawn, name):
    damage = drawn(name)
    assert needs_noises(find_condition(name)) == any("sources" in w for records in damage.values() for w in records)


@pytest.mark.parametrize("name", ["noisy", "noisy-2", "noisy--0.1", "noisy-nan", "snr-", "snr-x", "snr-inf", "blur-0",
                                  "blur-nan", "blur-200", "babble-3", "Noisy-0.6", ""])  # fmt: skip
def test_unknown_conditions_are_refused(name):
    with pytest.raises(InputError, match=f'condition "{name}"'):
        find_condition(name)


@pytest.mark.parametrize("name", EVERY)
def test_a_noisy_set_keeps_clips_and_trials_and_marks_missing_modalities(data, drawn, tmp_path, name):
    damage = drawn(name)
    counts = write_noisy_set(data, tmp_path / "noisy", damage)
    noisy = read_data_dir(tmp_path / "noisy")
    assert noisy.utts == data.utts and check(tmp_path / "noisy") == []
    assert (tmp_path / "noisy/trials/list").read_bytes() == (data.path / "trials/list").read_bytes()
    states = noisy.table("utt2modality")
    for modality, before, after in (("voice", data.wav, noisy.wav), ("face", data.video, noisy.video)):
        missing = {utt for utt, record in of(damage, modality).items() if record["kind"] == "missing"}
        assert before.keys() - after.keys() == missing and counts[f"{modality} missing"] == len(missing)
        assert all(states[utt] not in (modality, "both") for utt in missing)
    written = {utt: json.loads(text) for utt, text in noisy.table("utt2damage").items()}
    assert {utt: entry if isinstance(entry, list) else [entry] for utt, entry in written.items()} == damage


def test_damage_to_some_frames_equals_damage_to_all_frames(data):
    every, half = of(draw(data, "face-noisy"), "face"), of(draw(data, "frames-0.5"), "face")
    assert half.keys() == every.keys() and all(what["frames"] == 0.5 for what in half.values())
    assert {utt: without(what, "frames", "order") for utt, what in half.items()} == every


def test_trial_lists_removed_from_the_clean_set_are_removed(data, tmp_path):
    data = read_data_dir(shutil.copytree(data.path, tmp_path / "clean"))
    for name in ("kept", "removed"):
        (data.path / "trials" / name).write_text("a b target\n")
    write_noisy_set(data, tmp_path / "noisy", {})
    (data.path / "trials/removed").unlink()
    write_noisy_set(data, tmp_path / "noisy", {})
    names = {path.name for path in (data.path / "trials").iterdir()}
    assert {path.name for path in (tmp_path / "noisy/trials").iterdir()} == names and "removed" not in names
