"""Features against kaldi-native-fbank, and against Kaldi's definitions written out frame by frame."""

import kaldi_native_fbank as knf
import kaldiio
import numpy as np
import pytest
import soundfile

from avsv.errors import InputError, OptionError
from avsv.features.cepstra import subtract_sliding_mean, with_deltas
from avsv.features.fbank import energy_vad, fbank_and_energy
from avsv.features.kinds import Kind, magnitudes

WAVEFORM = np.random.default_rng(0).normal(0.01, 0.1, 24037).astype(np.float32)


@pytest.mark.parametrize("mels, n", [(30, 24), (23, 13), (40, 20)])
def test_mfcc_equals_kaldi_native_fbank(mels, n):
    options = knf.MfccOptions()
    options.frame_opts.dither, options.num_ceps = 0.0, n
    options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = mels, 20, 7600
    computer = knf.OnlineMfcc(options)
    computer.accept_waveform(16000, WAVEFORM * 32768)
    computer.input_finished()
    theirs = np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])
    ours, energy = Kind.of("mfcc", mels, n, deltas=0, sliding_mean=0).compute(WAVEFORM)
    assert np.abs(ours - theirs).max() < 2e-3
    assert np.array_equal(energy, ours[:, 0])


def kaldi_deltas(features, window):
    """Both derivatives, frame by frame: scales of feat/feature-functions.cc, frames beyond the edges clamped."""
    n, first = len(features), np.arange(-window, window + 1) / sum(j * j for j in range(-window, window + 1))
    second = np.zeros(4 * window + 1)
    for i, a in enumerate(first):
        for j, b in enumerate(first):
            second[i + j] += a * b
    out = [features]
    for scales in (first, second):
        reach = len(scales) // 2
        out.append([sum(scales[j + reach] * features[min(max(t + j, 0), n - 1)] for j in range(-reach, reach + 1))
                    for t in range(n)])  # fmt: skip
    return np.concatenate(out, axis=1)


@pytest.mark.parametrize("n, window", [(1, 3), (4, 2), (30, 3)])
def test_deltas_equal_kaldis(n, window):
    features = np.random.default_rng(n).normal(size=(n, 3))
    assert with_deltas(features, 2, window) == pytest.approx(kaldi_deltas(features, window))
    assert np.array_equal(with_deltas(features, 0), features)


def kaldi_sliding_mean(features, size):
    """Frame by frame, as apply-cmvn-sliding --center=true shifts its window at the edges."""
    n, out = len(features), np.empty_like(features)
    for t in range(n):
        begin = t - size // 2
        end = begin + size
        if begin < 0:
            begin, end = 0, end - begin
        if end > n:
            begin, end = max(begin - (end - n), 0), n
        out[t] = features[t] - features[begin:end].mean(axis=0)
    return out


@pytest.mark.parametrize("n, window", [(1, 300), (5, 300), (20, 5), (20, 6), (20, 20), (21, 20), (400, 300)])
def test_the_sliding_mean_equals_kaldis(n, window):
    features = np.random.default_rng(n).normal(5, 1, (n, 2))
    assert subtract_sliding_mean(features, window) == pytest.approx(kaldi_sliding_mean(features, window), abs=1e-12)


def test_mfcc_appends_derivatives_then_subtracts_the_mean():
    static, _ = Kind.of("mfcc", deltas=0, sliding_mean=0).compute(WAVEFORM)
    finished, energy = Kind.of("mfcc").compute(WAVEFORM)
    assert finished == pytest.approx(kaldi_sliding_mean(kaldi_deltas(static.astype(float), 3), 300), abs=1e-4)
    assert np.array_equal(energy, fbank_and_energy(WAVEFORM)[1])


def test_a_spectrogram_is_the_magnitude_of_windowed_frames():
    t, frame = 7, WAVEFORM[7 * 160 : 7 * 160 + 400].astype(float) * 32768
    frame -= frame.mean()
    frame = np.concatenate([[0.03 * frame[0]], frame[1:] - 0.97 * frame[:-1]])
    expected = np.abs(np.fft.fft(frame * np.hamming(400), 512))
    ours = magnitudes(WAVEFORM)
    assert ours.shape == (148, 257)
    assert ours[t] == pytest.approx(expected[:257], rel=1e-3, abs=0.5)
    assert expected[257:] == pytest.approx(expected[255:0:-1])  # the bins left out


@pytest.mark.parametrize("kind", ["fbank", "mfcc", "spectrogram"])
def test_a_short_waveform_is_refused(kind):
    with pytest.raises(InputError, match=r"0\.025 s"):
        Kind.of(kind).compute(np.zeros(399, np.float32))


@pytest.mark.parametrize("kind, options, named", [
    ("fbank", {"cepstra": 13}, "cepstra"), ("spectrogram", {"mels": 40}, "mels"),
    ("spectrogram", {"deltas": 1}, "deltas"), ("mfcc", {"cepstra": 31}, "cepstra"),
    ("fbank", {"mels": 500}, "mels"), ("mfcc", {"deltas": 3}, "deltas"),
])  # fmt: skip
def test_an_option_that_does_not_fit_the_kind_is_refused(kind, options, named):
    with pytest.raises(OptionError, match=named):
        Kind.of(kind, **options)


def test_the_command_writes_each_kind_and_its_voice_activity(tmp_path, tone, avsv):
    data = tmp_path / "data"
    data.mkdir()
    (data / "utt2spk").write_text("a-1 a\n")
    (data / "wav.scp").write_text(f"a-1 {tone('a.wav')}\n")
    for kind, size in (("fbank", 80), ("mfcc", 72), ("spectrogram", 257)):
        status, output = avsv("features", "--kind", kind, data, tmp_path / kind)
        assert status == 0, output
        feats = kaldiio.load_scp(str(data / "feats.scp"))["a-1"]
        assert feats.shape == (98, size)
        waveform, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
        expected, energy = Kind.of(kind).compute(waveform)
        assert np.abs(feats - expected).max() < 0.02 * np.ptp(expected)  # stored in one or two bytes a value
        assert np.array_equal(kaldiio.load_scp(str(data / "vad.scp"))["a-1"], energy_vad(energy))
    status, output = avsv("features", "--kind", "mfcc", "--cepstra", 13, data, tmp_path / "mfcc")
    assert status == 0, output
    assert kaldiio.load_scp(str(data / "feats.scp"))["a-1"].shape == (98, 39)  # made again
    status, output = avsv("features", "--kind", "spectrogram", "--mels", 13, data, tmp_path / "spectrogram")
    assert status == 1 and "--mels" in output
