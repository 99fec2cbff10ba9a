"""Damage to audio (noise, music, babble, reverberation, speed), for augmentation and for the noisy test sets.

`draw_audio_damage` draws the damage of a clip as a small JSON-compatible dict. `damage_audio` applies it without any
randomness, so a table of such dicts defines a noisy set completely.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.kaldi.data_dir import read_data_dir
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import read_part, resample

NOISES = ("noise", "music", "babble")  # added to the voice
NOISY = (*NOISES, "reverberation")  # damage to the voice in the noisy test sets
KINDS = (*NOISY, "speed")
SNR = (0.0, 10.0)  # dB; our choice, since Qian et al. (TASLP 2021) publish no range
SPEEDS = (0.9, 1.1)  # besides the original speed; Ko et al., Interspeech 2015
SOURCES = {"noise": "noise", "music": "music", "babble": "speech", "reverberation": "rir"}
RATE = 16000
GUARDED = partial(guarded, read_part)
SILENT = 1e-10  # power, 100 dB below full scale, which is less than 16-bit rounding errors


def read_noises(data_dir: Path | str) -> dict[str, list[str]]:
    """Noise recordings of a data directory by kind: noise, music, speech, rir (its "speakers").

    Returns
    -------
    kind -> sorted paths

    Raises
    ------
    InputError : one of the four kinds is missing
    """
    data = read_data_dir(data_dir)
    noises = {kind: sorted(data.wav[u] for u, s in data.utt2spk.items() if s == kind) for kind in SOURCES.values()}
    for kind, paths in noises.items():
        if not paths:
            raise InputError(f'{data_dir}/utt2spk: has no recording of "{kind}"; expected {", ".join(noises)}')
    return noises


def draw_audio_damage(rng: np.random.Generator, noises: dict[str, list[str]], kinds: Sequence[str] = NOISY,
                      snr: tuple[float, float] | None = None) -> dict:  # fmt: skip
    """Draw the damage of a clip, uniformly over `kinds`.

    Parameters
    ----------
    noises : kind -> paths, from `read_noises`; speed needs none
    snr : range in dB, from which the ratio is drawn uniformly; None for 0 to 10

    Returns
    -------
    dict with modality and kind; noise, music and babble (3-5 voices) add sources, a list of [path, start as a fraction
        of the recording], and snr in dB; reverberation adds sources alone, speed adds factor

    Examples
    --------
    >>> draw_audio_damage(np.random.default_rng(0), {"noise": ["rain.wav"]}, ("noise",), (5, 15))
    {'modality': 'voice', 'kind': 'noise', 'sources': [['rain.wav', 0.637]], 'snr': 7.7}
    """
    for kind in kinds or ("",):
        refuse_unknown("voice damage", kind, KINDS)
    kind = str(rng.choice(kinds))
    if kind == "speed":
        return {"modality": "voice", "kind": kind, "factor": float(rng.choice(SPEEDS))}
    n_sources = int(rng.integers(3, 6)) if kind == "babble" else 1
    paths = noises[SOURCES[kind]]
    sources = [[paths[int(rng.integers(len(paths)))], round(float(rng.random()), 4)] for _ in range(n_sources)]
    damage = {"modality": "voice", "kind": kind, "sources": sources}
    if kind in NOISES:
        damage["snr"] = round(float(rng.uniform(*(snr or SNR))), 2)
    return damage


def damage_audio(
    waveform: np.ndarray, damage: dict, read: Callable[[str, float, int | None], np.ndarray] = GUARDED
) -> np.ndarray:
    """Apply `damage` to a waveform.

    Parameters
    ----------
    waveform : (n,) float32 at 16 kHz
    damage : from `draw_audio_damage`
    read : reader of noises: (path, start, number of samples or None for the whole recording) -> float32

    Returns
    -------
    (n,) float32, about (n / factor,) for speed; scaled down as a whole if it would exceed full scale

    Raises
    ------
    InputError : an unknown kind, or a noise that is silent or cannot be read
    """
    kind = damage["kind"]
    if kind == "speed":
        return change_speed(waveform, damage["factor"])
    if kind == "reverberation":
        damaged = reverberate(waveform, read(damage["sources"][0][0], 0.0, None))
    elif kind in NOISES:
        noise = sum(read_noise(read, path, begin, len(waveform)) for path, begin in damage["sources"])
        damaged = add_noise(waveform, noise, damage["snr"])
    else:
        raise InputError(f'unknown voice damage "{kind}"; expected one of {", ".join(KINDS)}')
    peak = np.abs(damaged).max()
    return (damaged / peak if peak > 1 else damaged).astype(np.float32)


def read_noise(read: Callable, path: str, begin: float, n_samples: int) -> np.ndarray:
    """Read `n_samples` of a noise, normalised to power 1 to give every voice of a babble equal weight.

    If the noise is silent at `begin`, which would leave the signal-to-noise ratio undefined, later quarters are tried.
    """
    for later in (0, 0.25, 0.5, 0.75):
        noise = read(path, (begin + later) % 1 if later else begin, n_samples)
        if power(noise) > SILENT:
            return noise / np.sqrt(power(noise))
    raise InputError(f"{path}: is silent and cannot serve as noise; remove it from the noises")


def change_speed(waveform: np.ndarray, factor: float) -> np.ndarray:
    """Play faster (`factor` above 1) or slower, as a tape would: pitch and formants shift as well.

    Examples
    --------
    >>> len(change_speed(np.zeros(9000, np.float32), 0.9))
    10000
    """
    return resample(waveform, round(RATE * factor), RATE)


def power(waveform: np.ndarray) -> float:
    return float(np.mean(np.square(waveform, dtype=np.float64)))


def add_noise(waveform: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Add noise at a signal-to-noise ratio in dB, measured over the whole clip.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> speech, noise = rng.normal(size=8000), rng.normal(size=8000)
    >>> added = add_noise(speech, noise, 10.0) - speech
    >>> round(float(10 * np.log10(power(speech) / power(added))), 6)
    10.0
    """
    return waveform + noise * np.sqrt(power(waveform) / max(power(noise), SILENT) / 10 ** (snr / 10))


def reverberate(waveform: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Convolve with a room impulse response, keeping the time of the direct sound and the power."""
    import scipy.fft  # imported here because the import takes half a second; scipy.signal's fftconvolve would take two

    direct = int(np.abs(response).argmax())
    size = scipy.fft.next_fast_len(len(waveform) + len(response) - 1, real=True)
    spectrum = scipy.fft.rfft(waveform, size) * scipy.fft.rfft(response, size)
    wet = scipy.fft.irfft(spectrum, size)[direct : direct + len(waveform)]
    return wet * np.sqrt(power(waveform) / max(power(wet), SILENT))
