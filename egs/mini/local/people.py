"""The people of the corpus: gender, age and build, which shape both voice and face, and the random streams.

All random numbers derive from (seed, purpose, index) and never from the order of execution, so a person does not
depend on the number of jobs.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

OLDEST, YOUNGEST = 75.0, 20.0  # years
STREAMS = ("traits", "voice", "face", "clips", "names", "trials", "noise", "music", "speech", "rooms")
BABBLE_PEOPLE = 100_000  # people from this index on speak only in musan/speech


@dataclass(frozen=True)
class Traits:
    """Traits that shape both voice and face; everything else is drawn independently."""

    gender: Literal["m", "f"]
    age: float  # years
    build: float  # standard normal: small and slight ... tall and heavy

    @property
    def ageing(self) -> float:
        """0 for the youngest, 1 for the oldest."""
        return (self.age - YOUNGEST) / (OLDEST - YOUNGEST)


def random_stream(seed: int, stream: str, *index: int) -> np.random.Generator:
    """Return the generator reserved for `stream` (one of STREAMS) and `index`."""
    return np.random.default_rng(np.random.SeedSequence([seed, STREAMS.index(stream), *index]))


def traits_of(seed: int, index: int) -> Traits:
    """The traits of person `index`; genders alternate, so an even number of people is balanced."""
    rng = random_stream(seed, "traits", index)
    age = YOUNGEST + (OLDEST - YOUNGEST) * rng.beta(1.3, 1.8)
    return Traits("mf"[index % 2], float(age), float(np.clip(rng.normal(), -2.2, 2.2)))


def spread(rng: np.random.Generator, size: int | None = None) -> np.ndarray:
    """Standard normal numbers clipped at 2.2, because the tails give caricatures."""
    return np.clip(rng.normal(size=size), -2.2, 2.2)
