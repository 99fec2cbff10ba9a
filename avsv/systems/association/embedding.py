"""Voice and face embeddings mapped to the joint space of a trained association network."""

import logging
from pathlib import Path

import numpy as np
import torch

from avsv.errors import InputError
from avsv.jobs.files import replaced_together
from avsv.jobs.provenance import MadeFrom
from avsv.kaldi.embeddings import read_embeddings, write_embeddings
from avsv.models.checkpoint import load
from avsv.systems.association.networks.family import Family
from avsv.systems.association.networks.registry import ASSOCIATION

log = logging.getLogger("avsv")
BLOCK = 8192  # rows per batch


def embed_side(family: Family, vectors: np.ndarray, is_voice: bool) -> np.ndarray:
    """Map embeddings of one modality to the joint space.

    Parameters
    ----------
    vectors : (n, n_voice) or (n, n_face) float32

    Returns
    -------
    (n, size) float32

    Raises
    ------
    InputError : the dimension differs from that of the training
    """
    size, kind = (family.sizes[0], "voice") if is_voice else (family.sizes[1], "face")
    if len(vectors) and vectors.shape[1] != size:
        raise InputError(
            f"expected {kind} embeddings of dimension {size}, as in the network's training, found {vectors.shape[1]}"
        )
    embed = family.voice if is_voice else family.face
    with torch.inference_mode():
        parts = [embed(torch.from_numpy(vectors[i : i + BLOCK])).float().numpy() for i in range(0, len(vectors), BLOCK)]
    return np.concatenate(parts) if parts else np.zeros((0, family.options.size), np.float32)


def embed_vectors(command: str, exp_dir: Path, voice: Path, face: Path, out_dir: Path) -> None:
    """Map voice and face embeddings to the joint space: write voice.{ark,scp} and face.{ark,scp}.

    Parameters
    ----------
    command : name for the record of how the files came to be
    voice, face : scp files of embeddings

    Raises
    ------
    InputError : no finished training, unreadable embeddings, or embeddings of another dimension
    """
    family = load(exp_dir, ASSOCIATION)[0]
    sources = {"voice": voice, "face": face}
    made = {name: MadeFrom(command, {"model": ASSOCIATION.path(exp_dir), name: scp}) for name, scp in sources.items()}
    with replaced_together():  # both modalities must come from one network
        for name, scp in sources.items():
            side = read_embeddings(scp)
            vectors = embed_side(family, side.vectors, name == "voice")
            write_embeddings(out_dir / f"{name}.ark", out_dir / f"{name}.scp", side.ids, vectors)
            log.info("%s: %d %ss", out_dir, len(vectors), name)
    for name, record in made.items():
        record.write(out_dir / f"{name}.scp")
