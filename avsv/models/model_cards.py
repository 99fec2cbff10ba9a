"""Model cards, README.md in the folder of a model, and the licence that their headers state."""

import re
from pathlib import Path

from avsv.jobs.files import whole_file
from avsv.jobs.inputs import read_text

CARD = "README.md"  # in a model's folder, in the form that the Hugging Face Hub reads
UNKNOWN = "unknown; ask the author, and mind the terms of the training data"


def licence_of(folder: Path | str, given: str | None = None) -> str:
    """The licence that the user gave, or the one in the model card's header, or that it is unknown.

    Parameters
    ----------
    folder : the model's folder; without a model card the licence is unknown
    given : the user's, such as "CC-BY-4.0"

    Examples
    --------
    >>> licence_of("exp/voice", "CC-BY-4.0")
    'CC-BY-4.0'
    """
    card = Path(folder) / CARD
    if given or not card.is_file():
        return given or UNKNOWN
    header = re.match(r"---\n(.*?)\n---\n", read_text(card), re.DOTALL)
    stated = re.search(r"(?m)^license: *(\S.*?) *$", header[1]) if header else None
    return stated[1].strip("\"'") if stated and stated[1] not in ("other", "unknown") else UNKNOWN


def write_card(out: Path, card: Path, licence: str) -> None:
    """Copy a model card with another licence in its header; without a card, write one with the licence alone."""
    text = read_text(card) if card.is_file() else ""
    body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    header = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    others = re.sub(r"(?m)^license(_name)?:.*\n", "", header[1]) if header else ""
    stated = f"license: {licence}\n" if licence != UNKNOWN else "license: unknown\n"
    with whole_file(out) as file:
        file.write(f"---\n{stated}{others}---\n{body}")
