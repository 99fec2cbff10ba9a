#!/usr/bin/env python3
"""One table of voice encoders for each trial list: EER by back-end with 95 % intervals, published EER, and cost.

Prints Markdown. Figures of the published column come from --published, with their sources below; they are of other
training data than ours unless their source says so.

example: local/voices_table.py exp/voices/results/results.json exp/voices/cost.tsv --published conf/published_voices.tsv
"""

import argparse
import json
from pathlib import Path

from corpus import run

from avsv.errors import InputError
from avsv.evaluation.published import Published, cite, published_cells, read_published
from avsv.evaluation.results import by_list
from avsv.evaluation.tables import markdown_rows, shown, span

COST = ["parameters", "GMAC/s", "CPU s/s"]


def main(args):
    records = json.loads(args.results.read_text(encoding="utf-8"))
    cost = read_cost(args.cost)
    published = read_published(args.published) if args.published else []
    for name, rows in by_list(records).items():
        known = [row for row in published if row.list == name and row.system in {r["system"] for r in rows}]
        print(f"## {name}", "", *markdown_rows(table(rows, known, cost)), "", sep="\n")
        sources = cite(known)
        print("".join(f"[{number}] {source}\n\n" for source, number in sources.items()), end="")


def table(records: list[dict], published: list[Published], cost: dict[str, list[str]]) -> list[list[str]]:
    """The heading and a row for each system, in the order of the lowest EER of any back-end."""
    backends = sorted({record["backend"] for record in records}, key=lambda name: (name != "cosine", name))
    head = [f"EER %, {backend}" for backend in backends]
    sources = cite(published)
    systems: dict[str, dict[str, dict]] = {}
    for record in records:
        systems.setdefault(record["system"], {})[record["backend"]] = record
    rows = []
    for name, found in sorted(systems.items(), key=lambda item: min(r["eer_percent"] for r in item[1].values())):
        eers = [cell(found.get(backend)) for backend in backends]
        cited = published_cells([row for row in published if row.system == name], sources)[0]
        rows.append([name, *eers, *([cited] if published else []), *cost.get(name, ["-"] * len(COST))])
    return [["system", *head, *(["published EER %"] if published else []), *COST], *rows]


def cell(record: dict | None) -> str:
    """EER with its interval, such as "5.63 (3.10-8.20)"."""
    return "-" if record is None else f"{shown(record['eer_percent'], 2)} ({span(record['eer_ci95'], 2)})"


def read_cost(path: Path) -> dict[str, list[str]]:
    """System -> cells of its cost, from the table of measure_cost.py."""
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    if not lines or any(len(line) != 4 for line in lines):
        raise InputError(f"{path}: expected the table of measure_cost.py, with 4 columns")
    return {name: [millions(parameters), gmac, seconds] for name, parameters, gmac, seconds in lines[1:]}


def millions(number: str) -> str:
    """A number of parameters as "1.07 M".

    Examples
    --------
    >>> millions("1070000"), millions("-")
    ('1.07 M', '-')
    """
    return f"{int(number) / 1e6:.2f} M" if number.isdecimal() else number


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results.json of avsv report")
    parser.add_argument("cost", type=Path, help="table of measure_cost.py")
    parser.add_argument("--published", type=Path, help="table of published figures")
    run(main, parser)
