"""The kinds of speech features that systems train on: filter banks, cepstra and spectrograms."""

from dataclasses import dataclass

import numpy as np

from avsv.errors import InputError, OptionError
from avsv.features.cepstra import cepstra, subtract_sliding_mean, with_deltas
from avsv.features.fbank import FRAME, HOP, RATE, fbank_and_energy, log_energy, short_time_spectra

MOST_MELS, MOST_DELTAS = 128, 2
DEFAULTS = {"fbank": (80, 0, 0), "mfcc": (30, 2, 300), "spectrogram": (0, 0, 0)}  # mel bands, derivatives, sliding mean
N_CEPSTRA = 24  # as in Kaldi's egs/voxceleb/v1
FRAMES_AT_ONCE = 256


@dataclass(frozen=True)
class Kind:
    """What to compute; see `avsv features --help`.

    mels : mel bands ; cepstra : coefficients of mfcc ; deltas : derivatives appended
    sliding_mean : frames of the mean that is subtracted, 0 for none
    """

    kind: str = "fbank"
    mels: int = 80
    cepstra: int = 0
    deltas: int = 0
    sliding_mean: int = 0

    @classmethod
    def of(cls, kind: str, mels: int | None = None, cepstra: int | None = None, deltas: int | None = None,
           sliding_mean: int | None = None) -> "Kind":  # fmt: skip
        """A kind with the defaults for everything that is None.

        Raises
        ------
        OptionError : an option that the kind does not have, or a value out of range

        Examples
        --------
        >>> Kind.of("mfcc")
        Kind(kind='mfcc', mels=30, cepstra=24, deltas=2, sliding_mean=300)
        """
        given = {"mels": mels, "cepstra": cepstra, "deltas": deltas, "sliding_mean": sliding_mean}
        without = {"fbank": ("cepstra",), "mfcc": (), "spectrogram": tuple(given)}[kind]
        if useless := [name for name in without if given[name] is not None]:
            raise OptionError(f"`{useless[0]}` has no effect on kind {kind}; leave it out")
        defaults = DEFAULTS[kind]
        chosen = [default if value is None else value for value, default in zip((mels, deltas, sliding_mean), defaults)]
        n_cepstra = (N_CEPSTRA if cepstra is None else cepstra) if kind == "mfcc" else 0
        if chosen[0] > MOST_MELS:
            raise OptionError(f"`mels`: expected at most {MOST_MELS} (narrower bands are empty), found {chosen[0]}")
        if n_cepstra > chosen[0]:
            raise OptionError(f"`cepstra`: expected at most `mels`, {chosen[0]}, found {n_cepstra}")
        if chosen[1] > MOST_DELTAS:
            raise OptionError(f"`deltas`: expected 0, 1 or 2, found {chosen[1]}")
        return cls(kind, chosen[0], n_cepstra, chosen[1], chosen[2])

    def compute(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The features of a waveform, and its log energy, which `fbank.energy_vad` takes.

        Parameters
        ----------
        waveform : (n,) float32 at 16 kHz, full scale 1

        Returns
        -------
        (t, d) float32 ; (t,) float32

        Raises
        ------
        InputError : the waveform is shorter than one frame

        Examples
        --------
        >>> features, energy = Kind.of("mfcc").compute(np.ones(16000, np.float32))
        >>> features.shape, energy.shape
        ((98, 72), (98,))
        """
        if self.kind == "spectrogram":
            return magnitudes(waveform), log_energy(waveform).astype(np.float32)
        features, energy = fbank_and_energy(waveform, self.mels)
        if self.kind == "mfcc":
            features = cepstra(features, energy, self.cepstra)
        if self.deltas:
            features = with_deltas(features, self.deltas)
        if self.sliding_mean:
            features = subtract_sliding_mean(features, self.sliding_mean)
        return features, energy


def magnitudes(waveform: np.ndarray) -> np.ndarray:
    """Magnitudes of the short-time spectrum: the input of the VoxCeleb CNN (Nagrani et al., Interspeech 2017).

    Frames of 25 ms every 10 ms, on the scale of 16-bit integers; mean removal, pre-emphasis 0.97, Hamming window, FFT
    of 512. The published code takes all 512 bins; bins 257-511 mirror bins 255-1 and are left out here. It also adds
    dither, and removes the mean of the whole signal by a filter; removing it from each frame is OURS.

    Parameters
    ----------
    waveform : (n,) float32 at 16 kHz, full scale 1

    Returns
    -------
    (t, 257) float32

    Raises
    ------
    InputError : the waveform is shorter than one frame

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    >>> int(magnitudes(tone)[0].argmax())  # 1000 Hz x 512 / 16000
    32
    """
    if len(waveform) < FRAME:
        raise InputError(f"the audio lasts {len(waveform) / RATE:.4f} s, less than one frame of 0.025 s")
    frames = np.lib.stride_tricks.sliding_window_view(waveform, FRAME)[::HOP]
    blocks = (frames[begin : begin + FRAMES_AT_ONCE] for begin in range(0, len(frames), FRAMES_AT_ONCE))
    return np.concatenate([np.abs(short_time_spectra(block, "hamming")) for block in blocks])
