"""The report of face-voice association: tables beside chance, 1:N curves, retrieval to hear and see, joint spaces."""

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
from avsv.evaluation.tables import shown
from avsv.jobs.files import replaced_together, whole_file, write_json
from avsv.jobs.provenance import refuse_stale
from avsv.jobs.schema import read_json
from avsv.kaldi.data_dir import DataDir, read_data_dir
from avsv.kaldi.embeddings import read_embeddings
from avsv.scoring.cosine import unit_length
from avsv.systems.association.report_figures import matching_plot, plane_plot, principal_plane, system_legend
from avsv.systems.association.table import MEASURES, TITLES, cell, columns_of, markdown_tables, said_of

log = logging.getLogger("avsv")
EXAMPLES, RANKS = 6, 10  # queries shown, faces of each
COMMON = {"list": str, "chance_percent": (float, None), "n_people": int}
CI95 = ([float], None)
VERIFICATION = {**COMMON, "protocol": str, "eer_percent": (float, None), "eer_ci95": CI95, "auc_percent": (float, None),
                "auc_ci95": CI95, "n_target": int, "n_nontarget": int}  # fmt: skip
MATCHING = {**COMMON, "protocol": str, "candidates": int, "accuracy_percent": float, "accuracy_ci95": CI95,
            "n_queries": int}  # fmt: skip
RETRIEVAL = {**COMMON, "protocol": str, "map_percent": (float, None), "map_ci95": CI95, "n_queries": int,
             "n_gallery": int, "n_left_out": int}  # fmt: skip
RECORDS = (VERIFICATION, MATCHING, RETRIEVAL)  # what a protocol's record has
WAYS = {"v2f": "voice to face", "f2v": "face to voice"}


@dataclass(frozen=True)
class TestSet:
    """What there is of one set: system -> records; its data directory, None where there is none."""

    name: str
    systems: dict[str, list[dict]]
    data: DataDir | None


def read_sets(exp_dir: Path, data_dir: Path) -> list[TestSet]:
    """EXP_DIR/SYSTEM/measures/SET.json, with DATA_DIR/SET; the set "unseen" first.

    Raises
    ------
    InputError : there is no such file, or one is older than the embeddings that it was made from
    """
    found: dict[str, dict[str, list[dict]]] = {}
    for path in files_inside(exp_dir, "*/measures/[!.]*.json"):
        refuse_stale(path)
        found.setdefault(path.stem, {})[path.parent.parent.name] = read_records(path)
    if not found:
        raise InputError(
            f"{exp_dir}: has no SYSTEM/measures/SET.json; make them: avsv association evaluate ... OUT.json"
        )
    names = sorted(found, key=lambda name: (name != "unseen", name))
    there = {name: data_dir / name if (data_dir / name / "utt2spk").exists() else None for name in names}
    return [TestSet(n, found[n], read_data_dir(there[n]) if there[n] else None) for n in names]


def read_records(path: Path) -> list[dict]:
    """What avsv association evaluate measured; InputError where the file is another one."""
    records = read_json(path, [RECORDS], "file of avsv association evaluate")
    for record in records:
        shape = dict(zip(MEASURES, RECORDS, strict=True)).get(record["protocol"])
        ends = [value for key, value in record.items() if key.endswith("_ci95") and value is not None]
        right = shape and shape.keys() == record.keys() and all(len(pair) == 2 for pair in ends)
        if not right or record.get("candidates", 2) < 2:
            raise InputError(
                f"{path}: {record['protocol']} {record['list']} is not from avsv association evaluate; make it again"
            )
    if not records:
        raise InputError(f"{path}: holds no measure; make it again: avsv association evaluate")
    return records


def best_system(test: TestSet) -> str | None:
    """The system with the lowest EER on pairs of anybody; None where none has one."""
    errors = {system: record["eer_percent"] for system, records in test.systems.items() for record in records
              if said_of(record) in ("verification U", "verification random_unseenunheard")
              and record["eer_percent"] is not None}  # fmt: skip
    return min(errors, key=errors.get) if errors else None


def write_association_report(exp_dir: Path, data_dir: Path, out_dir: Path) -> None:
    """Write index.html, media/, results.json and results.md; the same files give the same bytes.

    Parameters
    ----------
    exp_dir : holds SYSTEM/measures/SET.json and, of systems that embed, SYSTEM/SET/{voice,face}.scp
    data_dir : holds the data directories SET, for sound, pictures and genders
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
    lines.append("Percent, with 95 % intervals from resampling people. U: wrong candidates are anybody's; G, N, A: of "
                 "the same gender, nationality, age; v2f: voice to face.")  # fmt: skip
    with replaced_together(*(out_dir / name for name in ("results.json", "results.md", "index.html"))):
        write_json(out_dir / "results.json", records)
        for name, text in (("results.md", "\n".join(lines) + "\n"), ("index.html", content)):
            with whole_file(out_dir / name) as out:
                out.write(text)
    print("\n".join(lines))
    log.info("%s: %d measures of %d systems; open %s", out_dir, len(records), len(systems), out_dir / "index.html")


def main_sentence(test: TestSet) -> Markup | list:
    """The best system on the first set."""
    best = best_system(test)
    if best is None:
        return ["No verification was measured."]
    found = {said_of(record): record for record in test.systems[best]}
    record = next(r for name, r in found.items() if name.startswith("verification") and name.split()[1][0] in "Ur")
    said = [f"Of {test.name} people, ", tag("b", best), " tells whether a voice and a face are one person's with the "
            "lowest equal error rate: ", tag("b", f"{cell(record, 'eer_percent')} %")]  # fmt: skip
    if two := found.get("matching v2f_U 1:2"):
        said.append(f"; of two faces it picks that of a voice in {cell(two, 'accuracy_percent')} %")
    return [*said, ". Chance is 50 % of both."]


def results_of(test: TestSet) -> list[Markup]:
    """A table a protocol: systems in rows, lists in columns, chance below."""
    parts, every = [tag("h3", test.name)], [record for records in test.systems.values() for record in records]
    for protocol in MEASURES:
        columns = [column for column in columns_of(every) if column[0].startswith(protocol)]
        if not columns:
            continue
        heads = [tag("th", "system"), *(tag("th", f"{name.removeprefix(protocol)} {TITLES[m]}") for name, m in columns)]
        rows = []
        for system, records in test.systems.items():
            found = {said_of(record): record for record in records}
            rows.append(tag("tr", tag("th", system),
                            [value_cell(found.get(name), measure) for name, measure in columns]))  # fmt: skip
        some = {said_of(record): record for record in every}
        chance = tag("tr", tag("th", "chance"), [tag("td", shown(some[name]["chance_percent"], 1), class_="number")
                                                 for name, _ in columns])  # fmt: skip
        table = tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows, chance))
        parts += [tag("h4", protocol), scrolling(table, f"{test.name}, {protocol}")]
    sizes = {said_of(record): record["n_people"] for record in every}
    n_people = f"{min(sizes.values())} to {max(sizes.values())}"
    said = f"Percent (95 % interval, people resampled). People in the lists: {n_people}."
    return [*parts, tag("p", said, class_="note")]


def value_cell(record: Mapping | None, measure: str) -> Markup:
    return tag("td", cell(record, measure), class_="number")


def curves_of(test: TestSet, numbers: Mapping[str, int]) -> list[Markup] | None:
    """Accuracy over N, of lists with more than two candidates."""
    figures = []
    for way, said in WAYS.items():
        curves = {}
        for system, records in test.systems.items():
            of = [r for r in records if r["protocol"] == "matching" and r["list"] == f"{way}_U"]
            if len(of) > 1:
                curves[system] = of
        if curves:
            note = "dashed: chance; band: 95 % interval of the best"
            figures.append(figure(f"{test.name}, {said}", note, matching_plot(curves, numbers, said)))
    return [system_legend(numbers), tag("div", figures, class_="figures")] if figures else None


def joint_space(test: TestSet, system: str, exp_dir: Path):
    """Unit vectors of a system's voices and faces with their names; None where it embeds nothing."""
    scps = [exp_dir / system / test.name / f"{side}.scp" for side in ("voice", "face")]
    if not all(scp.exists() for scp in scps):
        return None
    sides = [read_embeddings(scp) for scp in scps]
    return [(list(side.ids), unit_length(side.vectors)) for side in sides]


def retrieval_of(test: TestSet, exp_dir: Path, media: MediaFolder) -> list[Markup] | None:
    """Voices to hear and the ten best faces for each, by the best system; those of the right person framed."""
    best = best_system(test)
    space = joint_space(test, best, exp_dir) if best else None
    if space is None or test.data is None:
        return None
    (voices, left), (faces, right) = space
    spk = test.data.utt2spk
    people = sorted({spk[utt] for utt in voices})
    wanted = [people[i * len(people) // EXAMPLES] for i in range(min(EXAMPLES, len(people)))]
    parts = [tag("h3", f"{test.name}, {best}"), tag("p", "A voice, and the ten faces nearest to it of all in the set; "
             "the right person's are framed.", class_="note")]  # fmt: skip
    for person in wanted:
        row = next(i for i, utt in enumerate(voices) if spk[utt] == person)
        order = np.argsort(-(right @ left[row]), kind="stable")[:RANKS]
        query = media.clip(test.name, voices[row])
        sound = tag("audio", src=query.sound, controls=True, preload="none", aria_label=f"voice of {query.name}")
        shown_faces = [picture_of(media, test.name, faces[i], spk[faces[i]] == person) for i in order.tolist()]
        parts.append(tag("article", tag("p", tag("b", person), f" {query.gender}"), sound if query.sound else None,
                         tag("div", shown_faces, style="display:flex;flex-wrap:wrap;gap:6px;margin-top:.6rem"),
                         class_="trial"))  # fmt: skip
    return parts


def picture_of(media: MediaFolder, set_name: str, utt: str, right: bool) -> Markup:
    clip = media.clip(set_name, utt)
    frame = "outline:4px solid var(--c2);outline-offset:-4px;" if right else ""
    said = f"face of {clip.name}{', the right person' if right else ''}"
    if clip.picture is None:
        return tag("span", said, class_="note")
    return tag("img", src=clip.picture, alt=said, title=said, loading="lazy", width=84, height=84,
               style=f"{frame}object-fit:cover;border-radius:4px")  # fmt: skip


def spaces_of(test: TestSet, exp_dir: Path) -> list[Markup] | None:
    """PCA of voices and faces of each system, coloured by gender."""
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
