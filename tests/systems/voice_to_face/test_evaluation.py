"""Measures of drawn faces, by plain loops and SciPy, on people made of numbers."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from avsv.errors import InputError
from avsv.evaluation.tables import markdown_rows
from avsv.systems.voice_to_face.evaluation import (
    Faces,
    SexClassifier,
    draw_pairs,
    frechet_distance,
    halves,
    measure_consistency,
    measure_drawn,
    measure_gain,
    measure_lengths,
    measure_share,
)
from avsv.systems.voice_to_face.page import face_page
from avsv.systems.voice_to_face.table import drawn_table, report_lines

PEOPLE = [f"p{number:02d}" for number in range(20)]
SEX = {name: "fm"[number % 2] for number, name in enumerate(PEOPLE)}


def crowd(seed=0, each=4, own=1.0, of_sex=1.0, noise=0.3, people=PEOPLE):
    """Faces with a part of the person's own, a part of the sex, and noise; people are the same whatever the seed."""
    fixed, rng = np.random.default_rng(99), np.random.default_rng(seed)
    places = {name: own * fixed.normal(size=12) for name in PEOPLE}
    names = [name for name in people for _ in range(each)]
    vectors = np.array([places[name] for name in names]) + noise * rng.normal(size=(len(names), 12))
    vectors[:, 0] += [2 * of_sex * (1 if SEX[name] == "f" else -1) for name in names]
    return Faces(vectors, names)


def test_pairs_are_of_the_speaker_and_of_another():
    drawn, real = ["p00", "p01", "x", "p00"], ["p00", "p01", "p02", "p00"]
    pairs = draw_pairs(drawn, real, n=30)
    assert len(pairs) == 90 and set(pairs[:, 0]) == {0, 1, 3}
    for voice, own, other in pairs:
        assert real[own] == drawn[voice] != real[other]
    assert {tuple(pair) for pair in pairs} >= {(0, 0, 1), (0, 3, 2), (1, 1, 0), (1, 1, 3)}


def test_pairs_within_a_sex_stay_within_it_and_need_another_person():
    pairs = draw_pairs(PEOPLE[:4], PEOPLE[:3], SEX, n=20)
    assert {(PEOPLE[v], PEOPLE[other]) for v, _, other in pairs} == {("p00", "p02"), ("p02", "p00")}


def test_matching_is_certain_where_drawn_faces_are_the_real_ones_and_chance_where_they_are_anybodys():
    real = crowd(0, noise=0.05, of_sex=0.0)
    good = measure_drawn(crowd(1, noise=0.05, of_sex=0.0), real, crowd(2), SEX, 200)
    assert good["matching"]["accuracy_percent"] == 100 and good["retrieval"]["map_percent"] > 99
    assert good["matching_same_sex"]["accuracy_percent"] == 100
    nobody = Faces(np.random.default_rng(5).normal(size=(80, 12)), real.people)
    bad = measure_drawn(nobody, real, crowd(2), SEX, 200)
    for name in ("matching", "matching_same_sex"):
        low, high = bad[name]["accuracy_ci95"]
        assert low < 50 < high
    low, high = bad["sex"]["ci95"]
    assert low < 50 < high


def test_where_only_the_sex_is_right_matching_is_three_quarters_and_chance_within_a_sex():
    real = crowd(0, own=0.0, of_sex=3.0, noise=0.3)
    found = measure_drawn(crowd(1, own=0.0, of_sex=3.0, noise=0.3), real, crowd(2, of_sex=3.0), SEX, 0)
    # 10 of 19 others are of the other sex and always told apart, 9 by chance
    assert found["matching"]["accuracy_percent"] == pytest.approx(100 * (10 + 4.5) / 19, abs=3)
    assert found["matching_same_sex"]["accuracy_percent"] == pytest.approx(50, abs=4)
    assert found["sex"]["percent"] == 100


def test_the_sex_is_told_as_scikit_learns_discriminant_tells_it():
    train, test = crowd(0, each=20, noise=1.5), crowd(1, noise=1.5, of_sex=0.3)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.5, 0.5])
    theirs.fit(train.vectors, [SEX[name] == "f" for name in train.people])
    expected = theirs.predict(test.vectors) == [SEX[name] == "f" for name in test.people]
    ours = SexClassifier.train(train, SEX).agrees(test, SEX)
    assert (ours == expected).mean() > 0.95 and 0.5 < ours.mean() < 1


def test_faces_of_one_sex_teach_nothing_of_the_other():
    with pytest.raises(InputError, match="of one sex only"):
        SexClassifier.train(crowd(0, people=PEOPLE[::2]), SEX)


def test_a_share_has_an_interval_over_people_that_is_wider_than_one_over_answers():
    people = [name for name in PEOPLE for _ in range(50)]
    right = np.array([int(name[1:]) % 4 > 0 for name in people])  # all of a person's answers are alike
    share = measure_share(right, people)
    low, high = share["ci95"]
    # 20 people, 15 of them right: binomial standard deviation 9.7 points
    assert share["percent"] == 75 and 2 * 1.6 * 9.7 < high - low < 2 * 2.4 * 9.7


def test_consistency_is_of_pairs_of_drawn_faces():
    drawn = crowd(0, each=3)
    found = measure_consistency(drawn, 0)
    same, different = [], []
    for i, one in enumerate(drawn.people):
        for j in range(i):
            (same if one == drawn.people[j] else different).append(drawn.vectors[i] @ drawn.vectors[j])
    assert found["same"] == pytest.approx(np.mean(same)) and found["different"] == pytest.approx(np.mean(different))
    misses, alarms = ((np.array(x)[:, None] < np.unique(same + different)).mean(0) for x in (same, different))
    crossing = np.abs(misses - (1 - alarms)).argmin()
    assert found["eer_percent"] == pytest.approx(100 * misses[crossing], abs=1.5)
    assert measure_consistency(crowd(0, each=1))["eer_percent"] is None


def test_the_frechet_distance_is_that_of_scipys_matrix_root():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6)), rng.normal(1, 2, (70, 6))
    first, second = np.cov(one.T), np.cov(other.T)
    expected = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(one[:3], other[:3]) >= 0  # fewer vectors than dimensions


def test_a_gain_is_measured_on_the_same_pairs():
    real, short = crowd(0, of_sex=0.0), crowd(1, noise=2.0, of_sex=0.0)
    assert measure_gain(short, short, real, 200) == {"percent": 0.0, "ci95": [0.0, 0.0]}
    gain = measure_gain(crowd(2, of_sex=0.0), short, real, 200)
    assert gain["percent"] > 0 and gain["ci95"][0] > 0


def test_halves_share_no_face_and_hold_all():
    faces = crowd(0, each=5)
    first, second = halves(faces)
    assert [first.people.count(name) for name in PEOPLE] == [2] * 20
    assert [second.people.count(name) for name in PEOPLE] == [3] * 20
    rows = {tuple(row) for half in (first, second) for row in half.vectors}
    assert rows == {tuple(row) for row in faces.vectors}


def test_a_person_of_unknown_sex_is_named():
    with pytest.raises(InputError, match=r"1 people are of unknown sex, such as p03; give them in spk2gender"):
        measure_drawn(crowd(0), crowd(1), crowd(2), {k: v for k, v in SEX.items() if k != "p03"}, 0)


def test_the_table_has_a_column_a_length_and_what_real_faces_reach():
    lengths = {"1 s": crowd(1, noise=2.0), "all": crowd(2)}
    results = measure_lengths(lengths, crowd(0), crowd(3), SEX, 50)
    cells = drawn_table(results)
    assert cells[0] == ["speech heard", "chance", "1 s", "all", "real faces"]
    by_name = {row[0]: row[1:] for row in cells}
    assert by_name["1:2 matching, %"][2].startswith(
        f"{results['lengths']['all']['matching']['accuracy_percent']:.1f} ("
    )
    assert by_name["retrieval, mAP %"][0] == f"{results['lengths']['all']['retrieval']['chance_percent']:.1f}"
    counts = {"n_people": 20, "n_videos": 80, "n_bad_clips": 3, "n_short_videos": 2, "n_without_face": 1}
    text = "\n".join(report_lines({**results, **counts}, markdown_rows(cells)))
    assert "3 clips without enough speech, 2 videos" in text and "1:2 matching, all less 1 s: +" in text


def test_a_page_has_each_face_where_its_row_and_column_cross():
    rows = [np.stack([np.full((8, 8, 3), 40 * row + 10 * column, np.uint8) for column in range(3)]) for row in range(2)]
    page = face_page(rows, ["", ""], ["", "", ""], scale=2)
    found = [[page[22 + row * 22 + 8, 110 + column * 22 + 6 * (column == 2) + 8].tolist() for column in range(3)]
             for row in range(2)]  # fmt: skip
    assert found == [[[40 * row + 10 * column] * 3 for column in range(3)] for row in range(2)]
