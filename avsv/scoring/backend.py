"""A back-end as a map of embeddings to vectors whose inner product is the score.

Cosine is one after scaling to length 1, PLDA with two more dimensions (see plda.inner_product_form). So trials and
cohorts are scored by the same few lines whatever the back-end.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.kaldi.embeddings import Embeddings
from avsv.kaldi.matrices import read_array
from avsv.scoring.cosine import unit_length

Sides = tuple[np.ndarray, np.ndarray]


def make_backend(name: str, plda: Path | None = None, center: Path | None = None) -> Callable[[Embeddings], Sides]:
    """The function that gives embeddings' enrolment side and test side, two float32 arrays (n, d').

    Parameters
    ----------
    name : "cosine" or "plda"
    plda : folder of `avsv plda`; cosine does not use it
    center : Kaldi vector to subtract before the cosine

    Raises
    ------
    UserError : an option is missing, or one that would be without effect is given
    """
    if name == "plda":
        if plda is None:
            raise UserError("--backend plda needs --plda DIR, what avsv plda made")
        if center is not None:
            raise UserError("--center goes with --backend cosine: PLDA subtracts the mean it was trained with")
        from avsv.scoring.plda_files import read_plda

        return read_plda(plda).sides
    mean = None if center is None else read_array(center)
    return lambda embeddings: cosine_sides(embeddings, mean)


def cosine_sides(embeddings: Embeddings, mean: np.ndarray | None = None) -> Sides:
    """Embeddings at length 1, for both sides."""
    vectors = embeddings.vectors
    if mean is not None and len(embeddings):
        if mean.shape != vectors.shape[1:]:
            raise UserError(f"--center: expected a vector of {vectors.shape[1]} values, found shape {mean.shape}")
        vectors = vectors - mean.astype(np.float32)
    unit = unit_length(vectors, embeddings.ids)
    return unit, unit
