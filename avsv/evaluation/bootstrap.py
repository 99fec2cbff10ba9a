"""A bootstrap over speakers: how often does a better system lose to a worse one?

Trials share recordings and speakers, so resampling trials one by one makes every measure look far too certain. Instead,
all speakers are drawn with replacement, and a trial is weighted by how often its speakers were drawn. If speaker a is
drawn w_a times, a nontarget trial of a and b has weight w_a * w_b, because each copy of a meets each copy of b; a
target trial of a has weight w_a, because each copy of a brings its own trials (two copies of a speaker are not compared
with each other). See Bolle, Ratha and Pankanti, "Error analysis of pattern recognition systems: the subsets bootstrap",
CVIU 93, 2004; Poh, Martin and Bengio, "Performance generalization in biometric authentication using joint user-specific
and sample bootstraps", IEEE TPAMI 29(3), 2007; Wu, Martin, Greenberg and Kacker, "The impact of data dependence on
speaker recognition evaluation", IEEE/ACM TASLP 25(1), 2017; and Owen, "The pigeonhole bootstrap", Annals of Applied
Statistics 1, 2007, who shows that such product weights are mildly conservative. The range of the resampled measures is
not used as an interval: with few errors it is too narrow. See `intervals` for these.

The EER and minDCF of a resample are searched on a grid of a few thousand thresholds around those of the full list, or
on all thresholds if there are no more than that. A minimum over a grid is slightly too high, by less than the cost
difference between neighbouring thresholds. actDCF and Cllr are sums, and exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from avsv.evaluation.cllr import bits
from avsv.evaluation.clusters import Clusters, number_pairs
from avsv.evaluation.dcf import bayes_threshold, least_cost, normalised_cost
from avsv.evaluation.errors import ErrorCounts, equal_error
from avsv.evaluation.resamples import Resamples
from avsv.kaldi.speakers import speakers_of
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import Trials

EDGES = 4096  # thresholds tried for all measures together; with fewer distinct scores, the result is exact
CELLS = 1 << 24  # weights (speakers x resamples) held at a time


@dataclass(frozen=True)
class Resampled:
    """Each measure in each resample, (n_resamples,) float; NaN where a resample has no target or no nontarget trial.

    eer : 0 to 1
    min_dcf, act_dcf : target prior -> normalised costs
    cllr : bits
    """

    eer: np.ndarray
    min_dcf: dict[float, np.ndarray] = field(default_factory=dict)
    act_dcf: dict[float, np.ndarray] = field(default_factory=dict)
    cllr: np.ndarray | None = None


class SpeakerBootstrap:
    """Speakers of a trial list, and their weights in each resample, drawn once for all systems that score the trials.

    Parameters
    ----------
    speakers : (trials, 2) int, speaker on each side (see `speakers_of`)
    labels : (trials,) bool, True for a target trial
    n_resamples, seed : the same seed gives the same resamples
    """

    def __init__(self, speakers: np.ndarray, labels: np.ndarray, n_resamples: int = 1000, seed: int = 0):
        self.speakers, self.labels = speakers, np.asarray(labels)
        self.n_speakers = int(speakers.max(initial=-1)) + 1
        self.n_resamples, self.seed = n_resamples, seed

    def take(self, which: np.ndarray) -> "SpeakerBootstrap":
        """The same resamples of the speakers for some of the trials; `which` is a mask."""
        other = SpeakerBootstrap(self.speakers[which], self.labels[which], self.n_resamples, self.seed)
        other.n_speakers, other.pairs = self.n_speakers, self.pairs[which]
        if "weights" in self.__dict__:  # drawn once for all subsets
            other.weights = self.weights
        return other

    @cached_property
    def pairs(self) -> np.ndarray:
        """Number of each trial's pair of people."""
        return number_pairs(self.speakers)

    @cached_property
    def clusters(self) -> Clusters:
        """People of the trials, for confidence intervals."""
        return Clusters(self.speakers, self.labels, self.pairs)

    @cached_property
    def weights(self) -> list[np.ndarray]:
        """How often each speaker is drawn: blocks (speakers, resamples) float32, processed one by one."""
        rng = np.random.default_rng(self.seed)
        size = max(1, min(self.n_resamples, CELLS // max(1, self.n_speakers)))
        parts = []
        for start in range(0, self.n_resamples, size):
            n = min(size, self.n_resamples - start)
            drawn = rng.integers(0, self.n_speakers, (n, self.n_speakers))
            cells = (drawn + self.n_speakers * np.arange(n)[:, None]).ravel()
            weights = np.bincount(cells, minlength=n * self.n_speakers).reshape(n, self.n_speakers)
            parts.append(np.ascontiguousarray(weights.T, np.float32))
        return parts

    @cached_property
    def parts(self) -> list[Resamples]:
        """The weights as `Resamples` of the trials."""
        return [Resamples(weights, self.speakers, self.labels) for weights in self.weights]

    @property
    def n_present(self) -> int:
        """Number of speakers in the trials."""
        return int((np.bincount(self.speakers.ravel()) > 0).sum())

    @property
    def can_vary(self) -> bool:
        """Whether the trials have both classes and at least two speakers; otherwise there are no intervals."""
        return bool(self.labels.any() and not self.labels.all() and self.n_present > 1)

    def eers(self, scores: np.ndarray, counts: ErrorCounts) -> np.ndarray:
        """EER of each resample, (n_resamples,) float, 0 to 1; NaN where a class has no trial.

        Parameters
        ----------
        scores : (trials,) float
        counts : error counts of the scores
        """
        return np.concatenate([resample_rates(part, scores, counts, ())[0] for part in self.parts])

    def measures(self, scores: np.ndarray, counts: ErrorCounts, p_target: Sequence[float]) -> Resampled:
        """EER, minDCF, actDCF and Cllr of each resample; parameters as for `eers`, with target priors."""
        rates = [resample_rates(part, scores, counts, p_target) for part in self.parts]
        costs = bits(scores, self.labels)
        return Resampled(
            eer=np.concatenate([eers for eers, _ in rates]),
            min_dcf={p: np.concatenate([lowest[p] for _, lowest in rates]) for p in p_target},
            act_dcf={p: np.concatenate([resampled_act_dcf(part, scores, p) for part in self.parts]) for p in p_target},
            cllr=np.concatenate([resampled_cllr(part, costs) for part in self.parts]),
        )


def bootstrap(
    trials: Trials,
    utt2spk: Mapping[str, str] | Path | str | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> SpeakerBootstrap | None:
    """Find the speakers of a trial list, for confidence intervals of the systems that score it.

    Pass the result to `measure`, `compare` and `plot_det`. `compare` also draws the speakers with replacement, with the
    same draws for all systems, and counts the draws that reverse the order of two systems.

    Parameters
    ----------
    trials : with labels
    utt2spk : recording -> speaker, or a file in Kaldi's format; without it, recordings have the same speaker if target
        trials connect them
    n_resamples : 0 gives None, and no intervals
    seed : the same seed gives the same resamples

    Raises
    ------
    InputError : a recording is not in `utt2spk`, or the table contradicts a label

    Examples
    --------
    >>> trials = Trials(["a1", "b1"], ["a2", "b2"], np.array([[0, 0], [1, 1], [0, 1], [1, 0]]), np.arange(4) < 2)
    >>> bootstrap(trials, {"a1": "a", "a2": "a", "b1": "b", "b2": "b"}).n_speakers
    2
    """
    if not n_resamples and utt2spk is None:
        return None
    source = ""
    if isinstance(utt2spk, str | Path):
        source, utt2spk = utt2spk, read_table(utt2spk, 2, "utterance speaker")
    speakers = speakers_of(trials, utt2spk, source or "utt2spk")  # checks the table even without resamples
    return SpeakerBootstrap(speakers, trials.labels, n_resamples, seed) if n_resamples else None


def resample_rates(
    resamples: Resamples, scores: np.ndarray, counts: ErrorCounts, p_target: Sequence[float]
) -> tuple[np.ndarray, dict[float, np.ndarray]]:
    """EER of each resample, and its minDCF at each prior.

    Only a window of thresholds around the crossing and the minimum matters. Below it, a resample's FPR is certainly
    above its FNR and its false alarms alone cost more than the minimum; above it, the same holds for misses. The window
    is widened until this is true in every resample.
    """
    first = 1.5 + 10 / np.sqrt(len(resamples.weights))
    spreads = dict.fromkeys([None, *p_target], first)
    while True:
        edges = max(256, EDGES // len(spreads))
        chosen = [choose_points(counts, spread, edges, p) for p, spread in spreads.items()]
        points = np.unique(np.concatenate(chosen))
        fnr, fpr = resampled_rates(resamples, scores, counts, points)
        least = {p: np.minimum(1.0, least_of_costs(fnr, fpr, p)) for p in p_target}
        # each: cost of one kind of error alone at the window's lowest and highest threshold, and the bound on both
        ends = {None: (fpr[0] - fnr[0], fnr[-1] - fpr[-1], 0.0)}
        for p in p_target:
            ends[p] = (normalised_cost(0.0, fpr[0], p), normalised_cost(fnr[-1], 0.0, p), least[p])
        narrow = [
            p
            for p, (at_low, at_high, level) in ends.items()
            if (points[0] > 0 and (at_low < level).any())
            or (points[-1] < len(counts.thresholds) - 1 and (at_high < level).any())
        ]
        if not narrow:
            return crossings(fnr, fpr), least
        for p in narrow:
            spreads[p] *= 3


def choose_points(counts: ErrorCounts, spread: float, edges: int, p_target: float | None = None) -> np.ndarray:
    """About `edges` points of `counts`, ascending, at which neither error rate exceeds `spread` times the EER.

    Neighbouring points have about equally many errors between them; if the points are few, all are taken. With a target
    prior, costs replace error rates and minDCF replaces the EER.
    """
    of_miss, of_false_alarm = 1 / counts.n_target, 1 / counts.n_nontarget
    centre = equal_error(counts)[0]
    if p_target is not None:
        of_miss, of_false_alarm = normalised_cost(of_miss, 0, p_target), normalised_cost(0, of_false_alarm, p_target)
        centre = least_cost(counts, p_target)[0]
    limit = spread * max(centre, of_miss, of_false_alarm)
    last = len(counts.thresholds) - 1
    first_point = int(first_reaching(lambda i: -of_false_alarm * counts.false_alarms[i], np.array(-limit), 0, last))
    last_point = int(first_reaching(lambda i: of_miss * counts.misses[i], np.array(limit), 0, last))
    first_point = max(0, first_point - 1)
    if last_point - first_point < edges:
        return np.arange(first_point, last_point + 1)

    def passed(point):  # increases with each trial below the threshold
        return of_miss * counts.misses[point] - of_false_alarm * counts.false_alarms[point]

    steps = np.linspace(passed(first_point), passed(last_point), edges)
    return np.unique(np.append(first_reaching(passed, steps, first_point, last_point), [first_point, last_point]))


def first_reaching(value, wanted: np.ndarray, low: int, high: int) -> np.ndarray:
    """The first point from `low` to `high` at which the increasing function `value` reaches `wanted`; else `high`."""
    low, high = np.full(wanted.shape, low), np.full(wanted.shape, high)
    while (low < high).any():
        middle = (low + high) // 2
        reached = value(middle) >= wanted
        high, low = np.where(reached, middle, high), np.where(reached, low, np.minimum(middle + 1, high))
    return low


def resampled_rates(resamples, scores, counts, points) -> tuple[np.ndarray, np.ndarray]:
    """FNR and FPR of each resample at the given points of `counts`, two arrays (points, resamples)."""
    thresholds = counts.thresholds[points]
    accepting = (
        thresholds[:-1] if points[-1] == len(counts.thresholds) - 1 else thresholds
    )  # the last point accepts nothing

    def sums(wanted: np.ndarray) -> np.ndarray:
        """Summed weights of the trials `wanted`, by the number of points that accept them: row 0 none, last row all."""
        trials = np.flatnonzero(wanted)
        bins = np.searchsorted(accepting, scores[trials], side="right")
        return resamples.sums(resamples.speakers[trials], bins, len(points) + 1)

    misses = sums(resamples.labels & (scores <= thresholds[-1]))
    false_alarms = sums(~resamples.labels & (scores >= thresholds[0]))[::-1]
    np.cumsum(misses, axis=0, out=misses)
    np.cumsum(false_alarms, axis=0, out=false_alarms)
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample may lack a class
        misses /= resamples.n_target
        false_alarms /= resamples.n_nontarget
    return misses[:-1], false_alarms[::-1][1:]


def crossings(fnr: np.ndarray, fpr: np.ndarray) -> np.ndarray:
    """Error rate at which FNR and FPR cross, linear between rows, for each column of (points, resamples)."""
    gap = fnr - fpr
    after = np.clip((gap < 0).sum(axis=0), 1, len(gap) - 1)
    before, column = after - 1, np.arange(gap.shape[1])
    rise = gap[after, column] - gap[before, column]
    with np.errstate(invalid="ignore", divide="ignore"):
        # without a rise, the two rates are equal around the crossing
        step = np.where(rise == 0, 0.0, -gap[before, column] / rise)
    return fnr[before, column] + step * (fnr[after, column] - fnr[before, column])


def least_of_costs(fnr: np.ndarray, fpr: np.ndarray, p_target: float) -> np.ndarray:
    """Least normalised cost of each column of (points, resamples)."""
    costs = fnr * normalised_cost(1.0, 0.0, p_target)
    costs += fpr * normalised_cost(0.0, 1.0, p_target)
    return costs.min(axis=0)


def resampled_act_dcf(resamples: Resamples, scores: np.ndarray, p_target: float) -> np.ndarray:
    """actDCF of each resample, (resamples,); exact."""
    accepted = scores >= bayes_threshold(p_target)
    misses = resamples.total(resamples.speakers[resamples.labels & ~accepted])
    false_alarms = resamples.total(resamples.speakers[~resamples.labels & accepted])
    with np.errstate(invalid="ignore", divide="ignore"):
        return normalised_cost(misses / resamples.n_target, false_alarms / resamples.n_nontarget, p_target)


def resampled_cllr(resamples: Resamples, costs: np.ndarray) -> np.ndarray:
    """Cllr of each resample, (resamples,), from each trial's cost in bits; exact, and NaN if a cost is infinite."""
    if not np.isfinite(costs).all():
        return np.full(len(resamples), np.nan)
    speakers, labels = resamples.speakers, resamples.labels
    with np.errstate(invalid="ignore", divide="ignore"):
        of_targets = resamples.total(speakers[labels], costs[labels]) / resamples.n_target
        return (of_targets + resamples.total(speakers[~labels], costs[~labels]) / resamples.n_nontarget) / 2
