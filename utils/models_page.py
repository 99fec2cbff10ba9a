"""Writes the tables of docs/models.md from the registry of models, avsv/models/registry.yaml.

    python utils/models_page.py        after a change of the registry

The tables stand between "<!-- models: KIND -->" and "<!-- end of models -->"; the rest of the page is written by hand.
"""

import re
from pathlib import Path

from avsv.models.registry import Model, published_models

PAGE = Path(__file__).resolve().parents[1] / "docs/models.md"
TABLE = re.compile(r"(<!-- models: (\w+) -->\n).*?(<!-- end of models -->)", re.DOTALL)
HEADS = (
    ["model", "published", "licence of the weights", "licence of the code", "training data", "parameters", "size",
     "front end", "model to give", "cost here"],
    ["model", "published results", "tested here", "SHA-256", "note"],
)  # fmt: skip


def page(text: str) -> str:
    """The text of the page with the tables of the registry."""
    return TABLE.sub(lambda found: f"{found[1]}{tables(found[2])}{found[3]}", text)


def tables(kind: str) -> str:
    """Two tables of the models of a kind: what they are, and where the figures come from."""
    models = [model for model in published_models().values() if model.kind == kind]
    measures = dict.fromkeys(model.published["measure"] for model in models
                             if model.published and model.published["measure"] not in model.results)  # fmt: skip
    lead = f"Published: {'; '.join(measures)}.\n\n" if measures else ""
    return "\n" + lead + table(HEADS[0], map(facts, models)) + "\n" + table(HEADS[1], map(origins, models)) + "\n"


def table(head: list[str], rows: "map[list[str]]") -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def facts(model: Model) -> list[str]:
    return [f"[{model.name}]({model.source})", model.results, model.weights, model.code, model.training,
            f"{model.parameters:g} M" if model.parameters else "-", str(model.size or "-"), model.front_end,
            f"`{model.use}`", model.cost or "-"]  # fmt: skip


def origins(model: Model) -> list[str]:
    return [model.name, model.published["source"] if model.published else "-",
            f"waits for {model.waits_for}" if model.waits_for else "yes",
            f"`{model.sha256}`" if model.sha256 else "-", model.note or "-"]  # fmt: skip


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
