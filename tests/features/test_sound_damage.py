import json

import numpy as np
import pytest

from avsv.errors import UserError
from avsv.features.sound_damage import (
    KINDS,
    add_noise,
    damage_sound,
    draw_sound_damage,
    power,
    read_noises,
    reverberate,
)

NOISES = {sort: [f"{sort}{n}.wav" for n in range(4)] for sort in ("noise", "music", "speech", "rir")}


def read_made_up(path, begin, n_samples):
    rng = np.random.default_rng([len(path), int(begin * 1e4)])
    return rng.normal(0, 0.1, n_samples).astype(np.float32)


@pytest.mark.parametrize("snr", [0.0, 5.0, 10.0])
def test_the_signal_to_noise_ratio_is_what_was_asked_for(snr):
    rng = np.random.default_rng(0)
    speech, noise = rng.normal(0, 0.1, 16000), rng.normal(0, 3, 16000)
    added = add_noise(speech, noise, snr) - speech
    assert 10 * np.log10(power(speech) / power(added)) == pytest.approx(snr, abs=1e-6)


def test_reverberation_by_a_single_echo():
    sound = np.zeros(1000, np.float32)
    sound[100] = 1
    response = np.zeros(300, np.float32)
    response[20], response[120] = 1.0, 0.5
    wet = reverberate(sound, response)
    assert wet[100] / wet[200] == pytest.approx(2, rel=1e-4)  # the direct sound stays at its place
    assert power(wet) == pytest.approx(power(sound), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_survives_json_and_is_the_same_each_time(kind):
    sound = np.random.default_rng(1).normal(0, 0.1, 8000).astype(np.float32)
    damage = draw_sound_damage(np.random.default_rng(3), NOISES, (kind,))
    first = damage_sound(sound, damage, read_made_up)
    again = damage_sound(sound, json.loads(json.dumps(damage)), read_made_up)
    assert np.array_equal(first, again) and first.dtype == np.float32
    assert len(first) == len(sound) and np.abs(first - sound).max() > 0.01 and np.abs(first).max() <= 1
    if kind == "babble":
        assert 3 <= len(damage["sources"]) <= 5


def test_all_kinds_are_drawn_about_equally():
    rng = np.random.default_rng(0)
    kinds = [draw_sound_damage(rng, NOISES)["kind"] for _ in range(2000)]
    assert all(400 < kinds.count(kind) < 600 for kind in KINDS)


def test_a_noise_directory_without_a_sort_is_refused(tmp_path):
    (tmp_path / "utt2spk").write_text("noise-1 noise\n")
    (tmp_path / "wav.scp").write_text("noise-1 a.wav\n")
    with pytest.raises(UserError, match='no recording of sort "music"'):
        read_noises(tmp_path)
