"""The page of the report: its sections put together, and the main result in one sentence."""

import base64
import hashlib
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

import numpy as np

import avsv
from avsv.evaluation.published import Published
from avsv.evaluation.report.about import Skipped, configuration_section, skipped_section
from avsv.evaluation.report.attention import Attention, attention_section
from avsv.evaluation.report.curves import Curves
from avsv.evaluation.report.figures import (
    badge,
    calibration_plot,
    det_plot,
    histogram_plot,
    legend,
    name_of,
    subset_plot,
)
from avsv.evaluation.report.glossary import glossary_section
from avsv.evaluation.report.headline import MINUS, comparison_table, main_result
from avsv.evaluation.report.html import Markup, joined, tag, text_of
from avsv.evaluation.report.media import Clip, MediaFolder
from avsv.evaluation.report.provenance import differing, how_made, provenance_section
from avsv.evaluation.report.results import Errors, Options, Subsets, Table, number_systems
from avsv.evaluation.report.svg import key_of, standalone
from avsv.evaluation.report.tables import RowKey, key_of_row, overview, result_table, sources
from avsv.evaluation.report.trials import WorstTrial
from avsv.evaluation.results import ScoreFile
from avsv.evaluation.tables import shown
from avsv.jobs.provenance import sources_of

HERE = Path(__file__).parent


def page(
    title: str,
    exp_dir: Path,
    files: Sequence[ScoreFile],
    tables: Sequence[Table],
    main: str,
    options: Options,
    published: Sequence[Published],
    media: MediaFolder,
    skipped: Sequence[Skipped],
    attention: Sequence[Attention] = (),
) -> str:
    """The whole of index.html.

    main : the trial list described by the first sentence
    """
    numbers = number_systems(files)
    models = {path: hashed for file in files for path, hashed in sources_of(file.path, "model").items()}
    made = how_made(exp_dir, files)
    differences = differing(made, files)
    marks = {key_of_row(file): differences[file.path] for file in files if file.path in differences}
    sections = [
        ("results", "Results", results_section(tables, numbers, published, marks, options.reference is not None)),
        ("glossary", "Systems and back-ends", glossary_section(files)),
        ("curves", "Curves", curves_section(tables)),
        *([("attention", "Attention", attention_section(attention))] if attention else []),
        ("errors", "The worst errors", errors_section(tables, media)),
        ("provenance", "How each row was made", provenance_section(files, made, differences)),
        ("skipped", "What was skipped", skipped_section(skipped, exp_dir)),
        (
            "configuration",
            "Configuration",
            configuration_section(exp_dir, about(files, tables, options), models, files),
        ),
    ]
    return whole_page(title, main_result(tables, main), sizes(tables), sections)


def whole_page(title: str, lead: Markup, note: str, sections: Sequence[tuple[str, str, Markup | list]]) -> str:
    """A page as a file: its main sentence, a note, and sections (anchor, name, content)."""
    links = [tag("a", name, href=f"#{anchor}") for anchor, name, _ in sections]
    header = tag("header", tag("h1", title), tag("p", lead, class_="lead"), tag("p", note, class_="note"),
                 tag("nav", links))  # fmt: skip
    body = [tag("section", tag("h2", name), content, id=anchor) for anchor, name, content in sections]
    script = (HERE / "page.js").read_text(encoding="utf-8")
    # hash of the text between the script's tags: the browser runs only this script
    digest = hashlib.sha256(f"\n{script}".encode()).digest()
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        title=text_of(title),
        style=(HERE / "page.css").read_text(encoding="utf-8") + (HERE / "svg.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=f"sha256-{base64.b64encode(digest).decode()}",
        body=joined([header, tag("main", body)]),
    )


def sizes(tables: Sequence[Table]) -> str:
    """The numbers of results and systems, and the lists and conditions."""
    n_records = sum(len(table.records) for table in tables)
    systems = {record["system"] for table in tables for record in table.records}
    lists = list(dict.fromkeys(table.trials for table in tables))
    conditions = list(dict.fromkeys(table.condition for table in tables))
    return (
        f"{n_records} results of {len(systems)} systems; trial lists: {', '.join(lists)}; "
        f"conditions: {', '.join(conditions)}. Figures show each system's best back-end on their trials; the "
        "reference keeps its own."
    )


def results_section(
    tables: Sequence[Table],
    numbers: Mapping[str, int],
    published: Sequence[Published],
    marks: Mapping[RowKey, Mapping[str, Sequence[str]]],
    named: bool,
) -> list[Markup | None]:
    """All tables.

    marks : row -> differences of its origin from most rows
    named : whether the user named the reference; otherwise it is the best system here
    """
    parts: list[Markup | None] = [*comparison_table(tables, "Recommended" if named else "Best")]
    if len(tables) > 1:
        parts += [tag("h3", "EER in percent, all lists and conditions"), overview(tables)]
    for table in tables:
        n_target, n_nontarget = table.records[0]["n_target"], table.records[0]["n_nontarget"]
        size = (f"{n_target + n_nontarget:,} trials of {table.n_people:,} people: {n_target:,} target, "
                f"{n_nontarget:,} nontarget.")  # fmt: skip
        parts += [
            tag("h3", heading(table)),
            tag("p", size, class_="note"),
            result_table(table, numbers, published, marks),
        ]
    note = (
        "Best of each column in bold. Intervals are 95 %, over people, as trials of the same people are not "
        "independent; they hold with few errors too. Where no error was seen, they are upper bounds. Differences are "
        "paired (the errors that one system alone makes), and grey if the interval holds 0. "
        "minDCF and actDCF are normalised; actDCF, Cllr and rates at 0 assume log-likelihood ratios as scores, which "
        "uncalibrated scores are not. Click a heading to sort."
    )
    cited = [p for p in published if p.list in {table.trials for table in tables}]
    listed = [tag("h4", "Published figures are from"), sources(published)] if cited else []
    return [*parts, tag("p", note, class_="note"), *listed]


def heading(table: Table) -> str:
    return f"{table.trials}, {table.condition}"


def curves_section(tables: Sequence[Table]) -> list[Markup]:
    return [
        tag("div", tag("h3", heading(table)), legend(table.curves), main_figures(table), histograms(table))
        for table in tables if table.curves
    ]  # fmt: skip


def main_figures(table: Table) -> Markup:
    """DET and calibration side by side, then EER by subset."""
    band = "; bands: 95 % intervals over people" if any(c.band for c in table.curves) else ""
    figures = [
        figure("Detection error tradeoff", f"both axes on the scale of the normal distribution{band}",
               det_plot(table.curves)),
        figure("Calibration", "cost of decisions at each prior, solid; minimum over all thresholds, dashed; "
               "above 1 the scores are harmful as log-likelihood ratios", calibration_plot(table.curves)),
    ]  # fmt: skip
    return tag("div", figures, [subset_figure(s) for s in table.subsets], class_="figures")


def figure(title: str, note: str, drawing: Markup) -> Markup:
    return tag("figure", tag("figcaption", tag("b", title), tag("span", note, class_="quiet")), drawing)


def subset_figure(subsets: Subsets) -> Markup | None:
    """Bars of the subsets with an EER; the others are named."""
    grouping, rows = subsets.grouping, subsets.rows
    defined = [label for label in grouping.labels if any(m[label]["eer_percent"] is not None for _, m in rows)]
    without = [label for label in grouping.labels if label not in defined]
    note = "; ".join(part for part in (grouping.note, f"without EER: {', '.join(without)}" if without else "") if part)
    if not defined:
        return tag("figure", tag("figcaption", tag("b", f"EER by {grouping.name}"), tag("span", note, class_="quiet")))
    return figure(f"EER by {grouping.name}", note, subset_plot(rows, defined))


def histograms(table: Table) -> Markup:
    drawn = [tag("figure", tag("figcaption", histogram_title(c)), histogram_plot(c)) for c in table.curves]
    text = " targets in colour, nontargets grey; dashed: the threshold of the EER"
    caption = tag("p", tag("b", "Scores"), tag("span", text, class_="quiet"))
    return tag("div", caption, tag("div", drawn, class_="small-figures"))


def histogram_title(curves: Curves) -> list[Markup | str | None]:
    return [key_of(curves.number, curves.is_reference), f" {name_of(curves)}", badge(curves.is_reference)]


def errors_section(tables: Sequence[Table], media: MediaFolder) -> list[Markup]:
    """The worst errors of both kinds on the main list, for each condition and system."""
    note = (
        "On the shortest trial list, each system's best back-end at the threshold of its EER; only the worst trial of "
        "each pair of people. Audio is cut to ten seconds."
    )
    parts = [tag("p", note, class_="note")]
    for table in (table for table in tables if table.errors):
        parts.append(tag("h3", heading(table)))
        parts += [errors_of(e, table.condition, media, not place) for place, e in enumerate(table.errors)]
    return parts


def errors_of(errors: Errors, condition: str, media: MediaFolder, is_open: bool) -> Markup:
    (accepts, n_accepts), (rejects, n_rejects) = errors.accepts, errors.rejects
    counted = f"{n_accepts:,} false accepts, {n_rejects:,} false rejects"
    summary = tag("summary", tag("b", errors.curves.record["system"]), f" {errors.curves.record['backend']} ",
                  tag("span", counted, class_="quiet"), badge(errors.curves.is_reference))  # fmt: skip
    parts = [
        [
            tag("h4", title),
            tag("div", [card(trial, pair, errors, condition, media) for trial in trials], class_="trials"),
        ]
        for title, pair, trials in (
            ("False accepts: different people with the highest scores", "of these two", accepts),
            ("False rejects: the same person with the lowest scores", "of this person", rejects),
        )
        if trials
    ]
    return tag("details", summary, parts, open=is_open)


def card(trial: WorstTrial, pair: str, errors: Errors, condition: str, media: MediaFolder) -> Markup:
    """One trial: score and threshold, the two faces side by side, the two voices to play."""
    more = f"{trial.others} more error{'s' if trial.others > 1 else ''} {pair}" if trial.others else None
    score = tag("b", signed(trial.score))
    head = tag("p", tag("span", "score ", score, f", threshold {signed(errors.curves.threshold)}"),
               tag("span", more, class_="quiet"))  # fmt: skip
    sides = [side(media.clip(condition, name)) for name in (trial.enroll, trial.test)]
    return tag("article", head, tag("div", sides, class_="sides"), class_="trial")


def signed(score: float) -> str:
    return f"{score:.3g}".replace("inf", "∞").translate(MINUS)


def side(clip: Clip) -> Markup:
    who = ", ".join(part for part in (clip.person, clip.gender) if part)
    known = bool(clip.person)
    if clip.image:
        face = tag("img", src=clip.image, alt=f"face of {clip.name}", loading="lazy")
    else:
        face = tag("div", "no face", class_="no-image") if known else None
    if clip.audio:
        voice = tag("audio", src=clip.audio, controls=True, preload="none", aria_label=f"voice of {clip.name}")
    else:
        voice = tag("div", "no voice", class_="no-audio") if known else None
    notes = [tag("div", note, class_="note") for note in clip.notes]
    name = tag("div", clip.name, class_="name")
    return tag("div", face, voice, tag("div", tag("b", who)) if who else None, name, notes, class_="clip")


def about(files: Sequence[ScoreFile], tables: Sequence[Table], options: Options) -> list[tuple[str, str]]:
    """The inputs, options and versions of this report."""
    newest = np.datetime64(int(max(file.path.stat().st_mtime for file in files)), "s")
    intervals = f"over people; losses in {options.n_resamples} resamples of them" if options.n_resamples else "none"
    people = f"people of {options.utt2spk}" if options.utt2spk else "people as target trials connect recordings"
    return [
        ("Scores", f"{len(files)} files, the last written {str(newest).replace('T', ' ')} UTC"),
        ("Trials", "; ".join(dict.fromkeys(f"{t.trials}: {t.records[0]['n_target'] + t.records[0]['n_nontarget']:,}"
                                           for t in tables))),
        ("Target priors", ", ".join(f"{p:g}" for p in options.p_target)),
        ("Intervals", f"{intervals}; {people}"),
        ("Versions", f"avsv {avsv.__version__}, Python {platform.python_version()}, numpy {np.__version__}"),
    ]  # fmt: skip


def det_file(table: Table) -> str:
    """A table's DET plot as a separate SVG file, for papers and READMEs."""
    rows = [(c.number, f"{name_of(c)}: EER {shown(c.record['eer_percent'], 2)} %") for c in table.curves]
    style = (HERE / "svg.css").read_text(encoding="utf-8")
    root = (HERE / "page.css").read_text(encoding="utf-8").partition("@media")[0].partition("*/")[2]
    return standalone(det_plot(table.curves), heading(table), rows, root + style)
