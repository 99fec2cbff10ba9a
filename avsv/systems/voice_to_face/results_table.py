"""Results of voice to face as a table: one column per length of speech, one row per measure."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avsv.evaluation.tables import markdown_rows, span
from avsv.jobs.files import replaced_together, whole_file, write_json
from avsv.media.encoding import encode_png

FILES = ("results.json", "results.md", "faces.png")


def results_table(results: Mapping) -> list[list[str]]:
    """Cells of the table, header first; see `markdown_rows` and `aligned`.

    Parameters
    ----------
    results : from `measure_lengths`
    """
    columns = [*results["lengths"].values(), results["real"]]
    chance_map = f"{columns[0]['retrieval']['chance_percent']:.1f}"
    rows = [
        ("1:2 matching, %", "50", lambda c: percent(c["matching"], "accuracy")),
        ("1:2 matching, same gender, %", "50", lambda c: percent(c["matching_same_sex"], "accuracy")),
        ("gender agrees, %", "50", lambda c: percent(c["sex"])),
        ("retrieval, mAP %", chance_map, lambda c: percent(c["retrieval"], "map")),
        ("same person or not, EER %", "50", lambda c: percent(c["consistency"], "eer")),
        ("cosine, same person / others", "", lambda c: cosines(c["consistency"])),
        ("Frechet distance from real faces", "", lambda c: f"{c['frechet']:.3f}"),
    ]  # fmt: skip
    header = ["speech used", "chance", *results["lengths"], "real faces"]
    return [header, *([name, chance, *(show(column) for column in columns)] for name, chance, show in rows)]


def percent(measure: Mapping, kind: str = "") -> str:
    """Format a measure as `71.2 (66.0-75.9)`, or `-` if there is none."""
    prefix = f"{kind}_" if kind else ""
    value = measure[f"{prefix}percent"]
    return "-" if value is None else f"{value:.1f} ({span(measure[f'{prefix}ci95'], 1)})"


def cosines(measure: Mapping) -> str:
    """Format the mean cosines of pairs of one person and of different people."""
    return "-" if measure["same"] is None else f"{measure['same']:.2f} / {measure['different']:.2f}"


def report_lines(results: Mapping) -> list[str]:
    """The results as lines of Markdown."""
    gain, longest = results["gain"], list(results["lengths"])[-1]
    return [
        "# Faces generated from voices",
        "",
        f"{results['n_people']} unseen people, {results['n_videos']} videos; 95 % intervals over people. "
        "Faces of 64 x 64 pixels are compared in the embedding space of a network that took no part in generating "
        "them. The last column replaces generated faces with real faces of the same people, an upper bound of each "
        "measure; its Frechet distance is that of other people's real faces.",
        "",
        *markdown_rows(results_table(results)),
        "",
        f"Gain in 1:2 matching, {longest} over {next(iter(results['lengths']))}: {gain['percent']:+.1f} points "
        f"({span(gain['ci95'], 1, sign=True)}).",
        f"Left out: {results['n_bad_clips']} clips without enough speech, {results['n_short_videos']} videos shorter "
        f"than the longest length, {results['n_without_face']} videos of people without a face.",
        "",
        "![faces generated from voices](faces.png)",
    ]


def write_results(out_dir: Path, results: Mapping, page: np.ndarray) -> None:
    """Write results.json, results.md and the grid of faces, (h, w, 3) uint8 RGB, as faces.png."""
    with replaced_together(*(out_dir / name for name in FILES)):
        with whole_file(out_dir / "faces.png", "wb") as out:
            out.write(encode_png(page))
        with whole_file(out_dir / "results.md") as out:
            out.write("\n".join(report_lines(results)) + "\n")
        write_json(out_dir / "results.json", results)
