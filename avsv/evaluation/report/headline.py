"""The main result: the recommended system against its best competitor, in one sentence and one table of all conditions.

The competitor is the other system with the lowest EER on the same trials, score fusion (mean, logistic) included, or
the best of the rivals that the user names. Its best back-end is chosen on these trials, which favours the competitor.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from avsv.evaluation.comparison import verdict
from avsv.evaluation.report.curves import is_reference
from avsv.evaluation.report.html import Markup, joined, scrolling, tag
from avsv.evaluation.report.results import Table
from avsv.evaluation.tables import shown, span

MINUS = str.maketrans({"-": "\N{MINUS SIGN}"})  # as wide as a plus


@dataclass(frozen=True)
class Comparison:
    """The reference and the best other system of one table.

    ahead, ci95 : EER of the reference minus that of the competitor, in percent, and its paired 95 % interval
    loses : share of the resamples of people in which the order of the two is reversed
    """

    table: Table
    competitor: dict
    ahead: float
    ci95: tuple[float, float] | None
    loses: float | None

    @property
    def reference(self) -> dict:
        return self.table.reference

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `level` (see `comparison.verdict`)."""
        return verdict(self.ahead, self.ci95)


def compare_best(table: Table) -> Comparison | None:
    """The reference against its best competitor; None if either is absent."""
    others = [
        curves.record for curves in table.curves
        if not is_reference(curves.record) and (not table.rivals or curves.record["system"] in table.rivals)
    ]  # fmt: skip
    if table.reference is None or not others:
        return None
    eer = others[0]["against_reference"]["eer_percent"]  # competitor - reference
    ends = eer["ci95"] and (-eer["ci95"][1], -eer["ci95"][0])
    return Comparison(table, others[0], -eer["difference"], ends, eer["loses"])


def main_result(tables: Sequence[Table], main: str) -> Markup:
    """The reference on the main list: its EER, its distance from the best competitor, and the other tables."""
    table = next((t for t in tables if t.trials == main and t.reference), None)
    if table is None:
        return Markup("No error rate is defined: the trials are all target or all nontarget.")
    own = table.reference
    ends = own["eer_ci95"]
    interval = f" (95 % interval: {span(ends, 2).replace('-', ' to ')})" if ends else ""
    eer = tag("b", f"{shown(own['eer_percent'], 2)} %")
    parts = [f"On {table.trials}, {table.condition}, ", tag("b", own["system"])]
    parts += [f" ({own['backend']}) has an equal error rate of ", eer, interval]
    if one := compare_best(table):
        parts.append(competitor_words(one))
    return joined([*parts, ".", elsewhere([c for t in tables if t is not table and (c := compare_best(t))])])


def competitor_words(one: Comparison) -> str:
    """`: 6 % below the best other system, logistic (cosine), at 1.90 %; not significant, the order holds in ...`."""
    other = one.competitor
    best, eer = best_other(one.table), shown(other["eer_percent"], 2)
    words = f": {distance_words(one)} the {best}, {name_of(other)}, at {eer} %"
    if one.loses is None:
        return words
    doubt = "not significant, " if one.verdict == "level" else ""
    return f"{words} ({doubt}the order holds in {100 * (1 - one.loses):.3g} % of the resamples of people)"


def best_other(table: Table) -> str:
    """What the headline calls the competitor."""
    return "best rival" if table.rivals else "best other system"


def distance_words(one: Comparison) -> str:
    if not one.ahead:
        return "level with"
    if not one.competitor["eer_percent"]:
        return "above"
    relative = 100 * one.ahead / one.competitor["eer_percent"]
    return f"{abs(relative):.0f} % {'below' if relative < 0 else 'above'}"


def elsewhere(comparisons: Sequence[Comparison]) -> str:
    """The reference in the other tables: a single table in full, several as counts of verdicts."""
    if not comparisons:
        return ""
    if len(comparisons) == 1:
        [one] = comparisons
        against = f"{shown(one.reference['eer_percent'], 2)} % against {shown(one.competitor['eer_percent'], 2)} %"
        return f" On {one.table.trials}, {one.table.condition}: {against} of {name_of(one.competitor)}, {one.verdict}."
    verdicts = [one.verdict for one in comparisons]
    counts = [f"{verdicts.count(v)} times {v}" for v in ("better", "level", "worse") if v in verdicts]
    best = best_other(comparisons[0].table)
    return f" In the other {len(comparisons)} lists and conditions: {', '.join(counts)}, against the {best}."


def name_of(record: dict) -> str:
    return f"{record['system']} ({record['backend']})"


def comparison_table(tables: Sequence[Table], title: str) -> list[Markup]:
    """A row for each list and condition: the reference, its best competitor, and their paired difference.

    title : name of the reference, e.g. "Recommended"
    """
    comparisons = [one for table in tables if (one := compare_best(table))]
    if not comparisons:
        return []
    best, rivals = best_other(comparisons[0].table), comparisons[0].table.rivals
    heads = [("Trials", "", None), ("Condition", "", None), (title, "EER %", "number"),
             (best.capitalize(), "", None), ("", "EER %", "number"), ("Difference", "95 % interval", "number"),
             (f"{title} is", "", None)]  # fmt: skip
    head = [tag("th", name, [tag("br"), tag("small", below)] if below else None, scope="col", class_=class_)
            for name, below, class_ in heads]  # fmt: skip
    rows = [tag("tr", comparison_cells(one)) for one in comparisons]
    own = comparisons[0].reference
    text = (
        f". {best.capitalize()}: the lowest EER of {', '.join(rivals) or 'all other systems'}, on any back-end, on "
        "these trials. Better and worse: the paired 95 % interval of the difference excludes 0."
    )
    note = tag("p", f"{title}: ", tag("b", own["system"]), f", {own['backend']}", text, class_="note")
    label = f"{title} system and its best competitor"
    return [
        tag("h3", label),
        scrolling(tag("table", tag("thead", tag("tr", head)), tag("tbody", rows), class_="headline"), label),
        note,
    ]


def comparison_cells(one: Comparison) -> list[Markup]:
    other = one.competitor
    change = f"{round(one.ahead, 2) + 0:+.2f}"  # + 0: no -0.00
    if one.ci95:
        change += f" ({one.ci95[0]:+.2f} to {one.ci95[1]:+.2f})"
    return [
        tag("th", one.table.trials, scope="row"),
        tag("td", one.table.condition),
        tag("td", shown(one.reference["eer_percent"], 2), class_="number"),
        tag("td", name_of(other)),
        tag("td", shown(other["eer_percent"], 2), class_="number"),
        tag("td", change.translate(MINUS), class_="number"),
        tag("td", one.verdict, class_=f"verdict {one.verdict}"),
    ]
