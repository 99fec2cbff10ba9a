"""The models, options and data behind each row, from records of provenance, and the rows that differ from the others.

Rows that share a step should agree on it: the embeddings of one system come from one model, and a back-end has the
same options in all systems. A row that differs from most rows is marked in its table. Sets of models agree if one
contains the other: faces that were aligned before need a pack's recognition network only, the others its detector too.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from avsv.evaluation.report.html import Markup, scrolling, tag
from avsv.evaluation.results import ScoreFile
from avsv.jobs.provenance import Record, chain, source_path

MODEL_OPTIONS = ("model", "networks")  # hashes among a step's options, which its models repeat
SHARED_BACKEND = ("score", "normalize")  # a back-end's options are the same for all systems
MODEL, OPTIONS, DATA, VERSION, NONE = "model", "options", "data", "version of avsv", "no record"
Fact = tuple[str, str]  # MODEL, OPTIONS, DATA or VERSION; the step or file concerned


@dataclass
class Made:
    """The origin of one score file.

    facts : fact -> its values, such as (MODEL, "embed-voice voice") -> hashes
    models, data : path -> hash
    options : step -> options
    """

    facts: dict[Fact, set[str]] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, owner: str, value: str) -> None:
        self.facts.setdefault((kind, owner), set()).add(value)


def how_made(exp_dir: Path, files: Sequence[ScoreFile]) -> dict[Path, Made]:
    """Score file -> its origin; files without a record are omitted."""
    made = {}
    for file in files:
        steps = list(chain(file.path))
        if steps:
            made[file.path] = Made()
            for path, record in steps:
                add_step(made[file.path], Path(os.path.abspath(exp_dir)), path, record, {path for path, _ in steps})
    return made


def add_step(made: Made, exp_dir: Path, path: Path, record: Record, recorded: set[Path]) -> None:
    """Add one record of a chain; `recorded` are the files of the chain that have their own record."""
    step = f"{record.command} {owner_of(exp_dir, path, record.command)}"
    models = [source.digest for source in record.inputs if source.role == "model"]
    hidden = MODEL_OPTIONS if models else ()
    options = ", ".join(
        f"{key}={value}"
        for key, value in sorted(record.options.items())
        if value not in (False, [], "") and key not in hidden
    )
    options += f", seed={record.seed}" if record.seed is not None else ""
    made.options[step] = options
    made.add(OPTIONS, step, options)
    made.add(VERSION, step, f"{record.avsv}, code {record.code}")
    if models:
        made.add(MODEL, step, " ".join(models))
    for source in record.inputs:
        if not source.path:
            continue
        place = source_path(path, source)
        name = os.path.relpath(place, exp_dir.parent)
        if source.role == "model":
            made.models[name] = source.digest
        elif place not in recorded and not place.is_relative_to(exp_dir):
            made.data[name] = source.digest
            made.add(DATA, name, source.digest)


def owner_of(exp_dir: Path, path: Path, command: str) -> str:
    """The owner of a step: the back-end for scoring, otherwise the system's folder.

    With the set in it for adaptation, as domains differ in size, and with the back-end for calibration and fusion.

    Examples
    --------
    >>> owner_of(Path("/exp"), Path("/exp/voice/scores/t.cosine"), "score")
    'cosine'
    >>> owner_of(Path("/exp"), Path("/exp/mean/scores/t.cosine"), "fuse")
    'mean cosine'
    >>> owner_of(Path("/exp"), Path("/exp/mean/dev/dev.cosine.json"), "fuse")
    'mean cosine model'
    >>> owner_of(Path("/exp"), Path("/exp/voice/test/embedding.scp"), "embed-voice")
    'voice'
    >>> owner_of(Path("/exp"), Path("/exp/voice_adapted/test/embedding.scp"), "adapt")
    'voice_adapted test'
    """
    backend = path.name.removesuffix(".json").rpartition(".")[2]
    if command in SHARED_BACKEND:
        return backend
    system = path.relative_to(exp_dir).parts[0] if path.is_relative_to(exp_dir) else path.parent.name
    if command == "adapt":
        return f"{system} {path.parent.name}"
    if command in ("calibrate", "fuse"):
        return f"{system} {backend}{' model' if path.suffix == '.json' else ''}"
    return system


def differing(made: Mapping[Path, Made], files: Sequence[ScoreFile]) -> dict[Path, dict[str, list[str]]]:
    """Score file -> kind -> differences from most rows; rows that agree are omitted.

    A file without a record differs if others have one.
    """
    usual: dict[Fact, Counter] = {}
    for one in made.values():
        for fact, values in one.facts.items():
            usual.setdefault(fact, Counter()).update(values)
    common = {fact: most_common(fact[0], counts) for fact, counts in usual.items()}
    differences: dict[Path, dict[str, list[str]]] = {}
    for file in files:
        if file.path not in made:
            if made:
                differences[file.path] = {NONE: ["written by another program, or copied without its record"]}
            continue
        for (kind, owner), values in made[file.path].facts.items():
            if others := {value for value in values if not agree(kind, value, common[kind, owner])}:
                text = difference(kind, owner, others, common)
                differences.setdefault(file.path, {}).setdefault(kind, []).append(text)
    return differences


def most_common(kind: str, counts: Counter) -> str:
    """The value of most rows; for models, of those that no other set contains."""
    sets = {value: set(value.split()) for value in counts}
    whole = [value for value in counts if kind != MODEL or not any(sets[value] < other for other in sets.values())]
    return max(whole, key=counts.__getitem__)


def agree(kind: str, value: str, other: str) -> bool:
    """Whether two values of a fact are equal or, for models, one set contains the other.

    Examples
    --------
    >>> agree(MODEL, "1a 2b", "2b"), agree(MODEL, "1a 2b", "1a 3c"), agree(OPTIONS, "frames=3", "frames=5")
    (True, False, False)
    """
    one, two = (set(text.split()) for text in (value, other))
    return value == other or (kind == MODEL and (one <= two or two <= one))


def difference(kind: str, owner: str, others: set[str], common: Mapping[Fact, str]) -> str:
    values = ", ".join(sorted(short_hash(value) if kind in (MODEL, DATA) else value or "none" for value in others))
    most = common[kind, owner]
    return f"{owner}: {values}; most rows have {short_hash(most) if kind in (MODEL, DATA) else most or 'none'}"


def short_hash(value: str) -> str:
    return " ".join(part[:8] for part in value.split())


def provenance_section(
    files: Sequence[ScoreFile], made: Mapping[Path, Made], differences: Mapping[Path, Mapping[str, Sequence[str]]]
) -> Markup | list[Markup]:
    """A table for each list and condition; models and data with the first eight digits of their hashes."""
    if not made:
        return tag("p", "No score file has a record of how it was made.")
    note = (
        "From the records next to the files; avsv explain FILE prints the whole chain. A row that was made with other "
        "models, options or data than most rows is marked here and in the results."
    )
    parts = [tag("p", note, class_="note")]
    for trials, condition in dict.fromkeys((file.trials, file.condition) for file in files):
        mine = [file for file in files if (file.trials, file.condition) == (trials, condition)]
        heads = ["System", "Back-end", "Models", "Options", "Data", "Differs in"]
        head = tag("tr", [tag("th", name, scope="col") for name in heads])
        rows = [made_row(file, made.get(file.path, Made()), differences.get(file.path, {})) for file in mine]
        table = tag("table", tag("thead", head), tag("tbody", rows), class_="made")
        name = f"{trials}, {condition}"
        parts.append(
            tag("details", tag("summary", tag("b", name)), scrolling(table, f"How the rows of {name} were made"))
        )
    return parts


def made_row(file: ScoreFile, made: Made, differences: Mapping[str, Sequence[str]]) -> Markup:
    marked = [lines([f"{kind}: {text}" for text in texts]) for kind, texts in differences.items()]
    cells = [hashed(made.models), lines([f"{step}: {text or 'defaults'}" for step, text in made.options.items()]),
             hashed(made.data), marked or "–"]  # fmt: skip
    return tag("tr", tag("th", file.system, scope="row"), tag("td", file.backend), [tag("td", cell) for cell in cells],
               class_="differs" if differences else None)  # fmt: skip


def hashed(files: Mapping[str, str]) -> Markup | str:
    return lines([f"{name} {value[:8]}" for name, value in sorted(files.items())]) if files else "–"


def lines(texts: Sequence[str]) -> Markup:
    return tag("div", [tag("div", text) for text in texts])
