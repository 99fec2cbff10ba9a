#!/usr/bin/env python3
"""Check the claim "never worse than its parts": the recommended system against its rivals, on every list and condition.

The recommended system is the reference of results.json. Rivals are systems as such and adapted (NAME_adapted); of all
their back-ends, the one with the lowest EER on the same trials counts, which favours the rivals. Worse and better: the
paired 95 % interval of the difference excludes 0. A second table shows the calibration of the recommended system.

example: local/check_claim.py exp/results/results.json exp/results/claim.md
"""

import argparse
import json
from pathlib import Path

from corpus import log, run

from avsv.errors import InputError
from avsv.evaluation.comparison import verdict
from avsv.evaluation.measures import AT_ZERO, percent_text
from avsv.evaluation.results import by_table
from avsv.evaluation.tables import markdown_rows, shown, span
from avsv.jobs.files import whole_file

PRIOR = "0.01"


def main(args):
    records = json.loads(args.results.read_text(encoding="utf-8"))
    present = {record["system"] for record in records}
    if absent := [name for name in args.rivals if name not in present]:
        raise InputError(f"{args.results}: has no results of {', '.join(absent)}; it has {', '.join(sorted(present))}")
    if not records[0].get("reference"):
        raise InputError(f"{args.results}: names no reference; make it with avsv report --reference")
    rivals = {name for rival in args.rivals for name in (rival, f"{rival}_adapted")}
    tables = {key: pick(rows, rivals) for key, rows in by_table(records).items()}
    tables = {key: two for key, two in tables.items() if two}
    system, backend = records[0]["reference"]
    compared = {key: compare(*two) for key, two in tables.items()}
    verdicts = [one[-1] for one in compared.values()]
    above = sum(own["eer_percent"] > rival["eer_percent"] for own, rival in tables.values())
    counts = ", ".join(f"{verdicts.count(name)} times {name}" for name in ("worse", "level", "better"))
    summary = (f"{system} ({backend}) against its best rival on {len(tables)} lists and conditions: {counts}; its EER "
               f"is the higher one {above} times.")  # fmt: skip
    costs = [f"minDCF({PRIOR})", f"actDCF({PRIOR})", "ratio", "minCllr", "Cllr", "ratio"]
    heads = (["recommended", "EER %", "best rival", "EER %", "difference", "95 % interval", "verdict"],
             [*costs, "EER %", *AT_ZERO.values()])  # fmt: skip
    calibrated = {key: calibration(own) for key, (own, _) in tables.items()}
    lines = [summary, ""]
    for head, rows in zip(heads, (compared, calibrated), strict=True):
        lines += [*markdown_rows([["list", "condition", *head], *([*key, *row] for key, row in rows.items())]), ""]
    with whole_file(args.out) as out:
        out.write("\n".join(lines))
    print("\n".join(lines))
    log.info("%s: %s", args.out, summary)


def pick(rows: list[dict], rivals: set[str]) -> tuple[dict, dict] | None:
    """The recommended system and its best rival on one list and condition; None if one of them has no error rate."""
    own = [row for row in rows if [row["system"], row["backend"]] == row.get("reference")]
    others = [row for row in rows if row["system"] in rivals and row not in own and row["eer_percent"] is not None]
    if not own or not others or own[0]["eer_percent"] is None:
        return None
    return own[0], min(others, key=lambda row: row["eer_percent"])


def compare(own: dict, rival: dict) -> list[str]:
    """Cells of the comparison, the verdict last."""
    against = rival["against_reference"]["eer_percent"]  # rival - recommended
    change = 0.0 - against["difference"]
    ends = against["ci95"] and (-against["ci95"][1], -against["ci95"][0])
    return [
        own["system"], shown(own["eer_percent"], 2), f"{rival['system']} ({rival['backend']})",
        shown(rival["eer_percent"], 2), f"{change:+.2f}", span(ends, 2, sign=True), verdict(change, ends),
    ]  # fmt: skip


def calibration(own: dict) -> list[str]:
    """Cells of the calibration: costs beside the least ones, error rates at 0 beside the EER."""
    cells = []
    for least, actual, digits in ((own["min_dcf"].get(PRIOR), own["act_dcf"].get(PRIOR), 4),
                                  (own["min_cllr"], own["cllr"], 3)):  # fmt: skip
        ratio = actual / least if least and actual is not None else None
        cells += [shown(least, digits), shown(actual, digits), shown(ratio, 2)]
    return [*cells, shown(own["eer_percent"], 2), *(percent_text(own["at_zero"][kind]) for kind in AT_ZERO)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results.json of avsv report")
    parser.add_argument("out", type=Path, help="Markdown file to write")
    parser.add_argument("--rivals", nargs="+", default=["voice", "face", "mean", "logistic"], metavar="NAME",
                        help="systems (default: voice face mean logistic)")  # fmt: skip
    run(main, parser)
