"""Finding score files by name, and tables of their results."""

import re
from pathlib import Path

import pytest

from avsv.errors import InputError
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
def test_a_name_gives_list_condition_and_backend(name, expected):
    file = parse_score_file(Path("exp/face/scores") / name, ["vox1-O-cleaned", "vox1-O", "veri_test2.txt"])
    assert (file and (file.trials, file.condition, file.backend)) == expected


def test_files_beside_the_scores_are_skipped_and_scores_of_other_lists_counted(tmp_path, caplog):
    folder = tmp_path / "voice" / "scores"
    folder.mkdir(parents=True)
    for name in (
        "t.plda",
        "t.cosine",
        "t@noisy.cosine",
        "t.cosine.json",
        "t.cosine.missing",
        ".t.part",
        "other.cosine",
    ):
        (folder / name).touch()
    names = [file.path.name for file in find_score_files(tmp_path, ["t"])]
    assert names == ["t.cosine", "t.plda", "t@noisy.cosine"]
    assert caplog.records[0].args == (1, folder / "other.cosine")


def test_an_experiment_without_score_files_is_an_error(tmp_path):
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}: ")):
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


def test_differences_from_the_reference_have_a_column():
    base = {"trials": "t", "condition": "clean", "backend": "plda", "n_target": 10, "n_nontarget": 20, "min_dcf": {},
            "eer_ci95": None, "eer_percent": 1.0, "reference": ["voice", "plda"]}  # fmt: skip
    against = {"eer_percent": {"difference": -0.5, "ci95": [-1.0, 0.25]}}
    text = markdown([base | {"system": "voice", "against_reference": None},
                     base | {"system": "face", "against_reference": against}])  # fmt: skip
    assert "| EER % (95 %) | against voice, plda (95 %) |" in text
    assert "| voice | plda | 1.00 (-) | reference |" in text
    assert "| face | plda | 1.00 (-) | -0.50 (-1.00 to +0.25) |" in text


def test_all_conditions_of_a_list_are_in_one_table():
    base = {"trials": "t", "system": "voice", "n_target": 10, "n_nontarget": 20, "min_dcf": {}, "eer_ci95": None}
    text = markdown([base | {"backend": "cosine", "condition": "clean", "eer_percent": 1.0},
                     base | {"backend": "plda", "condition": "clean", "eer_percent": 2.0},
                     base | {"backend": "cosine", "condition": "no-face", "eer_percent": 3.0}])  # fmt: skip
    assert "## t, EER % in every condition" in text
    assert "| System | Back-end | clean | no-face |" in text
    assert "| voice | cosine | **1.00** | 3.00 |" in text
    assert "| voice | plda | 2.00 | - |" in text


def test_conditions_are_sorted_by_their_numbers(tmp_path):
    folder = tmp_path / "voice" / "scores"
    folder.mkdir(parents=True)
    for name in ("t@snr-10.cosine", "t@snr-5.cosine", "t.cosine", "t@noisy-0.6.cosine"):
        (folder / name).touch()
    conditions = [file.condition for file in find_score_files(tmp_path, ["t"])]
    assert conditions == ["clean", "noisy-0.6", "snr-5", "snr-10"]


def test_only_requested_conditions_are_used_and_each_needs_scores(tmp_path):
    """An earlier run may have left score files of other conditions in the same folder."""
    (tmp_path / "voice/scores").mkdir(parents=True)
    for name in ("l.cosine", "l@noisy-0.3.cosine", "l@noisy-0.6.cosine"):
        (tmp_path / "voice/scores" / name).write_text("a b 1\n")
    every = find_score_files(tmp_path, ["l"])
    assert [file.condition for file in every] == ["clean", "noisy-0.3", "noisy-0.6"]
    asked = find_score_files(tmp_path, ["l"], ["clean", "noisy-0.6"])
    assert [file.condition for file in asked] == ["clean", "noisy-0.6"]
    with pytest.raises(InputError, match="babble"):
        find_score_files(tmp_path, ["l"], ["clean", "babble"])
