"""Do recordings differ from those that a calibration was trained on? Without labels, from embeddings and quality.

Three statistics are compared, each with its chance variation over people: the cosines of pairs of recordings, nearly
all of different people; the mean embedding; and the quality tables beside the embeddings. A difference is reported if
it matters (limits below, which are ours) and is more than people vary. Where the people are not known, thirty
consecutive recordings vary as one: most data directories list a person's recordings together.

Measured on published ECAPA embeddings of 270 people: the means of 10 or 20 people never differed from those of 45
others in read speech, nor from those of their own style (150 draws). Between read and conversational speech they
differed in 27 to 67 % of the draws with 10 people, and in all with 20.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.stats import norm

from avsv.embeddings.quality_tables import read_quality
from avsv.errors import InputError
from avsv.features.quality_measures import TABLES
from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.origin import embeddings_model, same_model
from avsv.scoring.cosine import unit_length

MOST = 600  # recordings compared, evenly spaced
BLOCK = 30  # consecutive recordings, of three people or so, where the people are not known
LEAST = 10  # recordings, in a set that can be compared
RATE = 0.01  # false acceptance rate at which the pairs' cosines are compared
FACTOR = 2.0  # by which that rate must change to matter
ERRORS = 3.0  # standard errors beyond which a difference is not chance
P, PERMUTATIONS = 0.01, 999  # of the permutation test of the means
OUTSIDE = 0.25  # share of recordings beyond the 2.5 % or the 97.5 % quantile of the training recordings that matters


@dataclass(frozen=True)
class Domain:
    """Recordings of one domain.

    vectors : (n, d) embeddings
    groups : (n,) int, person of each recording, or block of recordings if unknown
    """

    vectors: np.ndarray
    groups: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, people: Sequence[str] | None = None) -> "Domain":
        """Up to 600 recordings, evenly spaced; without people, in blocks of thirty."""
        chosen = np.linspace(0, len(vectors) - 1, min(len(vectors), MOST)).round().astype(int)
        groups = np.arange(len(vectors)) // BLOCK if people is None else people
        return cls(unit_length(vectors[chosen]), np.unique(np.asarray(groups)[chosen], return_inverse=True)[1])

    @cached_property
    def n_groups(self) -> int:
        return int(self.groups.max()) + 1

    @cached_property
    def pairs(self) -> tuple[float, float, float]:
        """Median cosine of pairs of different groups, its standard error by the jackknife, and the pairs' deviation."""
        cosines = self.vectors @ self.vectors.T
        low, median, high = quartiles(cosines, self.groups)
        others = (np.flatnonzero(self.groups != group) for group in range(self.n_groups))
        leave_one_out = [quartiles(cosines[np.ix_(rest, rest)], self.groups[rest])[1] for rest in others]
        n = self.n_groups
        error = np.sqrt((n - 1) / n * np.square(leave_one_out - np.mean(leave_one_out)).sum())
        return median, float(error), (high - low) / (norm.ppf(0.75) - norm.ppf(0.25))

    @cached_property
    def means(self) -> np.ndarray:
        """Mean embedding of each group, (groups, d)."""
        sums = np.zeros((self.n_groups, self.vectors.shape[1]))
        np.add.at(sums, self.groups, self.vectors)
        return sums / np.bincount(self.groups)[:, None]


def quartiles(cosines: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Quartiles of the cosines of pairs of different groups."""
    return np.quantile(cosines[groups[:, None] < groups], [0.25, 0.5, 0.75])


def rate_here(own: Domain, training: Domain) -> tuple[float, float]:
    """False acceptance rate to expect at a threshold that accepts 1 % in the training domain.

    Cosines of different people are taken as normal, with the median and quartiles of the pairs.

    Returns
    -------
    rate, 0 to 1 ; difference of the medians in standard errors
    """
    (median, error, deviation), (other, other_error, spread) = own.pairs, training.pairs
    threshold = other + norm.ppf(1 - RATE) * spread
    return float(norm.sf((threshold - median) / deviation)), float(abs(median - other) / np.hypot(error, other_error))


def chance_of_means(own: Domain, training: Domain) -> float:
    """P-value of a permutation test: do the mean embeddings differ by more than those of other sets of people would?

    The squared distance of the means is divided by the sum of their variances, as in Welch's t statistic, so that the
    test also holds if the people of one set vary more (Janssen, Statistics & Probability Letters 36, 1997).
    """
    means, n = np.concatenate([own.means, training.means]), own.n_groups
    rng = np.random.default_rng(0)
    taken = np.zeros((PERMUTATIONS + 1, len(means)))
    for row, order in enumerate([np.arange(len(means)), *(rng.permutation(len(means)) for _ in range(PERMUTATIONS))]):
        taken[row, order[:n]] = 1
    sides = [(taken, n), (1 - taken, training.n_groups)]
    centres = [chosen @ means / size for chosen, size in sides]
    squares = (means**2).sum(axis=1)
    spreads = [(chosen @ squares / size - (centre**2).sum(axis=1)) / (size - 1)
               for (chosen, size), centre in zip(sides, centres, strict=True)]  # fmt: skip
    distances = ((centres[0] - centres[1]) ** 2).sum(axis=1) / np.maximum(sum(spreads), 1e-30)
    return float((distances >= distances[0] * (1 - 1e-9)).mean())


def compare_domains(scp: Path | str, training_scp: Path | str, utt2spk: Mapping[str, str] | None = None) -> list[str]:
    """Compare recordings with those that a calibration was trained on.

    Parameters
    ----------
    scp, training_scp : embeddings of both by the same encoder, with quality tables in their folders
    utt2spk : person of each recording of `scp`; None if unknown

    Returns
    -------
    a warning for each difference that matters and is more than people vary

    Raises
    ------
    InputError : embeddings of different models, too few recordings, one person only, or one file twice
    """
    if Path(scp).resolve() == Path(training_scp).resolve():
        raise InputError(f"{scp}: expected the recordings' embeddings and those of the training data, found one file "
                        "twice")  # fmt: skip
    same_model({Path(one): embeddings_model(one) for one in (scp, training_scp)})
    both = {one: read_embeddings(one) for one in (scp, training_scp)}
    domains = {}
    for one, embeddings in both.items():
        known = utt2spk is not None and one is scp
        people = [utt2spk.get(name, name) for name in embeddings.ids] if known else None
        if len(embeddings) < (LEAST if known else 2 * BLOCK) or (known and len(set(people)) < 2):
            count = f"{len(embeddings)} of {len(set(people))} people" if known else len(embeddings)
            raise InputError(f"{one}: comparing domains takes {LEAST} recordings of two people, or {2 * BLOCK} of "
                             f"unknown people, found {count}")  # fmt: skip
        domains[one] = Domain.of(embeddings.vectors, people)
    own, training = domains.values()
    warnings = []
    rate, errors = rate_here(own, training)
    if errors > ERRORS and not RATE / FACTOR <= rate <= RATE * FACTOR:
        alike = "more" if rate > RATE else "less"
        warnings.append(f"{scp}: different people are {alike} alike than in {training_scp}: a threshold that accepts "
                        f"1 % of them there accepts about {100 * rate:.2g} % here")  # fmt: skip
    if (chance := chance_of_means(own, training)) <= P:
        warnings.append(f"{scp}: the mean embedding differs from that of {training_scp} by more than people vary "
                        f"(p = {chance:.3f}): another channel, language or camera? See avsv adapt")  # fmt: skip
    for name in TABLES:
        if all((Path(one).parent / name).is_file() for one in both):
            warnings += compare_quality(name, *both.items(), own)
    return warnings


def compare_quality(name: str, own: tuple, training: tuple, domain: Domain) -> list[str]:
    """A warning if many recordings are beyond the range of the training recordings in one direction."""
    here, there = (read_quality(scp, [name], embeddings.ids)[:, 0] for scp, embeddings in (own, training))
    here, there = here[~np.isnan(here)], there[~np.isnan(there)]
    if not len(here) or not len(there):
        return []
    low, high = np.quantile(there, [0.025, 0.975])
    warnings = []
    for share, side, end in ((np.mean(here < low), "below", low), (np.mean(here > high), "above", high)):
        if share >= OUTSIDE and share > 0.025 + ERRORS * np.sqrt(0.25 / domain.n_groups) / 2:
            warnings.append(f"{own[0]}: {100 * share:.0f} % of the recordings have {name} {side} {end:.4g}, as 2.5 % "
                            f"have in {training[0]}")  # fmt: skip
    return warnings


def tables_beside(scp: Path | str) -> list[Path]:
    """The quality tables in the folder of embeddings."""
    return [path for name in TABLES if (path := Path(scp).parent / name).is_file()]
