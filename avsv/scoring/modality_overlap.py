"""Cosine of fused embeddings over the modalities that both clips have.

AVN-E with `soft_attention_concat` concatenates voice and face, each scaled by its attention weight a. The cosine of two
such embeddings is sum_m a_m a'_m c_m / (|a| |a'|), where c_m is the cosine of modality m. If one clip has only a voice
and the other has both, this is at most 0.7 however similar the voices are; for a voice against a face it is 0, which
means "different" although nothing is known. Divided by the cosine of the two clips' weights it becomes

    sum_m a_m a'_m c_m / sum_m a_m a'_m,

the mean of the modalities' cosines, weighted by the modalities that both clips rely on. Clips that share no modality
have no score, like clips without an embedding. This method is our own.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.tables import read_table

LEAST = 0.05  # cosine of the weights below which two clips count as sharing no modality


def read_weights(paths: Sequence[Path], ids: Sequence[str]) -> np.ndarray:
    """Read the modality weights that embed-pair wrote, lines `utterance voice face`.

    Parameters
    ----------
    paths : one or several tables
    ids : n utterances

    Returns
    -------
    (n, modalities) float32, each row scaled to length 1

    Raises
    ------
    InputError : an utterance has no weights, or they are not finite numbers >= 0 with at least one > 0

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "weights"
    >>> _ = path.write_text("a 0.3 0.4\\n")
    >>> read_weights([path], ["a"])
    array([[0.6, 0.8]], dtype=float32)
    """
    table: dict[str, str] = {}
    for path in paths:
        table |= read_table(path)
    names = ", ".join(map(str, paths))
    if lacking := [name for name in ids if name not in table]:
        raise InputError(f"{names}: has no weights for {len(lacking)} clips of the trials, the first: {lacking[0]}; "
                        "avsv embed-pair writes them beside the embeddings")  # fmt: skip
    try:
        weights = np.array([table[name].split() for name in ids], np.float32)
    except ValueError:
        raise InputError(f'{names}: expected "utterance weight-of-voice weight-of-face" on every line') from None
    lengths = np.linalg.norm(weights, axis=-1, keepdims=True)
    finite = np.isfinite(lengths).all()
    if len(ids) and not (weights.ndim == 2 and finite and (weights >= 0).all() and (lengths > 0).all()):
        raise InputError(f"{names}: expected finite weights >= 0, at least one of them > 0 on each line")
    return weights / lengths


def shared_weights(weights: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Cosine of the modality weights of the two clips of each pair, 0 (no shared modality) to 1.

    Parameters
    ----------
    weights : (n, modalities), rows of length 1
    pairs : (trials, 2) int, rows of `weights`

    Returns
    -------
    (trials,) of the type of `weights`

    Examples
    --------
    >>> voice, face, both = [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]
    >>> shared_weights(np.array([voice, face, both]), np.array([[0, 1], [0, 2], [2, 2]])).tolist()
    [0.0, 0.6, 1.0]
    """
    return np.einsum("ij,ij->i", weights[pairs[:, 0]], weights[pairs[:, 1]])
