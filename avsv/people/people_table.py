"""Tables that say who is in which file: csv or tsv with a header line."""

import csv
import io
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.inputs import read_text
from avsv.kaldi.decimals import number_or_nan
from avsv.kaldi.segments import TO_THE_END

OWN = ("file", "person", "session", "begin", "end")
GENDERS = {"m": "m", "male": "m", "f": "f", "female": "f", "": ""}
NAME = re.compile(r"[a-z][a-z0-9_]*")
RESERVED = ("spk", "vid", "dur", "num_frames", "modality", "face_score", "face_size", "damage", "speaking", "labelled")


@dataclass(frozen=True)
class Row:
    """A line of the table.

    file : as written, relative to the folder of the media
    person, session : "" if not given
    span : begin and end of a segment in seconds, an end of -1 for the recording's; None for the whole file
    columns : further columns that are not empty; gender as m or f
    """

    line: int
    file: str
    person: str
    session: str = ""
    span: tuple[float, float] | None = None
    columns: dict[str, str] = field(default_factory=dict)


def read_people_table(path: Path | str) -> list[Row]:
    """Read a table with a header line, separated by tabs, commas or semicolons.

    Columns: file and person; optionally session, gender, begin and end (seconds), and others of any name.

    Raises
    ------
    InputError : no such file, not text, no column file or person, an unknown gender, invalid times, a line with too
        many or too few fields, a file named twice, or no rows

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "people.csv"
    >>> _ = path.write_text("file,person,gender,language\\na.wav,Ada,female,en\\n")
    >>> read_people_table(path)
    [Row(line=2, file='a.wav', person='Ada', session='', span=None, columns={'gender': 'f', 'language': 'en'})]
    """
    path = Path(path)
    reader = csv.reader(io.StringIO(text := read_text(path), newline=""), delimiter=separator(text), strict=True)
    rows: list[Row] = []
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        refuse_header(path, names)
        begun = reader.line_num + 1
        for fields in reader:
            line, begun = begun, reader.line_num + 1
            if not any(field.strip() for field in fields):
                continue
            if len(fields) != len(names):
                raise InputError(f"{path}, line {line}: expected {len(names)} fields ({', '.join(names)}), found "
                                f"{len(fields)}; a field that has the separator in it needs double quotes")  # fmt: skip
            rows.append(make_row(path, line, dict(zip(names, (field.strip() for field in fields), strict=True))))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: is not a table: {error}") from None
    if not rows:
        raise InputError(f"{path}: has no lines below its header")
    refuse_repeats(path, rows)
    return rows


def separator(text: str) -> str:
    """The separator of a table, by its header line."""
    header = text.partition("\n")[0]
    return next((sign for sign in "\t;," if sign in header), ",")


def refuse_header(path: Path, names: list[str]) -> None:
    """InputError unless a header names file and person, and every other column once."""
    for wanted in ("file", "person"):
        if wanted not in names:
            raise InputError(f'{path}, line 1: expected a header with the columns "file" and "person", found: '
                             f"{', '.join(names) or 'nothing'}"[:300])  # fmt: skip
    for name in names:
        if not NAME.fullmatch(name) or name in RESERVED:
            raise InputError(f'{path}, line 1: column "{name}": expected letters, digits and _, and none of the names '
                            f"that avsv uses itself ({', '.join(RESERVED)})")  # fmt: skip
        if names.count(name) > 1:
            raise InputError(f'{path}, line 1: the column "{name}" occurs twice')


def make_row(path: Path, line: int, values: dict[str, str]) -> Row:
    """A row from its values; InputError if one is invalid."""
    where = f"{path}, line {line}"
    if not values["file"]:
        raise InputError(f"{where}: names no file")
    if "gender" in values:
        if (given := values["gender"].lower()) not in GENDERS:
            raise InputError(f'{where}: gender "{values["gender"]}", expected m, f, male, female or nothing')
        values["gender"] = GENDERS[given]
    columns = {name: value for name, value in values.items() if name not in OWN and value}
    return Row(line, values["file"], values["person"], values.get("session", ""), span_of(where, values), columns)


def span_of(where: str, values: dict[str, str]) -> tuple[float, float] | None:
    """Begin and end of a row's segment; None if neither is given."""
    begin, end = values.get("begin", ""), values.get("end", "")
    if not begin and not end:
        return None
    span = number_or_nan(begin or "0"), number_or_nan(end or str(TO_THE_END))
    if not all(map(math.isfinite, span)) or span[0] < 0 or (end and span[1] <= span[0]):
        raise InputError(f'{where}: begin "{begin}" and end "{end}": expected seconds, the end after the begin')
    return span


def refuse_repeats(path: Path, rows: list[Row]) -> None:
    """InputError if two rows name the same file, or the same segment of it."""
    first: dict[tuple, Row] = {}
    segmented = {row.file for row in rows if row.span is not None}
    for row in rows:
        if row.file in segmented and row.span is None:
            raise InputError(
                f"{path}, line {row.line}: {row.file} has segments on other lines, but no begin and end here"
            )
        before = first.setdefault((row.file, row.span), row)
        if before is not row:
            raise InputError(f"{path}, line {row.line}: {row.file} is on line {before.line} already"
                            f"{', as another person' if before.person != row.person else ''}")  # fmt: skip
