"""Tables for readers: aligned text and Markdown."""

from collections.abc import Sequence


def aligned(cells: Sequence[Sequence[str]]) -> str:
    """Rows of cells as text, with the first column left-aligned and the others right-aligned.

    Examples
    --------
    >>> print(aligned([["system", "EER %"], ["a", "10.5"]]))
    system  EER %
    a        10.5
    """
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = []
    for row in cells:
        padded = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *padded[1:]]).rstrip())
    return "\n".join(lines)


def markdown_text(text: str) -> str:
    """Escape a name for a Markdown table, in which HTML is markup and | ends a cell.

    Examples
    --------
    >>> markdown_text("a|<b>")
    'a\\\\|&lt;b>'
    """
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def markdown_rows(cells: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines of a Markdown table; the first row is the heading.

    Examples
    --------
    >>> markdown_rows([["system", "EER %"], ["a|b", "1.5"]])
    ['| system | EER % |', '|---|---:|', '| a\\\\|b | 1.5 |']
    """
    lines = ["| " + " | ".join(map(markdown_text, row)) + " |" for row in cells]
    return [lines[0], "|---|" + "---:|" * (len(cells[0]) - 1), *lines[1:]]


def shown(value: float | None, digits: int) -> str:
    """A number with `digits` decimals, or `-` for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def span(ends: Sequence[float] | None, digits: int, sign: bool = False) -> str:
    """An interval as `1.02-1.37`, or with signs `-0.31 to +0.12`; `-` for None.

    Without signs, an interval from 0 is an upper bound: `at most 1.37`.

    Examples
    --------
    >>> span([0.0, 1.37], 2)
    'at most 1.37'
    >>> span([-0.314, 0.12], 2, sign=True)
    '-0.31 to +0.12'
    """
    if not ends:
        return "-"
    low, high = ends
    if sign:
        return f"{low:+.{digits}f} to {high:+.{digits}f}"
    if float(f"{low:.{digits}f}") == 0:
        return f"at most {high:.{digits}f}"
    return f"{low:.{digits}f}-{high:.{digits}f}"
