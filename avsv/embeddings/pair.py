"""Fused embeddings: voice and face vectors through a trained AVN-E."""

import logging
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from avsv.errors import UserError
from avsv.models.avn_e import SoftAttentionFusion

log = logging.getLogger("avsv")
BLOCK = 8192  # rows at a time


def load_fusion(exp_dir: Path | str) -> SoftAttentionFusion:
    """The network that `avsv train` wrote.

    Raises
    ------
    UserError : the folder has no finished fusion network
    """
    path = Path(exp_dir) / "fusion.safetensors"
    try:
        state = load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; is {exp_dir} a finished training of task avn_e?") from None
    except SafetensorError as error:
        raise UserError(f"{path}: is damaged: {error}") from None
    size, n_voice = state["voice.weight"].shape
    fusion = SoftAttentionFusion(n_voice, state["face.weight"].shape[1], size)
    fusion.load_state_dict(state)
    return fusion.eval()


def fuse_pairs(
    fusion: SoftAttentionFusion, voice: np.ndarray, face: np.ndarray, present: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fuse many pairs.

    Parameters
    ----------
    voice : (n, n_voice), face : (n, n_face), float32 ; present : (n, 2) bool

    Returns
    -------
    (n, size) float32 embeddings ; (n, 2) float32 weights of voice and face

    Raises
    ------
    UserError : the sizes are not those the network was trained on
    """
    expected = (len(fusion.voice_mean), len(fusion.face_mean))
    found = (voice.shape[1], face.shape[1])
    if found != expected:
        raise UserError(f"the network was trained on voice and face embeddings of sizes {expected}, found {found}")
    outs, weights = [], []
    with torch.inference_mode():
        for begin in range(0, len(voice), BLOCK):
            rows = slice(begin, begin + BLOCK)
            out, weight = fusion(*(torch.from_numpy(x[rows]) for x in (voice, face, present)))
            outs.append(out.numpy())
            weights.append(weight.numpy())
    return np.concatenate(outs), np.concatenate(weights)
