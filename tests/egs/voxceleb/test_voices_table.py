"""The table of voice encoders: errors with intervals, published figures, cost."""

import json

import pytest

from tests.egs.voxceleb.scripts import prepare

COST = (
    "system\tparameters\tgmac_per_second\tcpu_seconds_per_second\nxvector\t4211604\t0.2650\t0.01234\nge2e\t-\t-\t0.02\n"
)


def record(system, backend, eer, ci95, trials="vox1-O"):
    return {"system": system, "backend": backend, "trials": trials, "condition": "clean", "eer_percent": eer,
            "eer_ci95": ci95}  # fmt: skip


RECORDS = [
    record("xvector", "cosine", 9.5, [8.0, 11.0]),
    record("xvector", "plda", 6.25, [5.0, 7.5]),
    record("ge2e", "cosine", 4.36, [3.0, 6.0]),
    record("gmm_ubm", "map", 15.0, None),
    record("xvector", "plda", 7.0, [6.0, 8.0], "vox1-H"),
]


def table(tmp_path, records, *options, cost=COST):
    """Exit status, and the output's tables: name of the list -> rows of cells."""
    (tmp_path / "results.json").write_text(json.dumps(records))
    (tmp_path / "cost.tsv").write_text(cost)
    status, output = prepare("voices_table.py", tmp_path / "results.json", tmp_path / "cost.tsv", *options)
    tables = {}
    for part in output.split("## ")[1:]:
        lines = [line for line in part.splitlines() if line.startswith("|")]
        tables[part.splitlines()[0]] = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return status, output, tables


def test_a_row_for_each_system_with_every_back_end_and_its_cost(tmp_path):
    status, output, tables = table(tmp_path, RECORDS)
    assert status == 0, output
    head, _, *rows = tables["vox1-O"]
    assert head == ["system", "EER %, cosine", "EER %, map", "EER %, plda", "parameters", "GMAC/s", "CPU s/s"]
    assert rows == [
        ["ge2e", "4.36 (3.00-6.00)", "-", "-", "-", "-", "0.02"],
        ["xvector", "9.50 (8.00-11.00)", "-", "6.25 (5.00-7.50)", "4.21 M", "0.2650", "0.01234"],
        ["gmm_ubm", "-", "15.00 (-)", "-", "-", "-", "-"],
    ]
    assert tables["vox1-H"][2][:2] == ["xvector", "7.00 (6.00-8.00)"]


def test_published_figures_have_a_column_of_their_own_and_sources(tmp_path):
    published = tmp_path / "published.tsv"
    published.write_text("list\tsystem\teer_percent\tsource\nvox1-O\txvector\t3.1\tKaldi\nvox1-O\txvector\t3.2\tSpeechBrain\n"
                         "vox1-O\tabsent\t1.0\tNobody\n")  # fmt: skip
    status, output, tables = table(tmp_path, RECORDS, "--published", published)
    assert status == 0, output
    rows = {row[0]: row for row in tables["vox1-O"]}
    column = rows["system"].index("published EER %")
    assert rows["xvector"][column] == "3.1 [1]; 3.2 [2]" and rows["ge2e"][column] == "-"
    assert "[1] Kaldi" in output and "[2] SpeechBrain" in output and "Nobody" not in output


@pytest.mark.parametrize("cost", ["", "system\tparameters\n"])
def test_a_damaged_table_of_costs_is_named(tmp_path, cost):
    status, output, _ = table(tmp_path, RECORDS, cost=cost)
    assert status == 1 and "cost.tsv" in output
