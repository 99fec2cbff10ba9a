"""Voices: properties of a person, variation between sessions and clips, and synthesis.

The constants at the top set the difficulty of the voice task.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from espeak import RATE as ESPEAK_RATE
from espeak import espeak
from people import Traits, spread
from sentences import sentence

RATE = 16000  # Hz, of the corpus

VOICE_SPREAD = 1.0  # variation between people (1 = as set below; larger is easier)
VOICE_DRIFT = 1.0  # variation of one person's pitch, rate, tract and effort between sessions and clips
SESSION_SPREAD = 1.0  # variation between channels: equaliser, band limits, room
NOISE_DB = (10.0, 28.0)  # signal to noise ratio of a session

# Other languages read the English words with an accent, which is part of the speaker's identity.
ACCENTS = "en-us en-us en-us en-gb en-gb en-gb-scotland en-gb-x-rp en-gb-x-gbclan en-029 en-us-nyc af de es it".split()


@dataclass(frozen=True)
class Voice:
    """The voice of a person."""

    accent: str
    pitch: float  # Hz
    liveliness: float  # pitch range as a fraction of the pitch
    tract: float  # factor on all formants: above 1 for a short vocal tract
    formants: np.ndarray  # (9, 3) percent: frequency, strength, width, of espeak's formants 0 to 8
    tone: np.ndarray  # (4,) amplitudes at TONE_HZ: the glottal source's slope
    breath: np.ndarray  # (8,) noise at the formants
    roughness: int
    flutter: int
    voicing: int
    consonants: tuple[int, int]
    stress: np.ndarray  # (8,) lengths of stressed and unstressed vowels
    words_a_minute: float


TONE_HZ = (500, 1100, 2200, 3500)


def draw_voice(traits: Traits, rng: np.random.Generator) -> Voice:
    """Draw a person's voice: gender, age and build set its mean; the rest is independent."""
    s = VOICE_SPREAD
    male = traits.gender == "m"
    # Men's pitch rises late in life and women's falls; a big body has long vocal folds and a long tract.
    octaves = (0.12 if male else -0.22) * (traits.ageing - 0.35) - 0.07 * traits.build + 0.18 * s * spread(rng)
    tract = (1.0 if male else 1.14) * np.exp(-0.025 * traits.build + 0.035 * s * spread(rng))
    formants = np.stack([100 + size * s * spread(rng, 9) for size in (5.5, 18, 16)], axis=1)
    formants[6:, 0] = 100  # the weak formants above 4 kHz do not vary
    old = max(0.0, traits.ageing - 0.5)
    return Voice(
        accent=ACCENTS[rng.integers(len(ACCENTS))],
        pitch=float((100 if male else 178) * 2**octaves),
        liveliness=float(0.45 * np.exp(0.35 * s * spread(rng))),
        tract=float(tract),
        formants=formants,
        tone=np.clip(np.array([175, 140, 115, 105]) * np.exp(0.22 * s * spread(rng, 4)), 30, 255),
        breath=np.clip(rng.exponential(2.0) * rng.uniform(0.2, 1.8, 8) + 8 * old, 0, 30),
        roughness=int(np.clip(round(rng.exponential(1.0) + 3 * old), 0, 5)),
        flutter=int(np.clip(4 + 4 * rng.exponential() + 14 * old, 0, 30)),
        voicing=int(np.clip(105 + 15 * s * spread(rng), 60, 150)),
        consonants=tuple(int(v) for v in np.clip(100 + 30 * s * spread(rng, 2), 30, 180)),
        stress=8 * s * spread(rng, 8),
        words_a_minute=float(165 * np.exp(-0.15 * traits.ageing + 0.13 * s * spread(rng))),
    )


@dataclass(frozen=True)
class Channel:
    """The microphone and room of a session, and the condition of the speaker on that day."""

    gains: np.ndarray  # (len(BAND_HZ),) dB
    low: float  # Hz
    high: float  # Hz
    level: float  # root mean square
    snr: float  # dB
    noise_slope: float  # exponent of the noise spectrum: 0 white, 1 pink, 2 brown
    reverb_time: float  # s
    reverb: float  # energy of the reverberation, relative to the direct sound
    drift: np.ndarray  # (4,) pitch, tract, rate, effort of the day


BAND_HZ = (80, 160, 320, 640, 1280, 2560, 5120, 8000)


def draw_channel(rng: np.random.Generator) -> Channel:
    """Draw a session's channel."""
    s = SESSION_SPREAD
    return Channel(
        gains=np.cumsum(2.0 * s * spread(rng, len(BAND_HZ))) * 0.6 + 1.5 * s * spread(rng, len(BAND_HZ)),
        low=float(40 * 2 ** rng.uniform(0, 2.3)),
        high=float(rng.choice([3600, 5200, 7000, 7900], p=[0.15, 0.2, 0.3, 0.35])),
        level=float(0.07 * 10 ** (rng.uniform(-9, 5) / 20)),
        snr=float(rng.uniform(*NOISE_DB)),
        noise_slope=float(rng.uniform(0, 2)),
        reverb_time=float(rng.uniform(0.12, 0.55)),
        reverb=float(s * rng.beta(1.2, 2.5)),
        drift=spread(rng, 4),
    )


def voice_file(voice: Voice, pitch: float, formants: np.ndarray, tone: np.ndarray) -> str:
    """Return the voice in espeak-ng's language; `pitch` is in Hz, before the resampling that scales the tract."""
    lines = [
        f"language {voice.accent}",
        "name person",
        # espeak's base is the bottom of its pitch range, about 0.2 of the range below the perceived pitch
        f"pitch {pitch:.0f} {pitch * (1 + voice.liveliness):.0f}",
        *(f"formant {i} {f:.1f} {s:.0f} {w:.0f}" for i, (f, s, w) in enumerate(formants)),
        "tone " + " ".join(f"{hz} {a:.0f}" for hz, a in zip(TONE_HZ, tone, strict=True)),
        "breath " + " ".join(f"{b:.0f}" for b in voice.breath),
        f"roughness {voice.roughness}",
        f"flutter {voice.flutter}",
        f"voicing {voice.voicing}",
        f"consonants {voice.consonants[0]} {voice.consonants[1]}",
        "stressAdd " + " ".join(f"{v:.0f}" for v in voice.stress),
    ]
    return "\n".join(lines) + "\n"


def speak(voice: Voice, day: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Synthesise random sentences for `seconds` without noise or reverberation, at RATE.

    espeak synthesises at pitch / tract, and resampling speeds the result up by `tract`: this scales all formants by
    `tract`, including fricatives (which espeak's formant settings do not change), and restores the requested pitch.
    """
    pitch, tract, rate, effort = VOICE_DRIFT * (0.7 * day + 0.7 * spread(rng, 4)) * (0.055, 0.012, 0.08, 0.12)
    tract = voice.tract * np.exp(tract)
    formants = voice.formants + VOICE_DRIFT * spread(rng, 27).reshape(9, 3) * (1.3, 5.0, 5.0)
    tone = np.clip(voice.tone * np.exp(effort * np.array([0, 0.5, 1, 1.5])), 20, 255)
    text = voice_file(voice, voice.pitch * np.exp(pitch) / tract, formants, tone)
    words_a_minute = round(voice.words_a_minute * np.exp(rate) / tract)

    waveform = np.zeros(0, np.float32)
    while len(waveform) < seconds * RATE:
        spoken = espeak().say(sentence(rng), text, words_a_minute)
        spoken = soxr.resample(spoken, ESPEAK_RATE * tract, RATE)
        loud = np.flatnonzero(np.abs(spoken) > 0.02)
        pause = np.zeros(int(RATE * rng.uniform(0.08, 0.3)), np.float32)
        waveform = np.concatenate([waveform, pause, spoken[loud[0] : loud[-1]]])
    waveform = waveform[: round(seconds * RATE)]
    fade = np.linspace(1, 0, RATE // 50, dtype=np.float32)
    waveform[-len(fade) :] *= fade
    return waveform


def record(waveform: np.ndarray, channel: Channel, rng: np.random.Generator) -> np.ndarray:
    """Simulate the recording of `waveform` (float, RATE) in the session's room with its microphone."""
    from scipy.signal import fftconvolve  # here, because a corpus that is complete needs only this module's constants

    n = len(waveform)
    room = fftconvolve(waveform, room_response(channel.reverb_time, rng))[:n]
    wet = waveform + room * np.sqrt(channel.reverb * waveform.var() / (room.var() + 1e-12))
    noise = coloured_noise(n, channel.noise_slope, rng)
    noise *= np.sqrt(wet.var() / noise.var()) * 10 ** (-channel.snr / 20)

    hz = np.fft.rfftfreq(n, 1 / RATE)
    gain = 10 ** (np.interp(np.log(hz + 1), np.log(BAND_HZ), channel.gains) / 20)
    # Fourth-order slopes at the band's ends
    gain /= np.sqrt(1 + (channel.low / (hz + 1)) ** 8) * np.sqrt(1 + (hz / channel.high) ** 16)
    out = np.fft.irfft(np.fft.rfft(wet + noise) * gain, n)
    out *= channel.level / (out.std() + 1e-9)
    return np.tanh(out * 1.2).astype(np.float32) / 1.2  # soft limit of the microphone: never exceeds full scale


def room_response(reverb_time: float, rng: np.random.Generator) -> np.ndarray:
    """The room response after the direct sound: noise that decays by 60 dB in `reverb_time` seconds."""
    t = np.arange(int(RATE * reverb_time)) / RATE
    response = rng.normal(size=len(t)) * np.exp(-6.9 * t / reverb_time)
    response[: int(RATE * rng.uniform(0.002, 0.01))] = 0
    return response


def coloured_noise(n: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise of unit variance with a power spectrum of 1 / f ** slope."""
    hz = np.fft.rfftfreq(n, 1 / RATE)
    spectrum = np.fft.rfft(rng.normal(size=n)) * np.maximum(hz, 30) ** (-slope / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, n)
    return noise / noise.std()


def mouth_opening(waveform: np.ndarray, frames: int) -> np.ndarray:
    """Return the mouth opening in each video frame, 0 to 1, from the energy of the clean waveform."""
    power = waveform[: len(waveform) // frames * frames].reshape(frames, -1)
    loudness = np.sqrt((power**2).mean(axis=1))
    top = np.percentile(loudness, 92) + 1e-6
    opening = np.clip(loudness / top, 0, 1) ** 0.7
    return np.where(opening < 0.15, 0, opening)
