"""Records which model made embeddings and scores, to keep results of different models apart.

A model's name is its modality and a hash of its weights, "voice:0123456789abcdef". Commands that embed write it to the
shard's proof, `done.json`, beside the archive. A score file has SCORES.system beside it, with the model and the
back-end: "voice:0123456789abcdef cosine". Imported embeddings and score files of other toolkits have no record; their
origin is None, unknown.
"""

import json
import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.files import replaced_together, write_json
from avsv.jobs.fingerprints import digest, file_digest
from avsv.jobs.home import home_folder
from avsv.jobs.inputs import as_text, read_bytes
from avsv.jobs.schema import read_json
from avsv.jobs.shards import read_proof
from avsv.kaldi.records import archives_of, model_digest_of

log = logging.getLogger("avsv")
TRAINED_ON = "trained_on.json"  # in the folder of a back-end
MODEL_FILES = re.compile(r"[\w./-]+\.(?:ckpt|pt|pth|bin|safetensors|onnx|npz|npy|py)\b")
PYTHON_FILE = re.compile(r"(.+\.py)(?::(.*))?")
ONNX_SETTING = re.compile(r"(?m)^(model|front_end|output|mean)[ \t]*:[ \t]*([^#\n]*)")  # on which embeddings depend
ONNX_WEIGHTS = re.compile(rb"\x0a\x08location\x12(.)([^\x00-\x1f]+)", re.DOTALL)  # a protobuf entry: length, then name
SYSTEM = ".system"  # suffix of the record beside a score file


def voice_model(source: Path | str) -> str:
    """The name of a voice encoder: a hash of all files that it is loaded from, or its hub name before it is fetched.

    The files are hyperparams.yaml and those that it names. The folder's path is ignored. For FILE.py:CLASS, they are
    that file and the weights that its text names, by paths from its folder. For an ONNX file, they are that file, the
    files of weights and the mean embedding that it names, and the settings beside it.
    """
    if onnx := onnx_voice(source):
        settings = [f"{key}: {value.strip()}" for key, value in sorted(ONNX_SETTING.findall(settings_text(onnx)))]
        return f"voice:{digest([*settings, *(file_digest(file) for file in onnx_files(onnx) if file.is_file())])}"
    if own := python_class(source):
        path, name = own
        named = sorted(set(MODEL_FILES.findall(read_bytes(path).decode(errors="replace"))) - {path.name})
        files = [path, *(path.parent / file for file in named if (path.parent / file).is_file())]
        return f"voice:{digest([name, *map(file_digest, files)])}"
    folder = Path(source)
    if not folder.is_dir():
        folder = home_folder() / ".cache" / "avsv" / str(source).replace("/", "--")
    settings = folder / "hyperparams.yaml"
    if not settings.exists():
        return f"voice:{source}"
    text = re.sub(r"(?m)^pretrained_path:.*$", "", as_text(settings, read_bytes(settings)))
    named = sorted({name.lstrip("/") for name in MODEL_FILES.findall(text)} | {"embedding_model.ckpt"})
    files = [folder / name for name in named if (folder / name).is_file()]
    return f"voice:{digest([text, *([name.name, file_digest(name)] for name in files)])}"


def python_class(source: Path | str) -> tuple[Path, str] | None:
    """File and class of a voice encoder of the user's own; None for any other source.

    Raises
    ------
    InputError : a Python file without the name of a class

    Examples
    --------
    >>> python_class("my_encoder.py:MyEncoder")
    (PosixPath('my_encoder.py'), 'MyEncoder')
    >>> python_class("speechbrain/spkrec-ecapa-voxceleb")
    """
    given = PYTHON_FILE.fullmatch(str(source))
    if given is None or Path(source).is_dir():
        return None
    if not (given[2] or "").isidentifier():
        raise InputError(f"{source}: expected FILE.py:CLASS, such as {given[1]}:MyEncoder")
    return Path(given[1]), given[2]


def onnx_voice(source: Path | str) -> Path | None:
    """The ONNX file of a voice encoder, given by its name or as the only one of a folder; None for any other source.

    Raises
    ------
    InputError : a folder with several ONNX files and no hyperparams.yaml, or no such file

    Examples
    --------
    >>> onnx_voice("speechbrain/spkrec-ecapa-voxceleb")
    """
    path = Path(source)
    if not path.is_dir():
        if path.suffix.lower() != ".onnx":
            return None
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        return path
    files = [] if (path / "hyperparams.yaml").exists() else sorted(path.glob("*.onnx"))
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:9])
        raise InputError(f"{path}: has {len(files)} ONNX files ({names}); name one of them as the voice encoder")
    return files[0] if files else None


def onnx_settings(path: Path) -> Path:
    """The file of the settings of an ONNX file: of the same name, in the same folder, ending in .yaml."""
    return path.with_suffix(".yaml")


def settings_text(path: Path) -> str:
    """The text of an ONNX file's settings, "" if there are none."""
    settings = onnx_settings(path)
    return as_text(settings, read_bytes(settings)) if settings.exists() else ""


def onnx_files(path: Path) -> list[Path]:
    """An ONNX file of a voice encoder, and the files of weights and the mean embedding that it needs."""
    named = {name[: length[0]].decode(errors="replace") for length, name in ONNX_WEIGHTS.findall(read_bytes(path))}
    means = [value.strip().strip("\"'") for key, value in ONNX_SETTING.findall(settings_text(path)) if key == "mean"]
    return [path, *(path.parent / name for name in sorted(named) + means)]


def voice_model_files(source: Path | str) -> list[Path]:
    """The main files of a voice encoder, for the record of what it makes."""
    if onnx := onnx_voice(source):
        return [*onnx_files(onnx), *([onnx_settings(onnx)] if onnx_settings(onnx).exists() else [])]
    if own := python_class(source):
        return [own[0]]
    return [Path(source) / name for name in ("hyperparams.yaml", "embedding_model.ckpt")]


def face_model(files: Sequence[Path | str], pool: Sequence[float] | None = None) -> str:
    """The name of a recognition network, with what else embeddings depend on.

    Parameters
    ----------
    files : the recognition network, and any description of its input, quality network and so on
    pool : the attention that pools a clip's faces, if any
    """
    parts = [*map(file_digest, files), *(pool or [])]
    return f"face:{digest(parts) if len(parts) > 1 else parts[0]}"


def embeddings_model(scp: Path | str) -> str | None:
    """The model that made the embeddings of an scp file, None if unknown.

    Raises
    ------
    InputError : its archives come from different models
    """
    if archives := archives_of(scp):
        return model_digest_of(scp, archives)
    return folder_model(Path(scp).parent)  # a noisy set in which this modality is missing by design


def folder_model(folder: Path) -> str | None:
    """The model of the archives in a folder; None if unknown, or if there are several."""
    models = {read_proof(record).get("model") for record in folder.glob("done*.json")}
    return models.pop() if len(models) == 1 else None


def read_record(path: Path, key: str) -> str | None:
    """A string of a record; None if the record is absent or not a string."""
    try:
        record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return None
    value = record.get(key) if isinstance(record, dict) else None
    return value if isinstance(value, str) else None


def same_model(what: dict[Path, str | None]) -> str | None:
    """The model that several files share; None, with a warning, if it is unknown for any of them.

    Parameters
    ----------
    what : file -> its model

    Raises
    ------
    InputError : two files come from different models
    """
    known = {path: model for path, model in what.items() if model is not None}
    if len(set(known.values())) > 1:
        first = next(iter(known))
        other = next(path for path in known if known[path] != known[first])
        raise InputError(f"{first} was made with the model {known[first]}, {other} with {known[other]}: vectors of "
                        "different models cannot be compared")  # fmt: skip
    if len(what) > 1 and len(known) < len(what):
        unknown = ", ".join(str(path) for path in what if path not in known)
        log.warning("%s: the model is not recorded, so avsv cannot check that all files come from one model", unknown)
        return None
    return next(iter(known.values()), None)


def write_trained_on(folder: Path, model: str | None) -> None:
    """Record in the folder of a back-end which model's embeddings it was trained on."""
    if model is None:
        with replaced_together(folder / TRAINED_ON):  # removed together with the back-end
            pass
    else:
        write_json(folder / TRAINED_ON, {"model": model})


def trained_on(folder: Path) -> str | None:
    """The model that `write_trained_on` recorded."""
    return read_record(folder / TRAINED_ON, "model")


def write_system(scores: Path, system: str | None) -> None:
    """Record which system made a score file, beside it; if it is unknown, remove an earlier record."""
    record = system_record(scores)
    if system is None or not scores.is_file():  # a pipe, /dev/stdout
        record.unlink(missing_ok=True)
    else:
        write_json(record, {"system": system, "bytes": scores.stat().st_size})


def read_system(scores: Path) -> str | None:
    """The system that made a score file; None if it has no record or has been replaced since."""
    record = system_record(scores)
    if not record.exists() or not scores.is_file():
        return None
    found = read_json(record, {"system": str, "bytes": int}, "record of a score file")
    return found["system"] if found["bytes"] == scores.stat().st_size else None


def system_record(scores: Path) -> Path:
    return scores.parent / f"{scores.name}{SYSTEM}"


def match_systems(
    wanted: Sequence[str | None], given: Sequence[str | None], names: Sequence[str], source: Path | str
) -> list[int]:
    """For each wanted system, the index of the matching given one; unknown systems are matched by position.

    Parameters
    ----------
    names : names of the given systems, for the message
    source : the model that expects them, for the message

    Raises
    ------
    InputError : a wanted system is not among the given ones

    Examples
    --------
    >>> match_systems(["voice:1 cosine", "face:2 cosine"], ["face:2 cosine", "voice:1 cosine"], ["a", "b"], "model")
    [1, 0]
    """
    rest, order = list(range(len(given))), {}
    for number, system in enumerate(wanted):
        match = next((place for place in rest if system is not None and given[place] == system), None)
        if match is not None:
            order[number] = match
            rest.remove(match)
    for number in (number for number in range(len(wanted)) if number not in order):
        order[number] = match = rest.pop(0)
        if wanted[number] is not None and given[match] is not None:
            raise InputError(f"{source}: expects scores of {describe(wanted)}, found {given[match]} in {names[match]}")
    if None in (*wanted, *given):
        log.info("%s: not all score files have a record of their model, so avsv cannot check them against %s; "
                 "they are used in the order given", ", ".join(names), source)  # fmt: skip
    return [order[number] for number in range(len(wanted))]


def describe(systems: Iterable[str | None]) -> str:
    return ", ".join(system or "an unknown system" for system in systems)
