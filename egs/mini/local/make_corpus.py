#!/usr/bin/env python3
"""Make the mini recipe's corpus: talking people who do not exist, laid out as VoxCeleb2, MUSAN and RIRS_NOISES."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from importlib import import_module
from pathlib import Path

SETTINGS = "corpus.json"  # written last: a folder that has it is complete
KNOBS = {
    "voices": ("VOICE_SPREAD", "VOICE_DRIFT", "SESSION_SPREAD", "NOISE_DB"),
    "faces": ("FACE_SPREAD", "FACE_DRIFT", "LIGHT_SPREAD", "POSE_SPREAD", "DISGUISE"),
}


class InputError(Exception):
    """Something that the user can put right; the message says how."""


def settings_of(people: int, clips: int, seed: int, show: float) -> dict:
    """Everything that determines the corpus, constants included; a folder with other settings is another corpus."""
    knobs = {name: getattr(import_module(module), name) for module, names in KNOBS.items() for name in names}
    settings = {"people": people, "clips": clips, "seed": seed, "show_traits": show, "knobs": knobs}
    return json.loads(json.dumps(settings))  # tuples become lists, as when read back


def already_made(out: Path, settings: dict) -> bool:
    """Tell whether `out` is this very corpus, complete; an error if something else is in the way."""
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
            f"{out} holds a corpus made with other {', '.join(different)}: remove it or choose another folder"
        )
    return True


def run(args: argparse.Namespace) -> None:
    """Make the corpus beside its place and rename it when it is whole."""
    for name, value, least, most in (("people", args.people, 4, 5000), ("clips", args.clips, 2, 1000),
                                     ("seed", args.seed, 0, 2**63), ("jobs", args.jobs, 1, 1024)):  # fmt: skip
        if not least <= value <= most:
            raise InputError(f"--{name} is {value}: give a whole number from {least} to {most}")
    if not 0 <= args.show_traits <= 3:
        raise InputError(f"--show-traits is {args.show_traits}: give a number from 0 to 3")
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
        from corpus import make_all  # here: it loads large packages, and a mistake should be told at once

        make_all(part, args.people, args.clips, args.seed, args.show_traits, args.jobs)
        (part / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")
        part.chmod(0o755)  # mkdtemp's own is for one user only
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    print(f"{args.out_dir}: {args.people} people, {args.clips} clips each")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: python local/make_corpus.py corpus --people 72 --clips 8 --jobs 2"
    )
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR", help="the corpus; it appears when it is complete")
    parser.add_argument(
        "--people", type=int, default=72, help="two thirds for training, one third for test (default 72)"
    )
    parser.add_argument("--clips", type=int, default=8, help="of each person, two a session (default 8)")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other people (default 0)")
    parser.add_argument(
        "--show-traits", type=float, default=1.0, metavar="TIMES",
        help="how far gender, age and build, which shape voices too, change a face; 0: not at all (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", type=int, default=2, help="processes; the files are the same with any number (default 2)"
    )
    return parser.parse_args()


def main() -> int:
    """Run; a user's mistake is one line on stderr and status 1."""
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # removes unfinished files
    try:
        run(args)
    except InputError as error:
        print(f"make_corpus.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make_corpus.py: interrupted, nothing kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
