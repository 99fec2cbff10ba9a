"""Tables of face-voice association results: aligned text for one system, Markdown for several."""

from collections.abc import Iterable, Mapping, Sequence

from avsv.evaluation.tables import aligned, markdown_rows, shown, span

MEASURES = {"verification": ("eer_percent", "auc_percent"), "matching": ("accuracy_percent",),
            "retrieval": ("map_percent",)}  # fmt: skip
GROUPS = ("U", "G", "N", "A", "GN", "GNA")  # wrong candidates: anybody, or same gender, nationality, age
TITLES = {"eer_percent": "EER", "auc_percent": "AUC", "accuracy_percent": "accuracy", "map_percent": "mAP"}


def list_name(record: Mapping) -> str:
    """Name of a record's list, as shown in tables.

    Examples
    --------
    >>> list_name({"protocol": "matching", "list": "v2f_G", "candidates": 2})
    'matching v2f_G 1:2'
    """
    n = f" 1:{record['candidates']}" if "candidates" in record else ""
    return f"{record['protocol']} {record['list']}{n}"


def interval_key(measure: str) -> str:
    return measure.removesuffix("_percent") + "_ci95"


def p_text(record: Mapping, measure: str) -> str:
    """P-value of a measure as `0.04`, or `<0.01`; `-` without one.

    Examples
    --------
    >>> p_text({"auc_p": 0.002}, "auc_percent"), p_text({"auc_p": 0.95}, "auc_percent")
    ('<0.01', '0.95')
    """
    p = record[measure.removesuffix("_percent") + "_p"]
    return "<0.01" if p is not None and p < 0.01 else shown(p, 2)


def cell(record: Mapping | None, measure: str) -> str:
    """Format a measure as `31.2 (28.0-34.5, p 0.04)`, or `-` if there is none."""
    if record is None or record[measure] is None:
        return "-"
    ends, p = record[interval_key(measure)], p_text(record, measure)
    return shown(record[measure], 1) + (f" ({span(ends, 1)}{'' if p == '-' else f', p {p}'})" if ends else "")


def table(records: Sequence[Mapping]) -> str:
    """Format the measures of one system as aligned text."""
    rows = [["list", "measure", "%", "95 % interval", "chance", "p", "people"]]
    for record in records:
        for measure in MEASURES[record["protocol"]]:
            ends = record[interval_key(measure)]
            rows.append([list_name(record), TITLES[measure], shown(record[measure], 2), span(ends, 2),
                         shown(record["chance_percent"], 2), p_text(record, measure),
                         str(record["n_people"])])  # fmt: skip
    return aligned(rows)


def place(record: Mapping) -> tuple[bool, int]:
    """Sort key of lists: voice to face first, then groups of increasing similarity.

    Examples
    --------
    >>> sorted([{"list": "f2v_U"}, {"list": "v2f_GN"}, {"list": "v2f_U"}, {"list": "v2f_A"}], key=place)
    [{'list': 'v2f_U'}, {'list': 'v2f_A'}, {'list': 'v2f_GN'}, {'list': 'f2v_U'}]
    """
    way, _, group = record["list"].rpartition("_")
    return way == "f2v", GROUPS.index(group) if group in GROUPS else len(GROUPS)


def columns_of(records: Iterable[Mapping]) -> list[tuple[str, str]]:
    """Columns of the summary as (list name, measure); for 1:N matching N = 2, 4, 6, 8, 10."""
    columns: dict[tuple[str, str], None] = {}
    for record in sorted(records, key=place):
        if record.get("candidates", 2) % 2 == 0:
            for measure in MEASURES[record["protocol"]]:
                columns[list_name(record), measure] = None
    return list(columns)


def summary_rows(by_system: Mapping[str, Sequence[Mapping]]) -> dict[str, list[list[str]]]:
    """Protocol -> rows of its table: a header, one row per system and one for chance; a column per list and measure.

    Parameters
    ----------
    by_system : name -> records of one set
    """
    tables: dict[str, list[list[str]]] = {}
    every = [record for records in by_system.values() for record in records]
    any_system = {list_name(record): record for record in every}
    for protocol in MEASURES:
        columns = [column for column in columns_of(every) if column[0].startswith(protocol)]
        if not columns:
            continue
        header = [f"{name.removeprefix(protocol).strip()} {TITLES[measure]}" for name, measure in columns]
        rows = tables[protocol] = [["system", *header]]
        for system, records in by_system.items():
            by_list = {list_name(record): record for record in records}
            rows.append([system, *(cell(by_list.get(name), measure) for name, measure in columns)])
        rows.append(["chance", *(shown(any_system[name]["chance_percent"], 1) for name, _ in columns)])
    return tables


def markdown_tables(by_system: Mapping[str, Sequence[Mapping]]) -> list[str]:
    """Lines of one Markdown table per protocol; see `summary_rows`."""
    lines: list[str] = []
    for protocol, rows in summary_rows(by_system).items():
        lines += [f"### {protocol}", "", *markdown_rows(rows), ""]
    return lines
