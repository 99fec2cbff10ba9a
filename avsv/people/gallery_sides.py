"""How a person's recordings and a file are compared, as inner products, so that a gallery is searched in blocks."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from avsv.errors import InputError
from avsv.people.several import weighted_mean
from avsv.scoring.plda import Plda, llr_terms


class Enrolled(NamedTuple):
    """A person's side of a comparison.

    vector : (d,) float64
    own : added to every score of this person
    """

    vector: np.ndarray
    own: float


class Sides(Protocol):
    """The score of a person with n recordings is `enrolled.vector @ probe + enrolled.own + offset(probe, n)`."""

    def enrol(self, vectors: np.ndarray, weights: np.ndarray | None = None) -> Enrolled:
        """Side of a person with the embeddings `vectors`, (n, D); InputError if they cannot be compared.

        `weights`, (n,) with mean 1, are those of the recordings in their mean; PLDA's ratio has none.
        """

    def probe(self, vector: np.ndarray) -> np.ndarray:
        """Side of a file with the embedding `vector`, (D,): (d,) float64."""

    def offsets(self, probe: np.ndarray, counts: np.ndarray) -> np.ndarray | float:
        """Added for people with these numbers of recordings, (n,) int."""


@dataclass(frozen=True)
class CosineSides:
    """The cosine of the mean embedding and that of the file, as `avsv score` compares models of several recordings.

    modality : for messages

    Examples
    --------
    >>> sides = CosineSides("voice")
    >>> float(sides.enrol(np.array([[1.0, 0.0], [1.0, 2.0]])).vector @ sides.probe(np.array([3.0, 3.0])))
    1.0
    """

    modality: str

    def enrol(self, vectors: np.ndarray, weights: np.ndarray | None = None) -> Enrolled:
        mean = weighted_mean(vectors, weights).astype(np.float32)  # as verify compares it
        return Enrolled(self.probe(mean), 0.0)

    def probe(self, vector: np.ndarray) -> np.ndarray:
        vector = vector.astype(np.float64)
        length = np.sqrt(vector @ vector)
        if not (np.isfinite(length) and length > 0):
            raise InputError(f"the {self.modality} embedding is zero or not finite: the network is damaged or not "
                             "trained")  # fmt: skip
        return vector / length

    def offsets(self, probe: np.ndarray, counts: np.ndarray) -> float:
        return 0.0


@dataclass(frozen=True)
class PldaSides:
    """PLDA's log-likelihood ratio given all recordings of a person, by the formula of `plda.llr_terms`.

    Examples
    --------
    >>> from avsv.scoring.plda import Gaussians, plda_llr
    >>> from avsv.scoring.projection import Projection
    >>> psi = np.array([3.0, 1.0])
    >>> sides = PldaSides(Plda(Projection(None), Gaussians(np.zeros(2), np.eye(2), psi), "as-is"))
    >>> person, file = np.array([[1.0, 0.0], [1.0, 2.0]]), np.array([0.5, 1.0])
    >>> enrolled, probe = sides.enrol(person), sides.probe(file)
    >>> score = enrolled.vector @ probe + enrolled.own + sides.offsets(probe, np.array([2]))
    >>> bool(np.isclose(score[0], plda_llr(person.mean(axis=0)[None], file[None], psi, 2)[0, 0]))
    True
    """

    plda: Plda

    def enrol(self, vectors: np.ndarray, weights: np.ndarray | None = None) -> Enrolled:
        mean = np.mean(self.plda.project(vectors), axis=0, dtype=np.float64)
        cross, own, _, constant = llr_terms(self.plda.gaussians.psi, len(vectors))
        return finite(Enrolled(mean * cross, float(mean**2 @ own + constant)))

    def probe(self, vector: np.ndarray) -> np.ndarray:
        return finite(Enrolled(self.plda.project(vector[None])[0].astype(np.float64), 0.0)).vector

    def offsets(self, probe: np.ndarray, counts: np.ndarray) -> np.ndarray:
        different, places = np.unique(counts, return_inverse=True)
        values = [probe**2 @ llr_terms(self.plda.gaussians.psi, max(int(count), 1))[2] for count in different]
        return np.array(values)[places]


def finite(side: Enrolled) -> Enrolled:
    """The side itself; InputError if a value is not finite."""
    if not (np.isfinite(side.vector).all() and np.isfinite(side.own)):
        raise InputError("an embedding gives PLDA scores that are not finite: the network or the PLDA model is damaged")
    return side
