"""Damage to sound: noise, music, babble and reverberation, for training and for the noisy test sets.

What is done to a clip is a small dict that JSON holds (`draw_sound_damage`), drawn once; doing it (`damage_sound`)
needs nothing random, so that a manifest of such dicts is the damaged set.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

from avsv.errors import UserError
from avsv.kaldi.data_dir import read_data_dir
from avsv.media.sound import read_part

KINDS = ("noise", "music", "babble", "reverberation")
SNR = {"noise": (0.0, 10.0), "music": (0.0, 10.0), "babble": (0.0, 10.0)}  # dB; systems.md has none of the paper: ours
SOURCES = {"noise": "noise", "music": "music", "babble": "speech", "reverberation": "rir"}


def read_noises(data_dir: Path | str) -> dict[str, list[str]]:
    """Recordings to damage with, by sort: noise, music, speech, rir (the "speakers" of the data directory).

    Raises
    ------
    UserError : one of the four is missing
    """
    data = read_data_dir(data_dir)
    noises = {sort: sorted(data.wav[u] for u, s in data.utt2spk.items() if s == sort) for sort in SOURCES.values()}
    for sort, paths in noises.items():
        if not paths:
            raise UserError(
                f'{data_dir}/utt2spk: has no recording of sort "{sort}"; run stage 0 with --musan and --rirs'
            )
    return noises


def draw_sound_damage(rng: np.random.Generator, noises: dict[str, list[str]], kinds: tuple[str, ...] = KINDS,
                      snr: tuple[float, float] | None = None) -> dict:  # fmt: skip
    """Choose what is done to a clip, uniformly over `kinds`.

    Returns
    -------
    dict : kind, sources (list of [path, begin as a share]), and snr (dB) but for reverberation; babble is 3-5 voices
    """
    kind = str(rng.choice(kinds))
    n_sources = int(rng.integers(3, 6)) if kind == "babble" else 1
    paths = noises[SOURCES[kind]]
    sources = [[paths[int(rng.integers(len(paths)))], round(float(rng.random()), 4)] for _ in range(n_sources)]
    damage = {"modality": "voice", "kind": kind, "sources": sources}
    if kind != "reverberation":
        damage["snr"] = round(float(rng.uniform(*(snr or SNR[kind]))), 2)
    return damage


def damage_sound(
    sound: np.ndarray, damage: dict, read: Callable[[str, float, int], np.ndarray] = read_part
) -> np.ndarray:
    """Do to `sound` what `damage` says.

    Parameters
    ----------
    sound : (n,) float32
    read : (path, begin, n samples) -> (n,) float32

    Returns
    -------
    (n,) float32; at most full scale: a louder sum is scaled down as a whole
    """
    if damage["kind"] == "reverberation":
        damaged = reverberate(sound, read(damage["sources"][0][0], 0.0, 16000))
    else:
        noise = sum(level(read(path, begin, len(sound))) for path, begin in damage["sources"])
        damaged = add_noise(sound, noise, damage["snr"])
    peak = np.abs(damaged).max()
    return (damaged / peak if peak > 1 else damaged).astype(np.float32)


def power(sound: np.ndarray) -> float:
    return float(np.mean(np.square(sound, dtype=np.float64)))


def level(sound: np.ndarray) -> np.ndarray:
    """The same sound at power 1, so that every voice of a babble counts."""
    return sound / np.sqrt(max(power(sound), 1e-10))


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
    return sound + noise * np.sqrt(power(sound) / max(power(noise), 1e-10) / 10 ** (snr / 10))


def reverberate(sound: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Convolve with a room's impulse response; the direct sound stays where it was and the power stays the same."""
    direct = int(np.abs(response).argmax())
    wet = fftconvolve(sound, response)[direct : direct + len(sound)]
    return wet * np.sqrt(power(sound) / max(power(wet), 1e-10))
