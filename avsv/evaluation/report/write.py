"""Write a report: the measures, the page, and its media."""

import logging
from pathlib import Path

from avsv.evaluation.published import read_published
from avsv.evaluation.report.about import find_skipped
from avsv.evaluation.report.attention import attention_markdown, find_attention
from avsv.evaluation.report.media import MediaFolder, find_data
from avsv.evaluation.report.page import det_file, page
from avsv.evaluation.report.results import Options, make_tables
from avsv.evaluation.results import find_lists, find_score_files, markdown
from avsv.jobs.files import replaced_together, whole_file, write_json
from avsv.jobs.provenance import MadeFrom
from avsv.jobs.run_log import MADE, note

log = logging.getLogger("avsv")
PAGES = ("results.json", "results.md", "index.html")


def write_report(
    exp_dir: Path,
    out_dir: Path,
    trials_dir: Path,
    options: Options,
    data_dir: Path | None = None,
    published: Path | None = None,
) -> str:
    """Write index.html, media/, results.json, results.md and det_LIST@CONDITION.svg.

    The same files give the same bytes.

    Parameters
    ----------
    exp_dir : holds SYSTEM/scores/LIST[@CONDITION].BACKEND
    trials_dir : holds the lists
    data_dir : data directory of the test set, None for the folder of `trials_dir`; a condition's is DIR_CONDITION
    published : file of published figures

    Returns
    -------
    the text of results.md

    Raises
    ------
    InputError : no list, no score file, a score file that does not fit its list or is not current
    OptionError : the reference is not among the systems
    """
    lists = find_lists(trials_dir)
    files = find_score_files(exp_dir, lists, options.conditions, options.systems)
    made = MadeFrom("report", {"scores": [file.path for file in files], "trials": list(lists.values())})
    figures = read_published(published) if published else []
    conditions = list(dict.fromkeys(file.condition for file in files))
    systems = {file.system for file in files}
    data = find_data(data_dir, trials_dir, conditions)
    media, attention = MediaFolder(out_dir, data), find_attention(exp_dir, data, systems)
    main = min({file.trials for file in files}, key=lambda name: (lists[name].stat().st_size, name))
    tables = make_tables(files, lists, options, main)
    records = [record for table in tables for record in table.records]
    title = f"{exp_dir.resolve().parent.name}/{exp_dir.resolve().name}"
    content = page(
        title, exp_dir, files, tables, main, options, figures, media, find_skipped(exp_dir, files), attention
    )
    media.remove_old()
    text = markdown(records, attention_markdown(attention))
    with replaced_together(*(out_dir / name for name in PAGES)):
        write_json(out_dir / "results.json", records)
        for name, written in (("results.md", text), ("index.html", content)):
            with whole_file(out_dir / name) as out:
                out.write(written)
        for table in (table for table in tables if table.curves):
            with whole_file(out_dir / f"det_{table.trials}@{table.condition}.svg") as out:
                out.write(det_file(table))
    made.write_folder(out_dir, PAGES)
    note(MADE, out_dir / "index.html")
    log.info("%s: results: %d, tables: %d", out_dir, len(records), len(tables))
    return text
