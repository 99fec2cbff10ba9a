"""Options of calibrate and fuse: the lists to score, the lists to train on, and their quality tables."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from avsv.commands._arguments import Files, add_missing, positive, prior, result_options

if TYPE_CHECKING:  # a command's --help needs this file, but no numpy
    from avsv.jobs.provenance import MadeFrom
    from avsv.scoring.quality import QualityTable
    from avsv.scoring.score_lists import ScoreList

NAMED = re.compile(r"([\w-]+)=(.+)", re.DOTALL)  # NAME=FILE; no path separator in NAME
ONE = "score"  # name of the system if there is only one


class FileLists(argparse.Action):
    """A repeatable option with several files, collected as a list of lists; like Files, it may stand before OUT."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), values])
        namespace.last_files = values


def add_training_lists(parser: argparse.ArgumentParser, scores: str, n_systems: int | str) -> None:
    """Options that name the training trials and scores.

    Parameters
    ----------
    scores : the help of --train-scores
    n_systems : number of score files, or "+" for one or more
    """
    parser.add_argument(
        "--train-trials", type=Path, action="append", metavar="FILE",
        help="labelled trials of other people; for --method quality, repeat it with the two options below",
    )  # fmt: skip
    parser.add_argument("--train-scores", nargs=n_systems, action=FileLists, metavar="FILE", help=scores)


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Options of both calibration and fusion."""
    parser.add_argument("--p-target", type=prior, metavar="P", help="target prior in training (0.01)")
    parser.add_argument("--model", type=Path, metavar="JSON", help="apply this model instead of training one")
    parser.add_argument(
        "--quality", nargs="+", action=Files, metavar="FILE", help="quality tables: utterance value; or log:FILE"
    )
    parser.add_argument(
        "--train-quality", nargs="+", action=FileLists, metavar="FILE",
        help="the same tables for the training recordings (--quality)",
    )  # fmt: skip
    parser.add_argument(
        "--train-utt2spk", type=Path, metavar="FILE",
        help="of --method quality: speakers of all training recordings, for --ridge (target trials connect them)",
    )  # fmt: skip
    parser.add_argument(
        "--ridge", type=penalties, metavar="X[,X...]",
        help="of --method quality: penalty on the influence of quality, divided by the number of training people; the "
        "best of several (0.3)",
    )  # fmt: skip
    add_missing(parser, "trials without a score, or with a recording that has no quality value", "error", "rest")


def penalties(text: str) -> tuple[float, ...]:
    """Numbers above 0, separated by commas.

    Examples
    --------
    >>> penalties("0.001,0.01")
    (0.001, 0.01)
    """
    return tuple(positive(part) for part in text.split(","))


def quality_table(text: str) -> "QualityTable":
    """FILE, or log:FILE for the logarithm of its values.

    Examples
    --------
    >>> quality_table("log:data/vox1/utt2dur")
    QualityTable(path=PosixPath('data/vox1/utt2dur'), log=True, system='')
    """
    from avsv.scoring.quality import QualityTable

    return QualityTable(Path(text.removeprefix("log:")), text.startswith("log:"))


def split_name(text: str) -> tuple[str, str]:
    """Name and rest of NAME=FILE; the name is "" if there is none.

    Examples
    --------
    >>> split_name("voice=log:exp/voice/test/utt2dur"), split_name("exp/a=b/scores")
    (('voice', 'log:exp/voice/test/utt2dur'), ('', 'exp/a=b/scores'))
    """
    matched = NAMED.fullmatch(text)
    return (matched[1], matched[2]) if matched else ("", text)


def score_list(trials: Path, scores: list[str], quality: list[str], named: bool) -> "ScoreList":
    """A list with its files.

    Parameters
    ----------
    named : the files of several systems are NAME=FILE
    """
    from dataclasses import replace

    from avsv.errors import OptionError
    from avsv.scoring.score_lists import ScoreList

    if not named:
        return ScoreList(trials, [Path(file) for file in scores], [quality_table(file) for file in quality])
    files, tables = ([split_name(text) for text in texts] for texts in (scores, quality))
    if len(files) == 1:
        files = [(files[0][0] or ONE, files[0][1])]
        tables = [(name or files[0][0], text) for name, text in tables]
    names = [name for name, _ in files]
    if "" in names or len(set(names)) < len(names):
        raise OptionError("--method quality: expected the scores of several systems as NAME=FILE, with different "
                          f"names, found {' '.join(scores)}")  # fmt: skip
    if unknown := [text for (name, _), text in zip(tables, quality, strict=True) if name not in names]:
        raise OptionError(f"--method quality: expected a table as NAME=FILE or NAME=log:FILE with one of the names "
                          f"{', '.join(names)}, found {unknown[0]}")  # fmt: skip
    paths = [Path(file) for _, file in files]
    return ScoreList(trials, paths, [replace(quality_table(text), system=name) for name, text in tables], names)


def read_score_lists(args: argparse.Namespace) -> "tuple[ScoreList, list[ScoreList]]":
    """The files to fuse, and the lists to train on, if any; OptionError if options contradict each other."""
    from avsv.errors import OptionError

    trials, scores, quality = args.train_trials or [], args.train_scores or [], args.train_quality or []
    named = args.method == "quality"
    if len(trials) != len(scores):
        raise OptionError(f"--train-trials and --train-scores must be given together, found {len(trials)} and "
                          f"{len(scores)} of them")  # fmt: skip
    if args.model is not None and args.p_target is not None:
        raise OptionError("--p-target is an option of training, which --model replaces")
    if args.model is not None and trials:
        raise OptionError("--model replaces training: leave out --train-trials and --train-scores, or --model")
    if quality and (not args.quality or not trials):
        raise OptionError("--train-quality needs --quality and --train-trials")
    if quality and len(quality) != len(trials):
        raise OptionError(f"--train-quality: expected one for each of the {len(trials)} --train-trials, found "
                          f"{len(quality)}")  # fmt: skip
    if (args.ridge is not None or args.train_utt2spk) and (not named or args.model is not None):
        raise OptionError("--ridge and --train-utt2spk are options of training by --method quality")
    if len(trials) > 1 and args.method == "logistic":
        raise OptionError("--method logistic trains on one list of trials; --method quality takes several")
    given = score_list(args.trials, args.scores, args.quality or [], named)
    quality = quality or [args.quality or []] * len(trials)
    train = [score_list(*parts, named) for parts in zip(trials, scores, quality, strict=True)]
    for one in train:
        if [(t.system, t.log) for t in by_system(one)] != [(t.system, t.log) for t in by_system(given)]:
            raise OptionError("--train-quality: expected the tables of --quality in their order, with the same log:")
    return given, train


def by_system(given: "ScoreList") -> "list[QualityTable]":
    """The quality tables, those of each system together."""
    return sorted(given.quality, key=lambda table: table.system)


def made_from_lists(
    args: argparse.Namespace, given: "ScoreList", train: "list[ScoreList]"
) -> "tuple[MadeFrom, MadeFrom]":
    """The records of a calibration or fusion and of its model; InputError if one of its files is stale."""
    from avsv.jobs.provenance import MadeFrom
    from avsv.scoring.missing import missing_list

    def inputs(role: str, lists: "list[ScoreList]") -> "dict[str, list[Path]]":
        if not lists:
            return {}
        scores = [file for one in lists for scores in one.scores for file in (scores, missing_list(scores))]
        quality = [table.path for one in lists for table in one.quality]
        return {f"{role}trials": [one.trials for one in lists], f"{role}scores": scores, f"{role}quality": quality}

    options = result_options(args) | {"log of quality": [table.log for table in given.quality]}
    if given.names:
        systems = [[[*one.names], [table.system for table in one.quality]] for one in (given, *train)]
        options["systems"] = systems
    model = {"model": args.model}
    speakers = {"train utt2spk": args.train_utt2spk} if args.train_utt2spk else {}
    folds = {"folds": args.folds} if getattr(args, "folds", None) else {}
    all_lists = {**folds, **model, **inputs("", [given]), **inputs("train ", train), **speakers}
    # the model depends on its training data, not on the scores that it is applied to
    of_model = model if args.model else {**(inputs("train ", train) or inputs("", [given])), **speakers}
    return MadeFrom(args.verb, all_lists, options), MadeFrom(args.verb, of_model, options)


def write_scores(args: argparse.Namespace, given: "ScoreList", train: "list[ScoreList]") -> None:
    """Calibrate or fuse by the method of the options."""
    from avsv.scoring.quality_lists import fuse_by_quality
    from avsv.scoring.score_lists import fuse_files

    out, p_target = Path(args.out), args.p_target or 0.01
    if args.method == "quality":
        ridge = {} if args.ridge is None else {"ridges": args.ridge}
        utt2spk = args.train_utt2spk
        fuse_by_quality(out, given, train, p_target, args.model, args.missing, **ridge, utt2spk=utt2spk)
    else:
        folds = getattr(args, "folds", None)  # an option of fuse
        fuse_files(out, given, train[0] if train else None, p_target, args.model, args.missing, folds)
