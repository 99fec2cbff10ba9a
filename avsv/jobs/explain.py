"""How a file was made: the commands and inputs behind it, back to the data, as a tree."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.provenance import changed, code_of, short
from avsv.jobs.records import Record, find_record, read_record, record_path, shown, source_path

CURRENT, CHANGED, ABSENT, EARLIER_CODE = "current", "changed", "absent", "made by earlier code"
NUMBERED_ARCHIVE = re.compile(r"(.+?)(?:\.\d+)?\.ark")


@dataclass(frozen=True)
class Step:
    """A file or folder, and what it was made from.

    path : relative to the working directory where it lies below it; "" for an input that is not a file
    role : how the step above used it, such as "trials"; "" at the root
    state : "current", "changed" since the step above was made, "absent" or "made by earlier code"
    digest : hash of its content when the step above read it; "" at the root
    record : command, options, seed, version, code; None if unrecorded, as for imported data
    inputs : the steps that it was made from
    repeated : its inputs are shown where it first appears in the tree
    configuration : file with all options of a training; "" for other steps
    """

    path: str
    role: str
    state: str
    digest: str
    record: Record | None
    inputs: tuple["Step", ...] = field(default=())
    repeated: bool = False
    configuration: str = ""


def explain(path: Path | str) -> Step:
    """The steps that led to a score file, archive, model folder, noisy set or results page.

    Raises
    ------
    InputError : no such file, no record of it, or a record that is damaged or from an earlier version of avsv

    Examples
    --------
    >>> import tempfile
    >>> from avsv.jobs.provenance import MadeFrom
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "trials").write_text("a b target")
    >>> made = MadeFrom("score", {"trials": folder / "trials"}, {"backend": "cosine"})
    >>> _ = (folder / "scores").write_text("a b 0.5")
    >>> made.write(folder / "scores")
    >>> step = explain(folder / "scores")
    >>> step.record.command, step.state, [one.role for one in step.inputs]
    ('score', 'current', ['trials'])
    """
    path = Path(os.path.abspath(path))
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give a score file, an archive, a model or a results page")
    seen: set[Path] = set()
    step = step_of(path, "", CURRENT, "", seen)
    if step.record is None and not step.inputs and path.is_dir():
        inputs = tuple(step_of(file, "", CURRENT, "", seen) for file in recorded_files(path))
        step = Step(shown(path), "", CURRENT, "", None, inputs)
    if step.record is None and not step.inputs:
        raise InputError(f"{shown(path)}: has no record of how it was made; another program may have written it")
    return step


def step_of(path: Path, role: str, state: str, digest: str, seen: set[Path]) -> Step:
    file = recorded_as(path)
    record = read_record(file) if file else None
    if record is None:
        return Step(shown(path), role, state, digest, None)
    if state == CURRENT and record.code != code_of(record.command):
        state = EARLIER_CODE
    output = find_record(file)[0]  # several files may share one record
    if output in seen:
        return Step(shown(path), role, state, digest, record, repeated=True)
    seen.add(output)
    inputs = []
    for source in record.inputs:
        if not source.path:
            inputs.append(Step("", source.role, CURRENT, source.digest, None))
            continue
        where = source_path(file, source)
        now = ABSENT if not where.exists() else CHANGED if changed(file, source) else CURRENT
        inputs.append(step_of(where, source.role, now, source.digest, seen))
    configuration = "" if record.chosen is None else shown(output.with_name("config.yaml"))
    return Step(shown(path), role, state, digest, record, tuple(inputs), configuration=configuration)


def recorded_as(path: Path) -> Path | None:
    """The file that has the record of `path`: for an archive, its scp file."""
    if find_record(path)[1] is not None:
        return path
    name = NUMBERED_ARCHIVE.fullmatch(path.name)
    scp = path.with_name(f"{name[1]}.scp") if name else None
    return scp if scp and find_record(scp)[1] is not None else None


def recorded_files(folder: Path) -> list[Path]:
    """The files of a folder that have their own records."""
    return [file for file in sorted(folder.iterdir()) if file.is_file() and record_path(file).exists()]


def steps(root: Step) -> Iterator[Step]:
    """A step and all steps that it was made from, each once."""
    yield root
    for step in root.inputs:
        yield from steps(step)


def as_lines(step: Step, depth: int = 0) -> Iterator[str]:
    """The tree as indented text, from the result down to the media."""
    text = f"{'  ' * depth}{step.role and step.role + ': '}{step.path or 'recorded by its hash ' + step.digest}"
    if step.record is not None:
        options = step.record.options if step.record.chosen is None else step.record.chosen
        options = [f"{name}={short(value)}" for name, value in options.items()]
        options += [] if step.record.seed is None else [f"seed={step.record.seed}"]
        text += f"  <- avsv {' '.join([step.record.command, *options])} (avsv {step.record.avsv}, "
        text += f"code {step.record.code})"
    text += "" if step.state == CURRENT else f"  [{step.state}]"
    yield text + ("  (see above)" if step.repeated else "")
    if step.configuration:
        yield f"{'  ' * (depth + 1)}whole configuration: {step.configuration}"
    for one in step.inputs:
        yield from as_lines(one, depth + 1)
