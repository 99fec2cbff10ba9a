"""Identification rates as tables for readers: aligned text and Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from avsv.evaluation.tables import aligned, markdown_rows, shown


def identification_text(rows: Mapping[str, dict]) -> str:
    """Rates of several systems, the sizes of the lists, and the subsets, as aligned text.

    Parameters
    ----------
    rows : name of the system -> result of `measure_identification`, with `subsets` if there are any
    """
    parts = [f"{aligned(table_cells(rows))}\n{sizes_text(rows)}"]
    for name, cells in subset_cells(rows):
        parts.append(f"known probes by {name}\n{aligned(cells)}")
    return "\n\n".join(parts)


def identification_markdown(rows: Mapping[str, dict]) -> str:
    """The same as Markdown."""
    lines = [*markdown_rows(table_cells(rows)), "", *sizes_text(rows).splitlines()]
    for name, cells in subset_cells(rows):
        lines += ["", f"Known probes by {name}:", "", *markdown_rows(cells)]
    return "\n".join(lines) + "\n"


def subset_cells(rows: Mapping[str, dict]) -> Iterator[tuple[str, list[list[str]]]]:
    """Each table of subsets: its name, and its cells with the number of probes of each subset."""
    some = next(iter(rows.values()))
    for path in some.get("subsets", {}):
        of = {
            f"{name}, {label}": row for name, system in rows.items() for label, row in system["subsets"][path].items()
        }
        cells = table_cells(of, "system, subset")
        sizes = ["probes", *(f"{row['n_known']:,}" for row in of.values())]
        yield Path(path).name, [[line[0], size, *line[1:]] for line, size in zip(cells, sizes, strict=True)]


def table_cells(rows: Mapping[str, dict], title: str = "system") -> list[list[str]]:
    """Heading and rows: rates in percent, each with its interval."""
    some = next(iter(rows.values()))
    head = [title]
    head += [text for rank in some["rank_percent"] for text in (f"rank {rank} %", "95 % interval")]
    head += [
        text for rate in some["dir_percent"] for text in (f"DIR % at FAR {100 * float(rate):g} %", "95 % interval")
    ]
    cells = [head]
    for name, row in rows.items():
        line = [name]
        for kind in ("rank", "dir"):
            for key, value in row[f"{kind}_percent"].items():
                line += [shown(value, 1), interval(row[f"{kind}_ci95"][key])]
        cells.append(line)
    return cells


def interval(ends: Sequence[float] | None) -> str:
    """An interval in percent as `81.2-90.5`; `-` for None."""
    return f"{ends[0]:.1f}-{ends[1]:.1f}" if ends else "-"


def sizes_text(rows: Mapping[str, dict]) -> str:
    """The sizes of the lists, and the lowest FAR that they can show."""
    some = next(iter(rows.values()))
    lines = [f"{some['n_gallery']:,} people in the gallery; {some['n_known']:,} known probes of "
             f"{some['n_known_people']:,} people; {strangers_text(some)}"]  # fmt: skip
    low = {row["lowest_far_percent"] for row in rows.values()} - {None}
    if any(float(rate) * 100 < max(low, default=0) for rate in some["dir_percent"]):
        least, most = (f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}" for rate in (min(low), max(low)))
        between = f"{least} %" if least == most else f"{least} to {most} %, by system,"
        lines.append(f"no FAR below {between} can be shown with {strangers_text(some)}: DIR at a lower FAR has the "
                     "lower limit 0, or is - if not one of the probes may be a false alarm")  # fmt: skip
    for name, row in rows.items():
        if row["n_without_score"]:
            lines.append(f"{name}: {row['n_without_score']:,} probes have no score: known ones count as not "
                         "identified, strangers as rejected")  # fmt: skip
    return "\n".join(lines)


def strangers_text(row: Mapping) -> str:
    """The number of strangers' probes and of strangers."""
    if row["n_stranger_people"] is None:
        return f"{row['n_strangers']:,} probes of strangers, of unknown number (no intervals)"
    return f"{row['n_strangers']:,} probes of {row['n_stranger_people']:,} strangers"
