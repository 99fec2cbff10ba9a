"""Paired comparison, against a loop that counts every trial of every resample."""

import json

import numpy as np
import pytest

from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.comparison import compare, comparison_markdown, comparison_text, difference, main_cells
from avsv.evaluation.measures import measure
from avsv.evaluation.published import Published
from tests.evaluation.test_bootstrap import (
    costs_of_weighted_trials,
    eer_of_weighted_trials,
    make_trials,
    weights_by_loop,
)


@pytest.fixture
def systems():
    people, labels, good = make_trials(n_people=15, separation=2.5)
    bad = good + 1.5 * np.random.default_rng(5).standard_normal(len(good))
    return {"good": good, "bad": bad}, labels, SpeakerBootstrap(people, labels, 40, seed=3)


def test_differences_and_intervals_are_those_of_a_loop_over_the_same_resamples(systems):
    scores, labels, bootstrap = systems
    good, bad = compare(scores, labels, bootstrap, [0.1])
    assert good["against_reference"] is None
    assert bad["measures"] == measure(scores["bad"], labels, [0.1], bootstrap)
    found = bad["against_reference"]
    eers, least = [], []
    for weights in weights_by_loop(bootstrap.people, 40, 3):
        both = [eer_of_weighted_trials(scores[name], labels, weights) for name in ("bad", "good")]
        eers.append(100 * (both[0] - both[1]))
        both = [costs_of_weighted_trials(scores[name], labels, weights, 0.1)[0] for name in ("bad", "good")]
        least.append(both[0] - both[1])
    assert found["eer_percent"]["ci95"] == pytest.approx(np.quantile(eers, [0.025, 0.975]), abs=1e-7)
    assert found["min_dcf"]["0.1"]["ci95"] == pytest.approx(np.quantile(least, [0.025, 0.975]), abs=1e-9)
    assert found["eer_percent"]["loses"] == pytest.approx(np.mean(np.array(eers) < 0))
    own, other = bad["measures"]["eer_percent"], good["measures"]["eer_percent"]
    assert found["eer_percent"]["difference"] == own - other
    assert found["eer_percent"]["relative_percent"] == pytest.approx(100 * (own / other - 1))


def test_the_paired_interval_is_narrower_than_the_systems_own():
    people, labels, scores = make_trials(n_people=20, n_trials=4000)
    close = scores + 0.1 * np.random.default_rng(1).standard_normal(len(scores))
    bootstrap = SpeakerBootstrap(people, labels, 200)
    _, row = compare({"a": scores, "b": close}, labels, bootstrap)
    low, high = row["against_reference"]["eer_percent"]["ci95"]
    own = row["measures"]["eer_ci95"]
    assert high - low < (own[1] - own[0]) / 2


def test_the_interval_of_equally_good_systems_holds_zero_as_often_as_it_says():
    """60 small worlds; the 95 % interval should miss 0 about 3 times."""
    covered = 0
    for world in range(60):
        rng = np.random.default_rng(world)
        people = rng.integers(0, 30, (2000, 2))
        people[:1000, 1] = people[:1000, 0]
        labels = people[:, 0] == people[:, 1]
        both = rng.standard_normal((30, 30))[people[:, 0], people[:, 1]] + 2.5 * labels
        scores = {name: both + rng.standard_normal((30, 30))[people[:, 0], people[:, 1]] for name in "ab"}
        _, row = compare(scores, labels, SpeakerBootstrap(people, labels, 200), [0.05])
        low, high = row["against_reference"]["eer_percent"]["ci95"]
        covered += low <= 0 <= high
    assert 52 <= covered <= 60


def test_the_reference_may_be_any_system(systems):
    scores, labels, bootstrap = systems
    good, bad = compare(scores, labels, bootstrap, reference="bad")
    assert bad["against_reference"] is None
    assert good["reference"] == "bad"
    assert good["against_reference"]["eer_percent"]["difference"] < 0


def test_a_system_against_itself_differs_by_nothing(systems):
    scores, labels, bootstrap = systems
    _, row = compare({"a": scores["good"], "b": scores["good"]}, labels, bootstrap)
    found = row["against_reference"]["cllr"]
    assert (found["difference"], found["ci95"], found["loses"]) == (0, [0, 0], None)


def test_the_better_one_loses_where_the_sign_is_the_other_one_and_half_where_equal():
    better = difference(1.0, 2.0, np.array([-1.0, -1.0, 0.0, 1.0, np.nan]))
    assert better["loses"] == (1 + 0.5) / 4
    assert difference(2.0, 1.0, np.array([1.0, 1.0, 0.0, -1.0, np.nan]))["loses"] == better["loses"]


@pytest.mark.parametrize(
    ("own", "other", "found"),
    [
        (None, 1.0, [None, None, None, None]),
        (1.0, None, [None, None, None, None]),
        (1.0, 0.0, [1.0, None, None, None]),
        (3.0, 4.0, [-1.0, None, -25.0, None]),
    ],
)
def test_what_is_undefined_is_none(own, other, found):
    assert list(difference(own, other, None).values()) == found


def test_a_record_is_strict_json_without_resamples_and_with_infinite_scores(systems):
    scores, labels, bootstrap = systems
    scores["infinite"] = np.where(labels, -np.inf, np.inf)
    for resamples in (None, bootstrap):
        rows = compare(scores, labels, resamples)
        json.dumps(rows, allow_nan=False)
        assert rows[2]["measures"]["cllr"] is rows[2]["against_reference"]["cllr"]["difference"] is None
        assert "infinite" in comparison_text(rows, resamples)


def test_published_figures_have_columns_and_others_rows_of_their_own(systems):
    scores, labels, _ = systems
    figures = [
        Published("t", "good", 0.9, None, None, "A. Writer, 2020"),
        Published("t", "theirs", 0.7, 0.05, 0.01, "B. Writer, 2021"),
    ]
    rows = compare(scores, labels, None)
    head, good, bad, theirs = main_cells(rows, figures)
    assert head[-2:] == ["published EER %", "published minDCF"]
    assert good[-2:] == ["0.9 [1]", "-"]
    assert bad[-2:] == ["-", "-"]
    assert theirs == ["theirs", *["-"] * (len(head) - 3), "0.7 [2]", "0.05 (P 0.01) [2]"]
    assert main_cells(rows)[0][-1] == "better loses"


def test_markdown_has_as_many_cells_in_every_row_and_names_the_sources(systems):
    scores, labels, bootstrap = systems
    figures = [Published("t", "good", 0.9, None, None, "A. Writer, 2020")]
    lines = comparison_markdown(compare(scores, labels, bootstrap), bootstrap, figures)
    table = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in table[:4]}) == 1
    assert "Published figures are those of the sources and were not measured here:" in lines
    assert "[1] A. Writer, 2020" in lines
    assert any("40 resamples of 15 people" in line for line in lines)
