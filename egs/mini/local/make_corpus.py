#!/usr/bin/env python3
"""Generate the mini corpus: synthetic talking people in the layouts of VoxCeleb2, MUSAN and RIRS_NOISES."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from importlib import import_module
from pathlib import Path

SETTINGS = "corpus.json"  # written last; marks a complete corpus
KNOBS = {
    "voices": ("VOICE_SPREAD", "VOICE_DRIFT", "SESSION_SPREAD", "NOISE_DB"),
    "faces": ("FACE_SPREAD", "FACE_DRIFT", "LIGHT_SPREAD", "POSE_SPREAD", "DISGUISE"),
}


class InputError(Exception):
    """A mistake that the user can correct; the message explains how."""


def settings_of(people: int, clips: int, seed: int, show: float) -> dict:
    """All settings that determine the corpus, including constants; they identify it."""
    knobs = {name: getattr(import_module(module), name) for module, names in KNOBS.items() for name in names}
    settings = {"people": people, "clips": clips, "seed": seed, "show_traits": show, "knobs": knobs}
    return json.loads(json.dumps(settings))  # tuples become lists, as they do in the file


def already_made(out: Path, settings: dict) -> bool:
    """Return True if `out` is a complete corpus with these settings; raise InputError if it holds anything else."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise InputError(f"{out} is a file, not a folder: choose another name")
    if not (out / SETTINGS).is_file():
        if any(out.iterdir()):
            raise InputError(f"{out} is not empty and not a complete corpus: remove it or choose another folder")
        return False
    try:
        before = json.loads((out / SETTINGS).read_text())
    except ValueError:
        before = {}
    different = [key for key, value in settings.items() if before.get(key) != value]
    if different:
        raise InputError(
            f"{out} contains a corpus with different {', '.join(different)}: remove it or choose another folder"
        )
    return True


def run(args: argparse.Namespace) -> None:
    """Generate the corpus in a temporary folder beside `out_dir` and rename it once it is complete."""
    for name, value, least, most in (("people", args.people, 4, 5000), ("clips", args.clips, 2, 1000),
                                     ("seed", args.seed, 0, 2**63), ("jobs", args.jobs, 1, 1024)):  # fmt: skip
        if not least <= value <= most:
            raise InputError(f"--{name} {value}: expected an integer from {least} to {most}")
    if not 0 <= args.show_traits <= 3:
        raise InputError(f"--show-traits {args.show_traits}: expected a number from 0 to 3")
    out, settings = args.out_dir.absolute(), settings_of(args.people, args.clips, args.seed, args.show_traits)
    if already_made(out, settings):
        print(f"{args.out_dir}: complete, nothing to do")
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    except OSError as error:
        raise InputError(f"{out.parent}: cannot write there ({error.strerror})") from None
    try:
        from corpus import make_all  # here, because it loads large packages, which would delay error messages

        make_all(part, args.people, args.clips, args.seed, args.show_traits, args.jobs)
        (part / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")
        part.chmod(0o755)  # mkdtemp restricts access to one user
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    print(f"{args.out_dir}: {args.people} people, {args.clips} clips each")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: python local/make_corpus.py corpus --people 72 --clips 8 --jobs 2"
    )
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR", help="the corpus; created once it is complete")
    parser.add_argument(
        "--people", type=int, default=72, help="two thirds for training, one third for test (default 72)"
    )
    parser.add_argument("--clips", type=int, default=8, help="clips per person, two per session (default 8)")
    parser.add_argument("--seed", type=int, default=0, help="random seed; each seed gives different people (default 0)")
    parser.add_argument(
        "--show-traits", type=float, default=1.0, metavar="TIMES",
        help="strength of gender, age and build in the face (they also shape the voice); 0: no effect (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", type=int, default=2, help="processes; the files do not depend on their number (default 2)"
    )
    return parser.parse_args()


def main() -> int:
    """Run; a mistake of the user gives one line on stderr and status 1."""
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # removes unfinished files
    try:
        run(args)
    except InputError as error:
        print(f"make_corpus.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make_corpus.py: interrupted; unfinished files were removed", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
