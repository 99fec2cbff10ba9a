"""Front ends of encoders, compared with scipy and numpy."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from avsv.models.front_ends import FrameNormalization, Spectrogram


def test_the_spectrogram_equals_scipys_filters_and_numpys_fft():
    waveform = np.random.default_rng(0).normal(0.2, 0.1, 16000)
    signal = lfilter([1, -1], [1, -0.99], waveform)
    signal = lfilter([1, -0.97], [1], signal)
    frames = np.stack([signal[begin : begin + 400] for begin in range(0, 16000 - 399, 160)])
    expected = np.abs(np.fft.fft(frames * np.hamming(400), 512))
    found = Spectrogram()(torch.from_numpy(waveform.astype(np.float32)).unsqueeze(0))[0].numpy()
    assert found.shape == expected.shape == (98, 512)
    assert np.abs(found - expected).max() < 1e-4 * expected.max()


def test_a_constant_is_removed_and_silence_stays_finite():
    constant = Spectrogram()(torch.full((1, 32000), 0.5))
    assert constant[0, 100:].abs().max() < 1e-3 * constant.max()  # after the filter's first second
    assert not Spectrogram()(torch.zeros(1, 16000)).any()


@pytest.mark.parametrize("n", [1600, 5000, 10799, 10800])
def test_a_short_waveform_is_repeated_up_to_the_frames_that_the_network_needs(n):
    features = Spectrogram()(torch.randn(2, n))
    assert features.shape == (2, 66, 512)
    whole = torch.randn(1, n).repeat(1, 10)[:, :10800]
    assert torch.equal(Spectrogram()(whole[:, :n]), Spectrogram()(whole))


def test_frames_have_mean_0_and_variance_1_each():
    features = torch.randn(2, 5, 64) * 7 + 3
    found = FrameNormalization()(features, torch.tensor([1.0, 0.5])).numpy()
    x = features.numpy().astype(np.float64)
    assert np.allclose(found, (x - x.mean(2, keepdims=True)) / x.std(2, keepdims=True), atol=1e-4)
    assert not FrameNormalization()(torch.full((1, 2, 64), 4.0)).any()
