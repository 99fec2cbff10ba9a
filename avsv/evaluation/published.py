"""Published figures, shown in tables beside our own: read from the user's file, never measured here.

The file is tab separated, with a heading that names its columns, in any order:

    list  system  eer_percent  min_dcf  p_target  source

`list` is the file name of the trial list and `source` a citation or an address. `-` or an empty field means that the
source does not report the figure. `min_dcf` and `p_target` (its prior) may be left out together. Lines that begin with
# are comments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avsv.errors import InputError
from avsv.kaldi.decimals import number_or_nan
from avsv.kaldi.tables import read_lines

NEEDED = ("list", "system", "eer_percent", "source")
COLUMNS = ("list", "system", "eer_percent", "min_dcf", "p_target", "source")


@dataclass(frozen=True)
class Published:
    """Figures from one source for a system on a trial list; None if not reported.

    list : name of the trial list
    system : name, as in our own tables
    eer_percent : 0 to 100
    min_dcf : normalised, at the target prior p_target
    source : citation or address
    """

    list: str
    system: str
    eer_percent: float | None
    min_dcf: float | None
    p_target: float | None
    source: str


def read_published(path: Path | str) -> list[Published]:
    """Read a file of published figures.

    Raises
    ------
    InputError : no such file, a column is missing or unknown, a line has another number of fields, a figure is out of
        range or has no source, or a line is repeated

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "published.tsv"
    >>> _ = path.write_text("list\\tsystem\\teer_percent\\tsource\\nvox1-O\\tecapa\\t0.98\\tAVCleanse, 2023\\n")
    >>> read_published(path)[0].eer_percent
    0.98
    """
    head, rows = None, []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("\t")]
        if head is None:
            head = read_head(path, number, fields)
        elif len(fields) != len(head):
            raise InputError(
                f"{path}, line {number}: expected {len(head)} tab-separated fields ({', '.join(head)}), "
                f'found {len(fields)}: "{line.strip()}"'
            )
        else:
            row = read_row(path, number, dict(zip(head, fields, strict=True)))
            if row in rows:
                raise InputError(f"{path}, line {number}: repeats an earlier line; remove one of them")
            rows.append(row)
    if not rows:
        raise InputError(f'{path}: expected a heading "{" ".join(COLUMNS)}" and figures below it, found no figures')
    return rows


def read_head(path: Path | str, number: int, fields: Sequence[str]) -> list[str]:
    """Check the names of the columns."""
    missing = [name for name in NEEDED if name not in fields]
    unknown = [name for name in fields if name not in COLUMNS]
    if missing or unknown or len(set(fields)) < len(fields) or ("min_dcf" in fields) != ("p_target" in fields):
        raise InputError(
            f'{path}, line {number}: expected the tab-separated column names "{" ".join(COLUMNS)}" '
            f'(min_dcf and p_target may be left out), found "{" ".join(fields)}"'
        )
    return list(fields)


def read_row(path: Path | str, number: int, row: dict[str, str]) -> Published:
    """Check and convert one line, given as column -> text."""
    for name in ("list", "system", "source"):
        if row[name] in ("", "-"):
            raise InputError(f"{path}, line {number}: expected a {name}, found an empty field")
    figures = {
        name: read_figure(path, number, name, row.get(name, ""), most)
        for name, most in (("eer_percent", 100.0), ("min_dcf", 1.0), ("p_target", 1.0))
    }
    if figures["eer_percent"] is None and figures["min_dcf"] is None:
        raise InputError(f"{path}, line {number}: expected an EER or a minDCF, found neither")
    if (figures["min_dcf"] is None) != (figures["p_target"] is None):
        raise InputError(f"{path}, line {number}: expected min_dcf together with its prior p_target, found one of them")
    return Published(row["list"], row["system"], source=row["source"], **figures)


def read_figure(path: Path | str, number: int, name: str, text: str, most: float) -> float | None:
    """A figure from 0 to `most`; None for an empty field or `-`."""
    if text in ("", "-"):
        return None
    value = number_or_nan(text)
    if not 0 <= value <= most:
        raise InputError(f'{path}, line {number}: expected a number from 0 to {most:g} as {name}, found "{text}"')
    return value


def cite(rows: Sequence[Published]) -> dict[str, int]:
    """Source -> reference number, from 1, in the order of the rows.

    Examples
    --------
    >>> cite([Published("O", "a", 1.0, None, None, "x"), Published("O", "b", 2.0, None, None, "y")])
    {'x': 1, 'y': 2}
    """
    return {source: number for number, source in enumerate(dict.fromkeys(row.source for row in rows), 1)}


def published_cells(rows: Sequence[Published], numbers: dict[str, int]) -> tuple[str, str]:
    """Published figures of one system as two cells, EER in percent and minDCF, each with its reference number.

    Examples
    --------
    >>> published_cells([Published("O", "a", 0.98, 0.07, 0.01, "x")], {"x": 1})
    ('0.98 [1]', '0.07 (P 0.01) [1]')
    """
    eers = [f"{row.eer_percent:g} [{numbers[row.source]}]" for row in rows if row.eer_percent is not None]
    costs = [f"{row.min_dcf:g} (P {row.p_target:g}) [{numbers[row.source]}]" for row in rows if row.min_dcf is not None]
    return "; ".join(dict.fromkeys(eers)) or "-", "; ".join(costs) or "-"
