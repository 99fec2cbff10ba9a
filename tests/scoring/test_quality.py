"""Quality measures of recordings as features of trials."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.features.quality_measures import TABLES
from avsv.kaldi.trials import Trials
from avsv.scoring import domain_similarity
from avsv.scoring.quality import UNITS, Measure, QualityTable, read_quality

TRIALS = Trials(["a", "b"], ["b", "c"], np.array([[0, 0], [0, 1], [1, 1]]))


@pytest.fixture
def table(tmp_path):
    def write(text, log=False):
        (tmp_path / "t").write_text(text)
        return QualityTable(tmp_path / "t", log)

    return write


def test_features_are_the_lower_and_the_higher_value_of_the_two_sides(table):
    features, _ = read_quality([table("a 5\nb 2\nc 9\nd 1\n")], TRIALS)
    assert features.tolist() == [[2, 5], [5, 9], [2, 9]]


def test_swapping_the_sides_changes_nothing(table):
    swapped = Trials(TRIALS.test_ids, TRIALS.enroll_ids, TRIALS.pairs[:, ::-1])
    one = table("a 5\nb 2\nc 9\n")
    assert np.array_equal(read_quality([one], TRIALS)[0], read_quality([one], swapped)[0])


def test_logarithms_are_natural_and_the_median_counts_each_recording_once(table):
    features, measures = read_quality([table("a 5\nb 2\nc 9\n", log=True)], TRIALS)
    assert features == pytest.approx(np.log([[2, 5], [5, 9], [2, 9]]))
    assert measures == [Measure(measures[0].table, True, pytest.approx(np.log(5)))]


def test_a_missing_value_becomes_the_training_median_and_is_counted(table, caplog):
    features, _ = read_quality([table("a 5\nc 9\n")], TRIALS, True, [Measure("t", False, 4.0)])
    assert features.tolist() == [[4, 5], [5, 9], [4, 9]]
    assert caplog.records[0].args[1:] == (1, 4.0)


def test_a_missing_value_is_an_error_that_names_it(table):
    with pytest.raises(InputError, match=r"t: 1 .* b"):
        read_quality([table("a 5\nc 9\n")], TRIALS)


@pytest.mark.parametrize("value", ["nan", "inf", "long", "-Infinity"])
def test_a_value_that_is_not_a_finite_number_is_refused(table, value):
    with pytest.raises(InputError, match=f"t: .*b {value}"):
        read_quality([table(f"a 5\nb {value}\nc 9\n")], TRIALS)


@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_value_without_a_logarithm_is_refused(table, value):
    with pytest.raises(InputError, match=f"t: .*{value} for b"):
        read_quality([table(f"a 5\nb {value}\nc 9\n", log=True)], TRIALS)


def test_a_table_of_other_recordings_is_refused_in_training(table):
    with pytest.raises(InputError, match="t: "):
        read_quality([table("x 5\n")], TRIALS, fill_missing=True)


@pytest.mark.parametrize("measures", [[], [Measure("utt2dur", True, 1.0)], [Measure("a", False, 1.0)] * 2])
def test_tables_must_match_the_model(table, measures):
    with pytest.raises(InputError, match="quality tables"):
        read_quality([table("a 5\nb 2\nc 9\n")], TRIALS, measures=measures)


def test_every_table_that_avsv_writes_has_a_unit():
    assert set(UNITS) == {*TABLES, *domain_similarity.TABLES}
