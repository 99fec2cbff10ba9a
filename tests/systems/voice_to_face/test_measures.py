"""Measures of generated faces against plain loops and SciPy, on synthetic embeddings."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from avsv.errors import InputError
from avsv.systems.voice_to_face.face_grid import face_grid
from avsv.systems.voice_to_face.measures import (
    Faces,
    GenderClassifier,
    draw_pairs,
    frechet_distance,
    halves,
    measure_consistency,
    measure_gain,
    measure_generated,
    measure_lengths,
    measure_share,
)
from avsv.systems.voice_to_face.results_table import report_lines, results_table

PEOPLE = [f"p{number:02d}" for number in range(20)]
GENDER = {name: "fm"[number % 2] for number, name in enumerate(PEOPLE)}


def crowd(seed=0, each=4, own=1.0, of_gender=1.0, noise=0.3, people=PEOPLE):
    """Embeddings that depend on person, gender and noise; the seed changes only the noise."""
    fixed, rng = np.random.default_rng(99), np.random.default_rng(seed)
    places = {name: own * fixed.normal(size=12) for name in PEOPLE}
    names = [name for name in people for _ in range(each)]
    vectors = np.array([places[name] for name in names]) + noise * rng.normal(size=(len(names), 12))
    vectors[:, 0] += [2 * of_gender * (1 if GENDER[name] == "f" else -1) for name in names]
    return Faces(vectors, names)


def test_pairs_join_the_speaker_with_another_person():
    generated, real = ["p00", "p01", "x", "p00"], ["p00", "p01", "p02", "p00"]
    pairs = draw_pairs(generated, real, n=30)
    assert len(pairs) == 90 and set(pairs[:, 0]) == {0, 1, 3}
    for voice, own, other in pairs:
        assert real[own] == generated[voice] != real[other]
    assert {tuple(pair) for pair in pairs} >= {(0, 0, 1), (0, 3, 2), (1, 1, 0), (1, 1, 3)}


def test_pairs_within_a_gender_need_another_person_of_that_gender():
    pairs = draw_pairs(PEOPLE[:4], PEOPLE[:3], GENDER, n=20)
    assert {(PEOPLE[v], PEOPLE[other]) for v, _, other in pairs} == {("p00", "p02"), ("p02", "p00")}


def test_matching_is_perfect_for_real_faces_and_at_chance_for_random_ones():
    real = crowd(0, noise=0.05, of_gender=0.0)
    good = measure_generated(crowd(1, noise=0.05, of_gender=0.0), real, crowd(2), GENDER, 200)
    assert good["matching"]["accuracy_percent"] == 100 and good["retrieval"]["map_percent"] > 99
    assert good["matching_same_sex"]["accuracy_percent"] == 100
    nobody = Faces(np.random.default_rng(5).normal(size=(80, 12)), real.people)
    bad = measure_generated(nobody, real, crowd(2), GENDER, 200)
    for name in ("matching", "matching_same_sex"):
        low, high = bad[name]["accuracy_ci95"]
        assert low < 50 < high
    low, high = bad["sex"]["ci95"]
    assert low < 50 < high


def test_faces_with_only_the_right_gender_match_at_chance_within_one_gender():
    real = crowd(0, own=0.0, of_gender=3.0, noise=0.3)
    found = measure_generated(crowd(1, own=0.0, of_gender=3.0, noise=0.3), real, crowd(2, of_gender=3.0), GENDER, 0)
    # 10 of 19 other people have the other gender and always match correctly, 9 at chance
    assert found["matching"]["accuracy_percent"] == pytest.approx(100 * (10 + 4.5) / 19, abs=3)
    assert found["matching_same_sex"]["accuracy_percent"] == pytest.approx(50, abs=4)
    assert found["sex"]["percent"] == 100


def test_the_gender_classifier_agrees_with_scikit_learns_discriminant():
    train, test = crowd(0, each=20, noise=1.5), crowd(1, noise=1.5, of_gender=0.3)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.5, 0.5])
    theirs.fit(train.vectors, [GENDER[name] == "f" for name in train.people])
    expected = theirs.predict(test.vectors) == [GENDER[name] == "f" for name in test.people]
    ours = GenderClassifier.train(train, GENDER).agrees(test, GENDER)
    assert (ours == expected).mean() > 0.95 and 0.5 < ours.mean() < 1


def test_training_faces_of_one_gender_are_refused():
    with pytest.raises(InputError, match="both genders"):
        GenderClassifier.train(crowd(0, people=PEOPLE[::2]), GENDER)


def test_the_interval_of_a_share_covers_people_rather_than_answers():
    people = [name for name in PEOPLE for _ in range(50)]
    right = np.array([int(name[1:]) % 4 > 0 for name in people])  # all answers of a person are equal
    share = measure_share(right, people)
    low, high = share["ci95"]
    # 20 people, 15 of them right: binomial standard deviation 9.7 points
    assert share["percent"] == 75 and 2 * 1.6 * 9.7 < high - low < 2 * 2.7 * 9.7


def test_consistency_compares_pairs_of_generated_faces():
    generated = crowd(0, each=3)
    found = measure_consistency(generated, False)
    same, different = [], []
    for i, one in enumerate(generated.people):
        for j in range(i):
            (same if one == generated.people[j] else different).append(generated.vectors[i] @ generated.vectors[j])
    assert found["same"] == pytest.approx(np.mean(same)) and found["different"] == pytest.approx(np.mean(different))
    misses, alarms = ((np.array(x)[:, None] < np.unique(same + different)).mean(0) for x in (same, different))
    crossing = np.abs(misses - (1 - alarms)).argmin()
    assert found["eer_percent"] == pytest.approx(100 * misses[crossing], abs=1.5)
    assert measure_consistency(crowd(0, each=1))["eer_percent"] is None


def test_the_frechet_distance_agrees_with_scipys_matrix_root():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6)), rng.normal(1, 2, (70, 6))
    first, second = np.cov(one.T), np.cov(other.T)
    expected = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(one[:3], other[:3]) >= 0  # fewer vectors than dimensions


def test_a_gain_is_measured_on_the_same_pairs():
    real, short = crowd(0, of_gender=0.0), crowd(1, noise=2.0, of_gender=0.0)
    assert measure_gain(short, short, real) == {"percent": 0.0, "ci95": [0.0, 0.0]}
    gain = measure_gain(crowd(2, of_gender=0.0), short, real)
    assert gain["percent"] > 0 and gain["ci95"][0] > 0


def test_halves_are_disjoint_and_complete():
    faces = crowd(0, each=5)
    first, second = halves(faces)
    assert [first.people.count(name) for name in PEOPLE] == [2] * 20
    assert [second.people.count(name) for name in PEOPLE] == [3] * 20
    rows = {tuple(row) for half in (first, second) for row in half.vectors}
    assert rows == {tuple(row) for row in faces.vectors}


def test_a_person_of_unknown_gender_is_named():
    with pytest.raises(InputError, match=r"spk2gender.* p03"):
        measure_generated(crowd(0), crowd(1), crowd(2), {k: v for k, v in GENDER.items() if k != "p03"}, 0)


def test_the_table_has_a_column_per_length_and_one_for_real_faces():
    lengths = {"1 s": crowd(1, noise=2.0), "all": crowd(2)}
    results = measure_lengths(lengths, crowd(0), crowd(3), GENDER, 50)
    cells = results_table(results)
    assert cells[0] == ["speech used", "chance", "1 s", "all", "real faces"]
    by_name = {row[0]: row[1:] for row in cells}
    assert by_name["1:2 matching, %"][2].startswith(
        f"{results['lengths']['all']['matching']['accuracy_percent']:.1f} ("
    )
    assert by_name["retrieval, mAP %"][0] == f"{results['lengths']['all']['retrieval']['chance_percent']:.1f}"
    counts = {"n_people": 20, "n_videos": 80, "n_bad_clips": 3, "n_short_videos": 2, "n_without_face": 1}
    text = "\n".join(report_lines({**results, **counts}))
    assert "3 clips without enough speech, 2 videos" in text and "all over 1 s: +" in text


def test_the_grid_has_each_face_in_its_row_and_column():
    rows = [np.stack([np.full((8, 8, 3), 40 * row + 10 * column, np.uint8) for column in range(3)]) for row in range(2)]
    page = face_grid(rows, ["", ""], ["", "", ""], scale=2)
    found = [[page[22 + row * 22 + 8, 110 + column * 22 + 6 * (column == 2) + 8].tolist() for column in range(3)]
             for row in range(2)]  # fmt: skip
    assert found == [[[40 * row + 10 * column] * 3 for column in range(3)] for row in range(2)]
