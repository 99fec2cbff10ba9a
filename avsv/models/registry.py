"""The registry of published encoders: source, licences, training data, published results, front end, and hash.

One file, registry.yaml, holds it all; `avsv models`, docs/models.md and the settings of ONNX files read it from here.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from avsv.errors import InputError
from avsv.jobs.schema import Misshapen, check_shape

log = logging.getLogger("avsv")
REGISTRY = Path(__file__).with_name("registry.yaml")
KINDS = ("voice", "face", "detector", "quality")
SHAPE = {
    "kind": str, "use": str, "source": str, "code": str, "weights": str, "training": str, "front_end": str,
    "published?": {"measure": str, "values": [(float, None)], "source": str}, "parameters?": float, "size?": int,
    "cost?": str, "sha256?": str, "waits_for?": str, "note?": str, "file?": str}  # fmt: skip
RESTRICTED = re.compile(r"(?i)\bnon-?commercial|\bcc-?by-?nc\b|\bnc\b|\bresearch (purposes |use )?only")


@dataclass(frozen=True)
class Model:
    """A published encoder.

    Parameters
    ----------
    name : its key in the registry
    kind : "voice", "face", "detector" or "quality"
    use : what is given as the model
    source : address of its publication
    code, weights : licences
    training : data it was trained on
    front_end : what its network expects; for voices in ONNX files a key of `FRONT_ENDS`
    published : measure, values (None where nothing is published) and their source; figures of others
    parameters : millions
    size : dimension of the embedding
    cost : measured with avsv
    sha256 : of the weights that were tested, or as published
    waits_for : why it has not been tested with avsv; None if it has
    file : pattern of the folder and the name by which a face network's file is recognised
    """

    name: str
    kind: str
    use: str
    source: str
    code: str
    weights: str
    training: str
    front_end: str
    published: dict[str, Any] | None = None
    parameters: float | None = None
    size: int | None = None
    cost: str | None = None
    sha256: str | None = None
    waits_for: str | None = None
    note: str | None = None
    file: str | None = None

    @property
    def results(self) -> str:
        """The published values in one line, "-" for none, with their measure unless it is the EER."""
        if not self.published:
            return "-"
        values = " / ".join("-" if value is None else f"{value:g}" for value in self.published["values"])
        measure = self.published["measure"]
        return values if measure.startswith("EER") else f"{values} ({measure})"


@cache
def published_models() -> dict[str, Model]:
    """All models of the registry, by name.

    Raises
    ------
    InputError : the registry has an entry of another form

    Examples
    --------
    >>> published_models()["wespeaker-resnet34"].results
    '0.797 / 0.937 / 1.695'
    """
    entries, models = yaml.safe_load(REGISTRY.read_text(encoding="utf-8")), {}
    for name, entry in entries.items():
        try:
            check_shape(entry, SHAPE, name)
        except Misshapen as error:
            raise InputError(f"{REGISTRY}: {error}") from None
        if entry["kind"] not in KINDS:
            raise InputError(f"{REGISTRY}: {name}.kind: expected one of {', '.join(KINDS)}, found {entry['kind']}")
        models[name] = Model(name, **entry)
    return models


def forbids_commercial_use(licence: str) -> bool:
    """Whether the text of a licence names a restriction to research or to non-commercial use.

    Examples
    --------
    >>> [forbids_commercial_use(text) for text in ("CC-BY-NC-SA-4.0", "non-commercial research only", "CC-BY-4.0")]
    [True, True, False]
    """
    return bool(RESTRICTED.search(licence))


def tell_licence(what: Path | str, licence: str) -> None:
    """Warn that a model may not be used commercially, if its licence says so."""
    if forbids_commercial_use(licence):
        log.warning("%s: the licence of its weights is %s: do not use it, or results made with it, commercially",
                    what, licence)  # fmt: skip


def tell_licences(files: Iterable[Path]) -> None:
    """`tell_licence` for the files of a face pack that the registry knows by their names."""
    for path in files:
        name = f"{path.parent.name}/{path.name}".lower()
        for model in published_models().values():
            if model.file and fnmatch(name, model.file):
                tell_licence(path, model.weights)
