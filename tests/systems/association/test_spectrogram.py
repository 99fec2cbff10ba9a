"""Spectrogram and face images for the end-to-end networks."""

import numpy as np
import scipy.signal

from avsv.systems.association.input_images import spectrogram_images, square_face
from avsv.systems.association.spectrogram import LENGTH, drop_silence, magnitude_image


def test_frames_30_db_below_the_loudest_are_dropped_and_others_kept():
    rng = np.random.default_rng(0)
    loud, faint, quiet = (level * rng.normal(size=8000).astype(np.float32) for level in (0.3, 0.02, 0.003))
    found = drop_silence(np.concatenate([loud, faint, quiet]))
    # faint is 23.5 dB down, quiet 40 dB: only those quiet frames stay that overlap faint
    assert 16000 <= len(found) <= 16000 + 400
    np.testing.assert_array_equal(found[:16000], np.concatenate([loud, faint]))


def test_a_waveform_shorter_than_a_frame_is_unchanged():
    assert len(drop_silence(np.ones(100, np.float32))) == 100


def test_the_image_is_the_short_time_magnitude_in_decibels():
    waveform = np.random.default_rng(1).normal(size=LENGTH).astype(np.float32)
    window = np.hanning(400)
    _, _, z = scipy.signal.stft(
        waveform, window=window, nperseg=400, noverlap=240, nfft=512, boundary=None, padded=False
    )
    decibels = 20 * np.log10(np.abs(z[:256]) * window.sum())
    wanted = 255 * np.clip((decibels - decibels.max()) / 80 + 1, 0, 1)
    np.testing.assert_allclose(magnitude_image(waveform).astype(float), wanted, atol=1)


def test_the_image_does_not_depend_on_loudness():
    waveform = np.random.default_rng(2).normal(size=30000).astype(np.float32)
    np.testing.assert_array_equal(magnitude_image(waveform, 96), magnitude_image(4 * waveform, 96))


def test_the_pieces_of_a_long_clip_reach_its_end():
    waveform = np.random.default_rng(3).normal(size=2 * LENGTH + 100).astype(np.float32)
    pieces = spectrogram_images(waveform, 256)
    assert len(pieces) == 3
    np.testing.assert_array_equal(pieces[-1], magnitude_image(waveform[-LENGTH:]))


def test_a_face_is_converted_to_rgb_and_resized():
    face = np.zeros((112, 112, 3), np.uint8)
    face[:, :, 2] = 200  # red, the last channel in OpenCV
    assert square_face(face, 256).shape == (3, 256, 256)
    assert square_face(face, 96)[:, 40, 40].tolist() == [200, 0, 0]
