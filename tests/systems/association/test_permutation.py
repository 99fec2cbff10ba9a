"""The permutation test over people."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from avsv.kaldi.embeddings import Embeddings
from avsv.systems.association.evaluation import JointSpace, measure_protocols
from avsv.systems.association.lists import find_protocols
from avsv.systems.association.permutation import ExchangedPeople, permutation_p, precision_table


def all_connected(n):
    return np.stack([np.zeros(n, int), np.arange(n)], 1)


def test_people_move_as_a_whole_and_within_their_group():
    owners = np.array([0, 0, 1, 1, 2, 3, 3])
    exchanged = ExchangedPeople(owners, np.array([[0, 1], [2, 3]]))
    rng, seen = np.random.default_rng(0), set()
    for _ in range(50):
        taken = exchanged.draw(rng)
        moved = owners[exchanged.exchange_items(taken)]
        assert (moved == taken[owners]).all()
        assert {*taken[:2].tolist()} == {0, 1} and {*taken[2:].tolist()} == {2, 3}
        seen.add(tuple(taken.tolist()))
    assert len(seen) == 4


def test_a_person_with_fewer_items_repeats_them():
    exchanged = ExchangedPeople(np.array([0, 0, 0, 1]), all_connected(2))
    assert exchanged.exchange_items(np.array([1, 0])).tolist() == [3, 3, 3, 0]


def test_the_p_value_counts_the_true_assignment_and_both_sides():
    exchanged = ExchangedPeople(np.arange(5), all_connected(5))
    best = permutation_p(lambda taken: [1.0 if taken is None else 0.0], exchanged, 99)
    worst = permutation_p(lambda taken: [-1.0 if taken is None else 0.0], exchanged, 99)
    assert best == worst == [2 / 100]
    assert permutation_p(lambda taken: [0.0], exchanged, 99) == [1.0]


def test_nobody_to_exchange_or_no_permutations_give_no_p():
    alone = ExchangedPeople(np.arange(3), np.array([[0, 0]]))
    assert permutation_p(lambda taken: [0.0], alone, 99) is None
    assert permutation_p(lambda taken: [0.0], ExchangedPeople(np.arange(3), all_connected(3)), 0) is None


def test_the_precision_table_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    scores, gallery = rng.standard_normal((6, 30)), rng.integers(0, 4, 30)
    table = precision_table(lambda rows: scores[rows], 6, gallery)
    relative = [[average_precision_score(gallery == person, row) for person in range(4)] for row in scores]
    differences = np.array(relative) - table
    np.testing.assert_allclose(differences, np.broadcast_to(differences[0], (6, 4)))  # chance, the same for all queries


@pytest.fixture
def folder(tmp_path):
    """Lists over 8 people with 2 recordings each: verification, matching, retrieval."""
    ids = [f"p{person}-{clip}" for person in range(8) for clip in range(2)]
    texts = {
        "verification/U": [f"{a} {b} {'target' if a[:2] == b[:2] else 'nontarget'}" for a in ids for b in ids],
        "matching/v2f_U": [f"{a} {a[:2]}-1 p{(int(a[1]) + 3) % 8}-0 p{(int(a[1]) + 5) % 8}-1" for a in ids],
        "retrieval/voices": [f"{name} {name[:2]}" for name in ids],
        "retrieval/faces": [f"{name} {name[:2]}" for name in ids],
    }
    for name, lines in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    return tmp_path, ids


def p_values(folder, faces_of_voices, n_permutations=199):
    path, ids = folder
    rng = np.random.default_rng(1)
    voices = np.repeat(rng.standard_normal((8, 6)), 2, axis=0) + 0.1 * rng.standard_normal((16, 6))
    faces = voices[faces_of_voices].astype(np.float32)
    space = JointSpace(Embeddings(ids, voices.astype(np.float32)), Embeddings(ids, faces), {})
    records = measure_protocols(
        find_protocols(path), space, {name: name[:2] for name in ids}, None, None, n_permutations
    )
    return {(record["protocol"], key): record[key] for record in records for key in record if key.endswith("_p")}


def test_faces_that_match_their_voices_are_not_at_chance(folder):
    found = p_values(folder, np.arange(16))
    assert {key for _, key in found} == {"eer_p", "auc_p", "accuracy_p", "map_p"}
    assert all(p < 0.05 for p in found.values())


def test_without_permutations_there_are_no_p_values_and_no_intervals(folder):
    assert set(p_values(folder, np.arange(16), 0).values()) == {None}


def test_p_values_are_uniform_where_voices_and_faces_are_unrelated(folder):
    path, ids = folder
    rejected = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sides = [
            Embeddings(ids, np.repeat(rng.standard_normal((8, 4)), 2, axis=0).astype(np.float32)) for _ in range(2)
        ]
        records = measure_protocols(find_protocols(path), JointSpace(*sides, {}), {name: name[:2] for name in ids},
                                    None, None, 39)  # fmt: skip
        rejected.append([record[key] <= 0.05 for record in records for key in record if key.endswith("_p")])
    assert 0 <= np.mean(rejected) <= 0.12  # 5 % expected, of 60 draws of people
