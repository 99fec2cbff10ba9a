"""Published figures, which a table shows beside our own: read from the user's file, never measured here.

The file is tab separated, with a head that names its columns, in any order:

    list  system  eer_percent  min_dcf  p_target  source

`list` is the trial list's file name and `source` a citation or an address. `-` or nothing stands where a paper does not
tell. `min_dcf` and `p_target` (the prior it is at) may be left out together. Lines that begin with # are comments.
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
    """What a source tells of a system on a trial list; None for what it does not.

    list : name of the trial list
    system : as we would name it
    eer_percent : 0 to 100
    min_dcf : normalised, at the prior p_target
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
    InputError : no such file, a column is missing or unknown, a line of another shape, a figure out of its range or
        without a source, a line twice

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "published.tsv"
    >>> _ = path.write_text("list\\tsystem\\teer_percent\\tsource\\nvox1-O\\tecapa\\t0.98\\tAVCleanse, 2023\\n")
    >>> read_published(path)[0].eer_percent
    0.98
    """
    head, found = None, []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("\t")]
        if head is None:
            head = read_head(path, number, fields)
        elif len(fields) != len(head):
            raise InputError(
                f"{path}, line {number}: expected {len(head)} fields with tabs between ({', '.join(head)}), "
                f'found {len(fields)}: "{line.strip()}"'
            )
        else:
            row = read_row(path, number, dict(zip(head, fields, strict=True)))
            if row in found:
                raise InputError(f"{path}, line {number}: the same stands in the file before")
            found.append(row)
    if not found:
        raise InputError(f'{path}: there are no figures in it, expected a head "{" ".join(COLUMNS)}", and lines below')
    return found


def read_head(path: Path | str, number: int, fields: Sequence[str]) -> list[str]:
    missing = [name for name in NEEDED if name not in fields]
    unknown = [name for name in fields if name not in COLUMNS]
    if missing or unknown or len(set(fields)) < len(fields) or ("min_dcf" in fields) != ("p_target" in fields):
        raise InputError(
            f'{path}, line {number}: expected the names of the columns with tabs between, "{" ".join(COLUMNS)}" '
            f'(min_dcf and p_target may be left out), found "{" ".join(fields)}"'
        )
    return list(fields)


def read_row(path: Path | str, number: int, row: dict[str, str]) -> Published:
    for name in ("list", "system", "source"):
        if row[name] in ("", "-"):
            raise InputError(f"{path}, line {number}: the {name} is missing")
    figures = {
        name: read_figure(path, number, name, row.get(name, ""), most)
        for name, most in (("eer_percent", 100.0), ("min_dcf", 1.0), ("p_target", 1.0))
    }
    if figures["eer_percent"] is None and figures["min_dcf"] is None:
        raise InputError(f"{path}, line {number}: has neither an EER nor a minDCF")
    if (figures["min_dcf"] is None) != (figures["p_target"] is None):
        raise InputError(f"{path}, line {number}: min_dcf needs p_target, the prior it is at, and the reverse")
    return Published(row["list"], row["system"], source=row["source"], **figures)


def read_figure(path: Path | str, number: int, name: str, text: str, most: float) -> float | None:
    if text in ("", "-"):
        return None
    value = number_or_nan(text)
    if not 0 <= value <= most:
        raise InputError(f'{path}, line {number}: expected a number from 0 to {most:g} as {name}, found "{text}"')
    return value


def cite(rows: Sequence[Published]) -> dict[str, int]:
    """Source -> its number in a list of sources, from 1 on, in the order of the rows.

    Examples
    --------
    >>> cite([Published("O", "a", 1.0, None, None, "x"), Published("O", "b", 2.0, None, None, "y")])
    {'x': 1, 'y': 2}
    """
    return {source: number for number, source in enumerate(dict.fromkeys(row.source for row in rows), 1)}


def published_cells(rows: Sequence[Published], numbers: dict[str, int]) -> tuple[str, str]:
    """What is published of one system, as two cells: EER in percent, and minDCF; each figure with its source's number.

    Examples
    --------
    >>> published_cells([Published("O", "a", 0.98, 0.07, 0.01, "x")], {"x": 1})
    ('0.98 [1]', '0.07 (P 0.01) [1]')
    """
    eers = [f"{row.eer_percent:g} [{numbers[row.source]}]" for row in rows if row.eer_percent is not None]
    costs = [f"{row.min_dcf:g} (P {row.p_target:g}) [{numbers[row.source]}]" for row in rows if row.min_dcf is not None]
    return "; ".join(dict.fromkeys(eers)) or "-", "; ".join(costs) or "-"
