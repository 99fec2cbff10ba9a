"""Front ends of speaker encoders: from a waveform to the features that the network expects.

A front end is two modules, named as SpeechBrain's EncoderClassifier names them: `compute_features` and `mean_var_norm`.
Most are SpeechBrain's filter banks; this module adds Kaldi's, the spectrogram of the VoxCeleb CNN, Deep Speaker's
normalisation, and the waveform itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from avsv.features.fbank import FLOOR, FRAME, FULL_SCALE, HOP, N_FFT, PREEMPHASIS, analysis_window, mel_weights
from avsv.models.limits import Check

RATE = 16000
FBANK, NORMALIZATION = "speechbrain.lobes.features.Fbank", "speechbrain.processing.features.InputNormalization"


@dataclass(frozen=True)
class FrontEnd:
    """Names and arguments of the two classes of a front end.

    features : class; (batch, n) waveforms at 16 kHz -> (batch, t, bands)
    feature_options : its arguments
    normalization : class; features and relative lengths -> normalised features
    normalization_options : its arguments
    """

    features: str = FBANK
    feature_options: Mapping[str, Any] = field(default_factory=lambda: {"n_mels": 80})
    normalization: str = NORMALIZATION
    normalization_options: Mapping[str, Any] = field(
        default_factory=lambda: {"norm_type": "sentence", "std_norm": False}
    )


class Spectrogram(nn.Module):
    """Magnitude spectrogram of the VoxCeleb CNN (Nagrani, Chung, Zisserman, Interspeech 2017), all 512 bins.

    Steps, as in the authors' code: a filter that removes the mean, 1 - z^-1 over 1 - 0.99 z^-1; pre-emphasis of 0.97;
    frames of 25 ms every 10 ms; Hamming window; absolute value of an FFT of 512 samples, with the mirrored upper half.
    The authors' dither of a millionth is left out, so embeddings are reproducible. Scale does not matter: every bin is
    normalised over time afterwards.

    Waveforms shorter than `least` are repeated up to it (our choice): the network needs 65 frames.

    Examples
    --------
    >>> tone = torch.sin(2 * torch.pi * 1000 / RATE * torch.arange(RATE)).unsqueeze(0)
    >>> features = Spectrogram()(tone)
    >>> features.shape, int(features[0, 50].argmax())  # 1000 Hz x 512 / 16000
    (torch.Size([1, 98, 512]), 32)
    """

    limits: ClassVar[Mapping[str, Check]] = {}
    window, hop, n_fft, least = 400, 160, 512, 65 * 160 + 400  # samples
    pole, pre_emphasis, memory = 0.99, 0.97, 2048  # 0.99 ** 2048 is 1e-9

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, n) waveforms at 16 kHz -> (batch, t, 512)."""
        if waveforms.shape[1] < self.least:
            waveforms = waveforms.repeat(1, -(-self.least // waveforms.shape[1]))[:, : self.least]
        signal = self.remove_mean(waveforms.float())
        signal = torch.cat([signal[:, :1], signal[:, 1:] - self.pre_emphasis * signal[:, :-1]], 1)
        window = torch.hamming_window(self.window, periodic=False, device=signal.device)
        half = torch.fft.rfft(signal.unfold(1, self.window, self.hop) * window, self.n_fft).abs()
        return torch.cat([half, half[:, :, 1:-1].flip(2)], 2)

    def remove_mean(self, signal: Tensor) -> Tensor:
        """The recursive filter as a convolution with its impulse response: 1, -0.01, -0.01 x 0.99, ..."""
        powers = self.pole ** torch.arange(self.memory, device=signal.device, dtype=signal.dtype)
        response = torch.cat([powers.new_ones(1), (self.pole - 1) * powers])
        n = signal.shape[1]
        size = n + len(response)
        return torch.fft.irfft(torch.fft.rfft(signal, size) * torch.fft.rfft(response, size), size)[:, :n]


class KaldiFbank(nn.Module):
    """Kaldi's 80 log mel energies as sherpa-onnx computes them for speaker encoders (its csrc/features.h and .cc).

    Frames of 25 ms every 10 ms, around the middle of each step; samples beyond the edges are mirrored
    (snip_edges=false). Scale 2^15, mean removal, pre-emphasis of 0.97, Povey window, FFT of 512 points, 20 to 7600 Hz,
    natural logarithm, no dither. The Fourier transform runs in float64.

    Examples
    --------
    >>> KaldiFbank()(torch.sin(torch.arange(16000.0)).unsqueeze(0)).shape
    torch.Size([1, 100, 80])
    """

    limits: ClassVar[Mapping[str, Check]] = {}
    before, after = (
        120,
        200,
    )  # samples mirrored at the edges; they give frame number (n + 80) // 160 - 1 its last sample

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, n) waveforms at 16 kHz, n >= 400 -> (batch, (n + 80) // 160, 80)."""
        frames = self.mirrored(waveforms.double() * FULL_SCALE).unfold(1, FRAME, HOP)
        frames = frames - frames.mean(2, keepdim=True)
        earlier = torch.cat([frames[..., :1], frames[..., :-1]], 2)
        window = torch.from_numpy(analysis_window("povey")).to(frames)
        spectra = torch.fft.rfft((frames - PREEMPHASIS * earlier) * window, N_FFT)[..., : N_FFT // 2]
        power = (spectra.real.square() + spectra.imag.square()).float()
        return (power @ torch.from_numpy(mel_weights(80)).to(power)).clamp(min=float(FLOOR)).log()

    def mirrored(self, waveforms: Tensor) -> Tensor:
        """The waveforms with their first and last samples mirrored beyond the edges, the sample at the edge twice."""
        return torch.cat([waveforms[:, : self.before].flip(1), waveforms, waveforms[:, -self.after :].flip(1)], 1)


class FrameNormalization(nn.Module):
    """Deep Speaker's normalisation: every frame has mean 0 and variance 1 over its bands.

    Examples
    --------
    >>> FrameNormalization()(torch.tensor([[[1.0, 3.0]]])).tolist()
    [[[-1.0, 1.0]]]
    """

    limits: ClassVar[Mapping[str, Check]] = {}

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, t, bands) -> the same shape; `lengths` do not matter, because frames are independent."""
        centred = features - features.mean(2, keepdim=True)
        return centred / centred.square().mean(2, keepdim=True).sqrt().clamp(min=1e-5)


class Waveform(nn.Module):
    """The waveform itself, for networks that compute their own features.

    Examples
    --------
    >>> Waveform()(torch.zeros(2, 16000)).shape
    torch.Size([2, 16000, 1])
    """

    limits: ClassVar[Mapping[str, Check]] = {}

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, n) waveforms at 16 kHz -> (batch, n, 1)."""
        return waveforms.float().unsqueeze(2)


class Unchanged(nn.Module):
    """No normalisation.

    Examples
    --------
    >>> Unchanged()(torch.ones(1, 2, 1), torch.ones(1)).flatten().tolist()
    [1.0, 1.0]
    """

    limits: ClassVar[Mapping[str, Check]] = {}

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, t, bands) -> the same."""
        return features


FBANK_80 = FrontEnd()
FBANK_24 = FrontEnd(feature_options={"n_mels": 24})
SPECTROGRAM = FrontEnd(
    "avsv.models.front_ends.Spectrogram", {}, NORMALIZATION, {"norm_type": "sentence", "std_norm": True}
)
FBANK_64_BY_FRAME = FrontEnd(FBANK, {"n_mels": 64}, "avsv.models.front_ends.FrameNormalization", {})
WAVEFORM = FrontEnd("avsv.models.front_ends.Waveform", {}, "avsv.models.front_ends.Unchanged", {})
KALDI = FrontEnd("avsv.models.front_ends.KaldiFbank", {})
BY_NAME = {"speechbrain": FBANK_80, "kaldi": KALDI}  # for encoders of 80 filter banks, by the key `features`
