"""check_association.py RESULTS.json SYSTEM ...: every system is present on both sets, with plausible figures."""

import json
import sys


def main(path: str, systems: list[str]) -> None:
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)
    found = {(row["set"], row["system"], row["protocol"]) for row in rows}
    protocols = dict.fromkeys(systems, ("verification", "matching", "retrieval")) | {"svhf": ("matching",)}
    expected = {(name, s, p) for name in ("unseen", "seen") for s in systems for p in protocols[s]}
    assert found == expected, f"missing: {sorted(expected - found)}; unexpected: {sorted(found - expected)}"
    for row in rows:
        key = next(k for k in ("eer_percent", "accuracy_percent", "map_percent") if k in row)
        assert 0 <= row[key] <= 100 and row["n_people"] > 1 and 0 < row["chance_percent"] <= 50, row
    print(f"{path}: {len(rows)} measures of {len(systems)} systems, as expected")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
