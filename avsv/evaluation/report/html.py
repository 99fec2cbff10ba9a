"""HTML and SVG elements for the report; all text is escaped, because names come from data."""

import html
from collections.abc import Iterable

VOID = {"img", "br"}  # elements of HTML that have no end; those of SVG all have one


class Markup(str):
    """Text that is already HTML."""


def text_of(part) -> str:
    """A part of an element as HTML: markup unchanged, None as nothing, everything else escaped."""
    if isinstance(part, Markup):
        return part
    return "" if part is None else html.escape(str(part))


def joined(parts: Iterable, between: str = "") -> Markup:
    """Parts joined in order, nested lists included."""
    return Markup(between.join(joined(part) if isinstance(part, list | tuple) else text_of(part) for part in parts))


def tag(name: str, *parts, **attributes) -> Markup:
    """An element.

    Parameters
    ----------
    parts : strings (escaped), markup, numbers, lists of these, None
    attributes : `class_` is written class, and an underscore inside a name a hyphen; True is an attribute without a
        value, None and False leave it out

    Examples
    --------
    >>> print(tag("a", "1 < 2", href="#x", class_="y", hidden=True, title=None))
    <a href="#x" class="y" hidden>1 &lt; 2</a>
    """
    written = []
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {key}")
        elif value is not None and value is not False:
            written.append(f' {key}="{html.escape(str(value))}"')
    head = f"<{name}{''.join(written)}>"
    return Markup(head if name in VOID else f"{head}{joined(parts)}</{name}>")


def scrolling(table: Markup, label: str) -> Markup:
    """A table that scrolls sideways within the page; a hint and a shadow show that more columns follow.

    label : what a screen reader announces
    """
    hint = tag("p", "more columns: scroll sideways →", class_="hint", aria_hidden="true")
    area = tag("div", table, class_="wide", role="region", aria_label=label, tabindex=0)
    return tag("div", hint, area, class_="scroller")
