"""Front ends of the encoders that avsv trains, with the Fourier transform as plain ONNX operators.

torch.stft and torch.fft have no counterpart that every ONNX runtime implements for 400 points. Here frames are gathered
and multiplied by the window and the Fourier matrix, in float64: in float32, the sum of 400 products would be less exact
than an FFT.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.errors import InputError
from avsv.features.fbank import FLOOR, FRAME, FULL_SCALE, HOP, N_FFT, PREEMPHASIS, analysis_window, mel_weights
from avsv.models.front_ends import FrameNormalization, KaldiFbank, Spectrogram


class Frames(nn.Module):
    """Power spectra of the frames of waveforms.

    Parameters
    ----------
    transform : (n, n) float, a linear map of a frame (a row) before the Fourier transform, such as diag(window)
    hop : samples from frame to frame
    n_fft : points of the Fourier transform, at least n
    """

    def __init__(self, transform: Tensor, hop: int, n_fft: int):
        super().__init__()
        self.hop, self.size, self.n_bins = hop, len(transform), n_fft // 2 + 1
        turns = torch.outer(torch.arange(self.size), torch.arange(self.n_bins)) % n_fft
        angles = 2 * math.pi / n_fft * turns.double()
        self.register_buffer("fourier", transform.double() @ torch.cat([angles.cos(), angles.sin()], 1))

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, n) waveforms -> (batch, t, n_fft / 2 + 1) float32; frames that do not fit are left out."""
        n_frames = (waveforms.shape[1] - self.size) // self.hop + 1
        frames = waveforms[:, torch.arange(n_frames).unsqueeze(1) * self.hop + torch.arange(self.size)]
        squares = (frames.double() @ self.fourier).square()
        return (squares[..., : self.n_bins] + squares[..., self.n_bins :]).float()


class FbankInOnnx(nn.Module):
    """SpeechBrain's log mel energies.

    Parameters
    ----------
    fbank : speechbrain.lobes.features.Fbank without deltas and context
    """

    def __init__(self, fbank: nn.Module):
        super().__init__()
        stft = fbank.compute_STFT
        before = (stft.n_fft - stft.win_length) // 2
        window = F.pad(stft.window, (before, stft.n_fft - stft.win_length - before))
        self.padding, self.frames = stft.n_fft // 2, Frames(window.diag(), stft.hop_length, stft.n_fft)
        self.filters = fbank.compute_fbanks

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, n) waveforms -> (batch, t, mel bands)."""
        return self.filters(self.frames(F.pad(waveforms, (self.padding, self.padding))))


class KaldiFbankInOnnx(nn.Module):
    """`KaldiFbank`, with scale, mean removal, pre-emphasis and window as one matrix."""

    def __init__(self, fbank: KaldiFbank):
        super().__init__()
        self.fbank, eye = fbank, torch.eye(FRAME, dtype=torch.float64)
        emphasis = eye - PREEMPHASIS * torch.diag(torch.ones(FRAME - 1, dtype=torch.float64), 1)
        emphasis[0, 0] = 1 - PREEMPHASIS
        window = torch.from_numpy(analysis_window("povey")).double()
        self.frames = Frames(FULL_SCALE * (eye - 1 / FRAME) @ emphasis * window, HOP, N_FFT)
        self.register_buffer("filters", torch.from_numpy(mel_weights(80)))

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, n) waveforms at 16 kHz -> (batch, t, 80)."""
        power = self.frames(self.fbank.mirrored(waveforms))[..., : len(self.filters)]
        return (power @ self.filters).clamp(min=float(FLOOR)).log()


class SpectrogramInOnnx(nn.Module):
    """`Spectrogram`, with its recursive filter as a convolution of finite length."""

    def __init__(self, spectrogram: Spectrogram):
        super().__init__()
        self.least, self.pre_emphasis = spectrogram.least, spectrogram.pre_emphasis
        powers = spectrogram.pole ** torch.arange(spectrogram.memory, dtype=torch.float64)
        response = torch.cat([powers.new_ones(1), (spectrogram.pole - 1) * powers]).float()
        self.register_buffer("response", response.flip(0).view(1, 1, -1))
        window = torch.hamming_window(spectrogram.window, periodic=False)
        self.frames = Frames(window.diag(), spectrogram.hop, spectrogram.n_fft)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, n) waveforms at 16 kHz -> (batch, t, 512)."""
        n = torch._shape_as_tensor(waveforms)[1]
        waveforms = waveforms[:, torch.arange(torch.maximum(n, torch.tensor(self.least))) % n]  # repeats short ones
        padded = F.pad(waveforms, (self.response.shape[2] - 1, 0)).unsqueeze(1)
        signal = F.conv1d(padded, self.response).squeeze(1)
        signal = torch.cat([signal[:, :1], signal[:, 1:] - self.pre_emphasis * signal[:, :-1]], 1)
        half = self.frames(signal).sqrt()
        return torch.cat([half, half[:, :, 1:-1].flip(2)], 2)


class SentenceNormalization(nn.Module):
    """SpeechBrain's InputNormalization over the sentence, without padding: mean 0 and, if asked for, deviation 1."""

    def __init__(self, normalization: nn.Module):
        super().__init__()
        self.std_norm, self.epsilon = normalization.std_norm, normalization.epsilon

    def forward(self, features: Tensor) -> Tensor:
        """(batch, t, bands) -> the same shape."""
        centred = features - features.mean(1, keepdim=True)
        if self.std_norm:
            centred = centred / centred.square().mean(1, keepdim=True).sqrt().clamp(min=self.epsilon)
        return centred


def front_end_in_onnx(features: nn.Module, normalization: nn.Module) -> nn.Sequential:
    """A front end, (batch, n) waveforms to (batch, t, bands) normalised features, that can be exported to ONNX.

    Parameters
    ----------
    features, normalization : `compute_features` and `mean_var_norm` of an encoder

    Raises
    ------
    InputError : other features

    Examples
    --------
    >>> from avsv.models.speechbrain_library import make_frontend
    >>> fbank, normalization = make_frontend()
    >>> waveform = torch.sin(torch.arange(16000.0) ** 1.5).unsqueeze(0)
    >>> expected = normalization(fbank(waveform), torch.ones(1))
    >>> torch.allclose(front_end_in_onnx(fbank, normalization)(waveform), expected, atol=1e-3)
    True
    """
    if isinstance(features, Spectrogram):
        first: nn.Module = SpectrogramInOnnx(features)
    elif isinstance(features, KaldiFbank):
        first = KaldiFbankInOnnx(features)
    elif type(features).__name__ == "Fbank" and not features.deltas and not features.context:
        first = FbankInOnnx(features)
    else:
        raise unknown(features)
    if isinstance(normalization, FrameNormalization):
        return nn.Sequential(first, normalization)
    if type(normalization).__name__ != "InputNormalization" or normalization.norm_type != "sentence":
        raise unknown(normalization)
    return nn.Sequential(first, SentenceNormalization(normalization))


def unknown(part: nn.Module) -> InputError:
    return InputError(f"{type(part).__name__}: this part of the encoder's front end has no counterpart in ONNX here; "
                      "export the network with features as input")  # fmt: skip
