"""Open-set identification: is the person of a recording in the gallery, and who is it?

A probe is a recording to identify; its person is in the gallery (known) or not (a stranger). With s(p, g) the score of
probe p for person g, the detection and identification rate DIR(t) is the share of known probes whose right person has
the highest score and s > t; the false alarm rate FAR(t) is the share of strangers' probes with any s > t (Phillips,
Grother and Micheals, "Evaluation methods in face recognition", in Handbook of Face Recognition, 2nd ed., 2011, sections
on the open-set and the closed-set task; VoxBlink2's open-set task has the same two rates). DIR at FAR x is that at the
lowest threshold whose FAR does not exceed x. The closed-set rate at rank k is the share of known probes whose right
person is among the k highest scores; over k, it is the cumulative match characteristic (CMC). Ties count as if broken
at random.

Intervals account for the choice of the people who speak in the probes; the gallery is fixed. That of DIR at a FAR has
two parts, added in square (Zou and Donner, 2008, see `intervals`): known probes missed at this threshold, and the
threshold, which depends on the strangers. For the second part, DIR is read at the ends of the range of thresholds whose
FAR could be x, by the interval of FAR. If even a threshold above all strangers' scores has a FAR that could be x, these
strangers cannot show so low a FAR: the lower limit of DIR is 0. Where x allows no false alarm at all, DIR is not given.
This construction is ours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from avsv.evaluation.clusters import Clusters
from avsv.evaluation.intervals import Errors, limits, rate_part
from avsv.evaluation.ranks import NOBODY, Ranks

FAR = (0.1, 0.01, 0.001)
RANKS = (1, 5)
DEEPEST = 50  # rank at which the CMC ends
POINTS = 41  # of the curve of DIR over FAR


def of_people(people: np.ndarray) -> Clusters:
    """People of the probes, for the intervals of means over probes; `people` (n,) int."""
    numbers = np.unique(people, return_inverse=True)[1].reshape(-1)
    return Clusters(np.stack([numbers, numbers], 1), np.ones(len(numbers), bool))


@dataclass(frozen=True)
class Known:
    """The probes of people in the gallery.

    ranks : of these probes
    people : (n,) int, the person of each
    """

    ranks: Ranks
    people: np.ndarray

    def __len__(self) -> int:
        return len(self.people)

    @cached_property
    def clusters(self) -> Clusters:
        return of_people(self.people)

    @cached_property
    def first(self) -> np.ndarray:
        """(n,) float, probability that the right person comes first."""
        return self.ranks.credit(1)

    def identified(self, threshold: float) -> np.ndarray:
        """(n,) float, 0 to 1: the right person comes first, with a score above the threshold."""
        return self.first * (self.ranks.own > threshold)

    def rank_limits(self, rank: int) -> tuple[float, float]:
        """95 % confidence limits of the closed-set rate at a rank, 0 to 1."""
        with np.errstate(invalid="ignore"):  # -inf from -inf: neither has a score
            margin = self.ranks.own - self.ranks.others[:, rank - 1]
        return self.inverted(1 - self.ranks.credit(rank), np.where(np.isnan(margin), -np.inf, margin))

    def dir_limits(self, threshold: float) -> tuple[float, float]:
        """95 % confidence limits of DIR at a given threshold, 0 to 1."""
        return self.inverted(1 - self.identified(threshold), np.where(self.first > 0, self.ranks.own, -np.inf))

    def inverted(self, missed: np.ndarray, strength: np.ndarray) -> tuple[float, float]:
        """Limits of the share that is not missed; at other levels, the probes of least `strength` are missed."""
        ranked = np.sort(strength)

        def errors(level: float | None) -> np.ndarray:
            return missed if level is None else strength <= ranked[place_of(level, len(ranked))]

        low, high = limits(rate_part(self.clusters, True, errors), self.clusters.n_people, 1.0)
        return 1 - high, 1 - low


@dataclass(frozen=True)
class Strangers:
    """The probes of people outside the gallery.

    best : (n,) float, the highest score of each
    people : (n,) int, the person of each; None if unknown
    """

    best: np.ndarray
    people: np.ndarray | None

    def __len__(self) -> int:
        return len(self.best)

    @cached_property
    def clusters(self) -> Clusters:
        return of_people(np.arange(len(self)) if self.people is None else self.people)

    @cached_property
    def ranked(self) -> np.ndarray:
        """The highest scores in descending order, then -inf."""
        return np.append(-np.sort(-self.best), -np.inf)

    def threshold(self, far: float) -> float:
        """Lowest threshold with at most this false alarm rate."""
        return float(self.ranked[min(len(self), int(far * len(self) + 1e-9))])

    def alarms(self, threshold: float) -> Errors:
        """False alarms at a threshold, or at the highest threshold with at least a given FAR."""
        n = len(self)
        return lambda level: self.best > threshold if level is None else self.best >= self.ranked[place_of(level, n)]

    def far_limits(self, threshold: float) -> tuple[float, float]:
        """95 % confidence limits of FAR at a given threshold, 0 to 1."""
        return limits(rate_part(self.clusters, True, self.alarms(threshold)), self.clusters.n_people, 1.0)

    @cached_property
    def lowest_far(self) -> float:
        """The lowest FAR that these probes can show: its upper limit at a threshold above all of them."""
        return self.far_limits(float(self.ranked[0]))[1]

    def thresholds(self, far: float) -> tuple[float, float]:
        """The range of thresholds whose FAR could be this one, by its confidence interval."""

        def place(beyond) -> int:  # the first place in `ranked` at which it holds; it holds from there on
            low, high = 0, len(self)
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if beyond(self.far_limits(float(self.ranked[middle]))) else (middle + 1, high)
            return low

        strictest = place(lambda ends: ends[1] >= far)
        laxest = place(lambda ends: ends[0] > far)
        return float(self.ranked[max(laxest - 1, 0)]), float(self.ranked[strictest - 1]) if strictest else np.inf


def measure_identification(
    ranks: Ranks,
    persons: np.ndarray,
    people: np.ndarray | None,
    n_gallery: int,
    far: Sequence[float] = FAR,
    at_ranks: Sequence[int] = RANKS,
    leave_out: bool = False,
    among: np.ndarray | None = None,
) -> dict:
    """Identification rates with 95 % intervals.

    Parameters
    ----------
    ranks : of all probes, with at least max(at_ranks) of the others' highest scores
    persons : (n,) int, column of the right person; NOBODY for a stranger
    people : (n,) int, person of each probe, strangers too; None if strangers' people are unknown, so that rates
        have no intervals that depend on them
    n_gallery : number of people in the gallery
    far, at_ranks : false alarm rates and ranks to report
    leave_out : each known probe also counts as a stranger's, in the gallery without its own person
    among : (n,) bool, the known probes to measure; the strangers are always all of them. None for all

    Returns
    -------
    dict with `rank_percent` and `rank_ci95` (by rank as text), `cmc_percent` (list from rank 1 on), `dir_percent`,
    `dir_ci95`, `far_threshold` and `far_ci95` (by FAR as text; None at a FAR without a false alarm),
    `lowest_far_percent` (the lowest FAR that the strangers can show), `curve` (two lists, `far_percent` and
    `dir_percent`), and counts `n_gallery`, `n_known`, `n_known_people`, `n_strangers`, `n_stranger_people` (None if
    unknown), `n_without_score` (probes without any score)

    Examples
    --------
    >>> own, others = np.array([3.0, 1.0, -np.inf]), np.array([[0.0], [2.0], [0.5]])
    >>> ranks = Ranks(own, np.array([0, 1, 0]), np.zeros(3, int), others)
    >>> row = measure_identification(ranks, np.array([0, 1, NOBODY]), np.array([0, 1, 2]), 2, at_ranks=[1])
    >>> row["rank_percent"]["1"], row["cmc_percent"], row["dir_percent"]["0.1"]
    (50.0, [50.0, 100.0], None)
    """
    is_known = persons != NOBODY
    of_strangers = np.ones(len(persons), bool) if leave_out else ~is_known
    is_known = is_known if among is None else is_known & among
    known = Known(take(ranks, is_known), persons[is_known])
    strangers = Strangers(ranks.others[of_strangers, 0], None if people is None else people[of_strangers])
    several = len(known) > 0 and known.clusters.n_people > 1
    deepest = min(DEEPEST, n_gallery)
    rates = {rank: percent(known.ranks.credit(rank)) for rank in (*range(1, deepest + 1), *at_ranks)}
    return {
        "rank_percent": {str(rank): rates[rank] for rank in at_ranks},
        "rank_ci95": {
            str(rank): scaled(known.rank_limits(rank)) if several and rank <= n_gallery else None for rank in at_ranks
        },
        "cmc_percent": [rates[rank] for rank in range(1, deepest + 1)],
        **measure_open_set(known, strangers, far, several),
        "n_gallery": n_gallery,
        "n_known": len(known),
        "n_known_people": len(np.unique(known.people)),
        "n_strangers": len(strangers),
        "n_stranger_people": None if strangers.people is None else len(np.unique(strangers.people)),
        "n_without_score": int(((ranks.own == -np.inf) & (ranks.others[:, 0] == -np.inf)).sum()),
    }


def measure_open_set(known: Known, strangers: Strangers, far: Sequence[float], several: bool) -> dict:
    """DIR and its interval at each FAR; see `measure_identification` for the keys."""
    row: dict = {name: {} for name in ("dir_percent", "dir_ci95", "far_threshold", "far_ci95")}
    lowest = strangers.lowest_far if len(strangers) else None
    for rate in far:
        is_given = len(known) > 0 and int(rate * len(strangers) + 1e-9) > 0
        intervals = is_given and several and strangers.people is not None and strangers.clusters.n_people > 1
        threshold = strangers.threshold(rate) if is_given else None
        row["dir_percent"][str(rate)] = percent(known.identified(threshold)) if is_given else None
        row["dir_ci95"][str(rate)] = scaled(dir_at_far_limits(known, strangers, rate)) if intervals else None
        row["far_threshold"][str(rate)] = threshold if is_given and np.isfinite(threshold) else None
        row["far_ci95"][str(rate)] = scaled(strangers.far_limits(threshold)) if intervals else None
    return row | {
        "lowest_far_percent": None if lowest is None else 100 * lowest,
        "curve": dir_curve(known, strangers),
    }


def dir_curve(known: Known, strangers: Strangers) -> dict[str, list[float]]:
    """DIR at a range of FARs in percent, from a single false alarm to 100; empty lists without strangers."""
    rates = np.geomspace(1 / len(strangers), 1, POINTS).tolist() if len(strangers) and len(known) else []
    found = [float(100 * known.identified(strangers.threshold(rate)).mean()) for rate in rates]
    return {"far_percent": [100 * rate for rate in rates], "dir_percent": found}


def dir_at_far_limits(known: Known, strangers: Strangers, far: float) -> tuple[float, float]:
    """95 % confidence limits of DIR at a FAR, 0 to 1; see the module's docstring."""
    threshold = strangers.threshold(far)
    rate, (low, high) = float(known.identified(threshold).mean()), known.dir_limits(threshold)
    lax, strict = (float(known.identified(end).mean()) for end in strangers.thresholds(far))
    below = np.hypot(rate - low, rate - min(rate, strict))
    above = np.hypot(high - rate, max(rate, lax) - rate)
    return max(0.0, rate - below), min(1.0, rate + above)


def place_of(level: float, n: int) -> int:
    """Place, in order, of the last of the first `level` of n values, at least one."""
    return max(1, math.ceil(level * n - 1e-9)) - 1


def take(ranks: Ranks, which: np.ndarray) -> Ranks:
    """The ranks of some probes, by mask."""
    return Ranks(ranks.own[which], ranks.better[which], ranks.tied[which], ranks.others[which])


def percent(values: np.ndarray) -> float | None:
    """The mean in percent; None without values."""
    return float(100 * np.mean(values)) if len(values) else None


def scaled(ends: tuple[float, float]) -> list[float]:
    return [100 * end for end in ends]
