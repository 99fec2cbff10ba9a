"""Training of quality-dependent fusion (see quality_fusion.py) by prior-weighted cross-entropy on several trial lists.

Lists of clean, damaged and incomplete recordings are trained on together. In each list the target trials with a score
weigh `p_target` in total and the nontarget trials the rest; all lists weigh the same. Trials with several scores are
also trained on with each score alone, as lists of their own. Otherwise a system would hardly be learnt beside another
that is nearly free of errors, and its evidence would be wrong where it is alone. Ridge penalties pull the influence of
quality towards 0, hence the model towards the sum of calibrated scores. The cost is minimised by Newton's method with
step halving, from that sum; where the Hessian is indefinite, the Fisher information takes its place.

A few people whom the scores separate without an error would make the evidence infinite. Their labels are therefore
softened as in Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood
methods", 1999: of n trials of a class, 1 / (n + 2) count for the other class. As trials of the same two people say much
the same, n is the number of pairs of people; that is our choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.speakers import connected_components, look_up
from avsv.kaldi.trials import Trials
from avsv.scoring.calibration import BLOCK, RIDGE, train_map
from avsv.scoring.newton import newton
from avsv.scoring.quality import UNITS, Measure, RecordingValues
from avsv.scoring.quality_fusion import (
    FusedSystem,
    Influence,
    QualityFusion,
    TrainedList,
    inconsistency,
    refuse_nan,
    standardise,
)

# Penalty on each squared quality weight, relative to the cost of answering 0 to every trial, for one training person;
# it falls with their number. Chosen on minivox, on people of sources held out of training: with 6, 12 and 24 training
# people the best penalties were about 0.05, 0.025 and 0.015.
QUALITY_RIDGE = 0.3
LEAST_SCALE = 1e-3  # at the start, per standard deviation of the score; for systems that do not separate the classes


@dataclass(frozen=True)
class TrainingList:
    """A trial list to train on.

    name : of the list, for messages and for the model
    trials : labelled
    scores : (n, systems) float, finite, or NaN where a system has no score
    quality : for each system, the values of its measures
    people : (n, 2) int, the person on each side of each trial, numbered over all lists; None if unknown
    """

    name: str
    trials: Trials
    scores: np.ndarray
    quality: Sequence[RecordingValues] = ()
    people: np.ndarray | None = None

    def take(self, which: np.ndarray) -> "TrainingList":
        """Some of the trials, by mask."""
        people = None if self.people is None else self.people[which]
        return replace(self, trials=self.trials.take(which), scores=self.scores[which], people=people)


@dataclass(frozen=True)
class Examples:
    """The trials with a score of all lists, as the cost needs them.

    scores : (n, systems) float, NaN where absent
    standard : for each system, its standardised quality features, (n, 2 * measures), 0 where the score is absent
    labels : (n,) bool
    weights : (n,) float, weight of each trial in the cost
    prior_logit : log odds of the target prior
    softening : share of each trial's weight that counts for the other class
    """

    scores: np.ndarray
    standard: list[np.ndarray]
    labels: np.ndarray
    weights: np.ndarray
    prior_logit: float
    softening: float


def train_quality_fusion(
    lists: Sequence[TrainingList],
    names: Sequence[str],
    p_target: float = 0.01,
    ridge: float = QUALITY_RIDGE,
    measures: Sequence[Sequence[Measure]] = (),
    trained_on: Sequence[str | None] = (),
) -> QualityFusion:
    """Train quality-dependent fusion, or calibration of one system.

    Parameters
    ----------
    lists : trials to train on, such as clean ones and damaged ones
    names : names of the systems
    p_target : weight of the targets, 0 to 1
    ridge : penalty on the squared quality weights, relative to the cost of answering 0 to every trial; it is divided by
        the number of training people
    measures : for each system, the quality measures behind its values
    trained_on : model and back-end that made each system's scores

    Raises
    ------
    InputError : a list has trials of one class only, a score is infinite, a quality value is missing, or values are too
        large

    Examples
    --------
    >>> trials = Trials(["a", "b"], ["c", "d"], np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([1, 0, 0, 1]) > 0)
    >>> one = TrainingList("dev", trials, np.array([[2.0], [1.0], [0.0], [1.0]]))
    >>> fusion = train_quality_fusion([one], ["voice"], 0.5)
    >>> bool(abs(fusion.apply(np.array([[1.0]]))[0]) < 1e-6), fusion.lists[0].people
    (True, 2)
    """
    measures = [*measures] or [[]] * len(names)
    lists = [with_a_score(one) for one in lists]
    every = lists + single_systems(lists)
    features = [[raw_features(one, number, name) for one in every] for number, name in enumerate(names)]
    moments = [moments_of(columns[: len(lists)], lists, number) for number, columns in enumerate(features)]
    described = [describe(one) for one in lists]
    n_people = max(one.people for one in described)
    examples = make_examples(every, features, moments, p_target, softening(n_people))
    penalty = ridge / n_people * prior_entropy(p_target)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            pivots = [single_calibration(examples, number, p_target) for number in range(len(names))]
            parts = minimise(examples, [scale for _, scale in pivots], [pivot for pivot, _ in pivots], penalty)
    except np.linalg.LinAlgError:
        pivots, parts = [], [np.array([np.nan])]
    if not np.isfinite([*np.concatenate(parts), *(pivot for pivot, _ in pivots)]).all():
        raise InputError("fusion: weights are not finite, because scores or quality values are too large")
    systems = []
    for number, name in enumerate(names):
        k = len(measures[number])
        log_scale, scale_weights, offset, offset_weights = split(parts[number], 2 * k)
        pairs = [column.reshape(k, 2).tolist() for column in (*moments[number], scale_weights, offset_weights)]
        influences = [
            Influence(one.table, one.log, UNITS.get(one.table.rsplit("/", 1)[-1]), one.median, *values)
            for one, *values in zip(measures[number], *pairs, strict=True)
        ]
        origin = trained_on[number] if trained_on else None
        systems.append(FusedSystem(name, origin, log_scale, float(pivots[number][0]), offset, influences))
    fusion = QualityFusion(p_target, ridge, systems, described)
    if wrong := inconsistency(fusion):
        raise InputError(f"fusion: no model can be trained on these scores and quality values: {wrong}")
    return fusion


def with_a_score(given: TrainingList) -> TrainingList:
    """The trials of a list that have a score; InputError if a score is infinite, or these trials lack a class."""
    if np.isinf(given.scores).any():
        raise InputError(f"{given.name}: training needs finite scores, found infinite ones")
    scored = ~np.isnan(given.scores).all(axis=1)
    kept = given.take(scored)
    n_target = int(kept.trials.labels.sum())
    if n_target in (0, len(kept.trials)):
        raise InputError(f"{given.name}: training needs target and nontarget trials with a score, found {n_target} and "
                        f"{len(kept.trials) - n_target}")  # fmt: skip
    return kept


def single_systems(lists: Sequence[TrainingList]) -> list[TrainingList]:
    """The trials with several scores as trials with one of them: for each list and system, where both classes occur."""
    singles = []
    for one in lists:
        present = ~np.isnan(one.scores)
        for number in range(present.shape[1]):
            single = one.take(present[:, number] & (present.sum(axis=1) > 1))
            if single.trials.labels.any() and not single.trials.labels.all():
                others = np.arange(present.shape[1]) != number
                singles.append(replace(single, scores=np.where(others, np.nan, single.scores)))
    return singles


def raw_features(given: TrainingList, number: int, name: str) -> np.ndarray:
    """Quality features of a system on a list, (n, 2 * measures), NaN where the score is absent."""
    if not given.quality:
        return np.empty((len(given.trials), 0))
    features = given.quality[number].features(given.trials.pairs)
    present = ~np.isnan(given.scores[:, number])
    refuse_nan(features[present], name)
    features[~present] = np.nan
    return features


def moments_of(features: Sequence[np.ndarray], lists: Sequence[TrainingList], number: int) -> tuple:
    """Mean and standard deviation of a system's features, lists weighing the same, (2 * measures,) each.

    Only trials with a score of the system count. The deviation of a constant feature is 1, so its feature is 0.
    """
    present = [~np.isnan(one.scores[:, number]) for one in lists]
    parts = [column[which] for column, which in zip(features, present, strict=True) if which.any()]
    if not parts:
        raise InputError(f"no training trial has a score of system {number + 1}")
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.mean([part.mean(axis=0) for part in parts], axis=0)
        deviation = np.sqrt(np.mean([((part - mean) ** 2).mean(axis=0) for part in parts], axis=0))
    if not np.isfinite([*mean, *deviation]).all():
        raise InputError("fusion: quality values are too large")
    return mean, np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)


def softening(n_people: int) -> float:
    """Share of a trial's weight that counts for the other class, 1 / (pairs of people + 2); see above.

    Examples
    --------
    >>> softening(2), round(softening(50), 5)
    (0.3333333333333333, 0.00081)
    """
    return 1 / (n_people * (n_people - 1) / 2 + 2)


def make_examples(
    lists: Sequence[TrainingList],
    features: Sequence[Sequence[np.ndarray]],
    moments: Sequence[tuple],
    p_target: float,
    soft: float,
) -> Examples:
    """Stack the lists; see `train_quality_fusion`, `raw_features`, `moments_of` and `softening`."""
    labels = [one.trials.labels for one in lists]
    weights = [np.where(one, p_target / one.sum(), (1 - p_target) / (~one).sum()) / len(lists) for one in labels]
    standard = [np.nan_to_num(standardise(np.concatenate(columns), *both))
                for columns, both in zip(features, moments, strict=True)]  # fmt: skip
    scores = np.concatenate([one.scores for one in lists])
    logit = float(np.log(p_target / (1 - p_target)))
    return Examples(scores, standard, np.concatenate(labels), np.concatenate(weights), logit, soft)


def single_calibration(examples: Examples, number: int, p_target: float) -> tuple[float, float]:
    """Pivot and logarithm of the scale of one system by itself: its log-likelihood ratio is scale (score - pivot)."""
    present = ~np.isnan(examples.scores[:, number])
    scores, labels = examples.scores[present, number], examples.labels[present]
    spread = float(scores.std()) or 1.0
    least = np.log(LEAST_SCALE) - np.log(spread)
    if labels.all() or not labels.any():
        return float(scores.mean()), least
    weights, soft = examples.weights[present], examples.softening
    (weight,), offset = train_map(
        np.tile(scores, 2)[:, None],
        np.concatenate([labels, ~labels]),
        p_target,
        weights=np.concatenate([weights * (1 - soft), weights * soft]),
    )
    if not weight * spread > LEAST_SCALE:  # no evidence, or reversed
        return float(scores.mean()), least
    return -offset / weight, float(np.log(weight))


def minimise(examples: Examples, start: Sequence[float], pivots: Sequence[float], ridge: float) -> list[np.ndarray]:
    """The parameters with the least cost: for each system a, w, b and u, see `split`.

    Parameters
    ----------
    start : for each system, the logarithm of its scale when calibrated by itself
    pivots : for each system, the score that is no evidence
    ridge : penalty in nats on w and u
    """
    sizes = [columns.shape[1] for columns in examples.standard]
    centre = np.concatenate([[a, *np.zeros(2 * k + 1)] for a, k in zip(start, sizes, strict=True)])
    weak = np.concatenate([[True, *[False] * k, True, *[False] * k] for k in sizes])
    penalty = np.where(weak, RIDGE, ridge)

    def terms(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        cost, gradient, fisher, bend = cross_entropy(np.split(x, ends), examples, pivots)
        away = x - centre
        cost += 0.5 * penalty @ away**2
        return cost, gradient + penalty * away, fisher + np.diag(penalty), bend

    ends = np.cumsum([2 * k + 2 for k in sizes])[:-1]
    x = newton(terms, centre, weak)  # the sum of calibrated scores
    return np.split(newton(terms, x, np.ones(len(x), bool)), ends)


def split(part: np.ndarray, k: int) -> tuple[float, np.ndarray, float, np.ndarray]:
    """One system's logarithm of the scale a, weights w, offset b and weights u, of its parameters (2 * k + 2,)."""
    return float(part[0]), part[1 : k + 1], float(part[k + 1]), part[k + 2 :]


def cross_entropy(
    parts: Sequence[np.ndarray], examples: Examples, pivots: Sequence[float]
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Weighted cross-entropy in nats, its gradient, and its Hessian as the sum of two matrices.

    Parameters
    ----------
    parts : for each system its parameters a, w, b and u

    Returns
    -------
    cost, gradient (k,), Fisher information (k, k), and the curvature of the log-likelihood ratios (k, k), weighted by
    the errors: their sum is the Hessian
    """
    size = sum(map(len, parts))
    cost, gradient, fisher, bend = 0.0, np.zeros(size), np.zeros((size, size)), np.zeros((size, size))
    for start in range(0, len(examples.labels), BLOCK):
        block = slice(start, start + BLOCK)
        ratio, derivatives, inner = 0.0, [], []
        for number, part in enumerate(parts):
            standard = examples.standard[number][block]
            shifted = examples.scores[block, number] - pivots[number]
            present = ~np.isnan(shifted)
            log_scale, scale_weights, offset, offset_weights = split(part, standard.shape[1])
            evidence = np.where(present, np.exp(log_scale + standard @ scale_weights) * np.nan_to_num(shifted), 0)
            features = np.column_stack([present, standard])  # standardised features are 0 where the score is absent
            ratio = ratio + evidence + features @ [offset, *offset_weights]
            derivatives += [features * evidence[:, None], features]
            inner.append((features, evidence))
        sign = np.where(examples.labels[block], -1.0, 1.0)
        margin = sign * (ratio + examples.prior_logit)  # log odds of the wrong class
        loss = np.logaddexp(0, margin)
        error = np.exp(margin - loss)
        weights, design = examples.weights[block], np.column_stack(derivatives)
        cost += float(weights @ (loss - examples.softening * margin))  # the other class's loss is loss - margin
        surplus = error - examples.softening
        gradient += design.T @ (weights * sign * surplus)
        fisher += (design * (weights * error * (1 - error))[:, None]).T @ design
        place = 0
        for features, evidence in inner:
            k = features.shape[1]
            second = (features * (weights * sign * surplus * evidence)[:, None]).T @ features
            bend[place : place + k, place : place + k] += second
            place += 2 * k
    return cost, gradient, fisher, bend


def people_of(
    lists: Sequence[Trials], utt2spk: Mapping[str, str] | None = None, source: Path | str = "utt2spk"
) -> list[np.ndarray]:
    """The person on each side of each trial, numbered over all lists; for each list (trials, 2) int.

    Without `utt2spk`, recordings that target trials connect, directly or through others, in one list or in several by
    their names, belong to one person. A recording without a target trial then counts as a person of its own.

    Parameters
    ----------
    utt2spk : speaker of each recording, with its file `source` for messages

    Raises
    ------
    InputError : a recording is not in `utt2spk`, or it contradicts a trial's label
    """
    numbers: dict[str, int] = {}
    people = []
    for trials in lists:
        if utt2spk is not None:
            look_up(trials, utt2spk, source)
        sides = ([name if utt2spk is None else utt2spk[name] for name in ids]
                 for ids in (trials.enroll_ids, trials.test_ids))  # fmt: skip
        sides = [np.array([numbers.setdefault(name, len(numbers)) for name in names]) for names in sides]
        people.append(np.stack([side[trials.pairs[:, n]] for n, side in enumerate(sides)], axis=1))
    if utt2spk is None:
        same = np.concatenate([both[trials.labels] for trials, both in zip(lists, people, strict=True)])
        person = connected_components(len(numbers), same[:, 0], same[:, 1])
        people = [person[both] for both in people]
    return people


def describe(given: TrainingList) -> TrainedList:
    """The record of a training list."""
    people = people_of([given.trials])[0] if given.people is None else given.people
    n_target = int(given.trials.labels.sum())
    return TrainedList(given.name, len(np.unique(people)), n_target, len(given.trials) - n_target)


def prior_entropy(p_target: float) -> float:
    """Cross-entropy in nats of answering 0 to every trial.

    Examples
    --------
    >>> round(prior_entropy(0.5), 4)
    0.6931
    """
    return float(-p_target * np.log(p_target) - (1 - p_target) * np.log(1 - p_target))
