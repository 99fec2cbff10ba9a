"""The model card of a finished training: README.md in its folder, in the form that the Hugging Face Hub reads.

It says what was trained, on which data, with which results on held-out people, and how to use it. Its licence is
unknown until the user writes one into the header; avsv export copies it into the files that it makes.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avsv.jobs.files import whole_file
from avsv.jobs.records import read_record
from avsv.kaldi.tables import read_table
from avsv.models.model_cards import CARD
from avsv.training.config import TrainingConfig

LAYOUT = """\
---
license: unknown
library_name: avsv
tags: [{tags}]
---
# {name}

{title}

{parameters:.2f} million parameters, trained with avsv {version}, task `{task}`.

## Use

{use}

## Data

{data}

## Results

{results}

## Configuration

Values other than the defaults; `config.yaml` has all of them.

{configuration}

## Licence

Unknown: the terms of the training data decide what may be licensed. Write the licence into the line `license:` above;
`avsv export` copies it into the files that it makes.

## Provenance

{provenance}
"""


def write_model_card(config: TrainingConfig, title: str, use: Sequence[str], n_parameters: int,
                     history: Sequence[Mapping[str, float]]) -> None:  # fmt: skip
    """Write the model card of a training whose record (made_from.json, run.json) is in its folder, atomically.

    Parameters
    ----------
    title : one sentence on what was trained
    use : lines of Python that use the model; FOLDER stands for its folder
    n_parameters : of the trained model, losses included
    history : figures of each epoch, as `Trainer.fit` returns them
    """
    folder = Path(config.exp_dir)
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    record = read_record(folder)
    text = LAYOUT.format(
        tags=", ".join(["person-verification", config.task.replace("_", "-")]), name=folder.resolve().name, title=title,
        parameters=n_parameters / 1e6, version=run["versions"]["avsv"], task=config.task,
        use="\n".join(["```python", "import avsv", "", *use, "```"]) if use else "See the documentation of avsv.",
        data=describe_data(config), results=describe_results(config, history),
        configuration=listed(record.chosen or {}), provenance=describe_provenance(run, record),
    )  # fmt: skip
    with whole_file(folder / CARD) as out:
        out.write(text)


def listed(values: Mapping[str, Any]) -> str:
    """Names and values as a Markdown table.

    Examples
    --------
    >>> print(listed({"epochs": 3}))
    | key | value |
    |---|---|
    | epochs | 3 |
    """
    if not values:
        return "None."
    rows = [f"| {name} | {str(value).replace('|', chr(92) + '|')} |" for name, value in values.items()]
    return "\n".join(["| key | value |", "|---|---|", *rows])


def describe_data(config: TrainingConfig) -> str:
    """Sizes of the training and the held-out set."""
    lines = [f"Training set: {count(config.data_dir)}."]
    if config.valid_dir:
        lines.append(f"Held-out people: {count(config.valid_dir)}; at most {config.valid_clips} clips are used.")
    if noises := getattr(config, "noise_dir", ""):
        lines.append(f"Noises: `{noises}`.")
    return "\n".join(lines)


def count(folder: str) -> str:
    """The size of a data directory, as text."""
    table = Path(folder) / "utt2spk"
    if not table.exists():
        return f"`{folder}`"
    people = read_table(table, fields=2, shape="utterance speaker")
    return f"`{folder}`, {len(people)} clips of {len(set(people.values()))} people"


def describe_results(config: TrainingConfig, history: Sequence[Mapping[str, float]]) -> str:
    """The EER on held-out people after the best and the last epoch."""
    errors = {int(record["epoch"]): record["eer_percent"] for record in history if "eer_percent" in record}
    if not errors:
        return f"Not measured: the training had no held-out people (`valid_dir`). {len(history)} epochs."
    best, last = min(errors, key=errors.__getitem__), max(errors)
    used = {
        "last": f"epoch {last}",
        "best": f"epoch {best}",
        "average": f"the last {config.average_last} epochs, averaged",
    }
    figures = (
        f"{errors[best]:.2f} after epoch {best}, the best one, and {errors[last]:.2f} after epoch {last}, the last one"
    )
    return (f"EER on held-out people, in %: {figures}. The weights are those of {used[config.weights]}. The best "
            "epoch was chosen on these people; test on others.")  # fmt: skip


def describe_provenance(run: Mapping[str, Any], record: Any) -> str:
    """Versions, seed and hashes of the inputs."""
    git = run["git"]
    values = {"seed": run["seed"], "processes": run["processes"], **run["versions"]}
    if git:
        values["commit"] = git["commit"] + (" with changes" if git["changed"] else "")
    values |= {f"hash of {source.role}": source.digest for source in record.inputs}
    return listed(values)
