"""Paired comparison of systems, with a loop over the trials of each resample as the reference."""

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
    speakers, labels, good = make_trials(n_speakers=15, separation=2.5)
    bad = good + 1.5 * np.random.default_rng(5).standard_normal(len(good))
    return {"good": good, "bad": bad}, labels, SpeakerBootstrap(speakers, labels, 40, seed=3)


def test_differences_and_losses_match_a_loop_over_the_same_resamples(systems):
    scores, labels, bootstrap = systems
    good, bad = compare(scores, labels, bootstrap, [0.1])
    assert good["against_reference"] is None
    assert bad["measures"] == measure(scores["bad"], labels, [0.1], bootstrap)
    against = bad["against_reference"]
    eers, least = [], []
    for weights in weights_by_loop(bootstrap.speakers, 40, 3):
        both = [eer_of_weighted_trials(scores[name], labels, weights) for name in ("bad", "good")]
        eers.append(both[0] - both[1])
        both = [costs_of_weighted_trials(scores[name], labels, weights, 0.1)[0] for name in ("bad", "good")]
        least.append(both[0] - both[1])
    assert against["eer_percent"]["loses"] == pytest.approx(np.mean(np.array(eers) < 0))
    assert against["min_dcf"]["0.1"]["loses"] == pytest.approx(np.mean(np.array(least) < 0))
    own, other = bad["measures"]["eer_percent"], good["measures"]["eer_percent"]
    assert against["eer_percent"]["difference"] == own - other
    assert against["eer_percent"]["relative_percent"] == pytest.approx(100 * (own / other - 1))


def test_every_difference_lies_within_its_interval(systems):
    _, bad = compare(*systems, [0.1])
    against = bad["against_reference"]
    for difference_ in (against["eer_percent"], against["min_dcf"]["0.1"], against["act_dcf"]["0.1"], against["cllr"]):
        low, high = difference_["ci95"]
        assert low < difference_["difference"] < high


def test_two_systems_without_errors_may_still_differ():
    speakers, labels, scores = make_trials(n_speakers=20, n_trials=2000, separation=20)
    other = scores + np.random.default_rng(0).standard_normal(len(scores))
    _, row = compare({"a": scores, "b": other}, labels, SpeakerBootstrap(speakers, labels, 20))
    against = row["against_reference"]["eer_percent"]
    assert against["difference"] == 0
    assert against["ci95"][0] < 0 < against["ci95"][1]


def test_a_difference_of_two_rates_stays_within_100_percent_however_few_the_people():
    speakers, labels, _ = make_trials(n_speakers=3, n_trials=20)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        scores = {"a": 3 * labels + rng.standard_normal(20), "b": labels + rng.standard_normal(20)}
        _, row = compare(scores, labels, SpeakerBootstrap(speakers, labels, 20))
        low, high = row["against_reference"]["eer_percent"]["ci95"]
        assert -100 <= low <= high <= 100


def test_the_paired_interval_is_narrower_than_the_separate_ones():
    speakers, labels, scores = make_trials(n_speakers=20, n_trials=4000)
    close = scores + 0.1 * np.random.default_rng(1).standard_normal(len(scores))
    bootstrap = SpeakerBootstrap(speakers, labels, 200)
    _, row = compare({"a": scores, "b": close}, labels, bootstrap)
    low, high = row["against_reference"]["eer_percent"]["ci95"]
    own = row["measures"]["eer_ci95"]
    assert high - low < (own[1] - own[0]) / 2


def test_the_interval_of_equally_good_systems_covers_zero_as_often_as_it_should():
    """60 simulated lists; the 95 % interval should miss 0 about 3 times."""
    covered = 0
    for world in range(60):
        rng = np.random.default_rng(world)
        speakers = rng.integers(0, 30, (2000, 2))
        speakers[:1000, 1] = speakers[:1000, 0]
        labels = speakers[:, 0] == speakers[:, 1]
        both = rng.standard_normal((30, 30))[speakers[:, 0], speakers[:, 1]] + 2.5 * labels
        scores = {name: both + rng.standard_normal((30, 30))[speakers[:, 0], speakers[:, 1]] for name in "ab"}
        _, row = compare(scores, labels, SpeakerBootstrap(speakers, labels, 200), [0.05])
        low, high = row["against_reference"]["eer_percent"]["ci95"]
        covered += low <= 0 <= high
    assert 52 <= covered <= 60


def test_the_reference_may_be_any_system(systems):
    scores, labels, bootstrap = systems
    good, bad = compare(scores, labels, bootstrap, reference="bad")
    assert bad["against_reference"] is None
    assert good["reference"] == "bad"
    assert good["against_reference"]["eer_percent"]["difference"] < 0


def test_a_system_does_not_differ_from_itself(systems):
    scores, labels, bootstrap = systems
    _, row = compare({"a": scores["good"], "b": scores["good"]}, labels, bootstrap)
    cllr = row["against_reference"]["cllr"]
    assert (cllr["difference"], cllr["ci95"], cllr["loses"]) == (0, [0, 0], None)
    assert row["against_reference"]["eer_percent"]["ci95"] == [0, 0]
    assert row["against_reference"]["min_dcf"]["0.01"]["ci95"] == [0, 0]


def test_loses_counts_opposite_signs_and_half_of_the_ties():
    better = difference(1.0, 2.0, np.array([-1.0, -1.0, 0.0, 1.0, np.nan]))
    assert better["loses"] == (1 + 0.5) / 4
    assert difference(2.0, 1.0, np.array([1.0, 1.0, 0.0, -1.0, np.nan]))["loses"] == better["loses"]


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        (None, 1.0, [None, None, None, None]),
        (1.0, None, [None, None, None, None]),
        (1.0, 0.0, [1.0, None, None, None]),
        (3.0, 4.0, [-1.0, None, -25.0, None]),
    ],
)
def test_undefined_values_are_none(own, other, expected):
    assert list(difference(own, other, None).values()) == expected


def test_a_record_is_strict_json_without_resamples_and_with_infinite_scores(systems):
    scores, labels, bootstrap = systems
    scores["infinite"] = np.where(labels, -np.inf, np.inf)
    for resamples in (None, bootstrap):
        rows = compare(scores, labels, resamples)
        json.dumps(rows, allow_nan=False)
        assert rows[2]["measures"]["cllr"] is rows[2]["against_reference"]["cllr"]["difference"] is None
        assert "infinite" in comparison_text(rows, resamples)


def test_published_figures_get_columns_and_other_systems_get_rows(systems):
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


def test_markdown_rows_have_equally_many_cells_and_sources_are_listed(systems):
    scores, labels, bootstrap = systems
    figures = [Published("t", "good", 0.9, None, None, "A. Writer, 2020")]
    lines = comparison_markdown(compare(scores, labels, bootstrap), bootstrap, figures)
    table = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in table[:4]}) == 1
    assert "[1] A. Writer, 2020" in lines
    assert any("40 resamples" in line and "15 speakers" in line for line in lines)
