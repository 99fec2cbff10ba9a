"""What a voice encoder in an ONNX file expects: its metadata are read first, a small YAML file beside it says the rest.

FILE.yaml beside FILE.onnx has any of these keys:

    model: wespeaker-resnet34     # a name in the registry (avsv models): front end, size and licence come from there
    front_end: wespeaker          # a key of FRONT_ENDS
    size: 256                     # of the embeddings; another one is an error
    output: embs                  # if the network has several outputs
    mean: mean_vec.npy            # subtracted from every embedding: an npy file or one of Kaldi's vectors
    licence: CC-BY-4.0            # of the weights

Metadata of sherpa-onnx (framework, sample_rate, output_dim, normalize_samples, ...) and of `avsv export` (avsv.input,
avsv.features, avsv.size, license) are understood. sherpa-onnx computes the same features for WeSpeaker as for
3D-Speaker; avsv computes those that each network was trained on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from avsv.errors import InputError
from avsv.features.fbank import FULL_SCALE, RATE
from avsv.features.voice_inputs import FRONT_ENDS, VoiceInput
from avsv.importers.numpy_files import read_npy
from avsv.jobs.schema import Misshapen, check_shape
from avsv.jobs.yaml_files import read_yaml_text
from avsv.kaldi.matrices import read_array
from avsv.kaldi.origin import onnx_settings
from avsv.models.registry import forbids_commercial_use, published_models

KEYS = {"model?": str, "front_end?": str, "size?": int, "output?": str, "mean?": str, "licence?": str}
FRAMEWORKS = {"wespeaker": "wespeaker", "3d-speaker": "3d-speaker", "nemo": "nemo"}  # of sherpa-onnx -> front end
SCALES = {"0": FULL_SCALE, "1": 1.0}  # normalize_samples -> scale of the waveform
# front end -> values of sherpa-onnx's metadata that it computes; other values need other features
COMPUTED = {
    "wespeaker": {"feature_normalize_type": ("", "global-mean"), "feat_dim": ("80",)},
    "3d-speaker": {"feature_normalize_type": ("global-mean",), "feat_dim": ("80",)},
    "nemo": {"feature_normalize_type": ("per_feature",), "feat_dim": ("80",), "window_type": ("hann",),
             "window_size_ms": ("25",), "window_stride_ms": ("10",)},
}  # fmt: skip
# the front end speechbrain in the words of avsv.features
TRAINED_HERE = {
    "type": "speechbrain fbank", "n_mels": 80, "n_fft": 400, "win_length": 400, "hop_length": 160, "low_freq": 0,
    "high_freq": 8000, "filters": "triangular", "top_db": 80, "deltas": False, "context": False, "mean": "utterance",
    "deviation": "none"}  # fmt: skip


@dataclass(frozen=True)
class VoiceSettings:
    """What is known of an encoder.

    Parameters
    ----------
    name : of its front end, None if nothing says it
    front_end : None if nothing says it
    size : dimension of the embeddings, if known
    output : name of the output, if given
    mean : (size,) float, subtracted from embeddings, if given
    licence : of the weights; the most restrictive one if several are stated
    """

    name: str | None = None
    front_end: VoiceInput | None = None
    size: int | None = None
    output: str | None = None
    mean: np.ndarray | None = None
    licence: str | None = None


def read_settings(path: Path, metadata: Mapping[str, str]) -> VoiceSettings:
    """The settings of an ONNX file.

    Parameters
    ----------
    path : FILE.onnx
    metadata : keys and values in the file

    Raises
    ------
    InputError : settings of another form, of unknown names, that contradict each other, or that avsv cannot satisfy
    """
    given = read_yaml(onnx_settings(path))
    sources = {str(path): of_metadata(path, metadata), str(onnx_settings(path)): given}
    if "model" in given:
        model = published_models()[given["model"]]
        sources[f"the registry's {model.name}"] = {
            "front_end": model.front_end,
            "size": model.size,
            "licence": model.weights,
        }
    name, size = (agreed(sources, key) for key in ("front_end", "size"))
    front_end = FRONT_ENDS[name] if name else None
    samples = metadata.get("normalize_samples", metadata.get("normalize_features"))
    if samples in SCALES and name in ("wespeaker", "3d-speaker"):
        front_end = replace(front_end, compute=partial(front_end.compute, scale=SCALES[samples]))
    licences = [values["licence"] for values in sources.values() if values.get("licence")]
    licence = next(filter(forbids_commercial_use, licences), licences[0] if licences else None)
    mean = read_mean(path.parent / given["mean"]) if "mean" in given else None
    return VoiceSettings(name, front_end, size, given.get("output"), mean, licence)


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings in a YAML file, {} if it does not exist; InputError for unknown keys or names."""
    if not path.exists():
        return {}
    given = yaml.safe_load(read_yaml_text(path)) or {}
    try:
        check_shape(given, KEYS)
    except Misshapen as error:
        keys = ", ".join(key.strip("?") for key in KEYS)
        raise InputError(f"{path}: is not the settings of a voice encoder: {error}; its keys: {keys}") from None
    if given.get("front_end", "wespeaker") not in FRONT_ENDS:
        raise InputError(f"{path}: front_end: expected one of {', '.join(FRONT_ENDS)}, found {given['front_end']}")
    models = [model.name for model in published_models().values() if model.front_end in FRONT_ENDS]
    if given.get("model", models[0]) not in models:
        raise InputError(f"{path}: model: expected one of {', '.join(models)}, found {given['model']}")
    if given.get("size", 1) < 1:
        raise InputError(f"{path}: size: expected an integer >= 1, found {given['size']}")
    return given


def of_metadata(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Front end, size and licence that the metadata of an ONNX file state; InputError for features that avsv lacks."""
    stated: dict[str, Any] = {"licence": metadata.get("license", metadata.get("licence"))}
    for key in ("output_dim", "avsv.size"):
        if metadata.get(key, "").isdecimal():
            stated["size"] = int(metadata[key])
    for key in ("sample_rate", "avsv.sample_rate"):
        if metadata.get(key, str(RATE)) != str(RATE):
            raise InputError(f"{path}: expects audio at {metadata[key]} Hz; avsv embeds audio at {RATE} Hz")
    name = FRAMEWORKS.get(metadata.get("framework", ""))
    for key, values in COMPUTED.get(name or "", {}).items():
        if metadata.get(key, values[0]) not in values:
            raise InputError(f"{path}: its metadata say {key}: {metadata[key]}; the front end {name} of avsv has "
                             f"{' or '.join(filter(None, values))}")  # fmt: skip
    if metadata.get("avsv.input") == "waveform":
        name = "waveform"
    elif metadata.get("avsv.input") == "features":
        name = "speechbrain"
        refuse_other_features(path, metadata.get("avsv.features", ""))
    return {**stated, "front_end": name}


def refuse_other_features(path: Path, features: str) -> None:
    """Raise InputError if an encoder that avsv exported was trained on other features than those of `speechbrain`."""
    try:
        found = json.loads(features)
        wrong = next((key for key, value in TRAINED_HERE.items() if found.get(key) != value), None)
    except (ValueError, AttributeError, RecursionError):
        raise InputError(f"{path}: its metadata avsv.features do not describe features") from None
    if wrong:
        raise InputError(f"{path}: expects features with {wrong}: {found.get(wrong)}; the front end speechbrain has "
                         f"{TRAINED_HERE[wrong]}. Export the encoder with waveforms as input")  # fmt: skip


def agreed(sources: Mapping[str, Mapping[str, Any]], key: str) -> Any:
    """The value of a key, which all sources that state it must share; None if none does."""
    stated = {source: values[key] for source, values in sources.items() if values.get(key) is not None}
    if len(set(stated.values())) > 1:
        found = "; ".join(f"{source} says {value}" for source, value in stated.items())
        raise InputError(f"{key} of a voice encoder: {found}. Correct the wrong one")
    return next(iter(stated.values()), None)


def read_mean(path: Path) -> np.ndarray:
    """A mean embedding, (d,) float64: an npy file such as WeSpeaker's, or one of Kaldi's vectors (mean.vec).

    Raises
    ------
    InputError : no such file, or not one vector of finite numbers
    """
    mean = np.asarray(read_npy(path) if path.suffix == ".npy" else read_array(path))
    if mean.ndim != 1 or mean.dtype.kind not in "fiu" or not np.isfinite(mean).all():
        raise InputError(f"{path}: expected one vector of finite numbers, a mean embedding, found an array of shape "
                         f"{mean.shape}")  # fmt: skip
    return mean.astype(np.float64)
