"""Options that several commands share, and types of their arguments."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from avsv.jobs.shards import Shard

if TYPE_CHECKING:  # a command's --help needs this file, but no numpy
    from collections.abc import Callable

    from avsv.jobs.provenance import MadeFrom
    from avsv.scoring.missing import Missing
    from avsv.scoring.quality import QualityTable
    from avsv.scoring.score_lists import ScoreList


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


def quality_table(text: str) -> "QualityTable":
    """FILE, or log:FILE for the logarithm of its values.

    Examples
    --------
    >>> quality_table("log:data/vox1/utt2dur")
    QualityTable(path=PosixPath('data/vox1/utt2dur'), log=True)
    """
    from avsv.scoring.quality import QualityTable

    return QualityTable(Path(text.removeprefix("log:")), text.startswith("log:"))


def add_trust(parser: argparse.ArgumentParser) -> None:
    """For commands that load voice models of unknown origin."""
    parser.add_argument(
        "--trust-model", action="store_true",
        help="run the program named in hyperparams.yaml of a voice model that avsv does not recognise",
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
    parser.add_argument("--model", required=True, help="InsightFace pack (name or folder), or an exp/ folder")
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
    add_resamples(parser)


def add_resamples(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--resamples", type=at_least_zero, default=1000, metavar="N",
        help="bootstrap resamples of the speakers for intervals; 0 for no intervals (1000)",
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


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Options of both calibration and fusion."""
    parser.add_argument("--p-target", type=prior, metavar="P", help="target prior in training (0.01)")
    parser.add_argument("--model", type=Path, metavar="JSON", help="apply this model instead of training one")
    parser.add_argument(
        "--quality", nargs="+", action=Files, metavar="FILE", help="quality tables: utterance value; or log:FILE"
    )
    parser.add_argument(
        "--train-quality", nargs="+", action=Files, metavar="FILE",
        help="the same tables for the training recordings (--quality)",
    )  # fmt: skip
    add_missing(parser, "trials without a score, or with a recording that has no quality value", "error", "rest")


def read_score_lists(args: argparse.Namespace) -> "tuple[ScoreList, ScoreList | None]":
    """The files to fuse, and the files to train on or None; OptionError if options contradict each other."""
    from avsv.errors import OptionError
    from avsv.scoring.score_lists import ScoreList

    if (args.train_trials is None) != (args.train_scores is None):
        raise OptionError("--train-trials and --train-scores must be given together")
    if args.model is not None and args.p_target is not None:
        raise OptionError("--p-target is an option of training, which --model replaces")
    if args.model is not None and args.train_trials is not None:
        raise OptionError("--model replaces training: leave out --train-trials and --train-scores, or --model")
    if args.train_quality and (not args.quality or args.train_trials is None):
        raise OptionError("--train-quality needs --quality and --train-trials")
    quality = [quality_table(file) for file in args.quality or []]
    train_quality = [quality_table(file) for file in args.train_quality or []]
    if train_quality and [table.log for table in train_quality] != [table.log for table in quality]:
        raise OptionError("--train-quality: expected the tables of --quality in their order, with the same log:")
    given = ScoreList(args.trials, [Path(file) for file in args.scores], quality)
    if args.train_trials is None:
        return given, None
    return given, ScoreList(args.train_trials, [Path(file) for file in args.train_scores], train_quality or quality)


def made_from_lists(
    args: argparse.Namespace, given: "ScoreList", train: "ScoreList | None"
) -> "tuple[MadeFrom, MadeFrom]":
    """The records of a calibration or fusion and of its model; InputError if one of its files is stale."""
    from avsv.jobs.provenance import MadeFrom
    from avsv.scoring.missing import missing_list

    def inputs(role: str, files: "ScoreList | None") -> "dict[str, Path | list[Path]]":
        if files is None:
            return {}
        scores = [file for scores in files.scores for file in (scores, missing_list(scores))]
        quality = [table.path for table in files.quality]
        return {f"{role}trials": files.trials, f"{role}scores": scores, f"{role}quality": quality}

    options = result_options(args) | {"log of quality": [table.log for table in given.quality]}
    model = {"model": args.model}
    all_lists = {**model, **inputs("", given), **inputs("train ", train)}
    # the model depends on its training data, not on the scores that it is applied to
    of_model = model if args.model else inputs("train ", train) or inputs("", given)
    return MadeFrom(args.verb, all_lists, options), MadeFrom(args.verb, of_model, options)


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
