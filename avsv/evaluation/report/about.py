"""The background of the results: skipped clips with reasons, configurations, versions."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avsv.errors import InputError
from avsv.evaluation.report.html import Markup, scrolling, tag
from avsv.evaluation.report.inside import files_inside, is_inside
from avsv.evaluation.results import ScoreFile
from avsv.jobs.fingerprints import digest_of, state_of
from avsv.kaldi.tables import read_lines, read_table

SHOWN = 200  # names in one list; the rest is counted


@dataclass(frozen=True)
class Skipped:
    """The clips that one step skipped.

    path : the file that lists them
    reasons : reason -> each name with its full message
    """

    path: Path
    reasons: dict[str, list[str]]

    @property
    def total(self) -> int:
        return sum(map(len, self.reasons.values()))


def find_skipped(exp_dir: Path, files: Sequence[ScoreFile] | None = None) -> list[Skipped]:
    """SYSTEM/SET/skipped of an experiment, grouped by reason, and SYSTEM/scores/*.missing; empty files are omitted.

    files : the score files in the report; files of other scores and systems are omitted; None to include all
    """
    shown = None if files is None else {f"{file.path.name}.missing" for file in files}
    systems = None if files is None else {file.system for file in files}
    skipped = []
    for path in files_inside(exp_dir, "*/*/skipped"):
        system = path.parent.parent
        if systems is not None and system.name not in systems and (system / "scores").is_dir():
            continue
        reasons: dict[str, list[str]] = {}
        for name, reason in read_table(path).items():
            reasons.setdefault(general(reason), []).append(f"{name} {reason}")
        skipped.append(Skipped(path, reasons))
    for path in files_inside(exp_dir, "*/scores/*.missing"):
        if shown is None or (path.name in shown and path.parent.parent.name in systems):
            skipped.append(Skipped(path, {"no embedding, or no modality in common": read_lines(path)}))
    return [one for one in skipped if one.total]


def general(reason: str) -> str:
    """A reason without file name and numbers, to count equal reasons together.

    Examples
    --------
    >>> general("/data/x.wav: the audio lasts 0.051 s, less than 0.1 s")
    'the audio lasts … s, less than … s'
    >>> general("no face was found in 5 frames")
    'no face was found in … frames'
    """
    text = re.sub(r"^\S*/\S*: ", "", reason)
    return re.sub(r"(?<![\w/.])-?\d+(\.\d+)?(?![\w/])", "…", text) or "no reason given"


def skipped_section(skipped: Sequence[Skipped], exp_dir: Path) -> Markup:
    """A table with one row per file and reason; the names unfold."""
    if not skipped:
        return tag("p", "Nothing was skipped: no file of skipped clips or missing embeddings has a line.")
    rows = [
        tag("tr", tag("td", str(one.path.relative_to(exp_dir))), tag("td", f"{len(names):,}", class_="number"),
            tag("td", folded(reason, names)))
        for one in skipped
        for reason, names in sorted(one.reasons.items(), key=lambda item: (-len(item[1]), item[0]))
    ]  # fmt: skip
    head = tag("tr", tag("th", "File", scope="col"), tag("th", "Clips", scope="col", class_="number"),
               tag("th", "Reason", scope="col"))  # fmt: skip
    return scrolling(tag("table", tag("thead", head), tag("tbody", rows), class_="plain"), "What was skipped")


def folded(title: str, lines: Sequence[str]) -> Markup:
    more = f"\n… and {len(lines) - SHOWN:,} more" if len(lines) > SHOWN else ""
    return tag("details", tag("summary", title), tag("pre", "\n".join(lines[:SHOWN]) + more))


def configuration_section(
    exp_dir: Path,
    about: Sequence[tuple[str, str]],
    models: Mapping[Path, str] | None = None,
    files: Sequence[ScoreFile] | None = None,
) -> list[Markup]:
    """How this report was computed, and each trained network's configuration, command line and versions.

    about : (name, value) pairs about the report itself
    models : file -> hash of the networks behind the scores, from their records; other networks, such as those of an
        earlier run, are listed by name only
    files : the score files in the report, to show their calibration and fusion models; None for all
    """
    parts = [tag("dl", [[tag("dt", name), tag("dd", value)] for name, value in about])]
    unused = []
    for path in files_inside(exp_dir, "*/config.yaml"):
        if models and not is_used(path.parent, models):
            unused.append(path.parent.name)
        else:
            parts.append(configuration(exp_dir, path))
    shown = None if files is None else {Path(f"{file.path}.json") for file in files}
    for path in files_inside(exp_dir, "*/scores/[!.]*.json"):
        if shown is None or path in shown:
            summary = tag("summary", tag("b", path.parent.parent.name), " ", path.name)
            parts.append(tag("details", summary, tag("pre", json.dumps(read_json(path), indent=2))))
    if unused:
        text = f"Networks in {exp_dir.name} not used for these scores: {', '.join(unused)}."
        parts.append(tag("p", text, class_="note"))
    return parts


def configuration(exp_dir: Path, path: Path) -> Markup:
    """One network's config.yaml with its last epoch, command line and versions, folded."""
    folder = path.parent
    text = "\n".join(read_lines(path))
    shown = [tag("summary", tag("b", folder.name), " ", tag("span", last_epoch(exp_dir, folder), class_="quiet"))]
    run = read_json(folder / "run.json") if is_inside(exp_dir, folder / "run.json") else {}
    if isinstance(command := run.get("command"), str):
        shown += [tag("h4", "Command"), tag("pre", command)]
    if isinstance(versions := run.get("versions"), dict):
        shown += [tag("h4", "Versions"), tag("pre", "  ".join(f"{k} {v}" for k, v in versions.items()))]
    return tag("details", shown, tag("h4", "config.yaml"), tag("pre", text))


def read_json(path: Path) -> dict:
    """The JSON object in a file next to a configuration or scores; InputError for any other content."""
    try:
        content = json.loads("\n".join(read_lines(path)))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object")
    return content


def is_used(folder: Path, models: Mapping[Path, str]) -> bool:
    """Whether an experiment's folder contains one of the networks or a copy of it."""
    here = Path(os.path.abspath(folder))
    if any(model.is_relative_to(here) for model in models):
        return True
    hashes = set(models.values()) - {""}
    files = [(file, state) for file in here.glob("*.*") if (state := state_of(file))]
    return any(digest_of(file, state) in hashes for file, state in files)


def last_epoch(exp_dir: Path, folder: Path) -> str:
    """The last line of history.jsonl as text, such as "epoch 30: loss 0.12"."""
    path = folder / "history.jsonl"
    lines = read_lines(path) if is_inside(exp_dir, path) else []
    try:
        record = json.loads(lines[-1]) if lines else {}
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise InputError(f"{path}, line {len(lines)}: expected a JSON object; delete the file, or train again")
    # JSON integers may have thousands of digits, too many for a float
    numbers = {key: value for key, value in record.items() if key != "epoch" and is_number(value)}
    text = ", ".join(f"{key} {value:.4g}" for key, value in numbers.items())
    return f"epoch {record['epoch']}: {text}" if "epoch" in record else ""


def is_number(value: object) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < 1e300)
