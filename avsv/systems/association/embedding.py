"""Trained face-voice association: the file that holds it, and voices and faces brought into its space."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from avsv.errors import InputError
from avsv.jobs.files import whole_file
from avsv.models.weights import load_trained
from avsv.systems.association.networks.family import AssociationOptions, Family
from avsv.systems.association.networks.registry import make_family

BLOCK = 8192  # rows at a time
NAME = "association.safetensors"


def save_family(exp_dir: Path | str, family: Family) -> None:
    """Write `association.safetensors`: the weights and, as metadata, what builds the network again."""
    network = {"sizes": family.sizes, "n_classes": family.n_classes, "options": asdict(family.options)}
    state = {name: tensor.cpu().contiguous() for name, tensor in family.state_dict().items()}
    with whole_file(Path(exp_dir) / NAME, "wb") as out:
        out.write(save(state, {"network": json.dumps(network)}))


def load_family(exp_dir: Path | str) -> Family:
    """The network that `avsv train` wrote.

    Raises
    ------
    InputError : the folder has no finished training of task association
    """

    def build(network: dict) -> Family:
        return make_family(network["sizes"], network["n_classes"], AssociationOptions(**network["options"]))

    return load_trained(Path(exp_dir) / NAME, "association", build)[0]


def embed_side(family: Family, vectors: np.ndarray, is_voice: bool) -> np.ndarray:
    """Vectors of one modality in the joint space.

    Parameters
    ----------
    vectors : (n, n_voice) or (n, n_face) float32

    Returns
    -------
    (n, size) float32

    Raises
    ------
    InputError : the size is not the one that the network was trained on
    """
    size, kind = (family.sizes[0], "voice") if is_voice else (family.sizes[1], "face")
    if len(vectors) and vectors.shape[1] != size:
        raise InputError(f"the network was trained on {kind} embeddings of size {size}, found {vectors.shape[1]}")
    embed = family.voice if is_voice else family.face
    with torch.inference_mode():
        parts = [embed(torch.from_numpy(vectors[i : i + BLOCK])).float().numpy() for i in range(0, len(vectors), BLOCK)]
    return np.concatenate(parts) if parts else np.zeros((0, family.options.size), np.float32)
