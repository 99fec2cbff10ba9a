"""Resemblyzer's GE2E speaker encoder, for `--voice ge2e=local/resemblyzer_encoder.py:Ge2e --trust-model true`.

Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018, as the package Resemblyzer trained it;
its weights come with the package: pip install ".[resemblyzer]"
"""

import numpy as np
from resemblyzer import VoiceEncoder, preprocess_wav


class Ge2e:
    """Unit vectors of GE2E, from the parts of a clip that the package's voice activity detector keeps."""

    rate = 16000
    size = 256

    def __init__(self):
        self.encoder = VoiceEncoder("cpu", verbose=False)

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Embed a (n,) float32 waveform: (256,) float32; ValueError if no speech is detected."""
        speech = preprocess_wav(waveform)
        if not len(speech):
            raise ValueError("no speech detected")
        return self.encoder.embed_utterance(speech)
