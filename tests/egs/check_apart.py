"""check_apart.py DATA_DIR: no person or source of noise is in two of a recipe's training, held-out and test sets."""

import itertools
import sys
from pathlib import Path

from avsv.kaldi.damage import read_damage
from avsv.kaldi.tables import read_table


def main(data: Path) -> None:
    people: dict[str, set[str]] = {}
    sources: dict[str, set[str]] = {}
    for path in sorted(data.glob("*/utt2spk")):
        name = path.parent.name
        if name.startswith("musan"):
            continue
        part = "held-out" if name.partition("_")[0] == "dev" else name.partition("_")[0]
        part = {"vox2": "train", "vox1": "test"}.get(part, part)
        people.setdefault(part, set()).update(read_table(path, 2, "utterance speaker").values())
        if (path.parent / "utt2damage").exists():
            records = read_damage(path.parent, "voice").values()
            used = {source for record in records for source, _ in record.get("sources", ())}
            # another corpus gets the noises of the test
            sources.setdefault(part if part in ("train", "held-out") else "test", set()).update(used)
    for parts in (people, sources):
        assert {"train", "held-out", "test"} <= parts.keys() and all(parts.values()), parts
        for one, other in itertools.combinations(parts, 2):
            assert not parts[one] & parts[other], f"{one} and {other}: {sorted(parts[one] & parts[other])}"
        print(f"{data}: {', '.join(f'{len(found)} in {part}' for part, found in parts.items())}, none in two")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
