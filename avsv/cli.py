"""avsv VERB: find the command; nothing else is imported before it runs."""

import argparse
import errno
import importlib
import logging
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from avsv.errors import AvsvError, OptionError, printable
from avsv.jobs.processes import end_soon_on_interrupt

PACKAGE = Path(__file__).parent
GROUPS = {
    "data": "prepare trials check fix split features align-faces damage",
    "embeddings": "models embed-voice embed-face embed-clips embed-pair concatenate import-embeddings merge",
    "back-end": "score normalize calibrate fuse plda lda adapt uncertain-plda",
    "evaluation": "evaluate evaluate-identification compare report explain",
    "training": "train noise-statistics export",
    "people": "operating-point verify enroll identify gallery serve",
}
NO_MEMORY = "out of memory; free some, or raise the limit (ulimit -v, the job's --mem)"
MISPLACED = {
    errno.EEXIST: "expected a folder, found a file. Move it, or give another path",
    errno.ENOTDIR: "part of this path is a file, not a folder. Move it, or give another path",
    errno.EISDIR: "expected a file, found a folder. Give another path",
}
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def main_verbs() -> dict[str, str]:
    """Verb of the main system -> its module."""
    return modules_in(PACKAGE / "commands", "avsv.commands")


def systems() -> dict[str, dict[str, str]]:
    """Further system -> its verbs, each with its module."""
    verbs = {}
    for folder in sorted((PACKAGE / "systems").glob("*/commands")):
        name = folder.parent.name
        verbs[name.replace("_", "-")] = modules_in(folder, f"avsv.systems.{name}.commands")
    return verbs


def modules_in(folder: Path, package: str) -> dict[str, str]:
    names = sorted(path.stem for path in folder.glob("[a-z]*.py"))
    return {name.replace("_", "-"): f"{package}.{name}" for name in names}


def title(module: str) -> str:
    """The text after the colon in a module's first line, read without importing it."""
    path = PACKAGE.parent / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    with open(path, encoding="utf-8") as source:
        return source.readline().strip().strip('"').partition(": ")[2]


def usage() -> str:
    """The verbs: those of the main system by purpose, then those of each further system."""
    main = main_verbs()
    grouped = {heading: {verb: main[verb] for verb in verbs.split()} for heading, verbs in GROUPS.items()}
    text = "usage: avsv VERB [options]\n       avsv SYSTEM VERB [options]\n"
    for heading, modules in grouped.items():
        text += f"\n{heading}\n{lines_of(modules)}"
    for system, modules in systems().items():
        package = f"avsv.systems.{system.replace('-', '_')}"
        text += f"\n{system}: {title(package)}\n{lines_of(modules, f'{system} ')}"
    return text + "\navsv VERB --help explains the options, with an example.\n"


def lines_of(modules: dict[str, str], system: str = "") -> str:
    return "".join(f"  {system + verb:29} {title(module)}\n" for verb, module in modules.items())


def find_command(argv: list[str]) -> tuple[str, str, list[str]]:
    """The command that the arguments name, its module, and the remaining arguments; OptionError for an unknown one."""
    verb, further = argv[0], systems()
    if verb in further:
        verbs = further[verb]
        if len(argv) > 1 and argv[1] in verbs:
            return f"{verb} {argv[1]}", verbs[argv[1]], argv[2:]
        found = f'found "{argv[1]}"' if len(argv) > 1 else "found nothing"
        raise OptionError(f"expected avsv {verb} followed by one of {', '.join(verbs)}; {found}")
    if verb not in (verbs := main_verbs()):
        raise OptionError(f'unknown verb "{verb}"; avsv --help lists all')
    return verb, verbs[verb], argv[1:]


def make_parser(verb: str, module: object) -> argparse.ArgumentParser:
    title, _, text = module.__doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog=f"avsv {verb}",
        description=title.partition(": ")[2],
        epilog=text.strip() or None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    parser.set_defaults(verb=verb)  # for the records of the command's outputs
    for action in parser._actions:
        if action.type is Path:
            action.type = nonempty_path
    return parser


def nonempty_path(text: str) -> Path:
    """A path; an empty one (an unset variable in a script) would mean the working directory."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, found an empty argument")
    return Path(text)


class Printable(logging.Formatter):
    """Log messages passed through `printable`: they quote names and lines of untrusted files."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(with_options(super().format(record)))


def say_and_exit(verb: str, message: str) -> int:
    print(f"avsv {verb}: {printable(with_options(message))}", file=sys.stderr)
    return 1


def describe(error: OSError) -> str:
    """A system error as a sentence: the file, the reason and, for a full disk, which disk."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{MISPLACED.get(error.errno) or error.strerror or error}{disk_of(error)}"


def with_options(message: str) -> str:
    """A message as the command line prints it: parameters of functions, in backquotes, become options.

    Examples
    --------
    >>> with_options("has no names; pass `names_file`, one name per line")
    'has no names; pass --names-file, one name per line'
    """
    return re.sub(r"`([a-z_]+)`", lambda match: "--" + match[1].replace("_", "-"), message)


def disk_of(error: OSError) -> str:
    """For a full disk: where it is mounted and how much is free; empty for other errors."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ""
    advice = "; make room and run this again: completed results are kept"
    if not error.filename or error.errno == errno.EFBIG:
        return advice
    folder = Path(error.filename).absolute().parent
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    while not folder.is_mount():
        folder = folder.parent
    return f" ({usage.free / 2**20:.1f} of {usage.total / 2**20:.0f} MiB are free on {folder}){advice}"


def main(argv: list[str] | None = None) -> int:
    if argv is None:  # the process runs this command only
        end_soon_on_interrupt()
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0 if argv else 2
    if argv[0] == "--version":
        from avsv import __version__

        print(f"avsv {__version__}")
        return 0
    if argv[0] in (further := systems()) and argv[1:] in (["-h"], ["--help"], ["help"]):
        print(f"usage: avsv {argv[0]} VERB [options]\n\n{lines_of(further[argv[0]], argv[0] + ' ')}", end="")
        return 0
    try:
        verb, name, arguments = find_command(argv)
    except OptionError as error:
        print(f"avsv: {printable(str(error))}", file=sys.stderr)
        return 2
    # idle threads sleep instead of spinning: otherwise torch is 5 times slower beside one busy process
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    level = os.environ.get("AVSV_LOG", "").upper() or "INFO"
    if level not in LEVELS:
        return say_and_exit(verb, f'AVSV_LOG="{level}" in the environment: expected one of {", ".join(LEVELS)}')
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Printable("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    if odd := [argument for argument in argv if not is_text(argument)]:
        return say_and_exit(verb, f"{odd[0]!r}: expected names in UTF-8, as in all files that avsv writes")
    # As a path, "" means the working directory, which would then be read or written.
    if empty := [n for n, argument in enumerate(argv) if not argument or re.fullmatch("--[a-z-]+=", argument)]:
        place = " ".join(shlex.quote(argument) for argument in argv[max(0, empty[0] - 1) : empty[0] + 1])
        say_and_exit(verb, f"argument {empty[0]} is empty ({place}): is a shell variable unset?")
        return 2
    try:
        module = importlib.import_module(name)
        parser = make_parser(verb, module)
        parse = parser.parse_intermixed_args if getattr(module, "INTERMIXED", False) else parser.parse_args
        return module.run(parse(arguments)) or 0
    except AvsvError as error:
        return say_and_exit(verb, str(error))
    except BrokenPipeError:
        return 1
    except OSError as error:
        return say_and_exit(verb, describe(error))
    except MemoryError:
        return say_and_exit(verb, NO_MEMORY)
    except ImportError as error:  # a compiled library under a memory limit
        if re.search(r"map segment|allocate memory", str(error)):
            return say_and_exit(verb, f"{NO_MEMORY} ({error})")
        raise
    except KeyboardInterrupt:
        return 130


def is_text(argument: str) -> bool:
    """Whether an argument can be written to a file: bytes that are not UTF-8 arrive as lone surrogates."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
