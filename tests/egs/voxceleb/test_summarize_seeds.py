"""The table over seeds of an ablation."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "egs" / "voxceleb" / "local" / "summarize_seeds.py"


def test_seeds_form_one_row_and_the_best_comes_first(tmp_path):
    rows = [
        ("mean", "clean", "cosine", 3.0),
        ("ours.seed0", "clean", "cosine", 1.0),
        ("ours.seed1", "clean", "cosine", 2.0),
        ("ours.seed0", "noisy", "cosine", 4.0),
        ("ours.seed0", "clean", "cosine+as-norm", 9.0),
    ]
    names = ("system", "condition", "backend", "eer_percent")
    records = [{"trials": "vox1-O", **dict(zip(names, row, strict=True))} for row in rows]
    (tmp_path / "results.json").write_text(json.dumps(records))
    run = [sys.executable, SCRIPT, tmp_path / "results.json", tmp_path / "seeds.md"]
    output = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    lines = [line.strip("|").split("|") for line in output.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    assert cells[0] == ["system", "clean", "noisy"]
    assert cells[2:] == [["ours", "1.50 (1.00-2.00)", "4.00"], ["mean", "3.00", "-"], ["ours as-norm", "9.00", "-"]]
    assert (tmp_path / "seeds.md").read_text().strip() == output.strip()
