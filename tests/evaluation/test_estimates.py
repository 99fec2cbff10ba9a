"""Limits of EER, costs and Cllr: simulated coverage with few errors, and cases with none."""

import numpy as np
import pytest

from avsv.evaluation.clusters import Clusters
from avsv.evaluation.dcf import actual_cost, least_cost
from avsv.evaluation.estimates import (
    Measured,
    cllr_difference,
    cllr_limits,
    cost_difference,
    cost_limits,
    eer_difference,
    eer_limits,
)
from tests.benchmarks.intervals import TrialList, population_eer


@pytest.fixture(scope="module")
def lists():
    """24 people: the list, and 150 draws of scores without separation."""
    rng = np.random.default_rng(0)
    trials = TrialList.draw(24, rng)
    return trials, Clusters(trials.speakers, trials.labels), [trials.scores(rng, heavy=False) for _ in range(150)]


@pytest.mark.parametrize("separation", [5.15, 4.1, 2.56])
def test_the_interval_covers_the_eer_of_the_population_at_half_a_percent_2_and_10_percent(lists, separation):
    trials, clusters, draws = lists
    truth = population_eer(separation, False, 400_000)
    ends = [eer_limits(Measured.of(scores + separation * trials.labels, trials.labels), clusters) for scores in draws]
    covered = sum(low <= truth <= high for low, high in ends)
    assert covered >= 0.92 * len(draws)


def test_the_interval_of_a_difference_covers_zero_for_equally_good_systems(lists):
    trials, clusters, draws = lists
    systems = [Measured.of(scores + 4 * trials.labels, trials.labels) for scores in draws]
    ends = [eer_difference(one, other, clusters) for one, other in zip(systems[::2], systems[1::2], strict=True)]
    assert sum(low <= 0 <= high for low, high in ends) >= 0.92 * len(ends)


def test_without_errors_every_measure_has_an_upper_limit_and_no_lower_one(lists):
    trials, clusters, draws = lists
    system = Measured.of(draws[0] + 40 * trials.labels - 20, trials.labels)
    other = Measured.of(draws[1] + 40 * trials.labels - 20, trials.labels)
    assert system.eer[0] == 0
    for low, high in (eer_limits(system, clusters), cost_limits(system, clusters, "min_dcf", 0.01)):
        assert low == 0 < high < 1.0001
    assert 0.005 < eer_limits(system, clusters)[1] < 0.15
    assert cost_limits(system, clusters, "act_dcf", 0.01)[1] > 0
    low, high = eer_difference(system, other, clusters)
    assert low < 0 < high


@pytest.mark.parametrize("kind", ["min_dcf", "act_dcf"])
@pytest.mark.parametrize("p_target", [0.01, 0.5])
def test_limits_of_a_cost_contain_it(lists, kind, p_target):
    trials, clusters, draws = lists
    for scores in draws[:10]:
        system = Measured.of(3 * (scores + 3 * trials.labels - 1.5), trials.labels)
        cost = least_cost(system.counts, p_target)[0] if kind == "min_dcf" else actual_cost(system.counts, p_target)
        low, high = cost_limits(system, clusters, kind, p_target)
        assert low <= cost <= high
        assert high - low > 0


def test_more_people_give_narrower_limits():
    widths = []
    for n in (24, 200):
        rng = np.random.default_rng(n)
        trials = TrialList.draw(n, rng)
        system = Measured.of(trials.scores(rng, heavy=False) + 3.3 * trials.labels, trials.labels)
        low, high = eer_limits(system, Clusters(trials.speakers, trials.labels))
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_a_system_does_not_differ_from_itself(lists):
    trials, clusters, draws = lists
    one, same = (Measured.of(draws[0] + 3 * trials.labels, trials.labels) for _ in range(2))
    assert eer_difference(one, same, clusters) == (0, 0)
    assert cost_difference(one, same, clusters, "min_dcf", 0.01) == (0, 0)
    assert cllr_difference(one, same, clusters) == (0, 0)


def test_an_infinite_wrong_score_has_no_limits_of_cllr(lists):
    trials, clusters, draws = lists
    wrong = np.where(np.arange(len(draws[0])) == 0, -np.inf, draws[0])
    system, other = Measured.of(wrong, trials.labels), Measured.of(draws[1], trials.labels)
    assert cllr_limits(system, clusters) is None
    assert cllr_difference(system, other, clusters) is None
    assert eer_limits(system, clusters)[1] > 0


def test_decisions_instead_of_scores_have_limits(lists):
    trials, clusters, _ = lists
    decisions = Measured.of(trials.labels.astype(float), trials.labels)
    low, high = eer_limits(decisions, clusters)
    assert low == 0
    assert 0.02 < high < 0.3  # no threshold shows how errors depend: people count


def test_the_weight_of_the_fnr_follows_the_slopes_of_the_rates():
    rng = np.random.default_rng(0)
    labels = np.arange(200_000) < 100_000
    scores = np.where(labels, 4 + 3 * rng.standard_normal(200_000), rng.standard_normal(200_000))
    # the EER's threshold is at 1, where the slopes are those of normal densities with deviations 3 and 1
    assert Measured.of(scores, labels).weight_of_fnr == pytest.approx(3 / 4, abs=0.06)
