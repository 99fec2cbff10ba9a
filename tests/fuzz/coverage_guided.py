#!/usr/bin/env python3
"""Coverage-guided search for bytes that break a parser: inputs that reach new code are modified further (atheris).

    pip install atheris
    python tests/fuzz/coverage_guided.py --seconds 600                  all parsers in turn
    python tests/fuzz/coverage_guided.py --seconds 60 --parser plda     one

Prints the number of executions and the coverage of each parser. A bug ends its search with a traceback and leaves the
input in the printed folder. atheris is not a dependency of avsv. tests/README.md lists the bugs found so far.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
MOST_MIB, MOST_SECONDS = 2048, 20  # limits per input


def fuzz(name: str, seconds: int, folder: Path) -> None:
    """Run one parser under atheris, which ends this process."""
    import atheris

    with atheris.instrument_imports(include=["avsv", "yaml", "omegaconf", "csv"]):
        from avsv.errors import InputError
        from tests.fuzz.parsers import PARSERS, seeds

    corpus, scratch = folder / "corpus", folder / "scratch"
    corpus.mkdir(exist_ok=True)
    for number, data in enumerate(seeds()[name]):
        (corpus / f"seed-{number}").write_bytes(data)

    def try_it(data: bytes) -> None:
        with contextlib.suppress(InputError):
            PARSERS[name](scratch, data)

    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", f"-timeout={MOST_SECONDS}", "-seed=1",
                   f"-rss_limit_mb={MOST_MIB}", f"-artifact_prefix={folder}/", "-print_final_stats=1", str(corpus)],
                  try_it)  # fmt: skip
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="total duration (default: 600)")
    parser.add_argument("--parser", help="one of tests/fuzz/parsers.py (default: all)")
    parser.add_argument("--folder", type=Path, help="folder for inputs and bugs (default: a new temporary one)")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="avsv-fuzz-"))
    if args.parser and os.environ.get("AVSV_FUZZ_CHILD"):
        fuzz(args.parser, args.seconds, folder)
    from tests.fuzz.parsers import PARSERS

    names = [args.parser] if args.parser else list(PARSERS)
    failed = []
    for name in names:
        place = folder / name.replace(" ", "_")
        place.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([sys.executable, __file__, "--parser", name, "--seconds", str(args.seconds // len(names)),
                               "--folder", str(place)], env={**os.environ, "AVSV_FUZZ_CHILD": "1"}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)  # fmt: skip
        (place / "log").write_text(done.stdout)
        lines = done.stdout.splitlines()
        runs = [line.split()[-1] for line in lines if "number_of_executed_units" in line]
        covered = [line.partition("cov: ")[2].split()[0] for line in lines if "cov: " in line]
        print(f"{name:24}{(runs or ['?'])[-1]:>10} executions, coverage {(covered or ['?'])[-1]}", flush=True)
        if done.returncode:
            failed.append(name)
            print("\n".join(lines[-25:]))
    print(f"{folder}: {len(failed)} of {len(names)} parsers have bugs{': ' + ', '.join(failed) if failed else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
