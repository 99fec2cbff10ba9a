"""Tables as people read them: aligned text, and Markdown."""

from collections.abc import Sequence


def aligned(cells: Sequence[Sequence[str]]) -> str:
    """Rows of cells as text, the first column to the left, the others to the right.

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
    """A name as text of Markdown, in which HTML is markup and a line ends a cell.

    Examples
    --------
    >>> markdown_text("a|<b>")
    'a\\\\|&lt;b>'
    """
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def markdown_rows(cells: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as the lines of a Markdown table; the first is the head.

    Examples
    --------
    >>> markdown_rows([["system", "EER %"], ["a|b", "1.5"]])
    ['| system | EER % |', '|---|---:|', '| a\\\\|b | 1.5 |']
    """
    lines = ["| " + " | ".join(map(markdown_text, row)) + " |" for row in cells]
    return [lines[0], "|---|" + "---:|" * (len(cells[0]) - 1), *lines[1:]]


def shown(value: float | None, digits: int) -> str:
    """A number, or `-` where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def span(ends: Sequence[float] | None, digits: int, sign: bool = False) -> str:
    """An interval: `1.02-1.37`, with signs `-0.31 to +0.12`; `-` where there is none.

    Examples
    --------
    >>> span([-0.314, 0.12], 2, sign=True)
    '-0.31 to +0.12'
    """
    if not ends:
        return "-"
    low, high = ends
    return f"{low:+.{digits}f} to {high:+.{digits}f}" if sign else f"{low:.{digits}f}-{high:.{digits}f}"
