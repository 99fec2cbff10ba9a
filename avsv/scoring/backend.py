"""A back-end as a map of embeddings to vectors whose inner product is the score.

Cosine is one after scaling to length 1, PLDA with two more dimensions (see plda.Ratio). So trials and cohorts are
scored by the same few lines whatever the back-end, and whether a model was enrolled with one recording or several.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.kaldi.embeddings import Embeddings
from avsv.scoring.cosine import unit_length
from avsv.scoring.plda import Ratio
from avsv.scoring.plda_files import read_plda
from avsv.scoring.projection import Projection, read_projection
from avsv.scoring.trial_embeddings import TrialEmbeddings

BACKENDS = ("cosine", "plda")
METHODS = ("embedding-average", "score-average", "by-the-book")
Sides = tuple[np.ndarray, np.ndarray]
Backend = Callable[[Embeddings], Sides]


@dataclass(frozen=True)
class Cosine:
    """Embeddings at length 1, for both sides.

    projection : applied before
    """

    projection: Projection | None = None

    def __call__(self, embeddings: Embeddings) -> Sides:
        vectors = embeddings.vectors
        if self.projection is not None and len(embeddings):
            vectors = self.projection.apply(vectors)
        unit = unit_length(vectors, embeddings.ids)
        return unit, unit


def make_backend(
    name: str,
    plda: Path | None = None,
    center: Path | None = None,
    transform: Path | None = None,
    length: str = "sqrt-dim",
    normalization: str = "none",
) -> Backend:
    """The function that gives embeddings' enrolment side and test side, two float32 arrays (n, d').

    Parameters
    ----------
    name : "cosine" or "plda"
    plda : folder of `avsv plda`, or Kaldi's plda file; cosine does not use it
    center : Kaldi vector to subtract before the cosine
    transform : Kaldi matrix to apply then
    length : for PLDA, one of LENGTHS, what vectors are scaled to before (see `plda.fixed_length`)
    normalization : for PLDA, one of NORMALIZATIONS, what Kaldi's scoring does by itself (see `plda.expected_length`)

    Raises
    ------
    InputError : the name is unknown, an option is missing, or one that would be without effect is given
    """
    refuse_unknown("back-end", name, BACKENDS)
    if name == "plda":
        if plda is None:
            raise InputError("--backend plda needs --plda DIR, what avsv plda made")
        for option, value in (("--center", center), ("--transform", transform)):
            if value is not None:
                raise InputError(f"{option} goes with --backend cosine: PLDA has what it was trained with")
        return Ratio(read_plda(plda, length), normalization=normalization)
    if center is None:
        if transform is not None:
            raise InputError("--transform needs --center, the mean.vec that was made with it")
        return Cosine()
    return Cosine(read_projection(center, transform))


def both_sides(backend: Backend, pool: TrialEmbeddings, method: str) -> tuple[np.ndarray, np.ndarray, Backend]:
    """Enrolment and test side of all that `pool.pairs` may name.

    Parameters
    ----------
    method : what becomes of a model's recordings.
        "embedding-average": the mean of their embeddings is scored as one recording is;
        "score-average": the mean of their scores;
        "by-the-book": PLDA's likelihood ratio of all of them together (Rajan, Afanasyev, Hautamaki and Kinnunen, "From
        single to multiple enrollment i-vectors", Digital Signal Processing 31, 2014)

    Returns
    -------
    left, right : (recordings + models, d'), the recordings first; the right side of a model is zero
    backend : the one that gives other embeddings, such as those of a cohort, sides of the same width

    Raises
    ------
    InputError : the method is unknown, or needs PLDA
    """
    refuse_unknown("enrolment method", method, METHODS)
    models = pool.models
    if models is None:
        return *backend(pool.embeddings), backend
    if method == "by-the-book":
        if not isinstance(backend, Ratio):
            raise InputError("--enroll-method by-the-book goes with --backend plda; cosine has averages of two kinds")
        backend = backend.for_counts(models.counts)
    left, right = backend(pool.embeddings)
    if not len(models):
        return left, right, backend
    if method == "embedding-average":
        enrolled, _ = backend(Embeddings(models.ids, models.average(pool.embeddings.vectors)))
    elif method == "score-average":
        enrolled = models.average(left)
    else:
        enrolled = backend.enroll(models.average(backend.places(pool.embeddings, right)), models.counts)
    return np.concatenate([left, enrolled]), np.concatenate([right, np.zeros_like(enrolled)]), backend
