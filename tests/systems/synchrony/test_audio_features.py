"""MFEC and MFCC against plain loops, SciPy and Kaldi."""

import numpy as np
import pytest
from scipy.fft import dct

from avsv.errors import InputError
from avsv.features.fbank import fbank_and_energy
from avsv.systems.synchrony.audio_features import derivative, log_mel_energies, mel_filters, mfcc, mfec, with_floor

SOUND = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)


def mel(hertz):
    return 2595 * np.log10(1 + hertz / 700)


def test_energies_equal_a_plain_loop():
    feet = 700 * (10 ** (np.linspace(0, mel(8000), 42) / 2595) - 1)
    found = log_mel_energies(SOUND)
    assert found.shape == (25, 40)
    for frame in (0, 13, 24):
        piece = SOUND[320 * frame : 320 * frame + 320].astype(float)
        power = np.abs(np.fft.fft(np.concatenate([piece, np.zeros(704)])))[:513] ** 2 / 1024
        for band in (0, 7, 39):
            total = 0.0
            for line in range(513):
                at = mel(line * 15.625)
                low, centre, high = mel(feet[band]), mel(feet[band + 1]), mel(feet[band + 2])
                total += power[line] * max(0.0, min((at - low) / (centre - low), (high - at) / (high - centre)))
            assert found[frame, band] == pytest.approx(np.log(total), rel=1e-3)


def test_every_band_contains_spectral_lines():
    assert (mel_filters().sum(0) > 0).all()


def test_windows_do_not_overlap():
    changed = SOUND.copy()
    changed[640:960] = 0.5
    differ = np.abs(log_mel_energies(changed) - log_mel_energies(SOUND)).max(1) > 1e-4
    assert np.flatnonzero(differ).tolist() == [2]


def test_derivatives_are_least_squares_slopes():
    values = np.random.default_rng(1).normal(size=(9, 3))
    slopes = [np.polyfit(np.arange(5), values[t - 2 : t + 3], 1)[0] for t in range(2, 7)]
    assert np.allclose(derivative(values)[2:7], slopes)


def test_mfec_stacks_energies_and_their_first_and_second_derivatives():
    cube = mfec(SOUND)
    assert cube.shape == (25, 40, 3)
    assert np.abs(cube[..., 0].mean(0)).max() < 1e-4
    assert np.allclose(cube[..., 2], derivative(derivative(cube[..., 0])), atol=1e-5)


def test_loudness_and_microphone_do_not_matter():
    assert np.allclose(mfec(SOUND), mfec(0.1 * SOUND), atol=1e-3)


def test_digital_silence_is_50_db_below_the_loudest_window():
    waveform = np.concatenate([np.zeros(3200, np.float32), SOUND])
    quiet, loud = (np.sqrt(np.square(part).mean()) for part in (with_floor(waveform)[:3200], SOUND))
    assert 20 * np.log10(quiet / loud) == pytest.approx(-50, abs=1.5)
    assert np.array_equal(with_floor(waveform), with_floor(waveform))


def test_mfcc_is_the_cosine_transform_of_kaldis_energies():
    """23 bands from 20 to 7600 Hz, liftered by 1 + 11 sin(pi k / 22); the first coefficient is the log energy."""
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    options.frame_opts.dither, options.mel_opts.num_bins, options.mel_opts.high_freq = 0.0, 23, 7600
    computer = knf.OnlineFbank(options)
    waveform = with_floor(SOUND)
    computer.accept_waveform(16000, waveform * 32768)
    computer.input_finished()
    bands = np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])
    expected = dct(bands, norm="ortho")[:, :13] * (1 + 11 * np.sin(np.pi * np.arange(13) / 22))
    expected[:, 0] = fbank_and_energy(waveform)[1]
    assert np.allclose(mfcc(SOUND), expected - expected.mean(0), atol=2e-2)


@pytest.mark.parametrize("seconds", [0.025, 0.3, 2.0])
def test_mfcc_equals_kaldis(seconds):
    import kaldi_native_fbank as knf

    options = knf.MfccOptions()
    options.frame_opts.dither, options.mel_opts.high_freq = 0.0, 7600
    computer = knf.OnlineMfcc(options)
    waveform = np.random.default_rng(2).normal(0, 0.1, int(16000 * seconds)).astype(np.float32)
    computer.accept_waveform(16000, with_floor(waveform) * 32768)
    computer.input_finished()
    expected = np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])
    assert np.allclose(mfcc(waveform), expected - expected.mean(0), atol=2e-3)


def test_a_waveform_shorter_than_a_window_is_refused():
    with pytest.raises(InputError, match="one window"):
        mfec(np.zeros(300, np.float32))
    with pytest.raises(InputError, match="frame"):
        mfcc(np.zeros(300, np.float32))
