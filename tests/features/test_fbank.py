import kaldiio
import numpy as np
import pytest
import torch

from avsv.features.fbank import energy_vad, fbank_and_energy, log_energy
from avsv.models.speechbrain_library import import_speechbrain


def test_features_equal_torchaudios_port_of_kaldi():
    import_speechbrain()
    from torchaudio.compliance import kaldi

    waveform = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
    ours, energy = fbank_and_energy(waveform)
    theirs = kaldi.fbank(torch.from_numpy(waveform)[None] * 32768, num_mel_bins=80, low_freq=20, high_freq=7600,
                         use_energy=True, dither=0.0, sample_frequency=16000)  # fmt: skip
    assert np.abs(theirs[:, 1:].numpy() - ours).max() < 2e-3
    assert np.abs(theirs[:, 0].numpy() - energy).max() < 1e-3


@pytest.mark.parametrize("n", [400, 16037, 16000 * 3])
def test_features_equal_kaldi_native_fbank(n):
    """Lengths include several blocks of frames with a partial last one, which must leave no seam."""
    knf = pytest.importorskip("kaldi_native_fbank")
    options = knf.FbankOptions()
    options.frame_opts.dither, options.mel_opts.num_bins = 0.0, 80
    options.mel_opts.low_freq, options.mel_opts.high_freq = 20, 7600
    options.use_energy = options.raw_energy = True
    waveform = np.random.default_rng(n).normal(0.01, 0.1, n).astype(np.float32)
    computer = knf.OnlineFbank(options)
    computer.accept_waveform(16000, waveform * 32768)
    computer.input_finished()
    theirs = np.stack([computer.get_frame(frame) for frame in range(computer.num_frames_ready)])
    ours, energy = fbank_and_energy(waveform)
    assert ours == pytest.approx(theirs[:, 1:], abs=2e-3)
    assert energy == pytest.approx(theirs[:, 0], abs=1e-3)


@pytest.mark.parametrize("n", [400, 479, 559, 560, 16037])
def test_log_energy_equals_the_energy_beside_the_features(n):
    waveform = np.random.default_rng(n).normal(0.05, 0.1, n).astype(np.float32)
    _, energy = fbank_and_energy(waveform)
    assert log_energy(waveform) == pytest.approx(energy, abs=1e-4)


def test_silence_has_the_floor_energy_and_a_short_waveform_no_frames():
    silence = np.zeros(1000, np.float32)
    assert log_energy(silence) == pytest.approx(fbank_and_energy(silence)[1])
    assert log_energy(silence[:399]).size == 0


def kaldi_vad(energy, threshold, mean_scale, context, proportion):
    """A line-by-line port of Kaldi's ivector/voice-activity-detection.cc."""
    n, out = len(energy), []
    cutoff = threshold + mean_scale * sum(energy) / n
    for t in range(n):
        num = den = 0
        for t2 in range(t - context, t + context + 1):
            if 0 <= t2 < n:
                den += 1
                num += energy[t2] > cutoff
        out.append(float(num >= den * proportion))
    return out


@pytest.mark.parametrize("n", [1, 2, 3, 5, 40])
def test_vad_equals_kaldi(n):
    energy = np.random.default_rng(n).normal(12, 8, n)
    for context, proportion in ((2, 0.12), (0, 0.6), (5, 0.6)):
        ours = energy_vad(energy, context=context, proportion=proportion)
        assert ours.tolist() == kaldi_vad(energy, 5.5, 0.5, context, proportion)


def test_the_command_writes_archives_that_kaldiio_can_read(tmp_path, tone, avsv):
    data = tmp_path / "data"
    data.mkdir()
    (data / "utt2spk").write_text("a-1 a\nb-1 b\nb-2 b\n")
    (data / "wav.scp").write_text(f"a-1 {tone('a.wav')}\nb-1 {tmp_path}/none.wav\nb-2 cat {tone('b.wav')} |\n")
    status, output = avsv("features", data, tmp_path / "out")
    assert status == 1 and "2 of 3 clips" in output
    status, output = avsv("features", "--allow-pipes", "--max-skipped", "0.4", data, tmp_path / "out")
    assert status == 0, output
    feats = kaldiio.load_scp(str(data / "feats.scp"))
    assert list(feats) == ["a-1", "b-2"] and feats["a-1"].shape == (98, 80)
    assert kaldiio.load_scp(str(data / "vad.scp"))["a-1"].shape == (98,)
    assert (tmp_path / "out" / "skipped").read_text().startswith("b-1 ")
