"""A DET plot for each trial list and condition of an experiment."""

from collections.abc import Sequence
from pathlib import Path

from avsv.evaluation.det import plot_det
from avsv.evaluation.errors import count_errors
from avsv.evaluation.measures import shown
from avsv.evaluation.results import ScoreFile, by_table
from avsv.kaldi.scores import read_scores
from avsv.kaldi.trials import read_trials


def plot_tables(out_dir: Path, files: Sequence[ScoreFile], records: Sequence[dict], lists: dict[str, Path]) -> None:
    """Write det_LIST@CONDITION.png with each system's best back-end.

    files, records : in the same order
    """
    paths = {id(record): file.path for file, record in zip(files, records, strict=True)}
    systems = sorted({record["system"] for record in records})
    trials = {}
    for (name, condition), rows in by_table(records).items():
        if name not in trials:
            trials = {name: read_trials(lists[name])}  # one list at a time: they are large
        best: dict[str, dict] = {}
        for row in sorted((row for row in rows if row["eer_percent"] is not None), key=lambda r: r["eer_percent"]):
            best.setdefault(row["system"], row)
        curves, styles = {}, []
        for row in sorted(best.values(), key=lambda row: -row["eer_percent"]):
            styles.append(systems.index(row["system"]))
            label = f"{row['system']}, {row['backend']}: EER {shown(row['eer_percent'], 2)} %"
            curves[label] = count_errors(read_scores(paths[id(row)], trials[name]), trials[name].labels)
        if curves:
            plot_det(out_dir / f"det_{name}@{condition}.png", f"{name}, {condition}", curves, styles)
