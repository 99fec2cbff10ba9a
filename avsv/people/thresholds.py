"""Choosing an operating point on labelled recordings, few as they may be, with the errors to expect of other people.

For a prior or costs, calibrated scores need no search: the threshold is that of Bayes, and the recordings only measure
its errors. For a false acceptance rate, the threshold is a score of the nontarget trials. The one that so many of them
exceed lets in more strangers than that, on average over draws of people: it was chosen to fit these. Of n independent
scores, the k-th highest is exceeded by a new one with probability k / (n + 1), although k - 1 exceed it here: as if one
more were accepted. This is the rule here, with n the effective number of independent trials: that of equal variance
over people (`avsv.evaluation.clusters`), and at most one for each pair of people. The cap is ours; without it, the
variance estimated from ten people is so often too low that the limits hold too rarely. The measurements are in
tests/benchmarks/operating_point.md.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.cllr import cllr
from avsv.evaluation.clusters import Clusters
from avsv.evaluation.dcf import least_cost
from avsv.evaluation.estimates import Measured
from avsv.evaluation.intervals import Part, limits, rate_part, with_effective_trials
from avsv.people.operating_point import Cost, Goal, OperatingPoint, Rate, calibration_digest, percent
from avsv.scoring.calibration import ScoreFusion
from avsv.scoring.quality_fusion import QualityFusion

LEAST_PEOPLE, FEW_PEOPLE = 3, 10
MOST_PEOPLE = 10_000_000  # searched, of those needed
CLAIMS = (0.01, 0.001)  # false acceptance rates for which the summary gives the people needed


@dataclass(frozen=True)
class OwnTrials:
    """Scored trials of labelled recordings.

    scores : (n,) natural-log likelihood ratios
    labels : (n,) bool, True for a target trial
    speakers : (n, 2) int from `avsv.kaldi.speakers.speakers_of`

    Raises
    ------
    InputError : a class has no trial, fewer than three people, or scores that are not log-likelihood ratios
    """

    scores: np.ndarray
    labels: np.ndarray
    speakers: np.ndarray

    def __post_init__(self) -> None:
        n_target, n_people = int(self.labels.sum()), len(np.unique(self.speakers))
        if n_target in (0, len(self.labels)):
            raise InputError(f"expected trials of the same person and of different people, found {n_target:,} target "
                            f"and {len(self.labels) - n_target:,} nontarget trials of {n_people} people")  # fmt: skip
        if n_people < LEAST_PEOPLE:
            raise InputError(f"expected recordings of {LEAST_PEOPLE} people or more, found {n_people}: errors of other "
                            f"people cannot be estimated. {FEW_PEOPLE} are a beginning")  # fmt: skip
        if not np.isfinite(self.scores).all():
            raise InputError("expected finite log-likelihood ratios, found infinite or undefined scores")
        if np.abs(self.scores).max() <= 1:
            raise InputError("all scores lie between -1 and 1: these are cosines, or log-likelihood ratios without any "
                            "evidence. Give scores of avsv calibrate or avsv fuse")  # fmt: skip

    @cached_property
    def system(self) -> Measured:
        return Measured.of(self.scores, self.labels)

    @cached_property
    def clusters(self) -> Clusters:
        return Clusters(self.speakers, self.labels)

    @cached_property
    def n_pairs(self) -> int:
        """Number of pairs of people with a nontarget trial."""
        return len(np.unique(self.clusters.pairs))

    def part(self, of_targets: bool, threshold: float) -> Part:
        """Rate of false rejections or of false acceptances at a threshold, with the influence of each person."""
        errors = self.system.misses(threshold) if of_targets else self.system.false_alarms(threshold)
        part = rate_part(self.clusters, of_targets, errors)
        independent = effective(part)
        if of_targets or independent <= self.n_pairs:
            return part
        wider = float(np.sqrt(independent / self.n_pairs))
        return with_effective_trials(part.value, wider * part.influence, self.n_pairs)

    def rate(self, of_targets: bool, threshold: float) -> Rate:
        """Error rate at a threshold, with its limits."""
        part = self.part(of_targets, threshold)
        low, high = limits(part, self.clusters.n_people, 1.0)
        trials = len(self.clusters.side(of_targets))
        return Rate(part.value, low, high, round(part.value * trials), trials)

    def cost(self, goal: Goal, threshold: float) -> Cost:
        """Expected cost of a decision at a threshold, with its limits."""
        of_miss, of_false_alarm = goal.c_miss * goal.p_target, goal.c_fa * (1 - goal.p_target)
        part = of_miss * self.part(True, threshold) + of_false_alarm * self.part(False, threshold)
        low, high = limits(part, self.clusters.n_people)
        return Cost(part.value, low, min(high, max(of_miss + of_false_alarm, part.value)))


def choose(trials: OwnTrials, goal: Goal, calibration: ScoreFusion | QualityFusion) -> OperatingPoint:
    """Choose the threshold for a goal, and estimate its errors.

    Parameters
    ----------
    calibration : which made the scores

    Returns
    -------
    OperatingPoint. If the recordings cannot support a rate, `supported` is False: the threshold is then the highest
    that they support, or that of the calibration alone if this is higher, and a warning says so
    """
    threshold, supported, independent = goal.bayes_threshold, True, effective(trials.part(False, np.inf))
    if goal.false_acceptance is not None:
        own, independent = threshold_for_rate(trials, goal.false_acceptance)
        supported = own is not None
        threshold = own if supported else max(threshold, above(trials.system.nontargets.max()))
    none = with_effective_trials(0.0, trials.clusters.none, independent)
    point = OperatingPoint(
        threshold=threshold,
        goal=goal,
        calibration=calibration_digest(calibration),
        trained_on=calibration.trained_on,
        people=trials.clusters.n_people,
        supported=supported,
        lowest_supported=1 / (independent + 1),
        lowest_shown=limits(none, trials.clusters.n_people, 1.0)[1],
        false_acceptance=trials.rate(False, threshold),
        false_rejection=trials.rate(True, threshold),
        cost=None if goal.p_target is None else trials.cost(goal, threshold),
        warnings=[],
    )
    return replace(point, warnings=list(warnings_of(trials, point)))


def threshold_for_rate(trials: OwnTrials, rate: float) -> tuple[float | None, float]:
    """Lowest threshold that keeps a false acceptance rate on average over draws of people.

    Parameters
    ----------
    rate : between 0 and 1

    Returns
    -------
    threshold ; None if even the highest nontarget score is too low a threshold for the rate
    effective number of independent nontarget trials
    """
    independent = effective(trials.part(False, trials.system.threshold_at_fpr(rate)))
    allowed = rate - (1 - rate) / independent  # of these trials: one more counts as accepted
    if allowed < 0:
        return None, independent
    ranked = np.sort(trials.system.nontargets)[::-1]
    return above(ranked[int(allowed * len(ranked) + 1e-9)]), independent


def effective(part: Part) -> float:
    """Number of independent trials with the same variance as a rate; see `with_effective_trials`."""
    return (1 - part.value) / part.more if part.more > 0 else 1.0


def above(score: float) -> float:
    """The next higher number: as a threshold, it does not accept the score itself."""
    return float(np.nextafter(score, np.inf))


def people_needed(trials: OwnTrials, rate: float, shown: bool = False) -> int | None:
    """Number of people, recorded like these, from whom a threshold could keep a false acceptance rate.

    The variance of the rate is split into that of people, which falls with their number, and that of their pairs, which
    falls with its square.

    Parameters
    ----------
    shown : whether the rate must be shown, by its upper 95 % limit without any false acceptance, and not only be kept
        on average

    Returns
    -------
    at least the present number of people; None if it is above ten million
    """
    n = trials.clusters.n_people
    part = rate_part(trials.clusters, False, trials.system.false_alarms(trials.system.threshold_at_fpr(rate)))
    squares = float(part.influence.people @ part.influence.people)
    of_pairs = float(part.influence.pairs @ part.influence.pairs)
    total = max(squares - of_pairs, 1e-300)
    share = min(1.0, max(0.0, squares - 2 * of_pairs) / total)  # of the variance, by people

    def independent(people: int) -> float:
        growth = people / n
        pairs = trials.n_pairs * growth * (people - 1) / (n - 1)
        return min(pairs, effective(part) / (share / growth + (1 - share) / growth**2))

    def enough(people: int) -> bool:
        if not shown:
            return 1 / (independent(people) + 1) <= rate
        return limits(with_effective_trials(0.0, trials.clusters.none, independent(people)), people, 1.0)[1] <= rate

    if not enough(MOST_PEOPLE):
        return None
    low, high = n, MOST_PEOPLE
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def warnings_of(trials: OwnTrials, point: OperatingPoint):
    """Yield what a user has to know before relying on an operating point."""
    goal, people = point.goal, point.people
    if people < FEW_PEOPLE:
        yield f"only {people} people: the limits of the error rates are rough below {FEW_PEOPLE}"
    if not point.supported:
        basis = "the calibration alone" if point.threshold == goal.bayes_threshold else "their highest nontarget score"
        needed = amount(people_needed(trials, goal.false_acceptance))
        yield (f"{people} people cannot support {goal}: no rate under {percent(point.lowest_supported)} % can be kept "
               f"with them. The threshold rests on {basis}. For this goal, record about {needed} people")  # fmt: skip
    spread = cllr(trials.scores, trials.labels)
    if spread >= 1:
        yield (f"these scores mislead (Cllr {spread:.2f} bits; 1 without any scores): they are not log-likelihood "
               "ratios, or the calibration does not fit these recordings. Calibrate on such recordings")  # fmt: skip
    elif point.false_acceptance.low > np.exp(-point.threshold):
        yield (f"the calibration is too sure of these recordings: at this threshold it promises a false acceptance "
               f"rate of at most {percent(float(np.exp(-point.threshold)))} %, found {point.false_acceptance}. "
               "Calibrate on recordings like these")  # fmt: skip
    if point.cost is not None:
        scale = min(goal.c_miss * goal.p_target, goal.c_fa * (1 - goal.p_target))
        least, best = least_cost(trials.system.counts, goal.p_target, goal.c_miss, goal.c_fa)
        if point.cost.low > least * scale:
            where = f"{best:.2f}" if np.isfinite(best) else "infinite, which rejects everybody"
            yield (f"the calibration does not fit these recordings: a decision costs {point.cost.value:.3g}, and at "
                   f"their best threshold ({where}) {least * scale:.3g}")  # fmt: skip
    silent = int((trials.scores == 0).sum())
    if silent:
        yield f"{silent:,} of {len(trials.scores):,} trials have no evidence, score 0: verify gives no verdict on them"


def summary(trials: OwnTrials, point: OperatingPoint) -> str:
    """An operating point in a few lines for people: threshold, errors, and what more people would allow."""
    lines = [
        f"threshold {point.threshold:.4f} (natural-log likelihood ratio) for {point.goal}",
        f"  false acceptances  {point.false_acceptance}",
        f"  false rejections   {point.false_rejection}",
    ]
    if point.cost is not None:
        cost = point.cost
        lines.append(f"  cost of a decision {cost.value:.3g} (95 % interval {cost.low:.3g} to {cost.high:.3g})")
    lines.append(
        f"  with {point.people} people, no false acceptance rate under {percent(point.lowest_supported)} % can be kept "
        f"on average, and none under {percent(point.lowest_shown)} % be shown with 95 % confidence"
    )
    for rate in CLAIMS:
        if rate < point.lowest_shown:
            kept, shown = (people_needed(trials, rate, shown) for shown in (False, True))
            lines.append(
                f"  {100 * rate:g} % needs about {amount(kept)} people to be kept, {amount(shown)} to be shown"
            )
    return "\n".join(lines)


def amount(people: int | None) -> str:
    """A number of people with two significant digits, rounded up.

    Examples
    --------
    >>> amount(16), amount(1234), amount(None)
    ('16', '1,300', 'over ten million')
    """
    if people is None:
        return "over ten million"
    step = 10 ** max(0, len(str(people)) - 2)
    return f"{-(-people // step) * step:,}"
