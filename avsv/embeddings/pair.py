"""Fused embeddings of voice and face, by a trained fusion network such as AVN-E."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from avsv.embeddings.quality_tables import read_quality
from avsv.errors import InputError
from avsv.jobs.fingerprints import digest, file_digest
from avsv.kaldi.origin import TRAINED_ON, read_record
from avsv.models.avn_e import FUSION, Fusion, FusionOptions
from avsv.models.checkpoint import load

BLOCK = 8192  # rows at a time


def load_fusion(exp_dir: Path | str) -> Fusion:
    """Load a fusion network, AVN-E or the head of AVN-J.

    Parameters
    ----------
    exp_dir : the folder that `avsv train` wrote it to

    Raises
    ------
    InputError : the folder has no finished fusion network

    Examples
    --------
    >>> fusion = load_fusion("exp/avn_e")    # doctest: +SKIP
    >>> fusion.n_voice, fusion.n_face        # doctest: +SKIP
    (192, 512)
    """
    fusion = load(exp_dir, FUSION)[0]
    fusion.digest = file_digest(FUSION.path(exp_dir))
    fusion.encoders = {modality: read_record(Path(exp_dir) / TRAINED_ON, modality) for modality in ("voice", "face")}
    return fusion


def refuse_other_encoders(fusion: Fusion, encoders: Mapping[str, str | None], source: Path | str) -> None:
    """Raise InputError for embeddings of other encoders, or raw where the network was trained on adapted ones.

    Parameters
    ----------
    encoders : modality -> name of the encoder of the embeddings, None if unknown
    source : of the embeddings, for the message
    """
    for modality, encoder in encoders.items():
        expected = fusion.encoders.get(modality)
        if None not in (encoder, expected) and encoder != expected:
            raise InputError(f"{source}: the fusion network was trained on embeddings of {expected}, found {encoder}")


def pair_model(fusion: Fusion, encoders: Mapping[str, str | None]) -> str:
    """The name of fused embeddings: a hash of the network and of the encoders of voice and face."""
    return f"pair:{digest([fusion.digest, encoders['voice'], encoders['face']])}"


def pair_quality(options: FusionOptions, voice_scp: Path | str, face_scp: Path | str, utts: list[str]) -> np.ndarray:
    """Read the network's quality tables, the voice's first, from beside the embeddings: (n, n tables) float32."""
    voice = read_quality(voice_scp, options.voice_quality, utts)
    return np.concatenate([voice, read_quality(face_scp, options.face_quality, utts)], 1)


def fuse_pairs(
    fusion: Fusion, voice: np.ndarray, face: np.ndarray, present: np.ndarray, quality: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Fuse many pairs.

    Parameters
    ----------
    voice : (n, n_voice) float32
    face : (n, n_face) float32
    present : (n, 2) bool, whether each clip has a voice and a face
    quality : (n, n tables), from `pair_quality`; None treats every clip as average

    Returns
    -------
    (n, out_size) float32 embeddings ; (n, 2) float32 weights of voice and face

    Raises
    ------
    InputError : the sizes differ from those in training
    """
    expected = (fusion.n_voice, fusion.n_face)
    # if no clip of the set has a modality, its size is unknown
    voice, face = (x if x.size else np.zeros((len(x), n), np.float32) for x, n in zip((voice, face), expected))
    sizes = (voice.shape[1], face.shape[1])
    if sizes != expected:
        raise InputError(f"the network was trained on voice and face embeddings of sizes {expected}, found {sizes}")
    if quality is None:
        quality = np.full((len(voice), len(fusion.quality_mean)), np.nan, np.float32)
    outs = np.empty((len(voice), fusion.out_size), np.float32)
    weights = np.empty((len(voice), 2), np.float32)
    device = fusion.voice_mean.device
    with torch.inference_mode():
        for begin in range(0, len(voice), BLOCK):
            rows = slice(begin, begin + BLOCK)
            fused = fusion(*(torch.from_numpy(x[rows]).to(device) for x in (voice, face, present, quality)))
            outs[rows], weights[rows] = fused.out.cpu(), fused.weights.cpu()
    return outs, weights
