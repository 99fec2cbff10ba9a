"""check_results.py RESULTS.json audio-visual|adapted|nsc CONDITION ...: all systems have plausible figures."""

import json
import sys

MODALITIES = [(system, backend) for system in ("voice", "face", "avn_e")
              for backend in ("cosine", "plda", "plda+calibrated", "cosine+as-norm",
                              "cosine+as-norm+calibrated")]  # fmt: skip
SYSTEMS = {
    "audio-visual": [*MODALITIES, ("avn_e", "cosine+shared"), ("avn_e", "cosine+shared+calibrated"),
                      ("avn_e", "cosine+shared+quality"),
                      ("mean", "cosine"), ("logistic", "cosine"), ("logistic", "cosine+qmf"), ("quality", "cosine")],
    "nsc": [("ecapa", "lda-cosine")] + [("ecapa", backend + kind) for backend in ("cosine", "plda", "cosine+as-norm")
                                        for kind in ("", "+calibrated", "+qmf")],
}  # fmt: skip


SYSTEMS["adapted"] = [
    *((name + suffix, backend) for name, backend in SYSTEMS["audio-visual"] for suffix in ("", "_adapted")),
    ("voice_adapted", "plda+mean-norm"), ("face_adapted", "plda+mean-norm"), ("quality_adapted", "plda"),
]  # fmt: skip


def main(path: str, kind: str, conditions: list[str]) -> None:
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)
    lists = {row["trials"] for row in rows}
    found = {(row["system"], row["backend"], row["trials"], row["condition"]) for row in rows}
    expected = {
        (*system, trials, condition) for system in SYSTEMS[kind] for trials in lists for condition in conditions
    }
    assert found == expected, f"missing: {sorted(expected - found)}; unexpected: {sorted(found - expected)}"
    for row in rows:
        low, high = row["eer_ci95"]
        assert 0 <= low <= high <= 100 and 0 <= row["eer_percent"] <= 100, row
        assert row["n_target"] > 0 and row["n_nontarget"] > 0, row
    print(f"{path}: {len(rows)} results of {len(SYSTEMS[kind])} systems, as expected")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
