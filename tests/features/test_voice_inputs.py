"""Front ends of published encoders equal kaldi-native-fbank, and computations written from the toolkits' own code."""

import numpy as np
import pytest
import torch

from avsv.errors import InputError
from avsv.features.voice_inputs import FRONT_ENDS, nemo_filters, pad_frames, split
from avsv.models.speechbrain_library import import_speechbrain, make_frontend

LENGTHS = [16000, 24637, 16000 * 7 + 159]


def speechlike(n, seed=0):
    """Noise under a slow envelope, with a tone and a constant offset."""
    rng, times = np.random.default_rng(seed), np.arange(n) / 16000
    waveform = (
        rng.normal(0, 0.05, n) * (1 + np.sin(2 * np.pi * 3 * times)) + 0.1 * np.sin(2 * np.pi * 220 * times) + 0.01
    )
    return waveform.astype(np.float32)


@pytest.mark.parametrize("n", [400, *LENGTHS])
@pytest.mark.parametrize(("name", "window", "scale"), [("wespeaker", "hamming", 32768), ("3d-speaker", "povey", 1)])
def test_wespeaker_and_3d_speaker_equal_kaldi_native_fbank(name, window, scale, n):
    knf = pytest.importorskip("kaldi_native_fbank")
    options = knf.FbankOptions()
    options.frame_opts.dither, options.frame_opts.window_type, options.mel_opts.num_bins = 0.0, window, 80
    options.mel_opts.low_freq, options.mel_opts.high_freq = 20, 0  # 0: up to half of the sample rate
    computer = knf.OnlineFbank(options)
    computer.accept_waveform(16000, speechlike(n) * scale)
    computer.input_finished()
    theirs = np.stack([computer.get_frame(frame) for frame in range(computer.num_frames_ready)])
    ours = FRONT_ENDS[name].compute(speechlike(n))
    assert ours.shape == (1, len(theirs), 80) and ours.dtype == np.float32
    assert ours[0] == pytest.approx(theirs - theirs.mean(axis=0), abs=2e-3)


def test_the_floor_of_quiet_frames_depends_on_the_scale():
    """At full scale 1 the frames of a faint sound lie at the floor of float32, at 2^15 they do not."""
    faint = np.float32(1e-6) * speechlike(16000)
    assert np.ptp(FRONT_ENDS["3d-speaker"].compute(faint)) == 0
    assert np.ptp(FRONT_ENDS["wespeaker"].compute(faint)) > 1


def redimnet2_by_loops(waveform):
    """ReDimNet2's features in double precision, frame by frame, by the definition of the Fourier transform."""
    n = len(waveform)
    x = waveform.astype(float)
    x = (x - x.mean()) / (np.sqrt(((x - x.mean()) ** 2).mean()) + 1e-8)
    y = [x[0] - 0.97 * x[1]] + [x[i] - 0.97 * x[i - 1] for i in range(1, n)]
    y = np.array([0.0] * 80 + y + [0.0] * 80)
    k, i = np.arange(256)[:, None], np.arange(400)
    fourier = np.exp(-2j * np.pi * k * i / 512) * (0.54 - 0.46 * np.cos(2 * np.pi * i / 399))
    edges = 700 * (10 ** (np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + 7600 / 700), 74) / 2595) - 1)
    rows = []
    for begin in range(0, len(y) - 399, 160):
        power = np.clip(np.abs(fourier @ y[begin : begin + 400]) ** 2, 1e-8, 1e8)
        bands = []
        for left, centre, right in zip(edges, edges[1:], edges[2:]):
            mels = 2595 * np.log10(1 + np.array([left, centre, right]) / 700)
            weights = np.zeros(256)
            for b in range(1, 256):
                m = 2595 * np.log10(1 + b * 8000 / 255 / 700)
                weights[b] = max(0, min((m - mels[0]) / (mels[1] - mels[0]), (mels[2] - m) / (mels[2] - mels[1])))
            bands.append(weights)
        rows.append(np.log(np.clip(np.array(bands) @ power, 1e-8, 1e8) + 1e-8))
    features = np.array(rows) - np.mean(rows, axis=0)
    return features[: len(rows) - len(rows) % 4].T[None, None]


def test_redimnet2_equals_loops_in_double_precision():
    waveform = speechlike(16000 + 475)
    ours, theirs = FRONT_ENDS["redimnet2"].compute(waveform), redimnet2_by_loops(waveform)
    assert ours.shape == theirs.shape == (1, 1, 72, 100)
    assert ours == pytest.approx(theirs, abs=2e-3)


@pytest.mark.parametrize(("n", "frames"), [(16000, 96), (480000, 2996)])
def test_redimnet2_has_a_multiple_of_four_frames(n, frames):
    """The numbers are those of redimnet2-onnx for its shortest and its longest waveform."""
    assert FRONT_ENDS["redimnet2"].compute(speechlike(n)).shape[-1] == frames


def test_redimnet2_does_not_depend_on_the_scale():
    loud, quiet = (FRONT_ENDS["redimnet2"].compute(np.float32(scale) * speechlike(20000)) for scale in (1, 1 / 64))
    assert loud == pytest.approx(quiet, abs=1e-3)


def test_nemo_equals_torchs_stft_with_torchaudios_filters():
    import_speechbrain()
    import torchaudio

    waveform = torch.from_numpy(speechlike(24637))
    emphasised = torch.cat([waveform[:1], waveform[1:] - 0.97 * waveform[:-1]])
    stft = torch.stft(emphasised, 512, 160, 400, torch.hann_window(400, periodic=False), pad_mode="constant",
                      return_complex=True)  # fmt: skip
    filters = torchaudio.functional.melscale_fbanks(257, 0.0, 8000.0, 80, 16000, norm="slaney", mel_scale="slaney")
    logs = (filters.T @ stft.abs().square() + 2**-24).log()[:, : 24637 // 160]
    theirs = (logs - logs.mean(1, keepdim=True)) / (logs.std(1, keepdim=True) + 1e-5)
    assert FRONT_ENDS["nemo"].compute(waveform.numpy())[0] == pytest.approx(theirs.numpy(), abs=2e-3)
    assert nemo_filters() == pytest.approx(filters.numpy(), abs=1e-6)


@pytest.mark.parametrize("loudness", [1, 1e-4])
def test_speechbrain_equals_speechbrain(loudness):
    waveform = np.float32(loudness) * speechlike(24637)
    fbank, normalize = make_frontend()
    theirs = normalize(fbank(torch.from_numpy(waveform)[None]), torch.ones(1)).numpy()
    assert FRONT_ENDS["speechbrain"].compute(waveform) == pytest.approx(theirs, abs=2e-3)


def test_nemo_is_padded_with_zeros_to_a_multiple_of_sixteen_frames():
    features = FRONT_ENDS["nemo"].compute(speechlike(16000))
    padded = pad_frames(features)
    assert padded.shape == (1, 80, 112) and not padded[..., 100:].any() and (padded[..., :100] == features).all()
    assert pad_frames(padded) is not padded and pad_frames(padded).shape == padded.shape


@pytest.mark.parametrize("name", ["wespeaker", "3d-speaker"])
def test_a_waveform_shorter_than_a_frame_is_refused(name):
    with pytest.raises(InputError):
        FRONT_ENDS[name].compute(speechlike(399))


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_the_shape_is_the_declared_one_and_features_do_not_change_the_waveform(name):
    waveform = speechlike(17000)
    features = FRONT_ENDS[name].compute(waveform)
    assert features.ndim == len(FRONT_ENDS[name].axes) and features.dtype == np.float32
    assert all(found == axis for found, axis in zip(features.shape, FRONT_ENDS[name].axes) if isinstance(axis, int))
    assert (waveform == speechlike(17000)).all()


@pytest.mark.parametrize(("seconds", "parts"), [(0.5, 1), (30, 1), (30.001, 2), (61, 3)])
def test_a_long_waveform_is_split_into_the_fewest_parts(seconds, parts):
    found = split(np.arange(int(seconds * 16000)), 30.0)
    lengths = [len(part) for part in found]
    assert len(found) == parts and max(lengths) - min(lengths) <= 1
    assert (np.concatenate(found) == np.arange(int(seconds * 16000))).all()
