"""Face packs: a folder of ONNX files that InsightFace loads, a detector with key points and a recognition network.

A pack is named by its folder (an `exp/` folder trained here is one too) or by the name it is published under, such as
`buffalo_l`. Nothing is fetched unless a published name is given and the pack is not in ~/.insightface/models yet.
"""

import contextlib
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.features.onnx_files import check_onnx
from avsv.jobs.home import home_folder
from avsv.jobs.threads import n_asked

log = logging.getLogger("avsv")
PUBLISHED = ("buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2")
PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


@dataclass(frozen=True)
class FacePack:
    """Networks of a pack as InsightFace's objects; None for one the pack does not have."""

    folder: Path
    detection: Any = None  # insightface.model_zoo.scrfd.SCRFD
    recognition: Any = None  # insightface.model_zoo.arcface_onnx.ArcFaceONNX

    def files(self, *tasks: str) -> list[Path]:
        """The ONNX files of these tasks: what a result of theirs depends on."""
        return [Path(getattr(self, task).model_file) for task in tasks]


def find_pack(model: str | Path) -> Path:
    """The folder of a pack that is named by its folder or by its published name (fetched where it is not here yet).

    Raises
    ------
    InputError : no such folder, no ONNX file in it, an unknown name, the download failed
    """
    folder = home_folder() / str(model)[2:] if str(model).startswith("~/") else Path(model)
    if not folder.is_dir() and str(model) == folder.name:
        home = home_folder() / ".insightface" / "models" / folder.name
        folder = home if home.is_dir() or folder.name not in PUBLISHED else fetch_pack(folder.name)
    if folder.is_file():
        raise InputError(f"{folder}: is a file, expected the folder of a face pack")
    if not folder.is_dir():
        raise InputError(
            f"{model}: there is no such face pack; expected a folder with a detector and a recognition network as ONNX "
            f"files, or one of {', '.join(PUBLISHED)}"
        )
    if not list(folder.glob("*.onnx")):
        inner = [sub for sub in sorted(folder.iterdir()) if sub.is_dir() and list(sub.glob("*.onnx"))]
        if len(inner) == 1:  # antelopev2.zip holds a folder of its own name
            return inner[0]
        raise InputError(
            f"{folder}: there is no ONNX file in this folder; a face pack has a detector (SCRFD) and a recognition "
            "network (ArcFace), such as det_10g.onnx and w600k_r50.onnx"
        )
    return folder


def fetch_pack(name: str) -> Path:
    """Let InsightFace download a published pack to ~/.insightface/models."""
    from insightface.utils import ensure_available

    log.info("fetching the face pack %s", name)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it prints; standard output belongs to the command
            return Path(ensure_available("models", name))
    except Exception as error:  # requests', zipfile's and insightface's own
        raise InputError(
            f"the face pack {name} cannot be fetched ({type(error).__name__}: {error}); fetch and unzip it yourself, "
            "and give --model the folder"
        ) from None


def load_pack(model: str | Path, device: str = "cpu", tasks: tuple[str, ...] = ("detection", "recognition"),
              threads: int | None = None) -> FacePack:  # fmt: skip
    """Load the networks of a pack that `tasks` name.

    Parameters
    ----------
    model : a folder or a published name
    device : "cpu" or "cuda"
    threads : of a session: 1 where several threads run it; None for what OMP_NUM_THREADS says, else all cores

    Raises
    ------
    InputError : what `find_pack` raises, a broken ONNX file, a network of `tasks` that is not there, no CUDA
    """
    for task in tasks:
        refuse_unknown("task", task, ("detection", "recognition"))
    folder = find_pack(model)
    providers = usable_providers(device)
    found: dict[str, Any] = {}
    for file in sorted(folder.glob("*.onnx")):  # the first of a kind counts, as in InsightFace
        network = load_onnx(file, providers, threads)
        if network is not None and network.taskname in tasks:
            first = found.setdefault(network.taskname, network)
            if first is not network:
                log.warning("%s: has two %s networks; %s is used, %s is not; keep one of them", folder,
                            network.taskname, Path(first.model_file).name, file.name)  # fmt: skip
    for task in tasks:
        if task not in found:
            names = ", ".join(sorted(p.name for p in folder.glob("*.onnx")))
            form = {
                "detection": "a detector (SCRFD with key points: 9 or 15 outputs)",
                "recognition": "a recognition network (ArcFace: one output, input 3 x 112 x 112)",
            }[task]
            raise InputError(f"{folder}: there is no {task} network among {names}; expected {form}")
    if "detection" in found and not found["detection"].use_kps:
        raise InputError(f"{found['detection'].model_file}: this detector gives no key points, which alignment needs")
    for network in found.values():
        try_out(network)
    return FacePack(folder, **found)


def try_out(network: Any) -> None:
    """Let a network look at gray pictures.

    Raises
    ------
    InputError : it fails, or what it gives is not what a detector or a recognition network gives
    """
    try:
        if network.taskname == "recognition":
            fixed = network.input_shape[0]
            n = fixed if isinstance(fixed, int) and fixed > 0 else 2
            given = network.get_feat([np.full((112, 112, 3), 127, np.uint8)] * n)
            expected, good = f"({n}, d) numbers for {n} faces", given.ndim == 2 and len(given) == n and given.shape[1]
        else:
            # at a threshold that everything passes: boxes, scores and points must be of one number
            given, points = network.detect(np.full((160, 160, 3), 127, np.uint8), input_size=(160, 160), det_thresh=0)
            expected = "boxes with scores, (n, 5), and five points each, (n, 5, 2)"
            good = given.ndim == 2 and given.shape[1] == 5 and points.shape == (len(given), 5, 2)
    except Exception as error:  # onnxruntime's, and numpy's on arrays of other shapes
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{network.model_file}: is no {network.taskname} network that can be used: {reason}") from None
    if not good or not np.isfinite(given).all():
        raise InputError(f"{network.model_file}: gives {given.shape}, or numbers that are not finite; expected "
                        f"{expected} from a {network.taskname} network")  # fmt: skip


def usable_providers(device: str) -> list[str]:
    """onnxruntime's providers for "cpu" or "cuda"; InputError where there is no CUDA."""
    import onnxruntime

    if device not in PROVIDERS:
        raise InputError(f"--device {device}: expected cpu or cuda")
    if PROVIDERS[device][0] not in onnxruntime.get_available_providers():
        raise InputError(
            "--device cuda: this onnxruntime has no CUDA. Install onnxruntime-gpu in place of onnxruntime: "
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install --no-deps onnxruntime-gpu"
        )
    return PROVIDERS[device]


def load_onnx(file: Path, providers: list[str], threads: int | None = None) -> Any:
    """One ONNX file as the InsightFace object that its shape calls for; None where it is none that is needed here."""
    import onnxruntime
    from insightface.model_zoo import model_zoo

    check_onnx(file)
    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or n_asked()  # 0: all cores
    options.inter_op_num_threads = 1
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # threads that wait leave the cores to others
    try:
        with contextlib.redirect_stdout(sys.stderr):
            network = model_zoo.get_model(str(file), providers=providers, sess_options=options)
    except Exception as error:  # onnxruntime's and protobuf's own, some of them bare
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{file}: cannot be loaded as an ONNX network: {reason}") from None
    if providers[0] == "CUDAExecutionProvider" and network and "CUDA" not in network.session.get_providers()[0]:
        raise InputError(
            f"{file}: onnxruntime could not start CUDA; are the driver and cuDNN installed? Or: --device cpu"
        )
    return network
