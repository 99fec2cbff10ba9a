"""Speech features of voice to face: bands up to 7200 Hz, speech frames only, bands with mean 0 and variance 1."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.features.fbank import energy_vad, fbank_and_energy
from avsv.systems.voice_to_face.speech_features import normalise_bands, speech_frames, take_frames


def noise(seconds, size=0.1):
    return np.random.default_rng(0).normal(0, size, int(16000 * seconds)).astype(np.float32)


def tone(hertz):
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(16000) / 16000)).astype(np.float32)


def test_bands_end_at_7200_hertz():
    below, above = (speech_frames(tone(hertz) + noise(1, 1e-4))[:, -1].mean() for hertz in (7000, 7700))
    assert below - above > 5


def test_a_tone_is_loudest_in_its_mel_band():
    def mel(hertz):
        return 1127 * np.log(1 + hertz / 700)

    for hertz in (300, 1000, 4000):
        place = (mel(hertz) - mel(20)) / (mel(7200) - mel(20)) * 65 - 1  # 64 bands have 65 steps between their edges
        assert abs(speech_frames(tone(hertz)).mean(0).argmax() - place) <= 1


def test_frames_without_speech_are_dropped():
    waveform = np.concatenate([noise(1), np.zeros(16000, np.float32), noise(1)])
    mels, energy = fbank_and_energy(waveform, 64, 7200)
    frames = speech_frames(waveform)
    assert 190 < len(frames) < 215 and np.array_equal(frames, mels[energy_vad(energy) > 0])


@pytest.mark.parametrize("waveform", [np.zeros(32000, np.float32), noise(0.3)])
def test_too_little_speech_is_refused(waveform):
    with pytest.raises(InputError, match=r"at least 0\.32 s of speech"):
        speech_frames(waveform)


def test_a_waveform_shorter_than_a_frame_is_refused():
    with pytest.raises(InputError, match="frame"):
        speech_frames(noise(0.02))


def test_bands_have_mean_0_and_variance_1_at_any_loudness():
    frames = speech_frames(noise(1))
    normal = normalise_bands(frames)
    assert normal.shape == (64, len(frames)) and normal.dtype == np.float32
    assert np.allclose(normal.mean(1), 0, atol=1e-4) and np.allclose(normal.std(1), 1, atol=1e-4)
    assert np.allclose(normal, normalise_bands(speech_frames(3 * noise(1))), atol=1e-2)


def test_a_constant_band_becomes_0():
    assert not normalise_bands(np.ones((40, 64))).any()


@pytest.mark.parametrize("n", [1, 7, 20])
@pytest.mark.parametrize("begin", [0.0, 0.5, 0.999999, 1.0])
def test_frames_are_consecutive_and_cyclic(n, begin):
    taken = take_frames(np.arange(7)[:, None], begin, n)[:, 0]
    assert len(taken) == n and (np.diff(taken) % 7 == 1).all()
