"""The report of face-voice association: tables with chance, 1:N curves, retrieval examples and joint spaces."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.report.html import Markup, scrolling, tag
from avsv.evaluation.report.inside import files_inside
from avsv.evaluation.report.media import MediaFolder
from avsv.evaluation.report.page import figure, whole_page
from avsv.jobs.files import replaced_together, whole_file, write_json
from avsv.jobs.provenance import refuse_stale
from avsv.jobs.schema import read_json
from avsv.kaldi.data_dir import DataDir, read_data_dir
from avsv.kaldi.embeddings import read_embeddings
from avsv.scoring.cosine import unit_length
from avsv.systems.association.report_figures import matching_plot, plane_plot, principal_plane, system_legend
from avsv.systems.association.results_table import MEASURES, cell, list_name, markdown_tables, summary_rows

log = logging.getLogger("avsv")
EXAMPLES, RANKS = 6, 10  # queries to show, faces per query
COMMON = {"list": str, "chance_percent": (float, None), "n_people": int}
CI95 = ([float], None)
P_VALUE = (float, None)
VERIFICATION = {**COMMON, "protocol": str, "eer_percent": (float, None), "eer_ci95": CI95, "eer_p": P_VALUE,
                "auc_percent": (float, None), "auc_ci95": CI95, "auc_p": P_VALUE, "n_target": int,
                "n_nontarget": int}  # fmt: skip
MATCHING = {**COMMON, "protocol": str, "candidates": int, "accuracy_percent": float, "accuracy_ci95": CI95,
            "accuracy_p": P_VALUE, "n_queries": int}  # fmt: skip
RETRIEVAL = {**COMMON, "protocol": str, "map_percent": (float, None), "map_ci95": CI95, "map_p": P_VALUE,
             "n_queries": int, "n_gallery": int, "n_left_out": int}  # fmt: skip
RECORDS = (VERIFICATION, MATCHING, RETRIEVAL)  # keys of each protocol's records
WAYS = {"v2f": "voice to face", "f2v": "face to voice"}


@dataclass(frozen=True)
class TestSet:
    """Results of one set: system -> records; the set's data directory, None if absent."""

    name: str
    systems: dict[str, list[dict]]
    data: DataDir | None


def read_sets(exp_dir: Path, data_dir: Path) -> list[TestSet]:
    """Read EXP_DIR/SYSTEM/measures/SET.json and DATA_DIR/SET; the set "unseen" comes first.

    Raises
    ------
    InputError : no such file, or a file that is stale
    """
    sets: dict[str, dict[str, list[dict]]] = {}
    for path in files_inside(exp_dir, "*/measures/[!.]*.json"):
        refuse_stale(path)
        sets.setdefault(path.stem, {})[path.parent.parent.name] = read_records(path)
    if not sets:
        raise InputError(
            f"{exp_dir}: expected SYSTEM/measures/SET.json, found none; run avsv association evaluate ... OUT.json"
        )
    return [TestSet(name, sets[name],
                    read_data_dir(data_dir / name) if (data_dir / name / "utt2spk").exists() else None)
            for name in sorted(sets, key=lambda name: (name != "unseen", name))]  # fmt: skip


def read_records(path: Path) -> list[dict]:
    """Read the results of avsv association evaluate; InputError for another file."""
    records = read_json(path, [RECORDS], "file of avsv association evaluate")
    for record in records:
        shape = dict(zip(MEASURES, RECORDS, strict=True)).get(record["protocol"])
        ends = [value for key, value in record.items() if key.endswith("_ci95") and value is not None]
        right = shape and shape.keys() == record.keys() and all(len(pair) == 2 for pair in ends)
        if not right or record.get("candidates", 2) < 2:
            raise InputError(
                f"{path}: expected results of avsv association evaluate, found other keys for {record['protocol']} "
                f"{record['list']}; run it again"
            )
    if not records:
        raise InputError(f"{path}: expected measures, found none; run avsv association evaluate again")
    return records


def best_system(test: TestSet) -> str | None:
    """The system with the lowest EER in group U; None if no system has one."""
    errors = {system: record["eer_percent"] for system, records in test.systems.items() for record in records
              if list_name(record) in ("verification U", "verification random_unseenunheard")
              and record["eer_percent"] is not None}  # fmt: skip
    return min(errors, key=errors.get) if errors else None


def write_association_report(exp_dir: Path, data_dir: Path, out_dir: Path) -> None:
    """Write index.html, media/, results.json and results.md; equal inputs give equal bytes.

    Parameters
    ----------
    exp_dir : has SYSTEM/measures/SET.json and, for systems that embed, SYSTEM/SET/{voice,face}.scp
    data_dir : has the data directories SET, for audio, images and genders
    """
    sets = read_sets(exp_dir, data_dir)
    media = MediaFolder(out_dir, {test.name: test.data.path for test in sets if test.data})
    systems = sorted({system for test in sets for system in test.systems})
    numbers = {system: number for number, system in enumerate(systems)}
    sections = [("results", "Results", [results_of(test) for test in sets]),
                ("curves", "1:N matching", [curves_of(test, numbers) for test in sets]),
                ("retrieval", "Retrieval", [retrieval_of(test, exp_dir, media) for test in sets]),
                ("spaces", "Voices and faces in one space", [spaces_of(test, exp_dir) for test in sets])]  # fmt: skip
    title = f"{exp_dir.resolve().parents[1].name}/{exp_dir.resolve().name}"
    note = f"{len(systems)} systems; sets: {', '.join(test.name for test in sets)}. Equal scores count as chance."
    content = whole_page(title, main_sentence(sets[0]), note, sections)
    media.remove_old()
    records = [{"set": test.name, "system": system, **record} for test in sets
               for system, of in test.systems.items() for record in of]  # fmt: skip
    lines = ["# Face-voice association", ""]
    for test in sets:
        lines += [f"## {test.name}", "", *markdown_tables(test.systems)]
    lines.append("Percent, with 95 % intervals over people. p: share of random assignments of faces to voices that are "
                 "as far off. U: wrong candidates are drawn from everybody; G, N, A: from people of the same gender, "
                 "nationality, age; v2f: voice to face.")  # fmt: skip
    with replaced_together(*(out_dir / name for name in ("results.json", "results.md", "index.html"))):
        write_json(out_dir / "results.json", records)
        for name, text in (("results.md", "\n".join(lines) + "\n"), ("index.html", content)):
            with whole_file(out_dir / name) as out:
                out.write(text)
    print("\n".join(lines))
    log.info("%s: %d measures of %d systems; open %s", out_dir, len(records), len(systems), out_dir / "index.html")


def main_sentence(test: TestSet) -> Markup | list:
    """One sentence on the best system of the first set."""
    best = best_system(test)
    if best is None:
        return ["No verification results."]
    by_list = {list_name(record): record for record in test.systems[best]}
    record = next(r for name, r in by_list.items() if name.startswith("verification") and name.split()[1][0] in "Ur")
    sentence = [f"On {test.name} people, ", tag("b", best), " has the lowest equal error rate in deciding whether a "
                "voice and a face belong together: ", tag("b", f"{cell(record, 'eer_percent')} %")]  # fmt: skip
    if two := by_list.get("matching v2f_U 1:2"):
        sentence.append(f"; given a voice, it picks the right one of two faces in {cell(two, 'accuracy_percent')} %")
    return [*sentence, ". Chance is 50 % for both."]


def results_of(test: TestSet) -> list[Markup]:
    """One table per protocol: systems in rows, lists in columns, chance in the last row."""
    parts = [tag("h3", test.name)]
    for protocol, (header, *rows) in summary_rows(test.systems).items():
        head = tag("thead", tag("tr", [tag("th", cell) for cell in header]))
        body = tag("tbody", [tag("tr", tag("th", name), [tag("td", cell, class_="number") for cell in cells])
                             for name, *cells in rows])  # fmt: skip
        parts += [tag("h4", protocol), scrolling(tag("table", head, body), f"{test.name}, {protocol}")]
    every = [record for records in test.systems.values() for record in records]
    sizes = {list_name(record): record["n_people"] for record in every}
    n_people = f"{min(sizes.values())} to {max(sizes.values())}"
    note = (
        "Percent (95 % interval over people; p: share of random assignments of faces to voices that are as far off. Of "
        f"20 measures at chance, one has a p below 0.05). People in the lists: {n_people}."
    )
    return [*parts, tag("p", note, class_="note")]


def curves_of(test: TestSet, numbers: Mapping[str, int]) -> list[Markup] | None:
    """Accuracy over N for lists with more than two candidates."""
    figures = []
    for way, words in WAYS.items():
        curves = {}
        for system, records in test.systems.items():
            of = [r for r in records if r["protocol"] == "matching" and r["list"] == f"{way}_U"]
            if len(of) > 1:
                curves[system] = of
        if curves:
            note = "dashed: chance; band: 95 % interval of the best"
            figures.append(figure(f"{test.name}, {words}", note, matching_plot(curves, numbers, words)))
    return [system_legend(numbers), tag("div", figures, class_="figures")] if figures else None


def joint_space(test: TestSet, system: str, exp_dir: Path):
    """Names and unit vectors of a system's voices and faces; None if the system has no embeddings."""
    scps = [exp_dir / system / test.name / f"{side}.scp" for side in ("voice", "face")]
    if not all(scp.exists() for scp in scps):
        return None
    sides = [read_embeddings(scp) for scp in scps]
    return [(list(side.ids), unit_length(side.vectors)) for side in sides]


def retrieval_of(test: TestSet, exp_dir: Path, media: MediaFolder) -> list[Markup] | None:
    """Example voices with the ten best faces of the best system; faces of the right person are framed."""
    best = best_system(test)
    space = joint_space(test, best, exp_dir) if best else None
    if space is None or test.data is None:
        return None
    (voices, left), (faces, right) = space
    spk = test.data.utt2spk
    people = sorted({spk[utt] for utt in voices})
    wanted = [people[i * len(people) // EXAMPLES] for i in range(min(EXAMPLES, len(people)))]
    parts = [tag("h3", f"{test.name}, {best}"), tag("p", "A voice and the ten nearest faces of the set; "
             "faces of the right person are framed.", class_="note")]  # fmt: skip
    for person in wanted:
        row = next(i for i, utt in enumerate(voices) if spk[utt] == person)
        order = np.argsort(-(right @ left[row]), kind="stable")[:RANKS]
        query = media.clip(test.name, voices[row])
        player = tag("audio", src=query.audio, controls=True, preload="none", aria_label=f"voice of {query.name}")
        shown_faces = [face_image(media, test.name, faces[i], spk[faces[i]] == person) for i in order.tolist()]
        parts.append(tag("article", tag("p", tag("b", person), f" {query.gender}"), player if query.audio else None,
                         tag("div", shown_faces, style="display:flex;flex-wrap:wrap;gap:6px;margin-top:.6rem"),
                         class_="trial"))  # fmt: skip
    return parts


def face_image(media: MediaFolder, set_name: str, utt: str, right: bool) -> Markup:
    clip = media.clip(set_name, utt)
    frame = "outline:4px solid var(--c2);outline-offset:-4px;" if right else ""
    title = f"face of {clip.name}{', the right person' if right else ''}"
    if clip.image is None:
        return tag("span", title, class_="note")
    return tag("img", src=clip.image, alt=title, title=title, loading="lazy", width=84, height=84,
               style=f"{frame}object-fit:cover;border-radius:4px")  # fmt: skip


def spaces_of(test: TestSet, exp_dir: Path) -> list[Markup] | None:
    """PCA of each system's voices and faces, coloured by gender."""
    if test.data is None:
        return None
    genders, figures = test.data.table("spk2gender"), []
    for system in test.systems:
        space = joint_space(test, system, exp_dir)
        if space is None:
            continue
        (voices, left), (faces, right) = space
        places, share = principal_plane(np.concatenate([left, right]))
        groups = [[genders.get(test.data.utt2spk[utt], "") for utt in names] for names in (voices, faces)]
        note = f"colour: gender; {100 * share:.0f} % of the variance"
        figures.append(figure(system, note, plane_plot(places[: len(left)], places[len(left) :], groups,
                                                       f"Voices and faces of {test.name} by {system}")))  # fmt: skip
    return [tag("h3", test.name), tag("div", figures, class_="small-figures")] if figures else None
