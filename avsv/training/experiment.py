"""An experiment's folder: its configuration, inputs and versions, whether it is complete, and its log."""

import hashlib
import json
import logging
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

import avsv
from avsv.errors import InputError
from avsv.jobs.files import refuse_link, whole_file, write_json
from avsv.jobs.fingerprints import digest, file_digest
from avsv.jobs.inputs import regular_file
from avsv.jobs.provenance import MadeFrom, add_outputs
from avsv.jobs.records import FOLDER_RECORD
from avsv.jobs.run_log import KEPT, MADE, note
from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.media_files import media_stamp
from avsv.kaldi.segments import Source
from avsv.models.model_cards import CARD
from avsv.training.checkpoints import FILES, weights_file
from avsv.training.config import OPTIONS, TrainingConfig, apply_schema, read_config, to_yaml
from avsv.training.distributed import join_processes, n_processes, rank, wait_for_all

log = logging.getLogger("avsv")
PACKAGES = ("torch", "speechbrain", "numpy", "onnxruntime")
FREE = {"threads", "workers", "device", *OPTIONS}  # options that change where the training runs, but not its result


def start_experiment(config: TrainingConfig, inputs: Any, media: Sequence[Mapping[str, Source]] = ()) -> bool:
    """Prepare the experiment's folder; return False if the same training is already finished there.

    Writes config.yaml, run.json (command line, inputs, seed, versions, git state) and starts train.log. Of several
    processes only the first one writes; the others wait for it.

    Parameters
    ----------
    inputs : other inputs of the training, such as a hash of the data, for comparison with an earlier run
    media : tables of the recordings and images used in training and validation: a file replaced under the same name
        counts as another input

    Raises
    ------
    InputError : the folder holds a training with another configuration or other data
    """
    join_processes(config.device)
    goes_on = prepare_folder(config, inputs, media) if rank() == 0 else True
    wait_for_all()
    return goes_on and not (Path(config.exp_dir) / "done").exists()


def digest_arrays(*arrays: torch.Tensor) -> str:
    """A hash of training vectors, which changes with their values even if their names stay the same.

    Examples
    --------
    >>> digest_arrays(torch.zeros(2)) == digest_arrays(torch.zeros(1, 2))
    False
    """
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype} {tuple(array.shape)} ".encode())
        total.update(array.contiguous().numpy().data)
    return total.hexdigest()[:16]


def prepare_folder(config: TrainingConfig, inputs: Any, media: Sequence[Mapping[str, Source]]) -> bool:
    exp_dir = Path(config.exp_dir)
    inputs = {**json.loads(json.dumps(inputs)), **more_inputs(config, media)}
    made = record_of(config, inputs)
    # a training that stopped before its first checkpoint has no results, so another one may replace it
    begun = any((exp_dir / name).exists() for name in ("done", FILES["last"]))
    if begun and (exp_dir / "config.yaml").exists():
        refuse_other_config(exp_dir, config)
        if changed := made.changed_values(exp_dir):
            raise InputError(f"{exp_dir}: was trained on other data or with an earlier version of the code; changed: "
                            f"{', '.join(changed)}. Delete {exp_dir} or choose another exp_dir; to keep this model, "
                            "skip its training")  # fmt: skip
        if (exp_dir / "done").exists():
            log.info("%s: trained already", exp_dir)
            made.write_folder(exp_dir)  # its tables may have been rewritten with the same content
            note(KEPT, exp_dir)
            return False
    made.write_folder(exp_dir, ())
    versions = {"avsv": avsv.__version__, "python": platform.python_version()}
    versions |= {package: find_version(package) for package in PACKAGES}
    write_json(exp_dir / "run.json", {
        "command": shlex.join(sys.argv),
        "inputs": inputs,
        "seed": config.seed,
        "processes": n_processes(),
        "versions": versions,
        "git": git_state(Path(avsv.__file__).parent.parent),
    })  # fmt: skip
    with whole_file(exp_dir / "config.yaml") as out:
        out.write(to_yaml(config))
    close_log(config)
    handler = LogFile(refuse_link(regular_file(exp_dir / "train.log")), encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    return True


def more_inputs(config: TrainingConfig, media: Sequence[Mapping[str, Source]]) -> dict[str, str]:
    """Hashes of the inputs common to all trainings: media, noises, held-out people and initial weights."""
    hashes = {"media": media_stamp(media)} if media else {}
    noises = getattr(config, "noise_dir", "")
    if noises and Path(noises).is_dir():
        hashes["noises"] = media_stamp([read_data_dir(noises, media=("wav.scp",)).wav])
    if config.valid_dir:
        hashes["held-out people"] = file_digest(Path(config.valid_dir) / "utt2spk")
    if config.init:
        hashes["init"] = file_digest(weights_file(config.init))
    return hashes


def record_of(config: TrainingConfig, inputs: Mapping[str, Any]) -> MadeFrom:
    """The provenance of a training: its configuration, the tables that it names, and hashes of its inputs."""
    container, defaults = (OmegaConf.to_container(OmegaConf.structured(one)) for one in (config, type(config)))
    options = {name: value for name, value in container.items() if name not in FREE}
    named = {name: value for name, value in container.items() if str(value).endswith(".scp")}
    named |= {name: f"{container[name]}/utt2spk" for name in ("data_dir", "valid_dir") if container.get(name)}
    if config.init:
        named["init"] = weights_file(config.init)
    hashes = {name: value if isinstance(value, str) else digest(value) for name, value in inputs.items()}
    apart = {*FREE, "task", "exp_dir", "seed"}  # told by the record, or without effect on the result
    chosen = {"epochs": config.epochs, **differing({k: v for k, v in container.items() if k not in apart}, defaults)}
    return MadeFrom(f"train {config.task}", named, options, config.seed, hashes, chosen)


def differing(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a configuration that are not the defaults, nested ones by dotted names.

    Examples
    --------
    >>> differing({"epochs": 3, "size": 8, "optimizer": {"lr": 0.1}}, {"epochs": 3, "size": 4, "optimizer": {"lr": 1}})
    {'size': 8, 'optimizer.lr': 0.1}
    """
    found = {}
    for name, value in config.items():
        default = defaults.get(name)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            found |= {f"{name}.{key}": one for key, one in differing(value, default).items()}
        elif value != default:
            found[name] = value
    return found


def results(exp_dir: Path) -> list[str]:
    """Files of a finished training that other commands use, without logs, checkpoints and records."""
    files = [file for file in exp_dir.iterdir() if file.is_file() and file.suffix not in (".log", ".jsonl")]
    others = ("done", "run.json", FOLDER_RECORD, CARD)  # the user may edit the card
    return [file.name for file in files if file.name not in others and not file.name.startswith((".", "checkpoint"))]


class LogFile(logging.FileHandler):
    """A log file that ends the training if it cannot be written: on a full disk, checkpoints would fail too."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        raise OSError(error.errno, error.strerror, self.baseFilename) if isinstance(error, OSError) else error


def finish_experiment(config: TrainingConfig) -> None:
    """Mark an experiment as complete, after all its files are written."""
    exp_dir = Path(config.exp_dir)
    add_outputs(exp_dir, results(exp_dir))
    with whole_file(exp_dir / "done") as out:
        out.write("complete\n")
    note(MADE, config.exp_dir)
    close_log(config)


def close_log(config: TrainingConfig) -> None:
    path = str((Path(config.exp_dir) / "train.log").absolute())
    for handler in list(log.handlers):
        if getattr(handler, "baseFilename", None) == path:
            log.removeHandler(handler)
            handler.close()


def refuse_other_config(exp_dir: Path, config: TrainingConfig) -> None:
    """Raise InputError if the folder's configuration would give another model; missing keys count as defaults."""
    path = exp_dir / "config.yaml"
    old = lines_of(apply_schema(read_config(path, []), type(config), path))
    changed = [line for line in lines_of(config) if line not in old and line.partition(":")[0] not in FREE]
    if changed:
        raise InputError(f"{exp_dir}: was trained with another configuration; new: {'; '.join(changed)}. "
                        "Delete the folder or choose another exp_dir")  # fmt: skip


def lines_of(config: TrainingConfig) -> list[str]:
    """One line per key, nested keys with dots: "optimizer.lr: 0.001"."""
    lines = []
    for key, value in OmegaConf.to_container(OmegaConf.structured(config)).items():
        if isinstance(value, dict):
            lines += [f"{key}.{name}: {nested}" for name, nested in value.items()]
        else:
            lines.append(f"{key}: {value}")
    return lines


def find_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def git_state(folder: Path) -> dict | None:
    """Commit and changed files of the checkout that the code runs from; None outside a checkout.

    Examples
    --------
    >>> git_state(Path("/"))
    """
    if not (folder / ".git").exists():
        return None
    try:
        commit, changed = (
            subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, check=True, timeout=20)
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):  # git is missing, or refuses a folder of another user
        return None
    return {"commit": commit.stdout.strip(), "changed": [line[3:] for line in changed.stdout.splitlines()]}
