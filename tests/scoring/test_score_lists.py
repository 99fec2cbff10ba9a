"""Scores of several systems: the sets of systems that get a map, and short names of files."""

from pathlib import Path

import numpy as np

from avsv.scoring.score_lists import short_names, which_patterns


def test_every_set_of_a_few_systems_gets_a_map():
    assert which_patterns(np.zeros((2, 3)), np.zeros((2, 3))) == {1, 2, 3, 4, 5, 6, 7}


def test_of_many_systems_only_the_sets_that_occur_get_a_map():
    train, applied = np.zeros((2, 6)), np.zeros((3, 6))
    train[0, 0] = applied[0, 5] = np.nan
    applied[1] = np.nan
    assert which_patterns(train, applied) == {0b111110, 0b011111, 0b111111}


def test_short_names_are_the_parts_in_which_paths_differ():
    folders = [Path(f"exp/{system}/{part}/x") for system in ("voice", "face") for part in ("dev", "test")]
    assert short_names(folders) == ["voice/dev", "voice/test", "face/dev", "face/test"]
    assert short_names([Path("a/b"), Path("b")]) == ["a/b", "b"]
    assert short_names([Path("a/b"), Path("a/b")]) == ["b", "b"]
