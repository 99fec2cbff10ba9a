"""Back-ends as maps from embeddings to vectors whose inner product is the score.

For the cosine, the vectors are the embeddings at length 1; for PLDA, they have two more dimensions (see plda.Ratio).
Trials and cohorts are therefore scored by the same few lines for every back-end, and for models of one recording or of
several.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import OptionError, refuse_unknown
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
    """The cosine back-end: both sides are the embeddings at length 1.

    projection : applied first, if given
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
    """A function that maps embeddings to their enrolment side and test side, two float32 arrays (n, d').

    Parameters
    ----------
    name : "cosine" or "plda"
    plda : folder of `avsv plda`, or Kaldi's plda file; ignored by the cosine
    center : Kaldi vector, subtracted before the cosine
    transform : Kaldi matrix, applied after `center`
    length : for PLDA, one of LENGTHS: the length vectors are scaled to first (see `plda.fixed_length`)
    normalization : for PLDA, one of NORMALIZATIONS: Kaldi's own scaling in scoring (see `plda.expected_length`)

    Raises
    ------
    OptionError : unknown name, a parameter is missing, or one is given that would have no effect

    Examples
    --------
    >>> enroll, test = make_backend("cosine")(Embeddings(["a"], np.array([[3.0, 4.0]])))
    >>> enroll @ test.T
    array([[1.]], dtype=float32)
    """
    refuse_unknown("back-end", name, BACKENDS)
    if name == "plda":
        if plda is None:
            raise OptionError("back-end plda needs plda, the folder that avsv plda writes")
        for option, value in (("center", center), ("transform", transform)):
            if value is not None:
                raise OptionError(f"{option} is for back-end cosine: PLDA has its own centring and LDA")
        return Ratio(read_plda(plda, length), normalization=normalization)
    if center is None:
        if transform is not None:
            raise OptionError("transform needs center, the mean.vec that belongs to it")
        return Cosine()
    return Cosine(read_projection(center, transform))


def both_sides(backend: Backend, pool: TrialEmbeddings, method: str) -> tuple[np.ndarray, np.ndarray, Backend]:
    """Enrolment and test side of everything that `pool.pairs` may refer to.

    Parameters
    ----------
    method : how a model of several recordings is scored.
        "embedding-average": the mean of their embeddings, scored like one recording;
        "score-average": the mean of their scores;
        "by-the-book": PLDA's likelihood ratio given all recordings (Rajan, Afanasyev, Hautamaki and Kinnunen, "From
        single to multiple enrollment i-vectors", Digital Signal Processing 31, 2014)

    Returns
    -------
    left, right : (recordings + models, d') float32, recordings first; the right side of a model is zero
    backend : maps other embeddings, such as a cohort's, to sides of the same width

    Raises
    ------
    OptionError : unknown method, or one that needs PLDA
    """
    refuse_unknown("enrolment method", method, METHODS)
    models = pool.models
    if models is None:
        return *backend(pool.embeddings), backend
    if method == "by-the-book":
        if not isinstance(backend, Ratio):
            raise OptionError("enrolment method by-the-book needs back-end plda; the cosine averages embeddings or "
                            "scores")  # fmt: skip
        backend = backend.for_counts(models.counts)
    left, right = backend(pool.embeddings)
    if not len(models):
        return left, right, backend
    if method == "embedding-average":
        enrolled, _ = backend(Embeddings(models.ids, models.average(pool.embeddings.vectors)))
    elif method == "score-average":
        enrolled = models.average(left)
    else:
        enrolled = backend.enroll(models.average(backend.in_model_basis(pool.embeddings, right)), models.counts)
    return np.concatenate([left, enrolled]), np.concatenate([right, np.zeros_like(enrolled)]), backend
