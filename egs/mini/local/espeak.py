"""espeak-ng through ctypes: synthesise a text with a given voice description.

The library keeps its state (random numbers, flutter, the last voice) in global variables, so its output depends on all
earlier calls in the same process. Generate each person in a separate process to make the output reproducible.
"""

import ctypes
import tempfile
from functools import cache
from pathlib import Path

import espeakng_loader
import numpy as np

RATE = 22050  # Hz, of every espeak-ng voice
_WORDS_A_MINUTE, _SYNCHRONOUS, _UTF8, _DONT_EXIT = 1, 2, 1, 0x8000
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The library, initialised once in this process."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        rate = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, str(espeakng_loader.get_data_path()).encode(), _DONT_EXIT)
        if rate != RATE:
            raise RuntimeError(f"espeak-ng did not start (espeak_Initialize returned {rate}, not {RATE})")
        self._lib.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        self._lib.espeak_ng_SetRandSeed(1)  # otherwise the clock seeds it
        self._chunks: list[np.ndarray] = []
        self._callback = _Callback(self._receive)  # ctypes does not keep a reference
        self._lib.espeak_SetSynthCallback(self._callback)
        self._lib.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip

    def _receive(self, samples, count: int, events) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text: str, voice: str, words_a_minute: int) -> np.ndarray:
        """Synthesise `text`; `voice` is the text of a voice file (docs/voices.md). Returns float32 in [-1, 1]."""
        with tempfile.TemporaryDirectory(prefix="espeak-") as folder:
            file = Path(folder, "voice")
            file.write_text(voice)
            if self._lib.espeak_ng_SetVoiceByFile(str(file).encode()):
                raise RuntimeError(f"espeak-ng rejected this voice:\n{voice}")
        self._lib.espeak_SetParameter(_WORDS_A_MINUTE, int(np.clip(words_a_minute, 80, 449)), 0)
        self._chunks.clear()
        raw = text.encode()
        if self._lib.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, _UTF8, None, None) or not self._chunks:
            raise RuntimeError(f"espeak-ng returned no samples for {text!r}")
        return np.concatenate(self._chunks).astype(np.float32) / 32768


@cache
def espeak() -> Espeak:
    """Return this process's espeak-ng."""
    return Espeak()
