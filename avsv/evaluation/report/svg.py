"""Plots as small SVG: a frame that maps numbers to positions, paths, ticks. Colours come from the page's style."""

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from avsv.evaluation.report.html import Markup, joined, tag

N_COLOURS = 8  # .c0 to .c7 of page.css
DASHES = (None, "6 3", "1.5 2.5")


class Frame:
    """The area of a plot in a viewBox of `width` x `height`.

    Parameters
    ----------
    x, y : the numbers at the two ends of each axis
    margins : left, right, top, bottom, in units of the viewBox
    scale : numbers -> places, increasing, for both axes; None for a linear plot
    """

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        width: float = 420,
        height: float = 420,
        margins: tuple[float, float, float, float] = (46, 10, 10, 42),
        scale: Callable | None = None,
    ):
        self.width, self.height, self.margins = width, height, margins
        self.scale = scale or (lambda values: np.asarray(values, float))
        self.ends = self.scale(np.array(x)), self.scale(np.array(y))

    def xs(self, values) -> np.ndarray:
        left, right, _, _ = self.margins
        low, high = self.ends[0]
        return left + (self.scale(np.asarray(values, float)) - low) / (high - low) * (self.width - left - right)

    def ys(self, values) -> np.ndarray:
        _, _, top, bottom = self.margins
        low, high = self.ends[1]
        return (
            self.height
            - bottom
            - (self.scale(np.asarray(values, float)) - low) / (high - low) * (self.height - top - bottom)
        )

    def path(self, x, y, **attributes) -> Markup:
        """A broken line through points."""
        return tag("path", d="M" + points(self.xs(x), self.ys(y)), **attributes)

    def band(self, x, low, high, **attributes) -> Markup:
        """The area between two lines."""
        forth = points(self.xs(x), self.ys(low))
        back = points(self.xs(x)[::-1], self.ys(high)[::-1])
        return tag("path", d=f"M{forth}L{back}Z", **attributes)

    def grid(self, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]]) -> list[Markup]:
        """Lines and numbers at the ticks."""
        left, right, top, bottom = self.margins
        drawn = []
        for place, (_, label) in zip(self.xs([t for t, _ in x_ticks]), x_ticks, strict=True):
            at = short(place)
            drawn.append(tag("line", x1=at, x2=at, y1=top, y2=short(self.height - bottom), class_="grid"))
            drawn.append(tag("text", label, x=at, y=short(self.height - bottom + 19), text_anchor="middle"))
        for place, (_, label) in zip(self.ys([t for t, _ in y_ticks]), y_ticks, strict=True):
            at = short(place)
            drawn.append(tag("line", x1=left, x2=short(self.width - right), y1=at, y2=at, class_="grid"))
            drawn.append(tag("text", label, x=left - 6, y=short(place + 4), text_anchor="end"))
        return drawn

    def titles(self, x: str, y: str | None = None) -> list[Markup]:
        left, right, top, bottom = self.margins
        middle = short((left + self.width - right) / 2)
        drawn = [tag("text", x, x=middle, y=short(self.height - 4), text_anchor="middle", class_="axis")]
        if y:
            centre = short((top + self.height - bottom) / 2)
            turn = f"rotate(-90 12 {centre})"
            drawn.append(tag("text", y, x=12, y=centre, text_anchor="middle", transform=turn, class_="axis"))
        return drawn

    def inside(self, *parts) -> Markup:
        """Parts cut off at the frame."""
        left, right, top, bottom = self.margins
        width, height = short(self.width - left - right), short(self.height - top - bottom)
        place = {"x": left, "y": top, "width": width, "height": height}
        return tag("svg", *parts, **place, viewBox=f"{left} {top} {width} {height}")

    def svg(self, label: str, *parts, **attributes) -> Markup:
        """The whole figure; `label` is its text for screen readers."""
        box = f"0 0 {self.width:g} {self.height:g}"
        return tag("svg", *parts, viewBox=box, role="img", aria_label=label, class_="plot", **attributes)


def short(number: float) -> str:
    """A coordinate with one decimal, which is left out if it is 0.

    Examples
    --------
    >>> short(12.04), short(3.26)
    ('12', '3.3')
    """
    return f"{number:.1f}".removesuffix(".0")


def points(x: np.ndarray, y: np.ndarray) -> str:
    """Points as the commands of a path; repeated points are left out."""
    places = (f"{short(a)} {short(b)}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return "L".join(place for place, _ in groupby(places))


def line_style(number: int, is_reference: bool = False) -> dict[str, str | None]:
    """Class and dash of the curve of system `number`; the reference's is thicker."""
    return {
        "class_": f"line c{number % N_COLOURS}{' reference' if is_reference else ''}",
        "stroke_dasharray": DASHES[number // N_COLOURS % len(DASHES)],
    }


def key_of(number: int, is_reference: bool = False) -> Markup:
    """A short piece of a system's line, for a legend."""
    line = tag("line", x1=0, x2=22, y1=5, y2=5, **line_style(number, is_reference))
    return tag("svg", line, viewBox="0 0 22 10", width=22, height=10, class_="key", aria_hidden="true")


def standalone(drawing: Markup, title: str, rows: Sequence[tuple[int, str]], style: str) -> Markup:
    """A figure as a separate file, with name space, colours, title and legend.

    rows : (number of the system, its label)
    """
    legend = [tag("text", title, x=180, y=30, class_="axis")]
    for place, (number, label) in enumerate(rows):
        y = 49 + 17 * place
        legend.append(tag("line", x1=180, x2=202, y1=y - 4, y2=y - 4, **line_style(number)))
        legend.append(tag("text", label, x=208, y=y))
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="640" '
    body = drawing.removeprefix("<svg ").removesuffix("</svg>")
    return joined([
        Markup(head + body.partition(">")[0] + ">"),
        tag("style", Markup(style)),
        tag("title", title),
        tag("rect", width="100%", height="100%", fill="#fff"),
        Markup(body.partition(">")[2]),
        legend,
        Markup("</svg>\n"),
    ])  # fmt: skip
