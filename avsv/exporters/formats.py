"""Which model can be exported to which format, and the function that does it."""

import os
from collections.abc import Callable
from pathlib import Path

from avsv.errors import InputError, OptionError
from avsv.exporters.calibration import export_calibration
from avsv.exporters.face import export_face, export_insightface
from avsv.exporters.onnx_file import Exported
from avsv.exporters.pair import export_pair
from avsv.exporters.speechbrain import export_speechbrain
from avsv.exporters.voice import export_sherpa, export_voice
from avsv.features.face_pack import PUBLISHED, find_pack
from avsv.jobs.files import replaced_together
from avsv.jobs.records import find_record
from avsv.kaldi.origin import PYTHON_FILE
from avsv.models.avn_e import FUSION
from avsv.models.avn_f import AVN_F
from avsv.models.model_cards import CARD
from avsv.models.speechbrain_folder import encoder_files, encoder_folder

Export = Callable[[str, Path, str | None], list[Exported]]
INPUTS = ("waveform", "features")
KINDS = {"voice": "a voice encoder", "face": "a face pack", "pair": "a fusion network (avn_e)",
         "joint": "a jointly trained pair (avn_j)", "calibration": "a calibration"}  # fmt: skip


def kind_of(model: str) -> str:
    """The kind of a model: a key of KINDS.

    Raises
    ------
    InputError : not a model that avsv can export

    Examples
    --------
    >>> kind_of("speechbrain/spkrec-ecapa-voxceleb"), kind_of("exp/logistic/scores/test.json"), kind_of("buffalo_l")
    ('voice', 'calibration', 'face')
    """
    folder = Path(model)
    if folder.suffix == ".json" and not folder.is_dir():
        return "calibration"
    if PYTHON_FILE.fullmatch(model) and not folder.is_dir():
        raise InputError(f"{model}: is a program; avsv exports networks that it can rebuild from their files")
    if folder.suffix == ".onnx":
        raise InputError(f"{model}: is an ONNX file already; expected the folder of a model, a published name, or a "
                        "calibration (.json)")  # fmt: skip
    if not folder.is_dir():
        return "face" if model in PUBLISHED else "voice"
    if FUSION.path(folder).exists():
        return "joint" if (folder / "voice").is_dir() and (folder / "face").is_dir() else "pair"
    if (folder / "hyperparams.yaml").exists():
        return "voice"
    if list(folder.glob("*.onnx")):
        return "face"
    if AVN_F.path(folder).exists():
        raise InputError(f"{model}: is an AVN-F, which avsv cannot export; export AVN-E or AVN-J instead")
    raise InputError(f"{model}: expected hyperparams.yaml of a voice encoder, ONNX files of a face pack, or "
                    f"{FUSION.name}, and found none of these; has the training finished?")  # fmt: skip


def model_files(model: str) -> list[Path]:
    """The files that an export of the model depends on, for its record.

    Raises
    ------
    InputError : as for `kind_of`
    """
    kind, folder = kind_of(model), Path(model)
    if kind == "calibration":
        return [folder]
    if kind == "face":
        folder = find_pack(model)
        return [*sorted(folder.glob("*.onnx")), *cards(folder)]
    if kind == "voice":
        folder = encoder_folder(model)  # a published encoder may not be fetched yet
        return [*(encoder_files(model) if folder.is_dir() else ()), *cards(folder)]
    inner = [*model_files(f"{model}/voice"), *model_files(f"{model}/face")] if kind == "joint" else []
    return [FUSION.path(folder), *inner, *cards(folder)]


def cards(folder: Path) -> list[Path]:
    return [folder / CARD] if (folder / CARD).is_file() else []


def export_joint(model: str, out: Path, given: str, licence: str | None) -> list[Exported]:
    """Write the three networks of AVN-J to a folder: voice.onnx, face.onnx and pair.onnx."""
    folder = Path(model)
    if out.suffix:
        raise InputError(f"{out}: expected the name of a folder: {model} has three networks")
    out.mkdir(parents=True, exist_ok=True)
    names = ("voice.onnx", "face.onnx", "pair.onnx")
    with replaced_together(*(out / name for name in names)):
        return [export_voice(str(folder / "voice"), out / names[0], given, licence),
                export_face(str(folder / "face"), out / names[1], licence),
                export_pair(folder, out / names[2], licence)]  # fmt: skip


def export_model(model: str, out: Path, file_format: str, given: str = "waveform",
                 licence: str | None = None) -> list[Exported]:  # fmt: skip
    """Export a model to a format of other tools; the output is compared with the original before it is written.

    Parameters
    ----------
    model : folder of a model, published name of an encoder, or JSON file of a calibration
    out : the file or folder to write
    file_format : "onnx", "speechbrain", "insightface" or "sherpa-onnx"
    given : input of a voice encoder in ONNX, "waveform" or "features"
    licence : of the weights; None: as in the model card

    Returns
    -------
    list of Exported : the files and folders written, with their differences from the original

    Raises
    ------
    OptionError : an unknown format or input
    InputError : no such model, a format that does not fit it, or an output that differs from the original's
    """
    formats: dict[tuple[str, str], Export] = {
        ("voice", "onnx"): lambda *a: [export_voice(a[0], a[1], given, a[2])],
        ("voice", "speechbrain"): lambda *a: [export_speechbrain(*a)],
        ("voice", "sherpa-onnx"): lambda *a: [export_sherpa(*a)],
        ("face", "onnx"): lambda *a: [export_face(*a)],
        ("face", "insightface"): lambda *a: [export_insightface(*a)],
        ("pair", "onnx"): lambda *a: [export_pair(Path(a[0]), *a[1:])],
        ("joint", "onnx"): lambda *a: export_joint(a[0], a[1], given, a[2]),
        ("calibration", "onnx"): lambda *a: [export_calibration(Path(a[0]), *a[1:])],
    }
    known = list(dict.fromkeys(each for _, each in formats))
    if file_format not in known or given not in INPUTS:
        raise OptionError(f"format: expected {', '.join(known)}, found {file_format}" if file_format not in known else
                          f"input: expected {' or '.join(INPUTS)}, found {given}")  # fmt: skip
    kind = kind_of(model)
    if (kind, file_format) not in formats:
        fitting = ", ".join(each for its, each in formats if its == kind)
        parts = f"; its parts {model}/voice and {model}/face also to others" if kind == "joint" else ""
        raise InputError(f"{model}: is {KINDS[kind]}, which can be exported to {fitting}, not to {file_format}{parts}")
    if given != INPUTS[0] and (file_format != "onnx" or kind not in ("voice", "joint")):
        raise OptionError(f"input: {given}: belongs to voice encoders in the format onnx; {model} is {KINDS[kind]}")
    refuse_inside(model, out)
    if out.is_dir() and any(out.iterdir()) and find_record(out)[1] is None:
        raise InputError(f"{out}: has files that avsv export did not write; choose a new folder")
    return formats[kind, file_format](model, out, licence)


def refuse_inside(model: str, out: Path) -> None:
    """Raise InputError if the output is the model itself, or would be counted among its files."""
    here, there = os.path.realpath(out), os.path.realpath(model)
    folder = there if os.path.isdir(there) else os.path.dirname(there)
    if here == there or (os.path.isdir(there) and os.path.dirname(here) == folder):
        raise InputError(f"{out}: lies in the folder of the model itself; choose another place")
