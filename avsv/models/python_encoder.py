"""A voice encoder of the user's own: a Python class, named FILE.py:CLASS wherever a voice model is named.

    class MyEncoder:
        rate = 16000                        # sample rate of the waveforms that embed expects, in Hz
        size = 256                          # dimension of the embeddings

        def embed(self, waveform):          # (n,) float32, one channel
            return self.network(waveform)   # (256,)

The class is created without arguments. It chooses its own device and gets one clip at a time, so neither batches nor
threads can change an embedding. avsv reads and damages audio at 16 kHz, then resamples it to `rate`.
"""

import numbers
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from avsv.errors import InputError
from avsv.jobs.fingerprints import digest
from avsv.jobs.inputs import read_bytes
from avsv.kaldi.origin import python_class, voice_model
from avsv.media.waveforms import resample

RATE = 16000  # of the waveforms that avsv reads, Hz
RATES = (1000, 192000)  # lowest and highest sample rate that is accepted, Hz
LONGEST = 200  # characters of a user's error in a message


class PythonEncoder:
    """Embeds waveforms by an encoder of the user's own; used like `VoiceEmbedder`.

    Parameters
    ----------
    encoder : an instance of the user's class
    path : the file of the class, for messages
    model : name of the encoder, see avsv/kaldi/origin.py

    Raises
    ------
    InputError : the encoder has no method `embed`, or no valid `rate` and `size`
    """

    alone = True  # each clip is embedded by itself

    def __init__(self, encoder: Any, path: Path, model: str = ""):
        self.encoder, self.path, self.model = encoder, path, model
        self.rate = whole_number(encoder, "rate", *RATES, path)
        self.size = whole_number(encoder, "size", 1, 1 << 20, path)
        if not callable(getattr(encoder, "embed", None)):
            raise InputError(f"{path}: {type(encoder).__name__} has no method embed(waveform)")
        self.one_at_a_time = threading.Lock()

    def __call__(self, waveforms: list[np.ndarray]) -> np.ndarray:
        """Embed a list of (n_i,) float32 waveforms at 16 kHz: (len, size) float32.

        Raises
        ------
        InputError : the user's code fails, or its result is not a vector of `size` finite numbers
        """
        return np.stack([self.embed(waveform) for waveform in waveforms])

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Embed a (n,) float32 waveform at 16 kHz: (size,) float32; errors as for a call."""
        given = waveform.copy() if self.rate == RATE else resample(waveform, RATE, self.rate)  # the user's to change
        what = f"{type(self.encoder).__name__}.embed"
        with self.one_at_a_time, user_errors(self.path, what), np.errstate(over="ignore"):
            vector = np.array(self.encoder.embed(given), dtype=np.float32)
        if vector.shape != (self.size,):
            raise InputError(f"{self.path}: {what} returned an array of shape {vector.shape}, expected ({self.size},), "
                             "as `size` says")  # fmt: skip
        if n_wrong := int((~np.isfinite(vector)).sum()):
            raise InputError(f"{self.path}: {what} returned {n_wrong} of {self.size} values that are NaN or infinite")
        return vector


def load_python_encoder(source: Path | str, trust: bool = False) -> PythonEncoder:
    """An instance of the class that FILE.py:CLASS names.

    Parameters
    ----------
    source : "FILE.py:CLASS"
    trust : run the file, which may do anything

    Raises
    ------
    InputError : not trusted; no such file or class; the file, its class or its attributes are wrong. The message shows
        the line of the user's file
    """
    path, name = python_class(source)
    text = read_bytes(path)
    if not trust:
        raise InputError(f"{source}: is a program, which can do anything on this machine; it was not run. If you trust "
                         "its author, add `trust_model`")  # fmt: skip
    model = voice_model(source)
    module = ModuleType(f"avsv_encoder_{digest(str(path.absolute()))}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickle look their module up
    with user_errors(path, "the file"):
        exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)
    cls = getattr(module, name, None)
    if not isinstance(cls, type):
        classes = [key for key, value in vars(module).items()
                   if isinstance(value, type) and value.__module__ == module.__name__]  # fmt: skip
        raise InputError(f"{path}: has no class {name}; its classes: {', '.join(classes) or 'none'}")
    with user_errors(path, f"{name}()"):
        encoder = cls()
    return PythonEncoder(encoder, path, model)


@contextmanager
def user_errors(path: Path, what: str) -> Iterator[None]:
    """Errors of the user's code as InputError, with the last of its lines that ran.

    Parameters
    ----------
    what : the code that runs, for the message
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        place, code = str(path), ""
        if isinstance(error, SyntaxError) and error.filename == str(path):
            place, code = f"{path}, line {error.lineno}", (error.text or "").strip()
        elif lines:
            place, code = f"{path}, line {lines[-1].lineno}", lines[-1].line or ""
        reason = " ".join(str(error).split())[:LONGEST]
        shown = f" (`{code[:LONGEST]}`)" if code else ""
        raise InputError(f"{place}: {what} failed{shown}: {type(error).__name__}: {reason}") from error


def whole_number(encoder: Any, name: str, least: int, most: int, path: Path) -> int:
    """An attribute of the user's encoder; InputError unless it is an integer from `least` to `most`."""
    value = getattr(encoder, name, None)
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or not least <= value <= most:
        raise InputError(f"{path}: expected {type(encoder).__name__}.{name}, an integer from {least} to {most}, found "
                         f"{str(value)[:LONGEST] if hasattr(encoder, name) else 'none'}")  # fmt: skip
    return int(value)
