"""Face networks as ONNX files with metadata, and as packs that InsightFace loads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from avsv.errors import InputError
from avsv.exporters.onnx_file import N_INPUTS, Exported, agreement, open_onnx, refuse_disagreement, write_onnx
from avsv.features.face_pack import FacePack, load_pack
from avsv.features.faces import SIDE
from avsv.jobs.files import replaced_together, whole_file
from avsv.kaldi.origin import face_model
from avsv.models.model_cards import CARD, licence_of, write_card

BOUND = 1e-5  # of the difference, relative to the length of the embedding
MOST_FACES = 5  # in a random batch


def export_face(source: str, out: Path, licence: str | None = None) -> Exported:
    """Export the recognition network of a face pack to an ONNX file with metadata.

    The input is (batch, 3, 112, 112) float32, aligned faces in RGB, scaled as the metadata say: (x - 127.5) / 127.5
    for networks that avsv trains. The output is (batch, d).

    Parameters
    ----------
    source : folder of a pack, or its published name
    out : the file
    licence : of the weights; None: as in the model card

    Raises
    ------
    InputError : no such pack, weights outside the network's file, or an exported network that differs from the
        original by more than `BOUND`
    """
    pack = load_pack(source, tasks=("recognition",))
    data = network_bytes(pack, "recognition")
    return write_onnx(out, data, describe(pack, source, licence), agreement(compare(pack, data)), BOUND)


def export_insightface(source: str, out: Path, licence: str | None = None) -> Exported:
    """Write a folder that InsightFace loads as a model pack: detector, and recognition network with metadata.

    Parameters and errors are those of `export_face`; a pack without a detector is refused too, as InsightFace's
    FaceAnalysis needs one.
    """
    pack = load_pack(source)
    data = network_bytes(pack, "recognition")
    difference, metadata = agreement(compare(pack, data)), describe(pack, source, licence)
    refuse_disagreement(out, difference, BOUND)
    out.mkdir(parents=True, exist_ok=True)
    with replaced_together(out / "detector.onnx", out / "recognition.onnx"):
        with whole_file(out / "detector.onnx", "wb") as file:
            file.write(network_bytes(pack, "detection"))
        write_onnx(out / "recognition.onnx", data, metadata, difference, BOUND)
        write_card(out / CARD, pack.folder / CARD, metadata["license"])
    return Exported(out, difference, BOUND)


def network_bytes(pack: FacePack, task: str) -> bytes:
    """The file of a network of a pack; InputError if its weights are in other files."""
    import onnx

    file, network = pack.files(task)[0], getattr(pack, task)
    if not type(network).__module__.startswith("insightface."):
        raise InputError(f"{file}: is an ONNX file with an input that InsightFace does not know; use the file as it is")
    data = file.read_bytes()
    if any(
        tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in onnx.load_from_string(data).graph.initializer
    ):
        raise InputError(f"{file}: keeps its weights in other files; save it as one file with onnx.save")
    return data


def compare(pack: FacePack, data: bytes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield embeddings by ONNX Runtime, scaled as the metadata say, and by InsightFace, for random batches of faces."""
    run, rng, network = open_onnx(data), np.random.default_rng(0), pack.recognition
    for _ in range(N_INPUTS):
        n = batch_of(network) or int(rng.integers(1, MOST_FACES + 1))
        faces = rng.integers(0, 256, (n, SIDE, SIDE, 3), np.uint8)
        smooth = np.stack([cv2.blur(face, (9, 9)) for face in faces])
        rgb = smooth[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
        inputs = (rgb - np.float32(network.input_mean)) / np.float32(network.input_std)
        yield run({network.input_name: inputs})[0], network.get_feat(list(smooth))


def describe(pack: FacePack, source: str, licence: str | None) -> dict[str, Any]:
    """Metadata of the exported file."""
    network = pack.recognition
    size = network.get_feat([np.zeros((SIDE, SIDE, 3), np.uint8)] * max(1, batch_of(network))).shape[1]
    return {
        "avsv.kind": "face encoder", "avsv.input": "aligned faces", "avsv.channels": "RGB",
        "avsv.mean": network.input_mean, "avsv.std": network.input_std, "avsv.size": size,
        "avsv.source": pack.folder.resolve().name, "avsv.model": face_model(pack.files("recognition")),
        "license": licence_of(pack.folder, licence),
    }  # fmt: skip


def batch_of(network: Any) -> int:
    """The fixed batch size of a network; 0 if it varies."""
    fixed = network.input_shape[0]
    return fixed if isinstance(fixed, int) and fixed > 0 else 0
