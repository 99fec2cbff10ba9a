"""Comparing fused clips by what they share: voice with voice, face with face, each as far as both clips have it.

AVN-E with `soft_attention_concat` lays voice and face side by side, each times its attention weight a. The cosine of
two such embeddings is sum_m a_m a'_m c_m / (|a| |a'|), c_m the cosine of modality m. A clip that is voice alone and one
with both then have at most 0.7, however alike the voices are, and a voice and a face have 0, which says "different"
where nothing is known. Over the cosine of the two clips' weights,

    sum_m a_m a'_m c_m / sum_m a_m a'_m,

it is the mean of the modalities' cosines, weighted by what both clips rest on; clips that share nothing have no score,
like those without an embedding. Ours.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.tables import read_table

LEAST = 0.05  # cosine of the weights; below it the clips share nothing worth a score


def read_weights(paths: Sequence[Path], ids: Sequence[str]) -> np.ndarray:
    """Weights of modalities that embed-pair wrote, `utterance voice face`.

    Parameters
    ----------
    ids : n utterances

    Returns
    -------
    (n, modalities) float32, each row of length 1

    Raises
    ------
    InputError : an utterance without weights, or something else than numbers, one of them above 0
    """
    table: dict[str, str] = {}
    for path in paths:
        table |= read_table(path)
    names = ", ".join(map(str, paths))
    if lacking := [name for name in ids if name not in table]:
        raise InputError(f"{names}: no weights of {len(lacking)} clips of the trials, such as {lacking[0]}; "
                        "avsv embed-pair writes them beside the embeddings")  # fmt: skip
    try:
        weights = np.array([table[name].split() for name in ids], np.float32)
    except ValueError:
        raise InputError(f'{names}: expected "utterance weight-of-voice weight-of-face" on every line') from None
    lengths = np.linalg.norm(weights, axis=-1, keepdims=True)
    finite = np.isfinite(lengths).all()
    if len(ids) and not (weights.ndim == 2 and finite and (weights >= 0).all() and (lengths > 0).all()):
        raise InputError(f"{names}: weights are finite numbers of at least 0, and one of them is above it")
    return weights / lengths


def shared_weights(weights: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """How far the two clips of each pair rest on the same: the cosine of their weights, 0 to 1.

    Parameters
    ----------
    weights : (n, modalities), rows of length 1
    pairs : (trials, 2) int

    Examples
    --------
    >>> voice, face, both = [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]
    >>> shared_weights(np.array([voice, face, both]), np.array([[0, 1], [0, 2], [2, 2]])).tolist()
    [0.0, 0.6, 1.0]
    """
    return np.einsum("ij,ij->i", weights[pairs[:, 0]], weights[pairs[:, 1]])
