"""Quality measures equal their definitions and follow the damage to a clip."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, laplace
from scipy.stats import spearmanr

from avsv.features.audio_damage import add_noise, damage_audio, draw_audio_damage
from avsv.features.faces import ClipFaces
from avsv.features.fbank import energy_vad, fbank_and_energy
from avsv.features.quality_measures import estimate_snr, face_quality, sharpness, voice_quality
from avsv.media.waveforms import read_waveform


def bursts(rng, seconds=8):
    """Noise that switches on and off every quarter of a second, like speech with pauses."""
    times = np.arange(16000 * seconds)
    return (rng.normal(0, 0.1, len(times)) * (times // 4000 % 2)).astype(np.float32)


@pytest.mark.parametrize("snr", [-3, 0, 5, 10, 20, 30])
def test_the_snr_of_bursts_in_steady_noise_is_estimated(snr):
    rng = np.random.default_rng(0)
    speech = bursts(rng)
    noisy = add_noise(speech, rng.normal(size=len(speech)), snr)
    assert voice_quality(noisy.astype(np.float32))["utt2snr"] == pytest.approx(snr, abs=1)


def test_the_estimated_snr_does_not_depend_on_the_level():
    rng = np.random.default_rng(0)
    noisy = (bursts(rng) + rng.normal(0, 0.02, 8 * 16000)).astype(np.float32)
    assert voice_quality(noisy / 4)["utt2snr"] == pytest.approx(voice_quality(noisy)["utt2snr"], abs=1e-3)


def test_the_estimated_snr_equals_its_definition_in_plain_python():
    energies = np.random.default_rng(1).normal(12, 3, 101)
    ranked = sorted(np.exp(energies))
    floor = ranked[20]  # a fifth of the other hundred are below it
    expected = 10 * np.log10((sum(ranked) / 101 - floor) / floor)
    assert estimate_snr(energies) == pytest.approx(expected)


def test_the_estimated_snr_is_finite_for_digital_silence_and_for_steady_tones():
    waveform = bursts(np.random.default_rng(0))
    assert 60 < voice_quality(waveform)["utt2snr"] < 100  # the range of 16 bits
    tone = np.sin(np.arange(16000) * 2 * np.pi * 400 / 16000).astype(np.float32)
    assert voice_quality(tone)["utt2snr"] == -20
    assert voice_quality(np.full(16000, 0.25, np.float32))["utt2snr"] == -20


def test_duration_and_share_of_speech_refer_to_the_frames_of_fbank():
    waveform = bursts(np.random.default_rng(0), 3)[:40000]
    measures = voice_quality(waveform)
    assert measures["utt2dur"] == 2.5
    assert measures["utt2speech"] == pytest.approx(energy_vad(fbank_and_energy(waveform)[1]).mean(), abs=1e-6)


def test_sharpness_equals_the_variance_of_scipys_laplacian():
    grey = np.random.default_rng(0).integers(0, 256, (3, 112, 112), np.uint8)
    faces = np.repeat(grey[..., None], 3, axis=3)
    expected = [laplace(face.astype(float), mode="mirror").var() for face in grey]
    assert sharpness(faces) == pytest.approx(expected, rel=1e-6)


def test_sharpness_decreases_with_blur():
    face = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    blurred = [gaussian_filter(face, (sigma, sigma, 0)) for sigma in (0.5, 1, 2, 4)]
    assert (np.diff(sharpness(np.stack([face, *blurred]))) < 0).all()


def test_measures_of_a_clips_faces_are_means():
    faces = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), np.uint8)
    measures = face_quality(ClipFaces(faces, np.array([0.5, 0.75]), np.array([100.0, 50.0])))
    assert (measures["utt2face_score"], measures["utt2face_size"], measures["utt2num_faces"]) == (0.625, 75, 2)
    assert measures["utt2sharpness"] == pytest.approx(sharpness(faces).mean())


def test_the_estimated_snr_of_real_voices_follows_the_true_one(real_data, tmp_path):
    """Fifty minivox clips with noise, music or babble at -5 to 20 dB; the rank correlation over all clips is 0.93."""
    root = real_data / "minivox"
    noises = {sort: sorted(map(str, (root / "musan" / sort).rglob("*.wav"))) for sort in ("noise", "music", "speech")}
    rng = np.random.default_rng(0)
    true, estimated = [], []
    for path in sorted((root / "vox1" / "wav").rglob("*.wav"))[::5]:
        damage = draw_audio_damage(rng, noises, ("noise", "music", "babble"), snr=(-5, 20))
        true.append(damage["snr"])
        estimated.append(voice_quality(damage_audio(read_waveform(str(path)), damage))["utt2snr"])
    assert spearmanr(true, estimated)[0] > 0.85
