"""Figures of face-voice association: 1:N matching curves, and PCA projections of the joint space."""

from collections.abc import Mapping, Sequence

import numpy as np

from avsv.evaluation.report.html import Markup, tag
from avsv.evaluation.report.svg import N_COLOURS, Frame, key_of, line_style, short


def matching_plot(curves: Mapping[str, Sequence[Mapping]], numbers: Mapping[str, int], way: str) -> Markup:
    """Accuracy over the number of candidates, one line per system with the best on top, and chance dashed.

    Parameters
    ----------
    curves : system -> its records of one matching list, in the order of N
    numbers : system -> index of its colour
    """
    sizes = sorted({record["candidates"] for records in curves.values() for record in records})
    frame = Frame((sizes[0], max(sizes[-1], sizes[0] + 1)), (0, 1), margins=(46, 14, 10, 42))
    lines, bands = [], []
    for system, records in sorted(curves.items(), key=lambda item: item[1][0]["accuracy_percent"]):
        x = [record["candidates"] for record in records]
        lines.append(frame.path(x, [r["accuracy_percent"] / 100 for r in records], **line_style(numbers[system])))
        if all(record["accuracy_ci95"] for record in records):
            low, high = (np.array([record["accuracy_ci95"][end] / 100 for record in records]) for end in (0, 1))
            bands.append(frame.band(x, low, high, class_=f"band c{numbers[system] % N_COLOURS}"))
    chance = frame.path(sizes, [1 / n for n in sizes], class_="threshold", fill="none")
    ticks = [(n, str(n)) for n in sizes], [(share, f"{100 * share:g}") for share in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    return frame.svg(f"Accuracy of 1:N matching, {way}", frame.grid(*ticks),
                     frame.inside(bands[-1:], lines, chance), frame.titles("N candidates", "accuracy (%)"))  # fmt: skip


def system_legend(numbers: Mapping[str, int]) -> Markup:
    """Legend of the systems' lines."""
    return tag("ul", [tag("li", key_of(number), " ", name) for name, number in numbers.items()], class_="legend")


def principal_plane(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Projection on the first two principal components, and the share of the variance they explain.

    Parameters
    ----------
    vectors : (n, d), n >= 2

    Returns
    -------
    (n, 2) float ; 0 to 1

    Examples
    --------
    >>> places, share = principal_plane(np.array([[0.0, 0, 1], [2, 0, 1], [0, 1, 1], [2, 1, 1]]))
    >>> abs(places).round(6).tolist(), round(share, 6)
    ([[1.0, 0.5], [1.0, 0.5], [1.0, 0.5], [1.0, 0.5]], 1.0)
    """
    centred = vectors - vectors.mean(0)
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(
        right[:2].sum(1) + 1e-12
    )  # the sign of a component is arbitrary; fixing it makes the figure reproducible
    total = float((values**2).sum())
    return left[:, :2] * values[:2] * signs, float((values[:2] ** 2).sum()) / total if total else 0.0


def plane_plot(voice: np.ndarray, face: np.ndarray, groups: Sequence[Sequence[str]], label: str) -> Markup:
    """Voices as dots and faces as squares in one plane, coloured by group.

    Parameters
    ----------
    voice, face : (n, 2), (m, 2) positions
    groups : the group of each voice and of each face; an empty string if unknown
    """
    every = np.concatenate([voice, face])
    low, high = every.min(0), every.max(0)
    room = 0.04 * (high - low) + 1e-9
    frame = Frame((low[0] - room[0], high[0] + room[0]), (low[1] - room[1], high[1] + room[1]), margins=(8, 8, 8, 24))
    names = sorted({group for side in groups for group in side})
    marks = []
    for places, of, is_voice in ((voice, groups[0], True), (face, groups[1], False)):
        for x, y, group in zip(frame.xs(places[:, 0]), frame.ys(places[:, 1]), of, strict=True):
            colour = f"c{names.index(group) % N_COLOURS}"
            if is_voice:
                marks.append(tag("circle", cx=short(x), cy=short(y), r=2.2, class_=f"dot {colour}"))
            else:
                marks.append(tag("rect", x=short(x - 2.5), y=short(y - 2.5), width=5, height=5,
                                 class_=f"shape {colour}"))  # fmt: skip
    return frame.svg(label, marks, frame.titles("voices: dots; faces: squares"))
