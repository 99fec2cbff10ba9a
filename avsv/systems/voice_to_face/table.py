"""What was measured of drawn faces, as a table: a column a length of clip, a row a measure, each beside chance."""

from collections.abc import Mapping, Sequence

from avsv.evaluation.tables import span


def drawn_table(results: Mapping) -> list[list[str]]:
    """Cells of the table, the first row the head; see `markdown_rows` and `aligned`.

    Parameters
    ----------
    results : as `measure_lengths` gives them
    """
    columns = [*results["lengths"].values(), results["real"]]
    chance_map = f"{columns[0]['retrieval']['chance_percent']:.1f}"
    rows = [
        ("1:2 matching, %", "50", lambda c: percent(c["matching"], "accuracy")),
        ("1:2 matching, one sex, %", "50", lambda c: percent(c["matching_same_sex"], "accuracy")),
        ("sex agrees, %", "50", lambda c: percent(c["sex"])),
        ("retrieval, mAP %", chance_map, lambda c: percent(c["retrieval"], "map")),
        ("clips of one person, EER %", "50", lambda c: percent(c["consistency"], "eer")),
        ("cosine, one person / others", "", lambda c: cosines(c["consistency"])),
        ("Frechet distance from real faces", "", lambda c: f"{c['frechet']:.3f}"),
    ]  # fmt: skip
    head = ["speech heard", "chance", *results["lengths"], "real faces"]
    return [head, *([name, chance, *(show(column) for column in columns)] for name, chance, show in rows)]


def percent(measure: Mapping, kind: str = "") -> str:
    """`71.2 (66.0-75.9)`; `-` where there is nothing to measure."""
    prefix = f"{kind}_" if kind else ""
    value = measure[f"{prefix}percent"]
    return "-" if value is None else f"{value:.1f} ({span(measure[f'{prefix}ci95'], 1)})"


def cosines(measure: Mapping) -> str:
    return "-" if measure["same"] is None else f"{measure['same']:.2f} / {measure['different']:.2f}"


def report_lines(results: Mapping, rows: Sequence[str]) -> list[str]:
    """The page of text that goes with the table.

    Parameters
    ----------
    rows : lines of the table in Markdown
    """
    gain, longest = results["gain"], list(results["lengths"])[-1]
    return [
        "# Faces drawn from voices",
        "",
        f"{results['n_people']} people who are not trained on, {results['n_videos']} videos; 95 % intervals from "
        "resampling people. Faces are compared in the space of a network that took no part in drawing them, all at "
        "64 x 64 pixels. The last column has real faces of the same people in the place of drawn ones: what the "
        "measures can reach; its distance is that of other people's real faces.",
        "",
        *rows,
        "",
        f"1:2 matching, {longest} less {next(iter(results['lengths']))}: {gain['percent']:+.1f} points "
        f"({span(gain['ci95'], 1, sign=True)}).",
        f"Left out: {results['n_bad_clips']} clips without enough speech, {results['n_short_videos']} videos that are "
        f"shorter than the longest length, {results['n_without_face']} videos of people without a face.",
        "",
        "![faces drawn from voices](faces.png)",
    ]
