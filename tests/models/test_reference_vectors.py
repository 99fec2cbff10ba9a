"""Encoders of the registry, where their weights are at hand, give the vectors that their own toolkits give.

The weights are looked for in the folder $AVSV_MODELS: NAME.onnx, or NAME/ with the file or the SpeechBrain folder, each
named as in the registry. The vectors are those of `waveform`, computed by the toolkit itself (see "made_by").
"""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

from avsv.embeddings.voice import load_voice_encoder
from avsv.models.registry import published_models

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = json.loads(Path(__file__).with_name("reference_vectors.json").read_text(encoding="utf-8"))
VOICES = {name: model for name, model in published_models().items() if model.kind == "voice"}
PACKAGES = {"resemblyzer-ge2e": "resemblyzer"}  # encoders whose weights come with a package


def waveform(speaker: int, seconds: float = 4.0) -> np.ndarray:
    """A voice-like sound that can be computed anywhere: harmonics of a gliding pitch through three formants."""
    times = np.arange(int(16000 * seconds)) / 16000
    pitch = (110, 190)[speaker] * (1 + 0.1 * np.sin(2 * np.pi * 1.7 * times))
    phase, sound = 2 * np.pi * np.cumsum(pitch) / 16000, np.zeros_like(times)
    for harmonic in range(1, 30):
        hertz = harmonic * pitch
        level = sum(
            np.exp(-(((hertz - centre) / 150) ** 2)) for centre in ((600, 1200, 2500), (450, 1900, 2900))[speaker]
        )
        sound += (level + 0.01) * np.sin(harmonic * phase)
    return (0.05 * sound * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * times))).astype(np.float32)


def encoder_of(name: str):
    """The encoder of a model, or a skip that says what the test waits for."""
    if name in PACKAGES:
        if importlib.util.find_spec(PACKAGES[name]) is None:
            pytest.skip(f"{name} waits for the package {PACKAGES[name]}")
        return load_voice_encoder(ROOT / VOICES[name].use, trust=True)
    folder = os.environ.get("AVSV_MODELS")
    places = [Path(folder) / f"{name}.onnx", Path(folder) / name] if folder else []
    if not (place := next((place for place in places if place.exists()), None)):
        reason = VOICES[name].waits_for or "its weights"
        pytest.skip(f"{name} waits for {reason}; then set AVSV_MODELS to the folder of {name}.onnx or {name}/")
    return load_voice_encoder(place)


@pytest.mark.parametrize("name", VOICES)
def test_an_encoder_gives_the_vectors_of_its_toolkit(name):
    encoder, model = encoder_of(name), VOICES[name]
    vectors = encoder([waveform(0), waveform(1)])
    assert model.size in (None, vectors.shape[1])
    expected = EXPECTED.get(name)
    if expected is None:
        pytest.skip(f"{name} runs; reference_vectors.json waits for the vectors of its toolkit for it")
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert unit[:, :8] == pytest.approx(np.array(expected["first_eight"]), abs=1e-3)
    assert float(unit[0] @ unit[1]) == pytest.approx(expected["cosine"], abs=1e-3)


def test_reference_vectors_say_how_they_were_made():
    assert set(EXPECTED) <= set(VOICES)
    for name, expected in EXPECTED.items():
        assert set(expected) == {"made_by", "first_eight", "cosine"} and not VOICES[name].waits_for
        assert np.shape(expected["first_eight"]) == (2, 8)
