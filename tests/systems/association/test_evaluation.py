"""Verification measures of association, and the people behind the items of lists."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from avsv.errors import InputError
from avsv.kaldi.embeddings import Embeddings
from avsv.systems.association.evaluation import (
    JointSpace,
    measure_protocols,
    measure_verification,
    number_people,
    person_key,
)
from avsv.systems.association.lists import find_protocols


@pytest.fixture
def trials():
    """Rounded scores with many ties, labels, and the people of 10 voices with 10 faces."""
    rng = np.random.default_rng(0)
    people = np.array([[a, b] for a in range(10) for b in range(10)])
    labels = people[:, 0] == people[:, 1]
    return np.round(rng.normal(size=100) + labels, 1), labels, people


def test_auc_agrees_with_scikit_learn(trials):
    scores, labels, people = trials
    found = measure_verification(scores, labels, people, False)
    assert found["auc_percent"] == pytest.approx(100 * roc_auc_score(labels, scores))


def test_intervals_contain_the_measures(trials):
    found = measure_verification(*trials)
    for measure in ("eer", "auc"):
        low, high = found[f"{measure}_ci95"]
        assert low < found[f"{measure}_percent"] < high


def test_equal_scores_are_at_chance(trials):
    _, labels, people = trials
    found = measure_verification(np.zeros(100), labels, people, False)
    assert found["eer_percent"] == found["auc_percent"] == found["chance_percent"] == 50


def test_two_names_joined_by_a_target_pair_are_one_person():
    voices, faces = number_people([["id1", "id2"], ["Jim", "Ann", "Bob"]], (np.array([0, 1]), np.array([0, 1])))
    assert voices[0] == faces[0] and voices[1] == faces[1] and len({*voices, *faces}) == 3


def test_people_are_read_from_utt2spk_or_from_the_path():
    assert person_key("a-1", {"a-1": "x"}, {}) == "x"
    assert person_key("Jim/1.6/v/1.jpg", {}, {"Jim": "id1"}) == person_key("id1/v/00001.wav", {}, {}) == "id1"


def test_vectors_of_two_dimensions_are_refused():
    with pytest.raises(InputError, match="dimension"):
        JointSpace(Embeddings(["a"], np.ones((1, 2))), Embeddings(["a"], np.ones((1, 3))), {})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("verification/U", "p0-0 p0-1 nontarget\np1-0 p0-1 nontarget\n"),
        ("verification/U", "p0-0 p0-1 target\np1-0 p0-1 target\n"),
        ("retrieval/voices", "p0-0 p1\np1-0 p0\n"),
        ("matching/v2f_U", "p0-0 p1-1 p0-1\n"),
    ],
)
def test_lists_that_contradict_utt2spk_are_refused(tmp_path, name, text):
    ids = ["p0-0", "p0-1", "p1-0", "p1-1"]
    space = JointSpace(*[Embeddings(ids, np.eye(4, dtype=np.float32))] * 2, {})
    for file, good in {"retrieval/voices": "p0-0 p0\n", "retrieval/faces": "p0-1 p0\n", name: text}.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(good)
    with pytest.raises(InputError, match=name.rpartition("/")[2]):
        measure_protocols(find_protocols(tmp_path), space, {utt: utt[:2] for utt in ids}, n_permutations=0)


def test_the_interval_of_an_area_is_as_wide_as_that_of_delong_for_independent_trials():
    """Each trial of its own people: the variance is that of DeLong, DeLong and Clarke-Pearson (1988)."""
    rng = np.random.default_rng(1)
    n = 400
    people = np.stack([np.arange(2 * n), np.arange(2 * n)], 1)
    people[n:, 1] += n
    labels = np.arange(2 * n) < n
    scores = rng.standard_normal(2 * n) + labels
    wins = (scores[labels][:, None] > scores[~labels]).astype(float)
    error = np.sqrt(wins.mean(1).var() / n + wins.mean(0).var() / n)
    low, high = measure_verification(scores, labels, people)["auc_ci95"]
    assert high - low == pytest.approx(100 * 2 * 1.96 * error, rel=0.05)
