"""Results of all systems of an experiment, found by the names of their score files and shown as Markdown.

A score file is EXP_DIR/SYSTEM/scores/LIST[@CONDITION].BACKEND: LIST is the name of a trial list, CONDITION names the
degradation of the recordings ("clean" if absent), and BACKEND is "cosine", "plda", or for example "cosine_as-norm",
which is shown as "cosine+as-norm".
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avsv.errors import InputError
from avsv.evaluation.measures import interval_text
from avsv.evaluation.tables import markdown_text, shown, span

log = logging.getLogger("avsv")
ASIDE = (".json", ".missing", ".system")  # files that commands write beside a score file


@dataclass(frozen=True)
class ScoreFile:
    """A score file with the system, trial list, condition and back-end in its path."""

    path: Path
    system: str
    trials: str
    condition: str
    backend: str


def find_score_files(
    exp_dir: Path, lists: Iterable[str], conditions: Sequence[str] = (), systems: Sequence[str] = ()
) -> list[ScoreFile]:
    """The score files of an experiment, sorted by list, condition (clean first), system and back-end.

    Parameters
    ----------
    lists : names of the trial lists; files of other lists are skipped and counted
    conditions, systems : files of other conditions or systems are skipped and counted; empty for all

    Raises
    ------
    InputError : no score file, or none for one of `conditions` or `systems`
    """
    by_length = sorted(lists, key=len, reverse=True)  # the name of one list may begin with that of another
    files, others = [], []
    for path in sorted(exp_dir.glob("*/scores/*")):
        if path.name.startswith(".") or path.name.endswith(ASIDE) or not path.is_file():
            continue
        file = parse_score_file(path, by_length)
        (files if file else others).append(file or path)
    if others:
        log.warning("%d score files belong to no trial list and are left out, the first: %s", len(others), others[0])
    if not files:
        raise InputError(
            f"{exp_dir}: expected score files SYSTEM/scores/LIST[@CONDITION].BACKEND of the lists "
            f"{', '.join(sorted(by_length))}, found none"
        )
    files = only_named(exp_dir, files, "condition", conditions)
    files = only_named(exp_dir, files, "system", systems)
    return sorted(files, key=lambda f: (f.trials, f.condition != "clean", in_numbers(f.condition), f.system, f.backend))


def only_named(exp_dir: Path, files: list[ScoreFile], kind: str, names: Sequence[str]) -> list[ScoreFile]:
    """The files of the named conditions or systems; all files without names."""
    if not names:
        return files
    present = {getattr(file, kind) for file in files}
    for name in names:
        if name not in present:
            raise InputError(f"{exp_dir}: expected score files of the {kind} {name}, found none; score it first")
    wanted = [file for file in files if getattr(file, kind) in names]
    if len(wanted) < len(files):
        log.info("%d of %d score files belong to the requested %ss", len(wanted), len(files), kind)
    return wanted


def in_numbers(name: str) -> list[tuple[bool, float, str]]:
    """A sort key that puts snr-5 before snr-10.

    Examples
    --------
    >>> sorted(["snr-10", "snr-5", "blur-2"], key=in_numbers)
    ['blur-2', 'snr-5', 'snr-10']
    """
    return [(part.isdigit(), float(part) if part.isdigit() else 0.0, part) for part in re.split(r"(\d+)", name)]


def parse_score_file(path: Path, lists: Sequence[str]) -> ScoreFile | None:
    """Split the path of a score file; None if it belongs to none of the lists.

    Examples
    --------
    >>> file = parse_score_file(Path("exp/voice/scores/vox1-O@noisy-0.6.cosine_as-norm"), ["vox1-O"])
    >>> file.system, file.trials, file.condition, file.backend
    ('voice', 'vox1-O', 'noisy-0.6', 'cosine+as-norm')
    """
    name, _, backend = path.name.rpartition(".")
    for trials in lists:
        if name == trials or name.startswith(f"{trials}@"):
            condition = name[len(trials) + 1 :] or "clean"
            return ScoreFile(path, path.parent.parent.name, trials, condition, backend.replace("_", "+"))
    return None


def find_lists(trials_dir: Path) -> dict[str, Path]:
    """Name -> file of the trial lists in a folder."""
    lists = {path.name: path for path in sorted(trials_dir.glob("*")) if path.is_file() and path.name[0] != "."}
    if not lists:
        raise InputError(f"{trials_dir}: expected a folder with trial lists")
    return lists


def by_table(records: Sequence[dict]) -> dict[tuple[str, str], list[dict]]:
    """Group records by (trial list, condition), keeping their order."""
    tables: dict[tuple[str, str], list[dict]] = {}
    for record in records:
        tables.setdefault((record["trials"], record["condition"]), []).append(record)
    return tables


def by_list(records: Sequence[dict]) -> dict[str, list[dict]]:
    """Group records by trial list, keeping their order."""
    lists: dict[str, list[dict]] = {}
    for record in records:
        lists.setdefault(record["trials"], []).append(record)
    return lists


def markdown(records: Sequence[dict], more: Sequence[str] = ()) -> str:
    """Markdown tables: an overview of all conditions for each trial list, then one table per list and condition.

    The best value of each column is bold.

    Parameters
    ----------
    records : one per score file, as in results.json
    more : lines added after the tables
    """
    parts = ["# Results", ""]
    for trials, of_list in by_list(records).items():
        if len({record["condition"] for record in of_list}) > 1:
            parts += [f"## {markdown_text(trials)}, EER % in every condition", "", *markdown_overview(of_list), ""]
    for (trials, condition), rows in by_table(records).items():
        n_target, n_nontarget = rows[0]["n_target"], rows[0]["n_nontarget"]
        parts += [f"## {markdown_text(trials)}, {markdown_text(condition)}", ""]
        parts += [f"{n_target + n_nontarget:,} trials: {n_target:,} target, {n_nontarget:,} nontarget.", ""]
        parts += [*markdown_table(rows), ""]
    parts += more
    parts.append(
        "EER in percent, with its 95 % interval over speakers. minDCF is normalised; P is the target prior. "
        "Best of each column in bold."
    )
    return "\n".join(parts) + "\n"


def markdown_overview(records: Sequence[dict]) -> list[str]:
    """Lines of a table with a row per system and back-end of a trial list, and a column of EERs per condition."""
    conditions = list(dict.fromkeys(record["condition"] for record in records))
    eers = {(r["system"], r["backend"], r["condition"]): r["eer_percent"] for r in records}
    rows = sorted({(r["system"], r["backend"]) for r in records})
    columns = []
    for condition in conditions:
        column = [eers.get((*row, condition)) for row in rows]
        columns.append(in_bold([shown(value, 2) for value in column], column))
    lines = ["| " + " | ".join(["System", "Back-end", *map(markdown_text, conditions)]) + " |",
             "|---|---|" + "---:|" * len(conditions)]  # fmt: skip
    for number, row in enumerate(rows):
        lines.append("| " + " | ".join([*map(markdown_text, row), *(column[number] for column in columns)]) + " |")
    return lines


def markdown_table(rows: Sequence[dict]) -> list[str]:
    """Lines of the table of one trial list and condition."""
    priors = list(rows[0]["min_dcf"])
    columns = [[row["eer_percent"] for row in rows], *([row["min_dcf"][p] for row in rows] for p in priors)]
    digits = [2] + [4] * len(priors)
    cells = [in_bold([shown(v, d) for v in column], column) for column, d in zip(columns, digits, strict=True)]
    for row, text in enumerate(cells[0]):
        cells[0][row] = f"{text} ({interval_text(rows[row])})"
    head = ["System", "Back-end", "EER % (95 %)", *(f"minDCF({p})" for p in priors), "Trials"]
    if reference := rows[0].get("reference"):
        head.insert(3, f"against {', '.join(reference)} (95 %)")
        cells.insert(1, [difference_text(row) for row in rows])
    lines = ["| " + " | ".join(map(markdown_text, head)) + " |", "|---|---|" + "---:|" * (len(head) - 2)]
    for row, record in enumerate(rows):
        trials = f"{record['n_target'] + record['n_nontarget']:,}"
        fields = [record["system"], record["backend"], *(column[row] for column in cells), trials]
        lines.append("| " + " | ".join(map(markdown_text, fields)) + " |")
    return lines


def difference_text(record: dict) -> str:
    """Difference of the EER from the reference's, with its interval."""
    if record["against_reference"] is None:
        return "reference"
    eer = record["against_reference"]["eer_percent"]
    return "-" if eer["difference"] is None else f"{eer['difference']:+.2f} ({span(eer['ci95'], 2, sign=True)})"


def in_bold(texts: list[str], values: Sequence[float | None]) -> list[str]:
    """Set the texts of the smallest value in bold, unless all values are equal."""
    known = [value for value in values if value is not None]
    best = min(known, default=None)
    if not known or best == max(known):
        return texts
    return [f"**{text}**" if value == best else text for text, value in zip(texts, values, strict=True)]
