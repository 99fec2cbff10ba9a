"""Voice encoders in ONNX files, such as those of WeSpeaker, ReDimNet2, 3D-Speaker and NeMo, or exported by avsv.

Each clip is embedded alone, so neither batches nor threads can change an embedding. No file runs code: avsv/features/
onnx_files.py checks it first, and custom operators are refused.
"""

from pathlib import Path
from typing import Any

import numpy as np

from avsv.errors import InputError
from avsv.features.fbank import RATE
from avsv.features.onnx_session import brief, open_session
from avsv.features.voice_inputs import FRONT_ENDS, VoiceInput, embed_in_parts, pad_frames
from avsv.kaldi.origin import onnx_settings, onnx_voice, voice_model
from avsv.models.onnx_settings import VoiceSettings, read_settings
from avsv.models.registry import tell_licence

OUTPUTS = ("embs", "embedding", "embeddings", "emb", "embs_out")  # usual names, where a network has several outputs
TRIED = (1.0, 1.6)  # seconds of noise that a network must embed when it is loaded
SAME = 1e-4  # largest difference of two embeddings of the same noise, relative to their norm


class OnnxVoiceEncoder:
    """Embeds waveforms by a network in an ONNX file; used like `VoiceEmbedder`.

    A waveform longer than its front end allows is split into parts; its embedding is the mean of theirs, weighted by
    length. The mean embedding in the settings, if any, is subtracted last.

    Parameters
    ----------
    path : the file
    session : onnxruntime.InferenceSession of it
    settings : what it expects
    model : name of the encoder, see avsv/kaldi/origin.py

    Raises
    ------
    InputError : the network contradicts its settings, or does not give one embedding for each waveform
    """

    alone = True  # each clip is embedded by itself

    def __init__(self, path: Path, session: Any, settings: VoiceSettings, model: str = ""):
        self.path, self.session, self.settings, self.model = path, session, settings, model
        self.input, self.length = inputs_of(path, session)
        self.front_end = front_end_of(path, settings, self.input.shape)
        if self.length is not None and not self.front_end.counts_frames:
            raise InputError(f"{path}: has a second input, {self.length.name}, which the front end {settings.name} "
                             "does not have; networks of NeMo have one")  # fmt: skip
        self.output = output_of(path, session, settings.output)
        noises = [np.random.default_rng(0).normal(0, 0.1, int(RATE * seconds)).astype(np.float32) for seconds in TRIED]
        first, again, other = (self.run(noise) for noise in (noises[0], *noises))
        self.size = len(first)
        if len(other) != self.size:
            raise InputError(f"{path}: its output {self.output} grows with the waveform; expected one embedding a clip")
        if np.abs(first - again).max() > SAME * max(float(np.linalg.norm(first)), 1e-12):
            raise InputError(f"{path}: gives another embedding each time; export the network in evaluation mode, "
                             "without random numbers")  # fmt: skip
        if settings.size not in (None, self.size):
            raise InputError(f"{path}: gives embeddings of {self.size} numbers, expected {settings.size}, as its "
                             f"metadata, {onnx_settings(path)} or the registry say; is it the right file?")  # fmt: skip
        if settings.mean is not None and len(settings.mean) != self.size:
            raise InputError(f"{onnx_settings(path)}: mean: has {len(settings.mean)} numbers, but the embeddings have "
                             f"{self.size}")  # fmt: skip

    def __call__(self, waveforms: list[np.ndarray]) -> np.ndarray:
        """Embed a list of (n_i,) float32 waveforms at 16 kHz: (len, size) float32.

        Raises
        ------
        InputError : a waveform is too short for the network, or its embedding is not finite
        """
        return np.stack([self.embed(waveform) for waveform in waveforms])

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Embed a (n,) float32 waveform at 16 kHz: (size,) float32; errors as for a call."""
        vector = embed_in_parts(waveform, self.front_end.longest, self.run)
        return vector if self.settings.mean is None else (vector - self.settings.mean).astype(np.float32)

    def run(self, waveform: np.ndarray) -> np.ndarray:
        """The network's output for a waveform that needs no parts: (size,) float32."""
        seconds = len(waveform) / RATE
        if seconds < self.front_end.shortest:
            raise InputError(f"the audio lasts {seconds:.3f} s, and {self.path.name} needs at least "
                             f"{self.front_end.shortest:g} s")  # fmt: skip
        features = self.front_end.compute(waveform)
        given = {self.input.name: features}
        if self.length is not None:
            given = {self.input.name: pad_frames(features), self.length.name: np.array([features.shape[-1]])}
        try:
            (vector,) = self.session.run([self.output], given)
        except Exception as error:  # from onnxruntime
            raise InputError(f"{self.path}: fails on {seconds:.2f} s of audio: {brief(error)}") from None
        if vector.size != max(vector.shape, default=0):
            raise InputError(f"{self.path}: its output {self.output} has the shape {vector.shape} for one waveform, "
                             "expected one embedding")  # fmt: skip
        if not np.isfinite(vector).all():
            raise InputError(f"{self.path}: gives NaN or infinite values for {seconds:.2f} s of audio")
        return vector.reshape(-1).astype(np.float32)


def load_onnx_voice(source: Path | str, device: str = "cpu") -> OnnxVoiceEncoder:
    """Load a voice encoder from an ONNX file.

    Parameters
    ----------
    source : the file, or a folder with only one
    device : "cpu" or "cuda"

    Raises
    ------
    InputError : no such file; refused by `open_session`; unknown or contradictory settings (see onnx_settings.py); a
        network that does not give one embedding for each waveform
    """
    path = onnx_voice(source)
    if path is None:
        raise InputError(f"{source}: is not an ONNX file, nor a folder with one")
    session = open_session(path, device, threads=1)  # several threads share it
    settings = read_settings(path, session.get_modelmeta().custom_metadata_map)
    encoder = OnnxVoiceEncoder(path, session, settings, voice_model(source))
    if settings.licence:
        tell_licence(path, settings.licence)
    return encoder


def inputs_of(path: Path, session: Any) -> tuple[Any, Any]:
    """The input of a network, and the one with its number of frames, None if it has none.

    Raises
    ------
    InputError : other inputs
    """
    floats = [one for one in session.get_inputs() if one.type == "tensor(float)"]
    others = [one for one in session.get_inputs() if one not in floats]
    if len(floats) != 1 or len(others) > 1 or any(one.type != "tensor(int64)" or len(one.shape) > 1 for one in others):
        found = ", ".join(f"{one.name} {one.type} {shown(one.shape)}" for one in session.get_inputs())
        raise InputError(f"{path}: expected one input of 32-bit floats, and perhaps a number of frames, found {found}; "
                         "is this a voice encoder?")  # fmt: skip
    return floats[0], others[0] if others else None


def front_end_of(path: Path, settings: VoiceSettings, shape: list) -> VoiceInput:
    """The front end that the settings name.

    Raises
    ------
    InputError : none is named, or the network's input has another shape; the message names those of that shape
    """
    fitting = [name for name, one in FRONT_ENDS.items() if fits(shape, one.axes)]
    named = f"of this shape: {', '.join(fitting)}" if fitting else "no front end of avsv has this shape"
    if settings.front_end is None:
        say = (
            f"write {onnx_settings(path)} with" if not onnx_settings(path).exists() else f"{onnx_settings(path)} lacks"
        )
        raise InputError(f"{path}: nothing says which features the network expects; {say} a line `front_end: NAME` or "
                         f"`model: NAME` (avsv models). Its input has the shape {shown(shape)}; {named}")  # fmt: skip
    if not fits(shape, settings.front_end.axes):
        raise InputError(f"{path}: expects an input of {shown(shape)}, but the front end {settings.name} gives "
                         f"{shown(settings.front_end.axes)}; {named}")  # fmt: skip
    return settings.front_end


def fits(shape: list, axes: tuple[int | str, ...]) -> bool:
    """Whether an input takes one clip of a front end: axes of varying size must vary, others may.

    Examples
    --------
    >>> axes = FRONT_ENDS["wespeaker"].axes
    >>> fits(["B", "T", 80], axes), fits(["B", 80, "T"], axes), fits([1, 200, 80], axes)
    (True, False, False)
    """
    if len(shape) != len(axes):
        return False
    fixed = [(size, axis) for size, axis in zip(shape, axes, strict=True) if isinstance(size, int) and size > 0]
    return all(size == (1 if axis == "batch" else axis) for size, axis in fixed)


def output_of(path: Path, session: Any, name: str | None) -> str:
    """The name of the output with the embedding; InputError if there are several, of which none is known or named."""
    names = [output.name for output in session.get_outputs()]
    if name is not None and name not in names:
        raise InputError(f"{path}: has no output {name}, only {', '.join(names)}")
    usual = [one for one in names if one.lower() in OUTPUTS]
    if name is None and len(names) > 1 and len(usual) != 1:
        raise InputError(f"{path}: has the outputs {', '.join(names)}; name the one with the embedding in "
                         f"{onnx_settings(path)}: `output: {names[0]}`")  # fmt: skip
    return name or (usual[0] if len(names) > 1 else names[0])


def shown(shape: list | tuple) -> str:
    """A shape in words, with "?" for axes without a name."""
    return " x ".join(str(size or "?") for size in shape)
