"""Additive noise (noise, music and speech, in the layout of MUSAN) and simulated rooms (RIRS_NOISES)."""

from pathlib import Path

import numpy as np
from media import write_wav
from people import BABBLE_PEOPLE, random_stream, spread, traits_of
from scipy.signal import fftconvolve, lfilter
from voices import RATE, coloured_noise, draw_voice, room_response, speak

FILES = 16  # for each of noise, music and speech; half are for training, a quarter each for calibration and test
RESPONSES = 8  # for each kind of room
SECONDS = (8.0, 15.0)
ROOMS = {"smallroom": (0.12, 0.35), "mediumroom": (0.35, 0.75)}  # reverberation time in seconds
NOISES = ("white", "pink", "brown", "hum", "clicks", "engine", "rain", "wind")


def make_noises(folder: Path, seed: int, kind: str) -> None:
    """Make all files of `kind`: noise, music or speech (under musan/), or rooms (RIRS_NOISES/)."""
    if kind == "rooms":
        rng = random_stream(seed, kind)
        for room, times in ROOMS.items():
            for i in range(RESPONSES):
                path = folder / "RIRS_NOISES" / "simulated_rirs" / room / "Room001" / f"Room001-{i:05d}.wav"
                write_wav(path, impulse_response(rng.uniform(*times), rng), RATE, peak=0.9)
        return
    source = {"noise": "free-sound", "music": "fma", "speech": "librivox"}[kind]
    make = {"noise": noise, "music": music, "speech": speech}[kind]
    for number in range(FILES):
        rng = random_stream(seed, kind, number)
        waveform = make(int(RATE * rng.uniform(*SECONDS)), number, seed, rng)
        write_wav(folder / "musan" / kind / source / f"{kind}-{source}-{number:04d}.wav", waveform, RATE)


def impulse_response(reverb_time: float, rng: np.random.Generator) -> np.ndarray:
    """Return direct sound, a few early reflections and a tail that falls by 60 dB in `reverb_time`."""
    tail = 0.25 * room_response(reverb_time, rng)
    tail[0] = 1.0
    for delay in rng.uniform(0.002, 0.03, 6):
        at = int(delay * RATE)
        tail[at] += rng.choice([-1, 1]) * 0.5 * np.exp(-6.9 * delay / reverb_time)
    return tail


def noise(n: int, number: int, seed: int, rng: np.random.Generator) -> np.ndarray:
    """Synthesise one of NOISES."""
    t = np.arange(n) / RATE
    kind = NOISES[number % len(NOISES)]
    slow = np.interp(t, np.linspace(0, t[-1], 12), rng.uniform(0.3, 1, 12))  # slow loudness variation
    if kind in ("white", "pink", "brown"):
        return coloured_noise(n, {"white": 0.0, "pink": 1.0, "brown": 2.0}[kind], rng)
    if kind == "hum":
        mains = rng.choice([50, 60])
        return sum(np.sin(2 * np.pi * mains * k * t + rng.uniform(0, 6)) / k for k in range(1, 12)) * slow
    if kind == "engine":
        turns = (
            np.cumsum(rng.uniform(25, 60) * (1 + 0.3 * np.interp(t, np.linspace(0, t[-1], 9), rng.normal(size=9))))
            / RATE
        )
        return sum(np.sin(2 * np.pi * k * turns) / k**0.7 for k in range(1, 15)) + 0.3 * coloured_noise(n, 1, rng)
    if kind == "clicks":
        hits = (rng.uniform(size=n) < 4 / RATE) * rng.uniform(0.2, 1, n)
        ring = np.exp(-t[:800] * 300) * np.sin(2 * np.pi * rng.uniform(900, 3000) * t[:800])
        return fftconvolve(hits, ring)[:n] + 0.01 * coloured_noise(n, 1, rng)
    if kind == "rain":
        drops = (rng.uniform(size=n) < 400 / RATE) * rng.exponential(size=n)
        return fftconvolve(drops, np.exp(-t[:300] * 900) * rng.normal(size=300))[:n] + 0.15 * coloured_noise(
            n, 0.5, rng
        )
    gusts = np.interp(t, np.linspace(0, t[-1], 20), rng.uniform(0.1, 1, 20) ** 2)
    return coloured_noise(n, 2, rng) * gusts


def music(n: int, number: int, seed: int, rng: np.random.Generator) -> np.ndarray:
    """Return a tune: chords, an arpeggio over them and, in every second piece, drums."""
    out = np.zeros(n)
    key, beat = 110 * 2 ** (rng.integers(12) / 12), rng.uniform(0.28, 0.6)
    scale = np.array([0, 2, 3, 5, 7, 8, 10] if rng.uniform() < 0.5 else [0, 2, 4, 5, 7, 9, 11])
    overtones = np.exp(-rng.uniform(0.3, 0.9) * np.arange(8)) * rng.uniform(0.2, 1, 8)

    def note(degree: int, start: float, seconds: float, loud: float) -> None:
        hz = key * 2 ** ((scale[degree % 7] + 12 * (degree // 7)) / 12)
        at = int(start * RATE)
        t = np.arange(min(int(seconds * RATE), n - at)) / RATE
        tone = sum(a * np.sin(2 * np.pi * hz * (k + 1) * t) for k, a in enumerate(overtones) if hz * (k + 1) < 7500)
        out[at : at + len(t)] += loud * tone * np.minimum(1, t / 0.01) * np.exp(-2.5 * t / seconds)

    root = 0
    for i, start in enumerate(np.arange(0, n / RATE - 0.1, beat)):
        if i % 4 == 0:
            root = int(rng.integers(7))
            for step in (0, 2, 4):
                note(root + step, start, 4.5 * beat, 0.4)
        note(root + int(rng.choice([0, 2, 4, 7, 9])) + 7, start, 1.5 * beat, 0.5)
        if number % 2:
            at, length = int(start * RATE), min(2400, n - int(start * RATE))
            drum = rng.normal(size=length) if i % 2 else 3 * np.sin(2 * np.pi * 60 * np.arange(length) / RATE)
            out[at : at + length] += 0.5 * drum * np.exp(-np.arange(length) / 500)
    return lfilter([1], [1, -0.2], out)


def speech(n: int, number: int, seed: int, rng: np.random.Generator) -> np.ndarray:
    """Synthesise speech of a speaker outside the corpus."""
    traits = traits_of(seed, BABBLE_PEOPLE + number)
    return speak(draw_voice(traits, rng), spread(rng, 4), n / RATE, rng)
