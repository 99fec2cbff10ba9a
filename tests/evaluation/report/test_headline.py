"""The main result: the reference against the best other system."""

from dataclasses import replace

import pytest

from avsv.evaluation.report.headline import compare_best, comparison_table, main_result
from avsv.evaluation.report.html import joined
from avsv.evaluation.report.results import Table
from tests.evaluation.report.small_report import curves_of


def record(system, eer, difference=None, ci95=None, loses=None, backend="cosine"):
    """A record in the form of `make_table`; the reference has no difference."""
    against = None if difference is None else {"eer_percent": {"difference": difference, "ci95": ci95, "loses": loses}}
    names = {"system": system, "backend": backend, "reference": ["avn_e", "cosine"]}
    return names | {"eer_percent": eer, "eer_ci95": None, "against_reference": against}


def table(*records, condition="clean"):
    reference = next((r for r in records if r["against_reference"] is None), None)
    return Table("t", condition, list(records), 10, reference, [curves_of(r) for r in records])


OWN = record("avn_e", 2.0)


def test_the_competitor_is_the_best_other_system_score_fusion_included():
    one = compare_best(table(OWN, record("mean", 2.5, 0.5, [0.1, 0.9], 0.01), record("voice", 4.0, 2.0, [1.0, 3.0], 0)))
    assert one.competitor["system"] == "mean"
    assert (one.ahead, one.ci95, one.verdict) == (-0.5, (-0.9, -0.1), "better")


@pytest.mark.parametrize("difference, ci95, verdict", [
    (0.5, [-0.1, 0.9], "level"), (-0.5, [-0.9, -0.1], "worse"), (0.5, None, "level"),
])  # fmt: skip
def test_better_and_worse_need_an_interval_without_0(difference, ci95, verdict):
    assert compare_best(table(OWN, record("mean", 2.0 + difference, difference, ci95))).verdict == verdict


def test_a_table_without_the_reference_or_without_others_has_no_comparison():
    assert compare_best(table(record("mean", 2.5, 0.5))) is None
    assert compare_best(table(OWN)) is None
    assert comparison_table([table(OWN)], "Best") == []


def test_named_rivals_are_the_only_competitors():
    others = [record("quality", 1.5, -0.5, [-0.9, -0.1], 0.01), record("mean", 2.5, 0.5, [0.1, 0.9], 0.01)]
    tables = [replace(table(*others, OWN, condition=name), rivals=["face", "mean"]) for name in ("clean", "a", "b")]
    assert compare_best(tables[0]).competitor["system"] == "mean"
    text, cells = main_result(tables, "t"), joined(comparison_table(tables, "Recommended"))
    assert "best rival, mean (cosine), at 2.50 %" in text and "2 times better, against the best rival" in text
    assert "quality" not in cells and "face, mean" in cells
    assert compare_best(replace(tables[0], rivals=["face"])) is None


def test_the_headline_is_about_the_reference_even_if_it_is_not_the_best():
    text = main_result([table(record("logistic", 1.6, -0.4, [-0.9, 0.2], 0.2), OWN)], "t")
    assert "<b>avn_e</b> (cosine) has an equal error rate of <b>2.00 %</b>" in text
    assert "25 % above the best other system, logistic (cosine), at 1.60 % (not significant" in text
    assert "holds in 80 % of the resamples" in text


def test_the_other_conditions_are_counted():
    tables = [table(OWN, record("mean", 2.5, 0.5, [0.1, 0.9], 0), condition=name) for name in ("clean", "a", "b")]
    assert "2 times better" in main_result(tables, "t")
    assert joined(comparison_table(tables, "Recommended")).count('class="verdict better"') == 3


def test_trials_of_one_class_have_no_headline():
    assert "No error rate is defined" in main_result([Table("t", "clean", [], 0)], "t")
