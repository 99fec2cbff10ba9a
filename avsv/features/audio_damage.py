"""Damage to sound: noise, music, babble, reverberation and speed, for training and for the noisy test sets.

What is done to a clip is a small dict that JSON holds (`draw_audio_damage`), drawn once; doing it (`damage_audio`)
needs nothing random, so that a manifest of such dicts is the damaged set.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.kaldi.data_dir import read_data_dir
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import read_part, resample

NOISES = ("noise", "music", "babble")  # what is added
NOISY = (*NOISES, "reverberation")  # what happens to a voice in the noisy test sets
KINDS = (*NOISY, "speed")
SNR = (0.0, 10.0)  # dB; Qian et al. (TASLP 2021) publish no range: ours
SPEEDS = (0.9, 1.1)  # Ko et al., Interspeech 2015, beside the speed as it is
SOURCES = {"noise": "noise", "music": "music", "babble": "speech", "reverberation": "rir"}
RATE = 16000
GUARDED = partial(guarded, read_part)
SILENT = 1e-10  # power, 100 dB below full scale: less than the rounding errors of 16 bits


def read_noises(data_dir: Path | str) -> dict[str, list[str]]:
    """Recordings to damage with, by sort: noise, music, speech, rir (the "speakers" of the data directory).

    Raises
    ------
    InputError : one of the four is missing
    """
    data = read_data_dir(data_dir)
    noises = {sort: sorted(data.wav[u] for u, s in data.utt2spk.items() if s == sort) for sort in SOURCES.values()}
    for sort, paths in noises.items():
        if not paths:
            raise InputError(
                f'{data_dir}/utt2spk: has no recording of sort "{sort}"; run stage 0 with --musan and --rirs'
            )
    return noises


def draw_audio_damage(rng: np.random.Generator, noises: dict[str, list[str]], kinds: Sequence[str] = NOISY,
                      snr: tuple[float, float] | None = None) -> dict:  # fmt: skip
    """Choose what is done to a clip, uniformly over `kinds`.

    Parameters
    ----------
    noises : sort -> paths, as `read_noises` gives them; speed needs none
    snr : dB, drawn uniformly from this range; None for 0 to 10

    Returns
    -------
    dict : modality, kind, and what the kind needs: sources (a list of [path, begin as a share]) and snr (dB) for what
        is added, babble being 3-5 voices; sources alone for reverberation; factor for speed

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
    sound: np.ndarray, damage: dict, read: Callable[[str, float, int | None], np.ndarray] = GUARDED
) -> np.ndarray:
    """Do to `sound` what `damage` says.

    Parameters
    ----------
    sound : (n,) float32 at 16 kHz
    read : (path, begin, n samples, or None for the whole recording) -> float32

    Returns
    -------
    (n,) float32, about (n / factor,) for speed; at most full scale: a louder sum is scaled down as a whole

    Raises
    ------
    InputError : an unknown kind, a noise that cannot be read or is silent
    """
    kind = damage["kind"]
    if kind == "speed":
        return change_speed(sound, damage["factor"])
    if kind == "reverberation":
        damaged = reverberate(sound, read(damage["sources"][0][0], 0.0, None))
    elif kind in NOISES:
        noise = sum(read_noise(read, path, begin, len(sound)) for path, begin in damage["sources"])
        damaged = add_noise(sound, noise, damage["snr"])
    else:
        raise InputError(f'there is no voice damage "{kind}"; expected one of {", ".join(KINDS)}')
    peak = np.abs(damaged).max()
    return (damaged / peak if peak > 1 else damaged).astype(np.float32)


def read_noise(read: Callable, path: str, begin: float, n_samples: int) -> np.ndarray:
    """`n_samples` of a recording at power 1, so that every voice of a babble counts.

    Where it is silent at `begin`, it is read a quarter of it later: a signal-to-noise ratio with silence is none.
    """
    for later in (0, 0.25, 0.5, 0.75):
        noise = read(path, (begin + later) % 1 if later else begin, n_samples)
        if power(noise) > SILENT:
            return noise / np.sqrt(power(noise))
    raise InputError(f"{path}: is silent, so that it is no noise to add; leave it out of the noises")


def change_speed(sound: np.ndarray, factor: float) -> np.ndarray:
    """Play faster (`factor` above 1) or slower; pitch and formants move with it, as on a tape.

    Examples
    --------
    >>> len(change_speed(np.zeros(9000, np.float32), 0.9))
    10000
    """
    return resample(sound, round(RATE * factor), RATE)


def power(sound: np.ndarray) -> float:
    return float(np.mean(np.square(sound, dtype=np.float64)))


def add_noise(sound: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Sound plus noise at a signal-to-noise ratio in dB, measured over the whole clip.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> speech, noise = rng.normal(size=8000), rng.normal(size=8000)
    >>> added = add_noise(speech, noise, 10.0) - speech
    >>> round(float(10 * np.log10(power(speech) / power(added))), 6)
    10.0
    """
    return sound + noise * np.sqrt(power(sound) / max(power(noise), SILENT) / 10 ** (snr / 10))


def reverberate(sound: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Convolve with a room's impulse response; the direct sound stays where it was and the power stays the same."""
    from scipy.signal import fftconvolve  # importing it takes a second, which clips without reverberation need not wait

    direct = int(np.abs(response).argmax())
    wet = fftconvolve(sound, response)[direct : direct + len(sound)]
    return wet * np.sqrt(power(sound) / max(power(wet), SILENT))
