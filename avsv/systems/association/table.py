"""Measures of face-voice association as people read them: aligned text, and Markdown tables of several systems."""

from collections.abc import Iterable, Mapping, Sequence

from avsv.evaluation.tables import aligned, markdown_rows, shown, span

MEASURES = {"verification": ("eer_percent", "auc_percent"), "matching": ("accuracy_percent",),
            "retrieval": ("map_percent",)}  # fmt: skip
GROUPS = ("U", "G", "N", "A", "GN", "GNA")  # wrong candidates are anybody's, or of the same gender, nationality, age
TITLES = {"eer_percent": "EER", "auc_percent": "AUC", "accuracy_percent": "accuracy", "map_percent": "mAP"}


def said_of(record: Mapping) -> str:
    """A record's list in words.

    Examples
    --------
    >>> said_of({"protocol": "matching", "list": "v2f_G", "candidates": 2})
    'matching v2f_G 1:2'
    """
    n = f" 1:{record['candidates']}" if "candidates" in record else ""
    return f"{record['protocol']} {record['list']}{n}"


def interval_key(measure: str) -> str:
    return measure.removesuffix("_percent") + "_ci95"


def cell(record: Mapping | None, measure: str) -> str:
    """`31.2 (28.0-34.5)`, or `-` where there is no such record."""
    if record is None or record[measure] is None:
        return "-"
    ends = record[interval_key(measure)]
    return shown(record[measure], 1) + (f" ({span(ends, 1)})" if ends else "")


def table(records: Sequence[Mapping]) -> str:
    """Measures of one system as aligned text."""
    rows = [["list", "measure", "%", "95 % interval", "chance", "people"]]
    for record in records:
        for measure in MEASURES[record["protocol"]]:
            ends = record[interval_key(measure)]
            rows.append([said_of(record), TITLES[measure], shown(record[measure], 2), span(ends, 2),
                         shown(record["chance_percent"], 2), str(record["n_people"])])  # fmt: skip
    return aligned(rows)


def place(record: Mapping) -> tuple[bool, int]:
    """Where a list belongs: voice to face first, then anybody's, then of people who are more and more alike.

    Examples
    --------
    >>> sorted([{"list": "f2v_U"}, {"list": "v2f_GN"}, {"list": "v2f_U"}, {"list": "v2f_A"}], key=place)
    [{'list': 'v2f_U'}, {'list': 'v2f_A'}, {'list': 'v2f_GN'}, {'list': 'f2v_U'}]
    """
    way, _, group = record["list"].rpartition("_")
    return way == "f2v", GROUPS.index(group) if group in GROUPS else len(GROUPS)


def columns_of(records: Iterable[Mapping]) -> list[tuple[str, str]]:
    """What the summary shows of the lists there are: (said_of, measure); of 1:N matching N = 2, 4, 6, 8, 10."""
    found: dict[tuple[str, str], None] = {}
    for record in sorted(records, key=place):
        if record.get("candidates", 2) % 2 == 0:
            for measure in MEASURES[record["protocol"]]:
                found[said_of(record), measure] = None
    return list(found)


def markdown_tables(by_system: Mapping[str, Sequence[Mapping]]) -> list[str]:
    """A Markdown table a protocol: a row a system and one for chance, a column a list and measure.

    Parameters
    ----------
    by_system : name -> records of one set
    """
    lines: list[str] = []
    every = [record for records in by_system.values() for record in records]
    for protocol in MEASURES:
        columns = [column for column in columns_of(every) if column[0].startswith(protocol)]
        if not columns:
            continue
        heads = [f"{name.removeprefix(protocol).strip()} {TITLES[measure]}" for name, measure in columns]
        rows = [["system", *heads]]
        for system, records in by_system.items():
            found = {said_of(record): record for record in records}
            rows.append([system, *(cell(found.get(name), measure) for name, measure in columns)])
        some = {said_of(record): record for record in every}
        rows.append(["chance", *(shown(some[name]["chance_percent"], 1) for name, _ in columns)])
        lines += [f"### {protocol}", "", *markdown_rows(rows), ""]
    return lines
