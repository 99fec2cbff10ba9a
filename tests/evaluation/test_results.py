"""Score files found by name, and the tables made of them."""

from pathlib import Path

import numpy as np
import pytest

from avsv.errors import UserError
from avsv.evaluation.det import det_points, plot_det
from avsv.evaluation.errors import count_errors
from avsv.evaluation.results import find_score_files, markdown, parse_score_file


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vox1-O.cosine", ("vox1-O", "clean", "cosine")),
        ("vox1-O-cleaned@no-voice.plda", ("vox1-O-cleaned", "no-voice", "plda")),
        ("vox1-O@noisy-0.6.cosine_as-norm", ("vox1-O", "noisy-0.6", "cosine+as-norm")),
        ("veri_test2.txt@noisy-0.6.cosine", ("veri_test2.txt", "noisy-0.6", "cosine")),
        ("other.cosine", None),
        ("vox1-O2.cosine", None),
    ],
)
def test_a_name_tells_list_condition_and_backend(name, expected):
    file = parse_score_file(Path("exp/face/scores") / name, ["vox1-O-cleaned", "vox1-O", "veri_test2.txt"])
    assert (file and (file.trials, file.condition, file.backend)) == expected


def test_files_beside_the_scores_are_left_out_and_strangers_counted(tmp_path, caplog):
    folder = tmp_path / "voice" / "scores"
    folder.mkdir(parents=True)
    for name in (
        "t.plda",
        "t.cosine",
        "t@noisy.cosine",
        "t.cosine.json",
        "t.cosine.missing",
        ".t.part",
        "strange.cosine",
    ):
        (folder / name).touch()
    found = [file.path.name for file in find_score_files(tmp_path, ["t"])]
    assert found == ["t.cosine", "t.plda", "t@noisy.cosine"]
    assert "1 score files are of no trial list here" in caplog.text


def test_no_score_file_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"no score files SYSTEM/scores/LIST\[@CONDITION\].BACKEND of the lists t"):
        find_score_files(tmp_path, ["t"])


def test_the_best_of_each_column_is_bold():
    base = {"trials": "t", "condition": "clean", "backend": "cosine", "n_target": 1000, "n_nontarget": 2000}
    rows = [
        base | {"system": "voice", "eer_percent": 2.5, "eer_ci95": [2.0, 3.0], "min_dcf": {"0.01": 0.25}},
        base | {"system": "face", "eer_percent": 1.5, "eer_ci95": None, "min_dcf": {"0.01": 0.5}},
    ]
    text = markdown(rows)
    assert "3,000 trials: 1,000 target, 2,000 nontarget." in text
    assert "| voice | cosine | 2.50 (2.00-3.00) | **0.2500** | 3,000 |" in text
    assert "| face | cosine | **1.50** (-) | 0.5000 | 3,000 |" in text


def test_det_curve_passes_through_the_rates():
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 0.5
    counts = count_errors(rng.standard_normal(300) + labels, labels)
    fpr, fnr = det_points(counts)
    assert set(zip(fpr, fnr)) <= set(zip(counts.fpr, counts.fnr))
    assert (np.diff(fpr) <= 0).all()
    assert (np.diff(fnr) >= 0).all()


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_det_plot_is_drawn_for_perfect_and_for_useless_scores(tmp_path, kind):
    labels = np.arange(20) < 8
    curves = {"perfect": count_errors(labels.astype(float), labels), "useless": count_errors(np.zeros(20), labels)}
    plot_det(tmp_path / f"det.{kind}", "t, clean", curves)
    assert (tmp_path / f"det.{kind}").stat().st_size > 1000
