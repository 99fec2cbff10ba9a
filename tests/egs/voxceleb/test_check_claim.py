"""The recommended system against its rivals, from results.json."""

import json

import numpy as np
import pytest

from avsv.evaluation.report.results import Options
from avsv.evaluation.report.write import write_report
from tests.egs.voxceleb.scripts import prepare


def record(system, eer, difference=None, ci95=None, backend="cosine", **more):
    against = None if difference is None else {"eer_percent": {"difference": difference, "ci95": ci95}}
    calibrated = {"min_dcf": {"0.01": 0.4}, "act_dcf": {"0.01": 0.5}, "min_cllr": 0.1, "cllr": 0.12}
    return {"system": system, "backend": backend, "trials": "O", "condition": "clean", "eer_percent": eer,
            "reference": ["quality", "cosine"], "against_reference": against, "at_zero": {"fnr": 0.01, "fpr": 0.025},
            **calibrated, **more}  # fmt: skip


def check(tmp_path, records, *options):
    (tmp_path / "results.json").write_text(json.dumps(records))
    status, output = prepare("check_claim.py", tmp_path / "results.json", tmp_path / "claim.md", *options)
    text = (tmp_path / "claim.md").read_text() if status == 0 else ""
    tables = [[[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines()[2:]]
              for part in text.split("\n\n") if part.startswith("|")]  # fmt: skip
    return status, output, tables


OWN = record("quality", 2.0)
OTHERS = [record("face", 9.0, 7.0, [5, 9]), record("logistic", 3.0, 1.0, [0.5, 1.5])]


@pytest.mark.parametrize("difference, ci95, verdict", [
    (-0.5, [-0.9, -0.1], "worse"), (-0.5, [-0.9, 0.2], "level"), (0.5, [0.1, 0.9], "better"),
])  # fmt: skip
def test_the_best_rival_by_eer_counts_with_any_back_end_raw_or_adapted(tmp_path, difference, ci95, verdict):
    best = record("mean_adapted", 2.0 + difference, difference, ci95, "cosine+x")
    records = [OWN, *OTHERS, best, record("mean", 2.9, 0.9, [0, 1]), record("voice", 4.0, 2.0, [1, 3])]
    status, output, (compared, _) = check(tmp_path, records)
    assert status == 0, output
    ((*cells, interval, found),) = compared
    assert cells == ["O", "clean", "quality", "2.00", "mean_adapted (cosine+x)", f"{2 + difference:.2f}",
                     f"{-difference:+.2f}"]  # fmt: skip
    assert interval == f"{-ci95[1]:+.2f} to {-ci95[0]:+.2f}" and found == verdict
    assert f"1 times {verdict}" in output


def test_systems_that_are_no_rivals_do_not_count(tmp_path):
    records = [OWN, *OTHERS, record("avn_e", 1.0, -1.0, [-2, -0.5]), record("voice", 2.5, 0.5, [0.1, 0.9])]
    records.append(record("mean", 8.0, 6.0, [5, 7]))
    assert check(tmp_path, records)[2][0][0][4] == "voice (cosine)"
    assert check(tmp_path, records, "--rivals", "mean", "face")[2][0][0][4] == "mean (cosine)"


def test_calibration_is_shown_beside_the_best_possible(tmp_path):
    records = [OWN, *OTHERS, record("voice", 2.5, 0.5, [0.1, 0.9]), record("mean", 8.0, 6.0, [5, 7])]
    assert check(tmp_path, records)[2][1] == [
        ["O", "clean", "0.4000", "0.5000", "1.25", "0.100", "0.120", "1.20", "2.00", "1.00", "2.50"]
    ]
    perfect = record("quality", 0.0, min_dcf={"0.01": 0.0}, act_dcf={"0.01": 0.0})
    assert check(tmp_path, [perfect, *records[1:]])[2][1][0][4] == "-"


def test_an_absent_rival_and_results_without_a_reference_are_named(tmp_path):
    status, output, _ = check(tmp_path, [OWN, *OTHERS])
    assert status == 1 and "voice, mean" in output and "results.json" in output
    status, output, _ = check(tmp_path, [{**OWN, "reference": None}], "--rivals", "quality")
    assert status == 1 and "reference" in output


def test_it_reads_what_the_report_writes(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"p{person}-{clip}" for person in range(8) for clip in range(4)]
    pairs = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    same = np.array([a[:2] == b[:2] for a, b in pairs])
    (tmp_path / "trials").mkdir()
    labels = np.where(same, "target", "nontarget")
    (tmp_path / "trials/O").write_text("".join(f"{a} {b} {kind}\n" for (a, b), kind in zip(pairs, labels, strict=True)))
    for system, distance in {"voice": 1.0, "face": 2.0, "mean": 2.5, "logistic": 2.5, "quality": 4.0}.items():
        (tmp_path / "exp" / system / "scores").mkdir(parents=True)
        scores = rng.standard_normal(len(pairs)) + distance * same - distance / 2
        lines = (f"{a} {b} {score:.6g}\n" for (a, b), score in zip(pairs, scores, strict=True))
        (tmp_path / "exp" / system / "scores/O.cosine").write_text("".join(lines))
    options = Options(n_resamples=50, reference="quality.cosine")
    write_report(tmp_path / "exp", tmp_path / "results", tmp_path / "trials", options)
    records = json.loads((tmp_path / "results/results.json").read_text())
    status, output, (compared, calibrated) = check(tmp_path, records)
    assert status == 0 and compared[0][-1] == "better", output
    (own,) = [one for one in records if one["system"] == "quality"]
    assert float(calibrated[0][-2]) == pytest.approx(100 * own["at_zero"]["fnr"], abs=0.005)
