"""The report's tables of results: one for each trial list and condition, and one over all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from avsv.evaluation.measures import AT_ZERO, percent_text
from avsv.evaluation.published import Published, cite
from avsv.evaluation.report.curves import is_reference
from avsv.evaluation.report.figures import badge, whisker
from avsv.evaluation.report.headline import MINUS
from avsv.evaluation.report.html import Markup, joined, scrolling, tag
from avsv.evaluation.report.results import Table
from avsv.evaluation.results import ScoreFile
from avsv.evaluation.tables import shown, span

AFTER_EER = 3  # the column of published figures, after the EER, its interval, and the same drawn


RowKey = tuple[str, str, str, str]  # system, back-end, trial list, condition


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    title, below : two lines of the heading; hint : its explanation
    value : record -> number for sorting and for finding the best; None if undefined
    text : record -> text of the cell
    best : whether the smallest value is bold
    """

    title: str
    value: Callable[[dict], float | None]
    text: Callable[[dict], str | Markup | None]
    best: bool = False
    hint: str | None = None
    below: str | None = None
    class_: str = "number"

    @property
    def head(self) -> Markup:
        below = [tag("br"), tag("small", self.below)] if self.below else None
        return tag("th", self.title, below, scope="col", class_=self.class_, title=self.hint)


def key_of_row(row: ScoreFile | Mapping) -> RowKey:
    """System, back-end, list and condition of a score file or a record."""
    names = ("system", "backend", "trials", "condition")
    return tuple(row[name] if isinstance(row, Mapping) else getattr(row, name) for name in names)


def result_table(
    table: Table,
    numbers: Mapping[str, int],
    published: Sequence[Published],
    marks: Mapping[RowKey, Mapping[str, Sequence[str]]],
) -> Markup:
    """One trial list under one condition; sortable, best of each column in bold.

    published : figures of this list, with sources numbered in their order
    marks : row -> differences of its origin from most rows
    """
    columns = columns_of(table, numbers)
    mine = [p for p in published if p.list == table.trials] if table.condition == "clean" else []
    if mine:
        columns.insert(AFTER_EER, published_column(mine, cite(published)))
    head = name_heads() + [column.head for column in columns]
    best = [least([c.value(r) for r in table.records]) if c.best else None for c in columns]
    rows = [
        tag("tr", row_names(r["system"], r["backend"], is_reference(r), marks.get(key_of_row(r), {})),
            [cell(c, r, good) for c, good in zip(columns, best, strict=True)],
            class_="reference" if is_reference(r) else None)
        for r in table.records
    ]  # fmt: skip
    for name in sorted({p.system for p in mine} - {r["system"] for r in table.records}):  # published only
        cells = [tag("td", "–", class_=c.class_) for c in columns]
        cells[AFTER_EER] = cell(columns[AFTER_EER], {"system": name}, None)
        rows.append(tag("tr", row_names(name, "published"), cells))
    return sortable(head, rows, f"{table.trials}, {table.condition}")


def row_names(
    system: str, backend: str, reference: bool = False, differs: Mapping[str, Sequence[str]] | None = None
) -> list[Markup]:
    """The first two cells of a row; a narrow screen shows the back-end below the system (see page.css)."""
    below = backend.replace("+", "+\N{ZERO WIDTH SPACE}")  # allows a line break
    marks = []
    for kind, texts in (differs or {}).items():
        text = kind if kind.startswith("no ") else f"other {kind}"
        below += f" \N{MIDDLE DOT} {text}"
        marks += [" ", tag("a", text, class_="badge warning", href="#provenance", title="; ".join(texts))]
    return [
        tag("th", system, scope="row", data_backend=below),
        tag("td", backend, badge(reference), marks, class_="backend"),
    ]


def name_heads() -> list[Markup]:
    return [tag("th", "System", scope="col"), tag("th", "Back-end", scope="col", class_="backend")]


def sortable(head: Sequence[Markup], rows: Sequence[Markup], label: str) -> Markup:
    table = tag("table", tag("thead", tag("tr", head)), tag("tbody", rows), class_="sortable")
    return scrolling(table, label)


def columns_of(table: Table, numbers: Mapping[str, int]) -> list[Column]:
    """EER with its interval, as numbers and drawn, the difference, costs, Cllr, error rates at 0."""
    records = table.records
    highest = max([end for r in records for end in (r["eer_ci95"] or [r["eer_percent"] or 0])], default=1) or 1
    columns = [
        Column("EER %", lambda r: r["eer_percent"], lambda r: shown(r["eer_percent"], 2), best=True),
        Column("95 %", lambda r: (r["eer_ci95"] or [None])[0], lambda r: dashed(span(r["eer_ci95"], 2)),
               hint="95 % interval over people", below="interval"),
        Column("", lambda r: r["eer_percent"],
               lambda r: whisker(r, highest, numbers[r["system"]]), below=f"0 to {highest:.2g} %",
               class_="drawn"),
    ]  # fmt: skip
    if table.reference:
        columns.append(difference_column(table.reference))
    for prior in records[0]["min_dcf"]:
        for kind, title in (("min_dcf", "minDCF"), ("act_dcf", "actDCF")):
            columns.append(at_prior(kind, title, prior))
    for key, title in (("cllr", "Cllr"), ("min_cllr", "minCllr")):
        columns.append(
            Column(title, lambda r, key=key: r[key], lambda r, key=key: shown(r[key], 3), best=True, hint="bits")
        )
    hint = "error rate at a log-likelihood ratio of 0, where avsv verify decides at prior 0.5"
    for kind in AT_ZERO:
        columns.append(
            Column(f"{kind.upper()} %", lambda r, kind=kind: r["at_zero"][kind],
                   lambda r, kind=kind: percent_text(r["at_zero"][kind]), below="at 0", hint=hint)
        )  # fmt: skip
    return columns


def at_prior(kind: str, title: str, prior: str) -> Column:
    return Column(title, lambda r: r[kind][prior], lambda r: shown(r[kind][prior], 4), best=True, below=prior,
                  hint=f"normalised, at target prior {prior}")  # fmt: skip


def difference_column(reference: dict) -> Column:
    """EER minus that of the reference, its interval, and the share of resamples with the opposite order."""

    def value(record: dict) -> float | None:
        difference = record["against_reference"]
        return difference["eer_percent"]["difference"] if difference else 0.0

    def text(record: dict) -> Markup:
        if record is reference:
            return tag("span", "reference", class_="quiet")
        difference = record["against_reference"]["eer_percent"]
        if difference["difference"] is None:
            return Markup("–")
        ends = difference["ci95"]
        surely = ends and (ends[0] > 0 or ends[1] < 0)
        parts = [tag("span", f"{difference['difference']:+.2f}".translate(MINUS), class_=None if surely else "quiet")]
        if ends:
            interval = f"{ends[0]:+.2f} to {ends[1]:+.2f}".translate(MINUS)
            lost = "" if difference["loses"] is None else f"; {100 * difference['loses']:.3g} %"
            parts.append(tag("small", f" ({interval}{lost})"))
        return joined(parts)

    hint = (
        f"EER minus that of {reference['system']}, {reference['backend']}, in percent; the paired 95 % interval; the "
        "share of resamples of people in which the order of the two is reversed"
    )
    return Column("against reference", value, text, below="(95 %; better one loses)", hint=hint)


def published_column(published: Sequence[Published], numbers: Mapping[str, int]) -> Column:
    """Published results, each with the number of its source; never measured here."""

    def text(record: dict) -> Markup | str:
        cited = []
        for one in published:
            if one.system == record["system"]:
                eer = None if one.eer_percent is None else f"{one.eer_percent:g} %"
                cost = None if one.min_dcf is None else f"minDCF({one.p_target:g}) {one.min_dcf:g}"
                number = numbers[one.source]
                source = tag("a", f"[{number}]", href=f"#source-{number}")
                cited.append(joined([", ".join(part for part in (eer, cost) if part), " ", source]))
        return joined(cited, "; ") or "–"

    def value(record: dict) -> float | None:
        eers = [p.eer_percent for p in published if p.system == record["system"] and p.eer_percent is not None]
        return min(eers, default=None)

    hint = "from the literature, not measured here"
    return Column("published", value, text, hint=hint, below="not measured", class_="number published")


def cell(column: Column, record: dict, best: float | None) -> Markup:
    value, text = column.value(record), column.text(record)
    text = tag("b", text) if best is not None and value == best else text
    return tag("td", text, class_=column.class_, data_v=None if value is None else f"{value:.9g}")


def least(values: Sequence[float | None]) -> float | None:
    """The smallest value; None if all are equal or undefined."""
    known = [value for value in values if value is not None]
    return min(known) if known and min(known) < max(known) else None


def dashed(interval: str) -> str:
    return interval.replace("-", "–")


def overview(tables: Sequence[Table]) -> Markup:
    """EER of every system and back-end on every list and condition."""
    rows: dict[tuple[str, str], dict[int, dict]] = {}
    for number, table in enumerate(tables):
        for record in table.records:
            rows.setdefault((record["system"], record["backend"]), {})[number] = record
    best = [least([r["eer_percent"] for r in table.records]) for table in tables]
    columns = [
        Column(table.trials, lambda cells, n=n: cells[n]["eer_percent"] if n in cells else None,
               lambda cells, n=n: shown(cells[n]["eer_percent"], 2) if n in cells else "–", below=table.condition)
        for n, table in enumerate(tables)
    ]  # fmt: skip
    head = name_heads() + [column.head for column in columns]
    body = [
        tag("tr", row_names(system, backend, any(map(is_reference, cells.values()))),
            [cell(column, cells, good) for column, good in zip(columns, best, strict=True)],
            class_="reference" if any(map(is_reference, cells.values())) else None)
        for (system, backend), cells in sorted(rows.items())
    ]  # fmt: skip
    return sortable(head, body, "EER in percent, all lists and conditions")


def sources(published: Sequence[Published]) -> Markup | None:
    """The sources of the published results."""
    items = [tag("li", source, id=f"source-{number}") for source, number in cite(published).items()]
    return tag("ol", items, class_="sources") if items else None
