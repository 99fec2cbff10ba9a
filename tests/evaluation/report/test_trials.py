"""The worst errors of a system."""

import numpy as np
import pytest

from avsv.evaluation.report.trials import worst_trials
from avsv.kaldi.trials import Trials


@pytest.fixture
def made_up():
    rng = np.random.default_rng(0)
    names = [f"p{number // 3}-{number % 3}" for number in range(24)]
    pairs = np.array([(a, b) for a in range(24) for b in range(24) if a != b], np.int32)
    people = pairs // 3
    labels = people[:, 0] == people[:, 1]
    return rng.standard_normal(len(pairs)) + labels, Trials(names, names, pairs, labels), people


@pytest.mark.parametrize("accepts", [True, False])
def test_the_worst_error_of_each_pair_of_people_is_listed_worst_first(made_up, accepts):
    scores, trials, people = made_up
    worst, counts = {}, {}
    for score, (enroll, test), pair, label in zip(scores, trials.pairs, people.tolist(), trials.labels):
        if label == accepts or (score >= 0.5) != accepts:
            continue
        badness, pair = (score if accepts else -score), tuple(sorted(pair))
        counts[pair] = counts.get(pair, 0) + 1
        if pair not in worst or badness > worst[pair][0]:
            worst[pair] = (badness, trials.enroll_ids[enroll], trials.test_ids[test], counts)
    expected = sorted(((*values[:3], counts[pair] - 1) for pair, values in worst.items()), reverse=True)[:4]
    worst, n_errors = worst_trials(scores, trials, people, 0.5, accepts, most=4)
    assert [(one.enroll, one.test, one.others) for one in worst] == [one[1:] for one in expected]
    assert n_errors == sum(counts.values())


def test_without_errors_the_list_is_empty(made_up):
    _, trials, people = made_up
    assert worst_trials(trials.labels.astype(float), trials, people, 0.5, True) == ([], 0)
