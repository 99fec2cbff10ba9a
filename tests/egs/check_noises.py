"""check_noises.py DATA_DIR: no source of damage is in two of the training, held-out and test sets of a recipe."""

import sys
from pathlib import Path

from avsv.kaldi.damage import read_damage


def main(data: Path) -> None:
    sources: dict[str, set[str]] = {}
    for path in sorted(data.glob("*/utt2damage")):
        name = path.parent.name
        part = "training" if name.endswith("_damaged") else "held-out" if name.startswith("dev_") else "test"
        records = read_damage(path.parent, "voice").values()
        sources.setdefault(part, set()).update(source for record in records for source, _ in record.get("sources", ()))
    assert sources.keys() == {"training", "held-out", "test"} and all(sources.values()), sources
    for one in sources:
        for other in sources.keys() - {one}:
            assert not sources[one] & sources[other], f"{one} and {other}: {sorted(sources[one] & sources[other])}"
    print(f"{data}: {', '.join(f'{len(files)} in {part}' for part, files in sources.items())}, none in two")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
