"""Open-set identification rates against counting, and intervals against simulation."""

import numpy as np
import pytest

from avsv.evaluation.identification import measure_identification
from avsv.evaluation.identification_plot import plot_identification
from avsv.evaluation.identification_tables import identification_markdown, identification_text
from avsv.evaluation.ranks import NOBODY, Ranks, rank_probes


def measured(table, persons, people="persons", **options):
    if isinstance(people, str):
        people = np.where(persons == NOBODY, 100 + np.arange(len(persons)) // 4, persons)
    ranks = rank_probes(lambda rows: table[rows].copy(), persons, table.shape[1], 5)
    return measure_identification(ranks, persons, people, table.shape[1], **options)


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    persons = np.where(rng.random(400) < 0.5, NOBODY, rng.integers(0, 12, 400))
    table = rng.normal(size=(400, 12))
    known = persons != NOBODY
    table[known, persons[known]] += 2
    return table, persons


def counted(table, persons, far):
    """DIR by trying every threshold, with the definitions of Phillips, Grother and Micheals."""
    known, best = persons != NOBODY, table.max(axis=1)
    rates = []
    for threshold in np.append(best, -np.inf):
        if (best[~known] > threshold).mean() <= far:
            right = (table[known].argmax(axis=1) == persons[known]) & (best[known] > threshold)
            rates.append(right.mean())
    return 100 * max(rates)


@pytest.mark.parametrize("far", [0.007, 0.01, 0.07, 0.1, 0.5, 0.99])
def test_dir_matches_trying_every_threshold(drawn, far):
    row = measured(*drawn, far=[far])
    assert row["dir_percent"][str(far)] == pytest.approx(counted(*drawn, far))
    low, high = row["dir_ci95"][str(far)]
    assert low <= row["dir_percent"][str(far)] <= high


def test_the_cmc_matches_sorting(drawn):
    table, persons = drawn
    known = np.flatnonzero(persons != NOBODY)
    place = [np.flatnonzero(np.argsort(-table[probe]) == persons[probe])[0] for probe in known]
    expected = [100 * np.mean([one < rank for one in place]) for rank in range(1, 13)]
    row = measured(table, persons)
    np.testing.assert_allclose(row["cmc_percent"], expected)
    assert row["rank_percent"] == {"1": pytest.approx(expected[0]), "5": pytest.approx(expected[4])}


def test_leaving_out_makes_everybody_a_stranger_in_turn(drawn):
    table, persons = drawn
    known = persons != NOBODY
    best = np.where(np.arange(12) == persons[:, None], -np.inf, table).max(axis=1)
    threshold = np.sort(best)[::-1][int(0.1 * len(best))]
    own = table[known, persons[known]]
    expected = ((own > best[known]) & (own > threshold)).mean()
    row = measured(table, persons, leave_out=True, far=[0.1])
    assert row["n_strangers"] == 400
    assert row["dir_percent"]["0.1"] == pytest.approx(100 * expected)


def test_a_far_without_a_single_false_alarm_gets_no_figure(drawn):
    row = measured(*drawn, far=[0.1, 0.001])
    assert row["dir_percent"]["0.001"] is None
    assert row["dir_ci95"]["0.001"] is None
    assert row["dir_percent"]["0.1"] is not None


def test_the_lower_limit_is_0_below_the_far_that_few_strangers_can_show():
    rng = np.random.default_rng(1)
    persons = np.concatenate([np.repeat(np.arange(30), 5), np.full(120, NOBODY)])
    table = rng.normal(size=(270, 30))
    table[np.arange(150), persons[:150]] += 9
    people = np.concatenate([persons[:150], 30 + np.arange(120) // 30])  # four strangers
    row = measured(table, persons, people, far=[0.01])
    assert row["dir_percent"]["0.01"] > 99
    assert row["dir_ci95"]["0.01"][0] == 0
    assert row["lowest_far_percent"] > 1
    assert "no FAR below" in identification_text({"voice": row})


def test_of_unknown_strangers_there_are_rates_but_no_intervals(drawn):
    row = measured(*drawn, people=None, far=[0.1])
    assert row["dir_percent"]["0.1"] is not None
    assert row["dir_ci95"]["0.1"] is None
    assert row["n_stranger_people"] is None
    assert row["rank_ci95"]["1"] is not None


def test_without_strangers_only_the_closed_set_is_measured(drawn):
    table, persons = drawn
    row = measured(table[persons != NOBODY], persons[persons != NOBODY])
    assert set(row["dir_percent"].values()) == {None}
    assert row["lowest_far_percent"] is None
    assert row["rank_percent"]["1"] > 50


def test_without_known_probes_there_are_no_rates(drawn):
    table, persons = drawn
    row = measured(table[persons == NOBODY], persons[persons == NOBODY])
    assert {*row["dir_percent"].values(), *row["rank_percent"].values()} == {None}


def test_probes_without_scores_are_counted_missed_and_rejected():
    table = np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.3], [np.nan, np.nan]])
    row = measured(table, np.array([0, 1, NOBODY, NOBODY]), far=[0.5])
    assert row["n_without_score"] == 2
    assert row["rank_percent"] == {"1": 50.0, "5": 50.0}
    assert row["dir_percent"]["0.5"] == 50.0


def test_equal_scores_of_all_are_at_chance():
    row = measured(np.zeros((20, 4)), np.arange(20) % 4)
    assert row["cmc_percent"] == [25.0, 50.0, 75.0, 100.0]


def test_a_subset_keeps_the_strangers_and_so_the_threshold(drawn):
    table, persons = drawn
    among = np.arange(400) % 3 == 0
    whole, part = measured(table, persons, far=[0.1]), measured(table, persons, far=[0.1], among=among)
    assert part["far_threshold"] == whole["far_threshold"]
    assert part["n_known"] == (among & (persons != NOBODY)).sum()
    keep = among | (persons == NOBODY)
    assert part["dir_percent"]["0.1"] == pytest.approx(counted(table[keep], persons[keep], 0.1))


def test_intervals_cover_the_rate_of_the_population():
    """DIR at FAR 10 % of 40 people and 40 strangers, 6 dependent probes each; 150 draws."""
    rng = np.random.default_rng(3)

    def scores(n_people):
        effect = np.repeat(rng.normal(size=n_people), 6)
        return 0.6 * effect + rng.normal(size=len(effect))

    def draw(n):
        return scores(n) + 3, scores(n), scores(n)

    own, other, best = draw(20000)
    truth = 100 * np.mean((own > other) & (own > np.quantile(best, 0.9)))
    covered, people = 0, np.arange(480) // 6
    persons = np.where(people < 40, people, NOBODY)
    for _ in range(150):
        own, other, best = draw(40)
        ranks = Ranks(
            np.append(own, np.full(240, -np.inf)),
            np.append(other > own, np.zeros(240, bool)).astype(int),
            np.zeros(480, int),
            np.append(other, best)[:, None],
        )
        low, high = measure_identification(ranks, persons, people, 40, [0.1], [1])["dir_ci95"]["0.1"]
        covered += low <= truth <= high
    assert covered / 150 >= 0.93


def test_tables_and_figure_show_every_system(drawn):
    rows = {"voice": measured(*drawn), "face|b": measured(*drawn)}
    rows["voice"]["subsets"] = {"data/utt2dur": {"short": rows["face|b"]}}
    rows["face|b"]["subsets"] = {"data/utt2dur": {"short": rows["voice"]}}
    assert "voice, short" in identification_text(rows)
    assert "| face\\|b, short |" in identification_markdown(rows)
    closed, opened = plot_identification(rows).axes
    assert [line.get_label() for line in closed.lines] == [line.get_label() for line in opened.lines] == [*rows]
