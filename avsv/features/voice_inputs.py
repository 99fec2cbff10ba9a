"""Front ends of published speaker encoders: what each toolkit computes from a waveform before its network.

A network gives its published results only with the features that it was trained on: scale of the waveform (1 or 2^15),
window, range of the mel bands, normalisation, allowed lengths. Dither, which would make embeddings random, is always 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from avsv.features.fbank import FRAME, FULL_SCALE, HOP, N_FFT, PREEMPHASIS, RATE, log_mel_energies

NYQUIST = RATE / 2  # Hz
# Seconds embedded at once where a front end has no limit of its own; bounds a network's memory. VoxCeleb1's longest
# clip has 145 s (Nagrani et al., Interspeech 2017).
WINDOW = 150.0
GUARD = 1e-8  # of ReDimNet2's power spectrum, mel energies and standard deviation
REDIMNET2_MELS, REDIMNET2_FRAMES = 72, 4  # mel bands; the number of frames is a multiple of the latter
SPEECHBRAIN_MELS = 80
NEMO_MELS, NEMO_FRAMES = 80, 16  # mel bands; NeMo pads the frames to a multiple of the latter


@dataclass(frozen=True)
class VoiceInput:
    """How a network's input is computed from the waveform of one clip.

    Parameters
    ----------
    compute : (n,) float32 waveform at 16 kHz, full scale 1 -> input of the network, its first axis being the batch
    axes : axes of the input: a size, or a name for a size that varies
    network : networks with this front end, for messages and tables
    shortest, longest : seconds of a waveform that the network accepts; longer ones are split
    counts_frames : the network has a second input, the number of frames that are not padding
    """

    compute: Callable[[np.ndarray], np.ndarray]
    axes: tuple[int | str, ...]
    network: str
    shortest: float = FRAME / RATE
    longest: float = WINDOW
    counts_frames: bool = False


def kaldi_features(waveform: np.ndarray, window: str, scale: float) -> np.ndarray:
    """Kaldi's log mel energies from 20 to 8000 Hz with the mean of each band subtracted: (1, t, 80) float32.

    Equal to `torchaudio.compliance.kaldi.fbank(scale * waveform, num_mel_bins=80, window_type=window, dither=0)` minus
    its mean over frames, which WeSpeaker (Hamming, 2^15) and 3D-Speaker (Povey, 1; speakerlab/process/processor.py)
    compute.

    Raises
    ------
    InputError : the waveform is shorter than one frame of 25 ms

    Examples
    --------
    >>> kaldi_features(np.ones(16000, np.float32), "povey", 1.0).shape
    (1, 98, 80)
    """
    features = log_mel_energies(waveform, 80, NYQUIST, window, scale)
    return (features - features.mean(axis=0))[None]


def redimnet2_features(waveform: np.ndarray) -> np.ndarray:
    """Features of ReDimNet2: (1, 1, 72, t) float32, where t is a multiple of 4.

    The waveform is normalised to mean 0 and deviation 1 and pre-emphasised. Frames of 400 samples every 160, with 80
    zeros at both ends, pass a Hamming window and an FFT of 512 points, of which 256 are used; 72 mel bands from 20 to
    7600 Hz; logarithm; mean over frames subtracted; the last one to three frames dropped. Follows frontend.py of
    mediainbox/redimnet2-onnx 0.2, which restates PalabraAI/redimnet2.

    Examples
    --------
    >>> redimnet2_features(np.sin(np.arange(16000, dtype=np.float32))).shape
    (1, 1, 72, 96)
    """
    import scipy.fft  # half a second, and only some front ends need it

    waveform = (waveform - waveform.mean()) / (waveform.std() + np.float32(GUARD))
    emphasised = waveform - np.float32(PREEMPHASIS) * np.r_[waveform[1], waveform[:-1]]  # reflected at the start
    padded = np.pad(emphasised, HOP // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP] * np.hamming(FRAME).astype(np.float32)
    spectra = scipy.fft.rfft(frames, N_FFT)[:, : N_FFT // 2]
    power = np.clip(np.square(spectra.real) + np.square(spectra.imag), GUARD, 1 / GUARD)
    logs = np.log(np.clip(power @ redimnet2_filters(), GUARD, 1 / GUARD) + np.float32(GUARD))
    logs -= logs.mean(axis=0)
    return np.ascontiguousarray(logs[: len(logs) // REDIMNET2_FRAMES * REDIMNET2_FRAMES].T)[None, None]


@cache
def redimnet2_filters() -> np.ndarray:
    """Triangles on the mel scale 2595 log10(1 + f/700), whose 256 bins reach 8000 Hz: (256, 72) float32."""

    def mel(hertz: np.ndarray) -> np.ndarray:
        return 2595 * np.log10(1 + hertz / 700)

    corners = np.linspace(*mel(np.array([20.0, 7600.0])), REDIMNET2_MELS + 2)
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    mels = mel(np.linspace(0, NYQUIST, N_FFT // 2))[:, None]
    weights = np.maximum(np.minimum((mels - left) / (centre - left), (right - mels) / (right - centre)), 0)
    weights[0] = 0
    return weights.astype(np.float32)


def nemo_features(waveform: np.ndarray) -> np.ndarray:
    """Features of NeMo's speaker encoders, such as TitaNet: (1, 80, t) float32, without padding.

    Pre-emphasis; centred Hann frames of 400 samples every 160 in an FFT of 512 points; 80 mel bands from 0 to 8000 Hz,
    Slaney's scale and norm; log(x + 2^-24); each band normalised to mean 0 and deviation 1 over the clip. Follows
    FilterbankFeatures in NeMo's nemo/collections/asr/parts/preprocessing/features.py.

    Examples
    --------
    >>> nemo_features(np.sin(np.arange(16000, dtype=np.float32))).shape
    (1, 80, 100)
    """
    import scipy.fft

    n_frames = max(len(waveform) // HOP, 1)
    emphasised = np.append(waveform[:1], waveform[1:] - np.float32(PREEMPHASIS) * waveform[:-1])
    padded = np.pad(emphasised, N_FFT // 2)
    beside = (N_FFT - FRAME) // 2  # the window is centred in the FFT
    window = np.pad(np.hanning(FRAME).astype(np.float32), beside)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP][:n_frames] * window
    spectra = scipy.fft.rfft(frames, N_FFT)
    power = np.square(spectra.real) + np.square(spectra.imag)
    logs = np.log(power @ nemo_filters() + np.float32(2**-24))
    deviation = logs.std(axis=0, ddof=1) if len(logs) > 1 else np.zeros(NEMO_MELS, np.float32)
    logs = (logs - logs.mean(axis=0)) / (deviation + np.float32(1e-5))
    return np.ascontiguousarray(logs.T)[None]


@cache
def nemo_filters() -> np.ndarray:
    """Slaney's mel filters, each of area 1, as librosa.filters.mel computes them: (257, 80) float32.

    The scale is linear below 1000 Hz, where it has 3 mel per 200 Hz, and logarithmic above, with 27 mel per factor 6.4.
    """
    per_hertz, knee, per_log = 3 / 200, 15.0, 27 / np.log(6.4)  # knee: the mel of 1000 Hz
    top = knee + per_log * np.log(NYQUIST / 1000)
    mels = np.linspace(0, top, NEMO_MELS + 2)
    corners = np.where(mels < knee, mels / per_hertz, 1000 * np.exp((mels - knee) / per_log))
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    bins = np.arange(N_FFT // 2 + 1)[:, None] * (RATE / N_FFT)
    weights = np.maximum(np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)), 0)
    return (weights * 2 / (right - left)).astype(np.float32)


def speechbrain_features(waveform: np.ndarray) -> np.ndarray:
    """Features of the encoders that avsv trains, SpeechBrain's default filter banks: (1, t, 80) float32.

    Centred Hamming frames of 400 samples every 160; 80 triangles on the mel scale 2595 log10(1 + f/700) from 0 to
    8000 Hz; decibels, at most 80 below the clip's loudest value; mean over frames subtracted. Follows
    speechbrain/lobes/features.py and speechbrain/processing/features.py of SpeechBrain 1.1.

    Examples
    --------
    >>> speechbrain_features(np.sin(np.arange(16000, dtype=np.float32))).shape
    (1, 101, 80)
    """
    import scipy.fft

    turns = 2 * np.pi * np.arange(FRAME) / FRAME
    window = (0.54 - 0.46 * np.cos(turns)).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(waveform, FRAME // 2), FRAME)[::HOP] * window
    spectra = scipy.fft.rfft(frames, FRAME)
    power = np.square(spectra.real) + np.square(spectra.imag)
    decibels = 10 * np.log10(np.maximum(power @ speechbrain_filters(), np.float32(1e-10)))
    decibels = np.maximum(decibels, decibels.max() - 80)
    return (decibels - decibels.mean(axis=0))[None].astype(np.float32)


@cache
def speechbrain_filters() -> np.ndarray:
    """Triangles that rise and fall over the distance to the next lower centre, as SpeechBrain's: (201, 80) float32."""
    mels = np.linspace(0, 2595 * np.log10(1 + NYQUIST / 700), SPEECHBRAIN_MELS + 2)
    hertz = 700 * (10 ** (mels / 2595) - 1)
    centres, widths = hertz[1:-1], np.diff(hertz)[:-1]
    slopes = (np.arange(FRAME // 2 + 1)[:, None] * (RATE / FRAME) - centres) / widths
    return np.maximum(1 - np.abs(slopes), 0).astype(np.float32)


def pad_frames(features: np.ndarray) -> np.ndarray:
    """(1, bands, t) features with zeros after the last frame, so that t is a multiple of 16, as NeMo pads."""
    return np.pad(features, [(0, 0), (0, 0), (0, -features.shape[-1] % NEMO_FRAMES)])


FRONT_ENDS: dict[str, VoiceInput] = {
    "wespeaker": VoiceInput(partial(kaldi_features, window="hamming", scale=FULL_SCALE), ("batch", "frames", 80),
                          "WeSpeaker's"),
    "redimnet2": VoiceInput(redimnet2_features, (1, 1, REDIMNET2_MELS, "frames"), "ReDimNet2", 1.0, 30.0),
    "3d-speaker": VoiceInput(partial(kaldi_features, window="povey", scale=1.0), ("batch", "frames", 80),
                           "3D-Speaker's"),
    "nemo": VoiceInput(nemo_features, ("batch", NEMO_MELS, "frames"), "NeMo's TitaNet", counts_frames=True),
    "speechbrain": VoiceInput(speechbrain_features, ("batch", "frames", SPEECHBRAIN_MELS), "avsv's and SpeechBrain's"),
    "waveform": VoiceInput(lambda waveform: waveform[None], ("batch", "samples"), "those that take the waveform"),
}  # fmt: skip


def split(waveform: np.ndarray, longest: float) -> list[np.ndarray]:
    """The fewest parts of a waveform of at most `longest` seconds at 16 kHz, nearly equal and without overlap.

    Examples
    --------
    >>> [len(part) for part in split(np.zeros(70 * RATE), 30.0)]
    [373334, 373333, 373333]
    """
    return np.array_split(waveform, max(int(np.ceil(len(waveform) / (longest * RATE))), 1))


def embed_in_parts(waveform: np.ndarray, longest: float, embed: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The mean embedding of a waveform's parts (see `split`), weighted by their lengths: (d,) float32.

    Parameters
    ----------
    waveform : (n,) float32 at 16 kHz
    longest : seconds
    embed : (n_i,) float32 -> (d,) float32
    """
    parts = split(waveform, longest)
    vectors = [embed(part) for part in parts]
    return np.average(vectors, axis=0, weights=[len(part) for part in parts]).astype(np.float32)
