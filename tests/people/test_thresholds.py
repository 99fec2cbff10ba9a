"""Choosing thresholds: rules against brute force, promises in simulation, and refusals."""

import numpy as np
import pytest
from scipy.stats import beta

from avsv.errors import InputError
from avsv.people.operating_point import Goal
from avsv.people.thresholds import OwnTrials, choose, effective, people_needed, summary, threshold_for_rate
from avsv.scoring.calibration import Map, ScoreFusion
from tests.benchmarks.operating_point import draw_trials, one_draw

CALIBRATION = ScoreFusion(["s"], 0.5, [], [Map([True], [1.0], 0.0)], ["voice:1 cosine"])


def independent_trials(n, rng, separation=3.0):
    """Each nontarget trial of two people who occur nowhere else; one target trial of each of n further people."""
    speakers = np.concatenate([np.stack([np.arange(n)] * 2, 1), n + np.arange(2 * n).reshape(n, 2)])
    labels = np.arange(2 * n) < n
    ratios = separation * (rng.standard_normal(2 * n) + separation * labels) - separation**2 / 2
    return OwnTrials(ratios, labels, speakers)


def test_of_independent_trials_the_rule_is_that_of_order_statistics():
    """The k-th highest of n scores is exceeded by a new one with probability k / (n + 1)."""
    trials = independent_trials(400, np.random.default_rng(0))
    for rate in (0.3, 0.1, 0.02):
        threshold, independent = threshold_for_rate(trials, rate)
        accepted = int((trials.system.nontargets >= threshold).sum())
        k = accepted + 1
        assert independent == pytest.approx(400, rel=0.3)
        assert k / (independent + 1) <= rate + 1 / 400
        assert (k + 2) / (independent + 1) > rate - 2 / 400


def test_limits_without_an_error_are_those_of_clopper_and_pearson():
    trials = independent_trials(300, np.random.default_rng(1), separation=12.0)
    point = choose(trials, Goal(0.5), CALIBRATION)
    assert point.false_acceptance.errors == 0
    assert point.false_acceptance.high == pytest.approx(beta.ppf(0.975, 1, 300), rel=0.05)


def test_the_threshold_of_a_prior_is_that_of_bayes_and_the_errors_are_counted():
    trials = draw_trials(30, np.random.default_rng(0), heavy=False)
    goal = Goal(0.1, c_miss=2.0, c_fa=5.0)
    point = choose(trials, goal, CALIBRATION)
    assert point.threshold == goal.bayes_threshold and point.supported
    accepted = trials.scores >= point.threshold
    assert point.false_acceptance.errors == (accepted & ~trials.labels).sum()
    assert point.false_rejection.errors == (~accepted & trials.labels).sum()
    far, frr = point.false_acceptance.value, point.false_rejection.value
    assert point.cost.value == pytest.approx(2 * 0.1 * frr + 5 * 0.9 * far)
    assert point.cost.low <= point.cost.value <= point.cost.high
    assert point.trained_on == ["voice:1 cosine"] and point.people == 30


def test_a_rate_that_few_people_cannot_support_is_said_to_be_so():
    trials = draw_trials(12, np.random.default_rng(1), heavy=False)
    point = choose(trials, Goal(false_acceptance=0.001), CALIBRATION)
    assert not point.supported and len(point.warnings) == 1 and "12 people" in point.warnings[0]
    assert point.threshold >= max(np.log(1000), trials.system.nontargets.max())
    assert point.false_acceptance.errors == 0 and point.lowest_supported > 0.001
    assert point.lowest_supported < point.lowest_shown < 0.4
    assert "12 people" in summary(trials, point)


def test_scores_that_are_too_sure_do_not_lower_an_unsupported_threshold():
    trials = draw_trials(12, np.random.default_rng(1), heavy=False)
    sure = OwnTrials(8 * trials.scores, trials.labels, trials.speakers)
    point = choose(sure, Goal(false_acceptance=0.001), CALIBRATION)
    assert point.threshold > sure.system.nontargets.max() and point.false_acceptance.errors == 0


@pytest.mark.parametrize("rate", [0.1, 0.02])
def test_more_people_support_lower_rates_and_needed_is_what_supports_them(rate):
    few, many = (draw_trials(n, np.random.default_rng(0), heavy=False) for n in (12, 60))
    lowest = [choose(trials, Goal(0.5), CALIBRATION).lowest_supported for trials in (few, many)]
    assert lowest[1] < lowest[0]
    assert people_needed(few, rate) <= people_needed(few, rate, shown=True)
    assert people_needed(few, rate / 10) > people_needed(few, rate)
    assert people_needed(many, 0.2) == 60  # already enough


def test_people_needed_grows_with_pairs_if_only_pairs_vary():
    """All trials independent: the effective number is that of pairs, which grows with the square of people."""
    trials = independent_trials(200, np.random.default_rng(0))
    assert people_needed(trials, 1 / 801) == pytest.approx(2 * trials.clusters.n_people, rel=0.1)


@pytest.mark.parametrize("heavy", [False, True])
def test_the_target_is_kept_and_the_limits_hold(heavy):
    """A short run of tests.benchmarks.operating_point; the plug-in threshold exceeds the target."""
    rng = np.random.default_rng(7)
    draws = [one_draw(draw_trials(20, rng, heavy), Goal(false_acceptance=0.03), heavy) for _ in range(120)]
    far = np.mean([draw.far for draw in draws if draw.supported])
    assert np.mean([draw.plugin_far for draw in draws]) > 0.03 > far
    assert np.mean([draw.supported for draw in draws]) > 0.8
    assert np.mean([draw.far_held for draw in draws]) > 0.92
    assert np.mean([draw.frr_held for draw in draws]) > 0.90


def trials_of(n_people, scores=None, per_person=3):
    speakers = np.array([[i, j] for i in range(n_people) for j in range(n_people)] * per_person).reshape(-1, 2)
    labels = speakers[:, 0] == speakers[:, 1] if len(speakers) else np.zeros(0, bool)
    rng = np.random.default_rng(0)
    scores = np.where(labels, 4.0, -4.0) + rng.standard_normal(len(labels)) if scores is None else scores(rng, labels)
    return scores, labels, speakers


@pytest.mark.parametrize("n_people", [1, 2])
def test_one_or_two_people_are_refused(n_people):
    with pytest.raises(InputError, match=f"{n_people}"):
        OwnTrials(*trials_of(n_people))


def test_trials_of_one_class_are_refused():
    scores, labels, speakers = trials_of(8)
    for which in (labels, ~labels):
        with pytest.raises(InputError):
            OwnTrials(scores[which], labels[which], speakers[which])


@pytest.mark.parametrize(
    "scores",
    [lambda rng, labels: 0.3 * labels + 0.1 * rng.standard_normal(len(labels)),  # cosines
     lambda rng, labels: np.where(labels, np.inf, -5.0), lambda rng, labels: np.full(len(labels), np.nan)],
)  # fmt: skip
def test_scores_that_are_no_log_likelihood_ratios_are_refused(scores):
    with pytest.raises(InputError):
        OwnTrials(*trials_of(8, scores))


def test_scores_that_mislead_are_warned_of():
    reversed_scores = OwnTrials(*trials_of(12, lambda rng, labels: np.where(labels, -3.0, 3.0)))
    assert any("Cllr" in warning for warning in choose(reversed_scores, Goal(0.5), CALIBRATION).warnings)
    sure = OwnTrials(*trials_of(25, lambda rng, labels: 30 * (labels + 0.5 * rng.standard_normal(len(labels)))))
    assert len(choose(sure, Goal(0.01), CALIBRATION).warnings) >= 1
    good = draw_trials(40, np.random.default_rng(0), heavy=False)
    assert choose(good, Goal(0.01), CALIBRATION).warnings == []


def test_trials_without_evidence_are_counted():
    scores, labels, speakers = trials_of(12)
    scores[:7] = 0.0
    point = choose(OwnTrials(scores, labels, speakers), Goal(0.5), CALIBRATION)
    assert any(warning.startswith("7 of") for warning in point.warnings)


def test_a_perfect_system_and_equal_scores_have_finite_results():
    for scores in (lambda rng, labels: np.where(labels, 50.0, -50.0), lambda rng, labels: np.full(len(labels), 2.0)):
        trials = OwnTrials(*trials_of(10, scores))
        for goal in (Goal(0.01), Goal(false_acceptance=0.05), Goal(false_acceptance=1e-6)):
            point = choose(trials, goal, CALIBRATION)
            assert np.isfinite([point.threshold, point.lowest_supported, point.lowest_shown]).all()
            assert effective(trials.part(False, point.threshold)) >= 1
