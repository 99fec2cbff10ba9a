"""Training of quality-dependent fusion: known parameters, finite differences, other optimisers, unusual data."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.special import expit

from avsv.errors import InputError
from avsv.kaldi.trials import Trials
from avsv.scoring import quality_training
from avsv.scoring.calibration import train_map
from avsv.scoring.quality import RecordingValues
from avsv.scoring.quality_training import cross_entropy, people_of, train_quality_fusion
from avsv.scoring.quality_validation import choose_ridge
from tests.scoring.quality_scores import MEASURES, U, W, limited, simulate, train


def weights(system, kind):
    return np.concatenate([getattr(one, kind) for one in system.measures])


@pytest.fixture(scope="module")
def simulated():
    return simulate(0, n_people=1000)


@pytest.fixture(scope="module")
def trained(simulated):
    return train([simulated])


def test_parameters_of_simulated_scores_are_recovered():
    fusion = train([simulate(seed, 60000, n_people=3000) for seed in range(2)])
    for system in fusion.systems:
        assert system.log_scale == pytest.approx(1, abs=0.05)
        assert weights(system, "scale_weights") == pytest.approx(W, abs=0.05)
        # the formula has the pivot inside, the simulation too; a shift of the pivot moves into b and u
        shift = np.e * (system.pivot - 2)
        assert system.offset - shift == pytest.approx(0, abs=0.15)
        assert weights(system, "offset_weights") - shift * W == pytest.approx(U, abs=0.12)


def test_the_ratios_are_those_of_the_simulation(simulated, trained):
    ratios = trained.apply(simulated.scores, simulated.trials.pairs, simulated.quality)
    expected = np.zeros(len(ratios))
    for number, values in enumerate(simulated.quality):
        features = values.features(simulated.trials.pairs)
        standard = limited((features - features.mean(axis=0)) / features.std(axis=0))
        expected += np.nan_to_num(np.exp(1 + standard @ W) * (simulated.scores[:, number] - 2) + standard @ U)
    assert np.sqrt(np.mean((ratios - expected) ** 2)) < 0.1 * expected.std()


def examples_and_start(given, p=0.1, ridge=0.001):
    """What `minimise` gets from `train_quality_fusion`."""
    caught = {}

    def catch(*arguments):
        caught["arguments"] = arguments
        return original(*arguments)

    original = quality_training.minimise
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality_training, "minimise", catch)
        train([given], p, ridge)
    return caught["arguments"]


def test_gradient_and_hessian_agree_with_finite_differences():
    examples, start, pivots, _ = examples_and_start(simulate(1, 500))
    rng = np.random.default_rng(0)
    x = np.concatenate([[a, *rng.normal(size=9) / 3] for a in start])

    def both(x):
        cost, gradient, fisher, bend = cross_entropy(np.split(x, 2), examples, pivots)
        return cost, gradient, fisher + bend

    _, gradient, hessian = both(x)
    assert gradient == pytest.approx(approx_fprime(x, lambda x: both(x)[0], 1e-7), rel=1e-4, abs=1e-6)
    columns = [approx_fprime(x, lambda x, i=i: both(x)[1][i], 1e-7) for i in range(len(x))]
    assert hessian == pytest.approx(np.array(columns), rel=1e-3, abs=1e-5)


def test_the_minimum_is_that_of_a_general_optimiser():
    examples, start, pivots, ridge = examples_and_start(simulate(1, 2000))
    ours = np.concatenate(quality_training.minimise(examples, start, pivots, ridge))
    free = np.tile([True, *[False] * 4], 4)
    centre = np.concatenate([[a, *np.zeros(9)] for a in start])
    penalty = np.where(free, quality_training.RIDGE, ridge)

    def cost(x):
        value, gradient, _, _ = cross_entropy(np.split(x, 2), examples, pivots)
        return value + penalty @ (x - centre) ** 2 / 2, gradient + penalty * (x - centre)

    best = minimize(cost, centre, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9})
    assert cost(ours)[0] <= best.fun + 1e-9
    assert ours == pytest.approx(best.x, abs=1e-2)


@pytest.mark.parametrize("p", [0.01, 0.5])
def test_without_quality_one_system_is_logistic_regression(p):
    one = replace(simulate(2, absent=0, n_systems=1), quality=[])
    labels, soft = one.trials.labels, 1 / (40 * 39 / 2 + 2)  # of 40 people: both classes, softened
    weights = np.concatenate([np.where(labels, 1 / labels.sum(), 1 / (~labels).sum())] * 2)
    weights *= np.repeat([1 - soft, soft], len(labels)) * np.where(np.concatenate([labels, labels]), p, 1 - p)
    rows, flipped = (
        np.tile(np.column_stack([one.scores, np.ones(len(labels))]), (2, 1)),
        np.concatenate([labels, ~labels]),
    )

    def cost(x):
        margin = np.where(flipped, -1, 1) * (rows @ x + np.log(p / (1 - p)))
        return weights @ np.logaddexp(0, margin), rows.T @ (weights * np.where(flipped, -1, 1) * expit(margin))

    best = minimize(cost, np.zeros(2), jac=True, method="BFGS", options={"gtol": 1e-11}).x
    assert train([one], p).apply(one.scores) == pytest.approx(rows[: len(labels)] @ best, rel=2e-3, abs=2e-3)


def test_with_many_people_one_system_is_logistic_regression():
    one = replace(simulate(2, absent=0, n_systems=1, n_people=3000), quality=[])
    slopes, offset = train_map(one.scores, one.trials.labels, 0.5)
    assert train([one], 0.5).apply(one.scores) == pytest.approx(one.scores @ slopes + offset, rel=1e-3, abs=2e-3)


def test_few_people_without_errors_give_limited_evidence():
    one = replace(simulate(2, 2000, n_people=10, absent=0, n_systems=1), quality=[])
    apart = replace(one, scores=np.where(one.trials.labels, 1.0, -1.0)[:, None])
    ratios = train([apart], 0.5).apply(apart.scores)
    assert np.abs(ratios) == pytest.approx(
        np.log(46), abs=0.01
    )  # 45 pairs of people: odds of 46 to 1, as Platt has them


def test_without_quality_two_systems_are_logistic_regression_on_both_and_on_each_alone():
    one = replace(simulate(2, absent=0, n_people=3000), quality=[])
    labels, prior = np.tile(one.trials.labels, 3), 0.1
    rows = np.column_stack([one.scores, np.ones_like(one.scores)])
    design = np.concatenate([rows * mask for mask in ([1, 1, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1])])
    weights = np.where(labels, prior / labels.sum(), (1 - prior) / (~labels).sum())

    def cost(x):
        margin = np.where(labels, -1, 1) * (design @ x + np.log(prior / (1 - prior)))
        return weights @ np.logaddexp(0, margin), design.T @ (weights * np.where(labels, -1, 1) * expit(margin))

    best = minimize(cost, np.zeros(4), jac=True, method="BFGS", options={"gtol": 1e-10}).x
    assert train([one], prior).apply(one.scores) == pytest.approx(rows @ best, rel=1e-3, abs=1e-3)


def test_a_system_is_learnt_beside_one_without_errors():
    one = replace(simulate(2, 4000, absent=0, n_people=1000), quality=[])
    perfect = np.where(one.trials.labels, 30.0, -30.0)
    scores = np.column_stack([one.scores[:, 0], perfect])
    alone = np.column_stack([scores[:, 0], np.full(len(scores), np.nan)])
    expected = train([replace(one, scores=scores[:, :1])], 0.1).apply(scores[:, :1])
    assert train([replace(one, scores=scores)], 0.1).apply(alone) == pytest.approx(expected, rel=0.05, abs=0.05)


def test_the_penalty_falls_with_the_number_of_people(monkeypatch):
    monkeypatch.setattr(quality_training, "softening", lambda n_people: 0.001)
    one = simulate(3, 3000, n_people=30)
    few = replace(one, people=one.trials.pairs % 10)
    weights = [np.array(train([each], ridge=ridge).systems[0].measures[0].scale_weights)
               for each, ridge in ((one, 3.0), (few, 1.0), (one, 1.0))]  # fmt: skip
    assert weights[0] == pytest.approx(weights[1], abs=1e-6)
    assert np.abs(weights[2]).max() > np.abs(weights[0]).max()


def test_a_strong_penalty_leaves_the_sum_of_calibrated_scores(simulated):
    strong, none = train([simulated], ridge=1e9), train([replace(simulated, quality=[])])
    expected = none.apply(simulated.scores)
    assert strong.apply(simulated.scores, simulated.trials.pairs, simulated.quality) == pytest.approx(
        expected, abs=1e-3
    )


def test_training_is_deterministic(simulated, trained):
    assert train([simulated]) == trained


def test_lists_and_classes_weigh_the_same_whatever_their_size():
    one, other = simulate(3, 4000), simulate(4, 4000)
    many = replace(
        one,
        trials=replace(one.trials, pairs=np.tile(one.trials.pairs, (3, 1)), labels=np.tile(one.trials.labels, 3)),
        scores=np.tile(one.scores, (3, 1)),
    )
    expected, found = train([one, other]), train([many, other])
    for a, b in zip(expected.systems, found.systems, strict=True):
        assert weights(b, "scale_weights") == pytest.approx(weights(a, "scale_weights"), abs=1e-4)
        assert b.pivot == pytest.approx(a.pivot, abs=1e-5)


def test_a_list_with_one_class_is_named():
    one = simulate(5, 200)
    labels = np.zeros(200, bool)
    with pytest.raises(InputError, match="damaged"):
        train([one, replace(one, name="damaged", trials=replace(one.trials, labels=labels))])
    unscored = np.where(one.trials.labels[:, None], np.nan, one.scores)
    with pytest.raises(InputError, match="damaged"):
        train([one, replace(one, name="damaged", scores=unscored)])


def test_a_missing_quality_value_is_refused_in_training_and_application(simulated, trained):
    quality = [RecordingValues(values.enroll.copy(), values.test) for values in simulated.quality]
    quality[0].enroll[simulated.trials.pairs[np.flatnonzero(~np.isnan(simulated.scores[:, 0]))[0], 0], 0] = np.nan
    with pytest.raises(InputError, match="voice"):
        train([replace(simulated, quality=quality)])
    with pytest.raises(InputError, match="voice"):
        trained.apply(simulated.scores, simulated.trials.pairs, quality)


@pytest.mark.parametrize("n_systems", [1, 3])
def test_other_numbers_of_systems_or_measures_are_refused(simulated, trained, n_systems):
    with pytest.raises(InputError):
        trained.apply(np.zeros((4, n_systems)), simulated.trials.pairs[:4], simulated.quality)
    with pytest.raises(InputError):
        trained.apply(np.zeros((4, 2)), simulated.trials.pairs[:4], simulated.quality[:1] * n_systems)
    with pytest.raises(InputError):
        trained.apply(np.zeros((4, 2)), simulated.trials.pairs[:4])


@pytest.mark.parametrize("constant", [0.0, 7.0, 0.1, 1e9])
def test_a_constant_measure_has_no_influence(constant):
    one = simulate(6, 2000)
    for values in one.quality:
        values.enroll[:, 1] = constant
    for system in train([one]).systems:
        assert [*system.measures[1].scale_weights, *system.measures[1].offset_weights] == pytest.approx([0] * 4)


def test_separable_scores_give_finite_weights():
    one = simulate(7, 300)
    scores = np.where(one.trials.labels[:, None], 1.0, -1.0) * np.array([1.0, 1e-3])
    fusion = train([replace(one, scores=scores)])
    ratios = fusion.apply(scores, one.trials.pairs, one.quality)
    assert np.isfinite(ratios).all() and ((ratios > 0) == one.trials.labels).all()


def test_a_system_whose_scores_are_reversed_or_equal_gets_almost_no_weight():
    one = simulate(8, 4000)
    for column in (-one.scores[:, 1], np.full(4000, 0.3)):
        scores = np.column_stack([one.scores[:, 0], column])
        fusion = train([replace(one, scores=scores)])
        face = fusion.apply(np.column_stack([np.full(4000, np.nan), column]), one.trials.pairs, one.quality)
        voice = fusion.apply(np.column_stack([scores[:, 0], np.full(4000, np.nan)]), one.trials.pairs, one.quality)
        assert np.isfinite(face).all() and face.std() < 0.15 * voice.std()


@pytest.mark.parametrize("huge", [1e160, 1e300])
@pytest.mark.parametrize("what", ["scores", "quality"])
def test_huge_values_are_refused_or_give_finite_ratios(huge, what):
    one = simulate(9, 400, absent=0)
    if what == "scores":
        one = replace(one, scores=one.scores * huge)
    else:
        one.quality[0].enroll[:] *= huge
    try:
        fusion = train([one])
    except InputError:
        return
    assert np.isfinite(fusion.apply(one.scores, one.trials.pairs, one.quality)).all()


def test_infinite_training_scores_are_refused(simulated):
    with pytest.raises(InputError, match="dev"):
        train([replace(simulated, scores=np.where(simulated.scores > 3, np.inf, simulated.scores))])


def test_plda_scores_of_any_scale_give_the_same_ratios(simulated, trained):
    other = replace(simulated, scores=simulated.scores * [100, 0.001] + [-500, 0.3])
    ratios = train([other]).apply(other.scores, other.trials.pairs, other.quality)
    expected = trained.apply(simulated.scores, simulated.trials.pairs, simulated.quality)
    assert ratios == pytest.approx(expected, abs=1e-3)


def test_people_are_connected_by_target_trials_across_lists():
    lists = [Trials([one], [other, "y1"], np.array([[0, 0], [0, 1]]), np.array([True, False]))
             for one, other in (("x1", "x2"), ("x2", "x3"))]  # fmt: skip
    assert np.concatenate(people_of(lists)).tolist() == [[0, 0], [0, 1], [0, 0], [0, 1]]


def test_a_table_of_speakers_connects_what_target_trials_do_not_and_must_agree_with_them():
    trials = [Trials(["x1"], ["x2", "y1"], np.array([[0, 0], [0, 1]]), np.array([True, False])),
              Trials(["x3"], ["y1"], np.array([[0, 0]]), np.array([False]))]  # fmt: skip
    speakers = {"x1": "x", "x2": "x", "x3": "x", "y1": "y"}
    assert np.concatenate(people_of(trials, speakers)).tolist() == [[0, 0], [0, 1], [0, 1]]
    with pytest.raises(InputError, match="data/utt2spk"):
        people_of(trials, {**speakers, "x2": "y"}, "data/utt2spk")


def test_the_model_records_its_lists(simulated, trained):
    scored = ~np.isnan(simulated.scores).all(axis=1)
    (one,) = trained.lists
    assert one.trials == "dev" and one.people > 1000
    assert (one.targets, one.nontargets) == (
        (scored & simulated.trials.labels).sum(),
        (scored & ~simulated.trials.labels).sum(),
    )


def test_cross_validation_prefers_a_weak_penalty_where_quality_matters_and_a_strong_one_where_it_does_not():
    ridges = [1e-4, 1e3]
    informative = simulate(10, 6000)
    assert choose_ridge([informative], ["voice", "face"], 0.1, ridges, [MEASURES] * 2) == 1e-4
    rng = np.random.default_rng(0)
    few = simulate(11, 400, n_people=12)
    noise = [RecordingValues(*2 * [rng.normal(size=(96, 2))]) for _ in range(2)]
    assert choose_ridge([replace(few, quality=noise)], ["voice", "face"], 0.1, ridges, [MEASURES] * 2) == 1e3


def test_no_person_is_in_training_and_test_of_a_fold(monkeypatch):
    folds = []

    def watch(lists, *rest):
        folds.append(lists[0])
        return train_quality_fusion(lists, *rest)

    def tested(fusion, given, p):
        people = given.trials.pairs % 40
        assert set(people.ravel().tolist()).isdisjoint((folds[-1].trials.pairs % 40).ravel().tolist())
        return 1.0

    monkeypatch.setattr("avsv.scoring.quality_validation.train_quality_fusion", watch)
    monkeypatch.setattr("avsv.scoring.quality_validation.held_out_cost", tested)
    assert choose_ridge([simulate(12)], ["voice", "face"], 0.1, [0.1, 0.2], [MEASURES] * 2) == 0.2
    assert len(folds) == 10


def test_cross_validation_with_too_few_people_is_refused():
    with pytest.raises(InputError):
        choose_ridge([simulate(13, 500, n_people=2)], ["voice", "face"], 0.1, [0.1, 1], [MEASURES] * 2)
