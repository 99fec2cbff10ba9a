#!/usr/bin/env python3
"""Summarise results.json of an ablation: a table of EER by system and condition, over SYSTEM.seed0, .seed1, ...

Each cell holds the mean, followed by minimum and maximum if several seeds exist; the much wider interval over people is
in results.md. Each trial list has its own table; rows are sorted by their mean over the conditions.

example: local/summarize_seeds.py exp/ablation/results/results.json exp/ablation/seeds.md
"""

import argparse
import json
from pathlib import Path

import numpy as np

from avsv.evaluation.results import by_list
from avsv.evaluation.tables import markdown_rows
from avsv.jobs.files import whole_file


def main(args):
    lines = []
    for name, records in by_list(json.loads(args.results.read_text(encoding="utf-8"))).items():
        lines += [f"## {name}: EER in %", "", *markdown_rows(table(records)), ""]
    with whole_file(args.out) as out:
        out.write("\n".join(lines))
    print("\n".join(lines))


def table(records: list[dict]) -> list[list[str]]:
    """The header row and one row for each system."""
    conditions = list(dict.fromkeys(record["condition"] for record in records))
    eers: dict[str, dict[str, list[float]]] = {}
    for record in records:
        system = record["system"].partition(".seed")[0]
        if record["backend"] != "cosine":
            system += " " + record["backend"].removeprefix("cosine+")
        eers.setdefault(system, {}).setdefault(record["condition"], []).append(record["eer_percent"])
    rows = sorted(eers.items(), key=lambda row: np.mean([np.mean(of_seeds) for of_seeds in row[1].values()]))
    return [["system", *conditions], *([system, *(cell(row.get(c, [])) for c in conditions)] for system, row in rows)]


def cell(of_seeds: list[float]) -> str:
    if len(of_seeds) < 2:
        return f"{of_seeds[0]:.2f}" if of_seeds else "-"
    return f"{np.mean(of_seeds):.2f} ({min(of_seeds):.2f}-{max(of_seeds):.2f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, metavar="RESULTS_JSON")
    parser.add_argument("out", type=Path, metavar="OUT_MD")
    main(parser.parse_args())
