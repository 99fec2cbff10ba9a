"""Damage to audio: its strength, measured on the result, and its reproducibility from a record."""

import json

import numpy as np
import pytest
import soundfile
from scipy.signal import welch

from avsv.errors import InputError
from avsv.features.audio_damage import (
    KINDS,
    NOISY,
    add_noise,
    damage_audio,
    draw_audio_damage,
    power,
    read_noises,
    reverberate,
)
from avsv.features.audio_damage import (
    NOISES as ADDED,
)
from avsv.media.waveforms import WaveformStore, read_part

NOISES = {sort: [f"{sort}{n}.wav" for n in range(4)] for sort in ("noise", "music", "speech", "rir")}


def read_made_up(path, begin, n_samples):
    rng = np.random.default_rng([len(path), int(begin * 1e4)])
    return rng.normal(0, 0.1, n_samples or 4000).astype(np.float32)


def measured_snr(clean, damaged):
    """dB; a sum beyond full scale is scaled down as a whole, so the voice's gain is estimated by least squares."""
    clean, damaged = clean.astype(np.float64), damaged.astype(np.float64)
    scale = 1.0 if np.abs(damaged).max() < 1 else (damaged @ clean) / (clean @ clean)
    return 10 * np.log10(np.sum((scale * clean) ** 2) / np.sum((damaged - scale * clean) ** 2))


@pytest.fixture
def musan(tmp_path):
    """Files of every kind: noises that swell and fade, speech with pauses, and a room response."""
    rng, paths = np.random.default_rng(0), {}
    for sort in ("noise", "music", "speech"):
        loud = np.repeat(rng.uniform(0, 1, 60), 4000) * (np.arange(240000) // 8000 % 3 > 0 if sort == "speech" else 1)
        paths[sort] = [str(tmp_path / f"{sort}{n}.wav") for n in range(3)]
        for path in paths[sort]:
            soundfile.write(path, rng.normal(0, 0.2, 240000) * loud, 16000)
    paths["rir"] = [str(tmp_path / "rir.wav")]
    soundfile.write(paths["rir"][0], np.exp(-np.arange(5000) / 800) * rng.normal(size=5000) * 0.1, 16000)
    return paths


@pytest.mark.parametrize("snr", [0.0, 5.0, 10.0])
def test_noise_is_added_at_the_requested_signal_to_noise_ratio(snr):
    rng = np.random.default_rng(0)
    speech, noise = rng.normal(0, 0.1, 16000), rng.normal(0, 3, 16000)
    added = add_noise(speech, noise, snr) - speech
    assert 10 * np.log10(power(speech) / power(added)) == pytest.approx(snr, abs=1e-6)


def test_reverberation_by_a_single_echo():
    waveform = np.zeros(1000, np.float32)
    waveform[100] = 1
    response = np.zeros(300, np.float32)
    response[20], response[120] = 1.0, 0.5
    wet = reverberate(waveform, response)
    assert wet[100] / wet[200] == pytest.approx(2, rel=1e-4)  # the direct sound keeps its time
    assert power(wet) == pytest.approx(power(waveform), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_survives_json_and_is_reproducible(kind):
    waveform = np.random.default_rng(1).normal(0, 0.1, 8000).astype(np.float32)
    damage = draw_audio_damage(np.random.default_rng(3), NOISES, (kind,))
    first = damage_audio(waveform, damage, read_made_up)
    again = damage_audio(waveform, json.loads(json.dumps(damage)), read_made_up)
    assert np.array_equal(first, again) and first.dtype == np.float32
    assert np.abs(first).max() <= 1 and not np.array_equal(first, waveform)
    assert len(first) == (len(waveform) if kind != "speed" else round(len(waveform) / damage["factor"]))
    if kind == "babble":
        assert 3 <= len(damage["sources"]) <= 5


@pytest.mark.parametrize("kind", ADDED)
@pytest.mark.parametrize("seed", range(5))
def test_the_snr_of_the_result_is_the_one_in_the_record(kind, seed, musan):
    rng = np.random.default_rng(seed)
    waveform = rng.normal(0, 0.05, 50000).astype(np.float32) * (np.arange(50000) // 5000 % 2)
    damage = json.loads(json.dumps(draw_audio_damage(rng, musan, (kind,))))
    assert 0 <= damage["snr"] <= 10
    assert measured_snr(waveform, damage_audio(waveform, damage)) == pytest.approx(damage["snr"], abs=0.1)


def test_a_sum_beyond_full_scale_is_scaled_as_a_whole_and_keeps_its_snr(musan):
    waveform = np.sign(np.sin(np.arange(48000) / 20)).astype(np.float32)
    damage = draw_audio_damage(np.random.default_rng(0), musan, ("noise",), (3, 3))
    damaged = damage_audio(waveform, damage)
    assert np.abs(damaged).max() == pytest.approx(1)
    assert measured_snr(waveform, damaged) == pytest.approx(3, abs=0.1)


def test_a_noise_that_starts_silent_is_read_from_a_later_part(tmp_path):
    pause = np.zeros(160000)
    pause[120000:] = np.random.default_rng(0).normal(0, 0.1, 40000)
    soundfile.write(tmp_path / "late.wav", pause, 16000)
    waveform = np.random.default_rng(1).normal(0, 0.05, 16000).astype(np.float32)
    damage = {"kind": "noise", "sources": [[str(tmp_path / "late.wav"), 0.0]], "snr": 5.0}
    assert measured_snr(waveform, damage_audio(waveform, damage)) == pytest.approx(5, abs=0.1)


def test_a_silent_noise_is_refused(tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(40000), 16000)
    damage = {"kind": "noise", "sources": [[str(tmp_path / "silence.wav"), 0.3]], "snr": 5.0}
    with pytest.raises(InputError, match=r"silence\.wav"):
        damage_audio(np.full(16000, 0.1, np.float32), damage)


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_short_room_response_is_not_repeated(tmp_path, in_memory):
    response = np.zeros(3000)
    response[0], response[2000] = 0.9, 0.45
    soundfile.write(tmp_path / "room.wav", response, 16000)
    click = np.zeros(20000, np.float32)
    click[1000] = 0.5
    damage = {"kind": "reverberation", "sources": [[str(tmp_path / "room.wav"), 0.7]]}
    read = WaveformStore([str(tmp_path / "room.wav")], 1).part if in_memory else read_part
    wet = damage_audio(click, damage, read)
    assert np.flatnonzero(np.abs(wet) > 1e-4).tolist() == [1000, 3000]
    assert wet[1000] / wet[3000] == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_speed_changes_length_and_pitch(factor):
    tone = (0.3 * np.sin(2 * np.pi * 1000 * np.arange(48000) / 16000)).astype(np.float32)
    fast = damage_audio(tone, {"kind": "speed", "factor": factor})
    assert len(fast) == pytest.approx(48000 / factor, abs=2) and fast.dtype == np.float32
    hertz, powers = welch(fast, 16000, nperseg=8000)
    assert hertz[powers.argmax()] == pytest.approx(1000 * factor, abs=2)


def test_speed_needs_no_noises_and_is_drawn_slower_and_faster():
    drawn = [draw_audio_damage(np.random.default_rng(seed), {}, ("speed",)) for seed in range(20)]
    assert {damage["factor"] for damage in drawn} == {0.9, 1.1}


def test_by_default_only_the_kinds_of_the_noisy_sets_are_drawn_about_equally():
    rng = np.random.default_rng(0)
    kinds = [draw_audio_damage(rng, NOISES)["kind"] for _ in range(2000)]
    assert set(kinds) == set(NOISY) and all(400 < kinds.count(kind) < 600 for kind in NOISY)


def test_the_same_noise_is_drawn_at_every_snr():
    one, other = (draw_audio_damage(np.random.default_rng(7), NOISES, ADDED, (snr, snr)) for snr in (0, 15))
    assert (one.pop("snr"), other.pop("snr")) == (0, 15) and one == other


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match='"mud"'):
        damage_audio(np.ones(100, np.float32), {"kind": "mud"})


def test_a_noise_directory_without_a_kind_is_refused(tmp_path):
    (tmp_path / "utt2spk").write_text("noise-1 noise\n")
    (tmp_path / "wav.scp").write_text("noise-1 a.wav\n")
    with pytest.raises(InputError, match=r'utt2spk.*"music"'):
        read_noises(tmp_path)
