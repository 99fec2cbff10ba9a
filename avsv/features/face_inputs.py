"""What a face network's file does not say: the order of the colours, the scale of the pixels, and what it returns.

With the wrong order or scale a network still returns embeddings, only worse ones. avsv therefore runs a network only if
its input is known: from NAME.yaml beside NAME.onnx, from metadata in the file, or from the name of a published file.

    task: recognition       # or quality: one number for each face, higher for a better one
    channels: rgb           # or bgr
    mean: 127.5             # subtracted from the pixels, which are 0 to 255; one number, or one for each channel
    std: 127.5              # what remains is divided by it
    output: embedding       # only for a network with several outputs
"""

import fnmatch
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from avsv.errors import InputError
from avsv.jobs.schema import Misshapen, check_shape
from avsv.jobs.yaml_files import read_yaml_text

TASKS = ("recognition", "quality")
METADATA = "avsv.face."  # keys of a file's metadata: avsv.face.task, avsv.face.channels, ...
SHAPE = {"task": str, "channels": str, "mean": (float, [float]), "std": (float, [float]), "output?": str}
EXAMPLE = "task: recognition, channels: rgb, mean: 127.5, std: 127.5 (one key a line)"


@dataclass(frozen=True)
class FaceInput:
    """How aligned faces of 112 x 112 pixels become a network's input.

    task : "recognition" or "quality"
    channels : "rgb" or "bgr"
    mean, std : of each channel, in the order of `channels`; the input is (pixel - mean) / std, pixels from 0 to 255
    output : name of the output to read; None for a network with one output
    """

    task: str
    channels: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    output: str | None = None


# Published files that InsightFace runs: of buffalo_l and _m, buffalo_s and _sc, antelopev2 and AuraFace
INSIGHTFACE = ("w600k_r50", "w600k_mbf", "glintr100")
# Other published files by the pattern of their names, with the input that their publishers' own code makes
PUBLISHED = {
    # opencv/modules/objdetect/src/face_recognize.cpp: blobFromImage without scale or mean, red and blue swapped
    "face_recognition_sface_*": FaceInput("recognition", "rgb", (0.0,) * 3, (1.0,) * 3),
    # otroshi/edgeface, README: ToTensor, then mean 0.5 and deviation 0.5
    "edgeface_*": FaceInput("recognition", "rgb", (127.5,) * 3, (127.5,) * 3),
    # mk-minchul/AdaFace, README: BGR, (x / 255 - 0.5) / 0.5
    "adaface_*": FaceInput("recognition", "bgr", (127.5,) * 3, (127.5,) * 3),
    # opencv_zoo/models/face_image_quality_assessment_ediffiqa/ediffiqa.py
    "ediffiqa_*": FaceInput("quality", "rgb", (127.5,) * 3, (127.5,) * 3),
}


def face_input(path: Path, model: Any) -> FaceInput | None:
    """The input of a recognition or quality network; None if nothing says what it is, or if InsightFace runs it.

    Parameters
    ----------
    path : the ONNX file; NAME.yaml beside it is read first
    model : onnx.ModelProto of the file

    Raises
    ------
    InputError : the YAML file or the metadata is malformed
    """
    beside = path.with_suffix(".yaml")
    if beside.exists():
        return parse_input(plain_yaml(read_yaml_text(beside), str(beside)), str(beside))
    found = {entry.key.removeprefix(METADATA): entry.value for entry in model.metadata_props
             if entry.key.startswith(METADATA)}  # fmt: skip
    if found:
        place = f"{path}, metadata {METADATA}*"
        numbers = {key: plain_yaml(found[key], place) for key in ("mean", "std") if key in found}
        return parse_input({**found, **numbers}, place)
    name = path.stem.lower()
    return next((known for pattern, known in PUBLISHED.items() if fnmatch.fnmatch(name, pattern)), None)


def takes_arcface_input(path: Path, model: Any) -> bool:
    """Whether a network is known to take the input that InsightFace makes: RGB, (pixel - 127.5) / 127.5.

    So do the networks that `avsv train` writes. If a graph begins with the scaling that MXNet's exporter adds,
    InsightFace sees it and leaves the pixels as they are.
    """
    names = [value.name for value in (*model.graph.input, *model.graph.output)]
    own = path.name == "recognition.onnx" and names == ["input", "embedding"]
    return own or path.stem.lower() in INSIGHTFACE or scales_pixels(model)


def scales_pixels(model: Any) -> bool:
    """Whether the graph begins with the scaling that MXNet's exporter gives InsightFace's networks."""
    names = [node.name for node in model.graph.node[:8]]
    return any(name.startswith("_minus") for name in names) and any(name.startswith("_mul") for name in names)


def plain_yaml(text: str, place: str) -> Any:
    """The value of YAML without tags; InputError for anything else."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{place}: expected plain YAML: {' '.join(str(error).split())[:300]}") from None


def parse_input(values: Any, place: str) -> FaceInput:
    """A network's input from the values of a YAML file or of metadata; InputError if they are malformed.

    Examples
    --------
    >>> parse_input({"task": "quality", "channels": "bgr", "mean": [104, 117, 123], "std": 1}, "net.yaml").mean
    (104.0, 117.0, 123.0)
    """
    try:
        check_shape(values, SHAPE)
        for key, known in (("task", TASKS), ("channels", ("rgb", "bgr"))):
            if values[key] not in known:
                raise Misshapen(f'{key}: expected {" or ".join(known)}, found "{values[key]}"')
        mean, std = (per_channel(key, values[key]) for key in ("mean", "std"))
        if min(std) <= 0:
            raise Misshapen(f"std: expected numbers above 0, found {values['std']}")
    except Misshapen as error:
        raise InputError(f"{place}: does not describe the input of a face network: {error}. "
                        f"Example: {EXAMPLE}") from None  # fmt: skip
    return FaceInput(values["task"], values["channels"], mean, std, values.get("output"))


def per_channel(key: str, value: Any) -> tuple[float, float, float]:
    """One number for each of three channels; Misshapen for a list of another length."""
    values = [float(item) for item in value] if isinstance(value, list) else [float(value)] * 3
    if len(values) != 3:
        raise Misshapen(f"{key}: expected one number or three, found {len(values)}")
    return values[0], values[1], values[2]


def unknown_input(path: Path) -> InputError:
    """The error for a network whose input is not known, with what to write."""
    return InputError(
        f"{path}: the file does not say whether this network takes RGB or BGR, and how pixels are scaled; a wrong "
        f"guess would give poor embeddings. Write {path.with_suffix('.yaml').name} beside it, as its publisher states: "
        f"{EXAMPLE}. Names known without it: {', '.join((*INSIGHTFACE, *PUBLISHED))}"
    )
