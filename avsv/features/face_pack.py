"""Face packs: folders of ONNX files, with a detector that finds key points and a recognition network.

InsightFace runs SCRFD detectors and networks with ArcFace's input; avsv runs YuNet detectors, recognition networks with
other inputs (face_inputs.py), and a network that measures the quality of a face, if the pack has one.

A pack is named by its folder, which may be an `exp/` folder trained with avsv, or by its published name, such as
`buffalo_l`. A download starts only for a published name that is not yet in ~/.insightface/models.
"""

import contextlib
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.features.face_inputs import face_input, takes_arcface_input, unknown_input
from avsv.features.face_networks import DescribedNetwork, YuNet, is_yunet
from avsv.features.onnx_files import check_onnx
from avsv.features.onnx_session import brief, open_session, refuse_without_cuda, session_options, usable_providers
from avsv.jobs.home import home_folder

log = logging.getLogger("avsv")
PUBLISHED = ("buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2")


@dataclass(frozen=True)
class FacePack:
    """The networks of a pack; None for a network that was not loaded."""

    folder: Path
    detection: Any = None  # insightface.model_zoo.scrfd.SCRFD or YuNet
    recognition: Any = None  # insightface.model_zoo.arcface_onnx.ArcFaceONNX or DescribedNetwork
    quality: Any = None  # DescribedNetwork

    def files(self, *tasks: str) -> list[Path]:
        """The files of the networks for these tasks, on which their results depend: ONNX files, and YAML beside them.

        The networks for "recognition" are the recognition network and the one for quality, if the pack has one.
        """
        files = []
        for task in tasks:
            files.append(Path(getattr(self, task).model_file))
            if task == "recognition":
                described = [files[-1], *([Path(self.quality.model_file)] if self.quality else [])]
                files += described[1:]
                files += [yaml for file in described if (yaml := file.with_suffix(".yaml")).exists()]
        return files


def find_pack(model: str | Path) -> Path:
    """The folder of a pack, given as a folder or as a published name, which is downloaded if necessary.

    Raises
    ------
    InputError : no such folder, no ONNX file in it, an unknown name, or a failed download
    """
    folder = home_folder() / str(model)[2:] if str(model).startswith("~/") else Path(model)
    if not folder.is_dir() and str(model) == folder.name:
        home = home_folder() / ".insightface" / "models" / folder.name
        folder = home if home.is_dir() or folder.name not in PUBLISHED else fetch_pack(folder.name)
    if folder.is_file():
        raise InputError(f"{folder}: is a file, expected the folder of a face pack")
    if not folder.is_dir():
        raise InputError(
            f"{model}: no such face pack; expected a folder with a detector and a recognition network as ONNX files, "
            f"or one of {', '.join(PUBLISHED)}"
        )
    if not list(folder.glob("*.onnx")):
        inner = [sub for sub in sorted(folder.iterdir()) if sub.is_dir() and list(sub.glob("*.onnx"))]
        if len(inner) == 1:  # antelopev2.zip contains a folder of the same name
            return inner[0]
        raise InputError(
            f"{folder}: has no ONNX files; a face pack has a detector (SCRFD) and a recognition network (ArcFace), "
            "such as det_10g.onnx and w600k_r50.onnx"
        )
    return folder


def fetch_pack(name: str) -> Path:
    """Download a published pack to ~/.insightface/models with InsightFace."""
    from insightface.utils import ensure_available

    log.info("downloading the face pack %s", name)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # InsightFace prints; standard output belongs to the command
            return Path(ensure_available("models", name))
    except Exception as error:  # from requests, zipfile or insightface
        raise InputError(
            f"the face pack {name} cannot be downloaded ({type(error).__name__}: {error}); download and unzip it "
            "yourself, and pass the folder as the model"
        ) from None


def load_pack(model: str | Path, device: str = "cpu", tasks: tuple[str, ...] = ("detection", "recognition"),
              threads: int | None = None) -> FacePack:  # fmt: skip
    """Load a pack's networks for `tasks`.

    Parameters
    ----------
    model : a folder or a published name
    device : "cpu" or "cuda"
    threads : threads per session, 1 if several threads share it; None for OMP_NUM_THREADS or, if unset, all cores

    Raises
    ------
    InputError : no such pack (see `find_pack`), a broken ONNX file, a missing network, or no CUDA
    """
    for task in tasks:
        refuse_unknown("task", task, ("detection", "recognition"))
    folder = find_pack(model)
    usable_providers(device)  # refuse a wrong device before anything is read
    wanted = (*tasks, "quality") if "recognition" in tasks else tasks
    networks: dict[str, Any] = {}
    unknown: list[Path] = []
    for file in sorted(folder.glob("*.onnx")):  # the first network for a task counts, as in InsightFace
        network = load_network(file, device, threads)
        if isinstance(network, UnknownNetwork):
            unknown.append(file)
        elif network is not None and network.taskname in wanted:
            first = networks.setdefault(network.taskname, network)
            if first is not network:
                log.warning("%s: has two %s networks; using %s, ignoring %s; remove one of them", folder,
                            network.taskname, Path(first.model_file).name, file.name)  # fmt: skip
    for task in tasks:
        if task not in networks:
            raise unknown_input(unknown[0]) if unknown and task == "recognition" else no_network(folder, task)
    if unknown and "recognition" in tasks:
        log.warning("%s: ignored, because nothing says which input it takes; remove it, or describe it in %s",
                    unknown[0], unknown[0].with_suffix(".yaml").name)  # fmt: skip
    if "detection" in networks and not networks["detection"].use_kps:
        raise InputError(f"{networks['detection'].model_file}: this detector has no key points, which alignment needs")
    for network in networks.values():
        try_out(network)
    if device == "cuda" and isinstance(networks.get("detection"), YuNet):
        log.info("%s: OpenCV runs this detector on the CPU", networks["detection"].model_file)
    return FacePack(folder, **networks)


def no_network(folder: Path, task: str) -> InputError:
    """The error for a pack without a network for a task."""
    names = ", ".join(sorted(p.name for p in folder.glob("*.onnx")))
    form = {
        "detection": "a detector with key points (SCRFD, 9 or 15 outputs; or YuNet)",
        "recognition": "a recognition network (one output, input 3 x 112 x 112)",
    }[task]
    return InputError(f"{folder}: none of {names} is a {task} network; expected {form}")


def try_out(network: Any) -> None:
    """Run a network on grey images and check its output.

    Raises
    ------
    InputError : it fails, or its output does not have the shape of a network for its task
    """
    try:
        if network.taskname == "detection":
            # at threshold 0, to check that the numbers of scores, points and boxes agree
            given, points = network.detect(np.full((160, 160, 3), 127, np.uint8), input_size=(160, 160), det_thresh=0)
            expected = "boxes with scores, (n, 5), and five points each, (n, 5, 2)"
            good = given.ndim == 2 and given.shape[1] == 5 and points.shape == (len(given), 5, 2)
        else:
            fixed = network.input_shape[0]
            n = fixed if isinstance(fixed, int) and fixed > 0 else 2
            given = network.get_feat([np.full((112, 112, 3), 127, np.uint8)] * n)
            good = given.ndim == 2 and len(given) == n
            if network.taskname == "recognition":
                expected, good = f"({n}, d) numbers for {n} faces, d > 1", good and given.shape[1] > 1
            else:
                expected, good = f"one number for each of {n} faces", good and given.shape[1] == 1
    except Exception as error:  # from onnxruntime, OpenCV, or numpy on arrays of other shapes
        reason = brief(error)
        raise InputError(f"{network.model_file}: does not work as a {network.taskname} network: {reason}") from None
    if not good or not np.isfinite(given).all():
        raise InputError(f"{network.model_file}: the output has shape {given.shape} or is not finite; expected "
                        f"{expected} from a {network.taskname} network")  # fmt: skip


@dataclass(frozen=True)
class UnknownNetwork:
    """A recognition or quality network of which nothing says which input it takes."""

    model_file: str


def load_network(file: Path, device: str = "cpu", threads: int | None = None) -> Any:
    """The network in a file: an object of InsightFace's, a YuNet, a DescribedNetwork, an UnknownNetwork, or None.

    Parameters
    ----------
    device, threads : as for `load_pack`

    Raises
    ------
    InputError : a broken file, a malformed description, or a described network with another input
    """
    model = check_onnx(file)
    if is_yunet(file, [output.name for output in model.graph.output]):
        return YuNet(file)
    if given := face_input(file, model):
        return DescribedNetwork(file, open_session(file, device, threads), given)
    network = load_onnx(file, usable_providers(device), threads)
    known = getattr(network, "taskname", None) != "recognition" or takes_arcface_input(file, model)
    return network if known else UnknownNetwork(str(file))


def load_onnx(file: Path, providers: list[str], threads: int | None = None) -> Any:
    """Load an ONNX file as the InsightFace object that fits its shape; None if InsightFace knows no such network."""
    import onnxruntime
    from insightface.model_zoo import model_zoo

    onnxruntime.set_default_logger_severity(3)
    options = session_options(threads)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            network = model_zoo.get_model(str(file), providers=providers, sess_options=options)
    except Exception as error:  # from onnxruntime or protobuf, some without a message
        raise InputError(f"{file}: cannot be loaded as an ONNX network: {brief(error)}") from None
    if network:
        refuse_without_cuda(file, network.session, providers)
    return network
