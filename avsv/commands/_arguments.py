"""Options that several commands share, and types of their arguments."""

import argparse
import ast
import math
from pathlib import Path
from typing import TYPE_CHECKING

from avsv.jobs.shards import Shard

if TYPE_CHECKING:  # a command's --help needs this file, but no numpy
    from collections.abc import Callable

    from avsv.scoring.missing import Missing


MISSING = {
    "error": "stop",
    "drop": "leave them out and count them",
    "keep": "keep their raw scores",
    "rest": "judge by the scores and values that are present",
    "NUMBER": "give them this score",
}
# names of options that are files or affect speed only, and of values that the parser itself adds
NOT_OF_THE_RESULT = {"verb", "fail", "last_files", "more_scores", "out", "scores", "voice", "face", "device", "json"}


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'expected an integer >= 1, found "{text}"')
    return int(text)


def at_least_zero(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'expected an integer >= 0, found "{text}"')
    return int(text)


def not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f'expected a number >= 0, found "{text}"')
    return value


def share(text: str) -> float:
    value = not_negative(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f'expected a number from 0 to 1, found "{text}"')
    return value


def positive(text: str) -> float:
    value = not_negative(text)
    if not value:
        raise argparse.ArgumentTypeError(f'expected a number above 0, found "{text}"')
    return value


def prior(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f'expected a number between 0 and 1, found "{text}"')
    return value


def add_trials(parser: argparse.ArgumentParser, labelled: bool = False) -> None:
    labels = "target|nontarget" if labelled else "[target|nontarget]"
    parser.add_argument("--trials", type=Path, required=True, help=f"enroll test {labels}, or VoxCeleb's list")


def registered_methods(module: str) -> dict[str, str]:
    """Name -> first sentence of its function, for each line of METHODS in avsv/scoring/MODULE.py.

    Read from the source: importing it imports numpy.
    """
    source = Path(__file__).parents[1] / "scoring" / f"{module}.py"
    body = ast.parse(source.read_text(encoding="utf-8")).body
    functions = {node.name: ast.get_docstring(node) for node in body if isinstance(node, ast.FunctionDef)}
    methods = next(node.value for node in body if isinstance(node, ast.Assign)
                   and getattr(node.targets[0], "id", "") == "METHODS")  # fmt: skip
    return {name.value: functions[method.args[0].id].splitlines()[0].rstrip(".")
            for name, method in zip(methods.keys, methods.values, strict=True)}  # fmt: skip


def add_missing(parser: argparse.ArgumentParser, what: str, *policies: str) -> None:
    """Add `--missing`, with the same wording for all verbs.

    Parameters
    ----------
    what : the trials concerned, such as "trials without a score"
    policies : the keys of MISSING that the verb supports
    """
    meanings = "; ".join(f"{policy}: {MISSING[policy]}" for policy in policies)
    parser.add_argument(
        "--missing", type=missing_policy(*policies), default="error", metavar="|".join(policies),
        help=f"what to do with {what}: {meanings} (error)",
    )  # fmt: skip


def missing_policy(*policies: str) -> "Callable[[str], Missing]":
    """A type for argparse: one of `policies`, where NUMBER stands for any finite score.

    Examples
    --------
    >>> missing_policy("error", "drop", "NUMBER")("-1")
    -1.0
    """

    def parse(text: str) -> "Missing":
        if text in policies and text != "NUMBER":
            return text
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if "NUMBER" not in policies or not math.isfinite(value):
            raise argparse.ArgumentTypeError(f'expected {", ".join(policies)}, found "{text}"')
        return value

    return parse


def add_trust(parser: argparse.ArgumentParser) -> None:
    """For commands that load voice models of unknown origin."""
    parser.add_argument(
        "--trust-model", action="store_true",
        help="run the program of a voice model: FILE.py:CLASS, or what an unrecognised hyperparams.yaml names",
    )  # fmt: skip


def add_audio_track(parser: argparse.ArgumentParser) -> None:
    """For commands that read audio."""
    parser.add_argument(
        "--audio-track", type=at_least_one, metavar="N",
        help="audio track of a video, counted from 1 (the file's default track)",
    )  # fmt: skip


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where networks run (cpu)")


def add_face_pack(parser: argparse.ArgumentParser) -> None:
    """For commands that detect or embed faces: the networks, and where they run."""
    parser.add_argument("--model", required=True, help="face pack: a folder, or a name of InsightFace's")
    add_device(parser)


def add_shard(parser: argparse.ArgumentParser) -> None:
    """Options of commands that run as job arrays and may skip a few clips."""
    parser.add_argument("--shard", type=Shard.parse, default=Shard(), metavar="J/N", help="do part J of N (1/1)")
    add_max_skipped(parser)


def add_max_skipped(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-skipped", type=share, default=0.05, metavar="X",
        help="stop if more than this share of the clips fails (0.05)",
    )  # fmt: skip


def add_reuse(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reuse", type=Path, action="append", default=[], metavar="DIR",
        help="OUT_DIR of another set: identical clips are copied from there; may be repeated",
    )  # fmt: skip


def add_detection_threshold(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--det-thresh", type=prior, default=0.5, metavar="X", help="lowest detection score of a face, 0 to 1 (0.5)"
    )


def add_allow_pipes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--allow-pipes", action="store_true", help="run the commands that wav.scp contains")


def add_text(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", action="store_true", help="write Kaldi's text format instead of binary")


def add_intervals(parser: argparse.ArgumentParser) -> None:
    """Options of confidence intervals, for commands that evaluate trials."""
    parser.add_argument("--utt2spk", type=Path, metavar="FILE", help="speaker of each recording, for the intervals")
    add_resamples(parser, "resamples of the speakers, to count how often a better system loses; 0 for no intervals")


def add_resamples(parser: argparse.ArgumentParser, use: str) -> None:
    parser.add_argument(
        "--resamples", type=at_least_zero, default=1000, metavar="N",
        help=f"{use} (1000)",
    )  # fmt: skip


def add_p_target(parser: argparse.ArgumentParser, rest: str) -> None:
    """`rest` is the name that collects positional arguments after the numbers."""
    parser.add_argument(
        "--p-target", nargs="+", action=Priors, rest=rest, default=[0.01, 0.05], metavar="P",
        help="target priors of minDCF and actDCF (0.01 0.05)",
    )  # fmt: skip


def result_options(args: argparse.Namespace) -> dict[str, object]:
    """Options that change a command's result, for its record: no files, and no options for speed or devices."""
    return {name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in vars(args).items()
            if name not in NOT_OF_THE_RESULT and not isinstance(value, Path | list | None)}  # fmt: skip


class Files(argparse.Action):
    """An option with several files that may stand right before OUT, which argparse then adds to them (see take_out)."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, values)
        namespace.last_files = values


def add_out(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument("out", nargs="?", metavar="OUT", help=help)
    parser.set_defaults(last_files=None, fail=parser.error)


def take_out(args: argparse.Namespace) -> None:
    """Take OUT back from an option before it that consumed it."""
    if args.out is None:
        if not args.last_files or len(args.last_files) < 2:
            args.fail("the following arguments are required: OUT")
        args.out = args.last_files.pop()
    if not args.out:
        args.fail("argument OUT: expected a path, found an empty argument")


class Priors(argparse.Action):
    """`--p-target 0.01 0.05 SCORES ...`: collects the arguments after the numbers under the name `rest`."""

    def __init__(self, *args, rest: str, **kwargs):
        super().__init__(*args, **kwargs)
        self.rest = rest

    def __call__(self, parser, namespace, values, option_string=None):
        numbers = []
        while values and is_number(values[0]):
            numbers.append(values.pop(0))
        try:
            setattr(namespace, self.dest, [prior(text) for text in numbers or values])
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument {option_string}: {error}")
        setattr(namespace, self.rest, [*getattr(namespace, self.rest, []), *values])


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
