"""Cross-validation over people: how strongly quality-dependent fusion is to be regularised."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from avsv.errors import InputError, OptionError
from avsv.scoring.quality import Measure
from avsv.scoring.quality_fusion import QualityFusion
from avsv.scoring.quality_training import (
    QUALITY_RIDGE,
    TrainingList,
    people_of,
    prior_entropy,
    single_systems,
    train_quality_fusion,
    with_a_score,
)

log = logging.getLogger("avsv")
FOLDS = 5


def choose_ridge(
    lists: Sequence[TrainingList],
    names: Sequence[str],
    p_target: float = 0.01,
    ridges: Sequence[float] = (QUALITY_RIDGE,),
    measures: Sequence[Sequence[Measure]] = (),
) -> float:
    """The penalty with the least cross-entropy on people left out of training, by cross-validation.

    A fold's model is trained on the trials between people outside the fold, and tested on those between people in it.

    Parameters
    ----------
    lists, names, p_target, measures : as in `train_quality_fusion`; without `people`, recordings that target trials
        connect are taken for one person
    ridges : penalties to choose from; of equal ones in cost, the largest is chosen

    Raises
    ------
    InputError : too few people for two folds with trials of both classes inside and outside
    OptionError : a penalty is not above 0
    """
    if not ridges or min(ridges) <= 0:
        raise OptionError("ridge: expected numbers above 0")
    if any(one.people is None for one in lists):
        people = people_of([one.trials for one in lists])
        lists = [replace(one, people=both) for one, both in zip(lists, people, strict=True)]
    persons = np.unique(np.concatenate([one.people for one in lists]))
    costs: dict[float, list[float]] = {ridge: [] for ridge in ridges}
    for number in range(FOLDS):
        inside = [np.isin(one.people, persons[number::FOLDS]) for one in lists]
        train = [part for one, both in zip(lists, inside, strict=True) if (part := trainable(one, ~both.any(axis=1)))]
        test = [part for one, both in zip(lists, inside, strict=True) if (part := trainable(one, both.all(axis=1)))]
        if not train or not test:
            continue
        tested = [with_a_score(one) for one in test]
        tested += single_systems(tested)
        for ridge in ridges:
            fusion = train_quality_fusion(train, names, p_target, ridge, measures)
            costs[ridge].append(float(np.mean([held_out_cost(fusion, one, p_target) for one in tested])))
    if len(costs[ridges[0]]) < 2:
        raise InputError(f"cross-validation needs more people than {len(persons)}, with target and nontarget trials in "
                        "two folds; give one value")  # fmt: skip
    means = {ridge: float(np.mean(found)) for ridge, found in costs.items()}
    for ridge, mean in means.items():
        log.info("ridge %g: normalised cross-entropy %.4f on people left out", ridge, mean)
    return max(ridge for ridge in ridges if means[ridge] <= min(means.values()))


def trainable(given: TrainingList, which: np.ndarray) -> TrainingList | None:
    """Some trials of a list; None unless those with a score are of both classes."""
    labels = given.trials.labels[which & ~np.isnan(given.scores).all(axis=1)]
    return None if labels.all() or not labels.any() else given.take(which)


def held_out_cost(fusion: QualityFusion, given: TrainingList, p_target: float) -> float:
    """Prior-weighted cross-entropy of a model on a list, relative to that of answering 0 to every trial."""
    ratios, labels = fusion.apply(given.scores, given.trials.pairs, given.quality), given.trials.labels
    logit = np.log(p_target / (1 - p_target))
    target, nontarget = np.logaddexp(0, -ratios[labels] - logit), np.logaddexp(0, ratios[~labels] + logit)
    return float(p_target * target.mean() + (1 - p_target) * nontarget.mean()) / prior_entropy(p_target)
