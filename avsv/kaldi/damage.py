"""The table `utt2damage` of a noisy test set: the damage to each clip, as JSON.

utt {"modality": "voice", "kind": "babble", "sources": [[path, begin], ...], "snr": 4.2}
utt {"modality": "face", "kind": "missing"}
utt [{"modality": "voice", "kind": "reverberation", ...}, {"modality": "face", "kind": "gaussian-blur", "sigma": 3.1}]

One record describes the damage to one modality; a clip with both damaged has a list of two.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avsv.errors import InputError, refuse_unknown
from avsv.jobs.schema import parse_json
from avsv.kaldi.segments import Segment, Source
from avsv.kaldi.tables import read_table

MISSING = "missing"  # the kind of damage that removes the modality
ADDED = ("sources", "snr")
# kinds of damage to a voice, and the parameters of each
VOICE = {"noise": ADDED, "music": ADDED, "babble": ADDED, "reverberation": ("sources",), "speed": ("factor",),
         MISSING: ()}  # fmt: skip
RANGES = {"snr": (-200, 200), "factor": (0.1, 10), "frames": (0, 1), "order": (0, 2**63), "seed": (0, 2**63)}
WHOLE, TEXTS = ("order", "seed"), ("fill",)
MOST_SOURCES = 100


def damage_table(damage: Mapping[str, Sequence[dict]]) -> dict[str, str]:
    """The table made from each clip's records, one per modality.

    Examples
    --------
    >>> damage_table({"a": [{"modality": "face", "kind": "missing"}]})
    {'a': '{"modality": "face", "kind": "missing"}'}
    """
    return {utt: json.dumps(records[0] if len(records) == 1 else records) for utt, records in damage.items()}


def noise_files(damage: Mapping[str, Any] | None) -> list[str]:
    """The recordings that a damaged voice is mixed or convolved with.

    Examples
    --------
    >>> noise_files({"kind": "noise", "sources": [["rain.wav", 0.5]], "snr": 5}), noise_files(None)
    (['rain.wav'], [])
    """
    sources = (damage or {}).get("sources")
    sources = sources if isinstance(sources, list) else []
    firsts = [source[0] for source in sources if isinstance(source, list) and source]
    return [path for path in firsts if isinstance(path, str)]


def read_damage(data_dir: Path | str, modality: str) -> dict[str, dict]:
    """Damage to one modality by utterance; empty if the data directory has no `utt2damage`.

    Raises
    ------
    InputError : names a line that is neither a JSON object with "modality" and "kind" nor a list of such objects, has
        two for one modality, or has invalid parameters
    """
    refuse_unknown("modality", modality, ("voice", "face"))
    path = Path(data_dir) / "utt2damage"
    if not path.exists():
        return {}
    damage = {}
    for number, (utt, text) in enumerate(read_table(path).items(), 1):
        where = f"{path}, utterance {utt}"
        records = parse_records(text, where, number)
        matching = [record for record in records if record["modality"] == modality]
        if len(matching) > 1:
            raise InputError(f"{where}: expected one {modality} damage, found {len(matching)}: {text} (line {number})")
        if matching:
            damage[utt] = matching[0]
    return damage


def parse_records(text: str, where: str, number: int) -> list[dict]:
    """The records of a line; InputError begins with `where`."""
    try:
        value = parse_json(text)
    except (ValueError, RecursionError):
        value = None
    records = value if isinstance(value, list) else [value]
    if not all(isinstance(record, dict) and record.keys() >= {"modality", "kind"} for record in records):
        raise InputError(
            f'{where}: expected a JSON object with "modality" and "kind", or a list of them, on line {number}: '
            f"{text[:200]}"
        )
    for record in records:
        if why := defect(record):
            raise InputError(f"{where}: {why}, on line {number}: {text[:200]}")
        if "sources" in record:
            record["sources"] = [[as_source(source), begin] for source, begin in record["sources"]]
    return records


def defect(record: dict) -> str:
    """The defect of a record; empty if it is valid. Face parameters are checked where they are used."""
    modality, kind = record["modality"], record["kind"]
    if modality not in ("voice", "face") or not isinstance(kind, str):
        return 'expected a modality, "voice" or "face", and a kind'
    if modality == "voice" and kind not in VOICE:
        return f'unknown voice damage "{kind}"; expected one of {", ".join(VOICE)}'
    for name in VOICE[kind] if modality == "voice" else ():
        if name not in record:
            return f'"{kind}" needs "{name}"'
    for name, value in record.items():
        if name in ("modality", "kind"):
            continue
        low, high = RANGES.get(name, (-1e9, 1e9))
        if name == "sources":
            if not is_sources(value):
                return '"sources": expected pairs of a path and a number from 0 to 1'
        elif name in TEXTS:
            if not isinstance(value, str):
                return f'"{name}": expected a string'
        elif isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            return f'"{name}": expected a number from {low:g} to {high:g}'
        elif name in WHOLE and not isinstance(value, int):
            return f'"{name}": expected an integer'
    return ""


def is_sources(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= MOST_SOURCES and all(
        isinstance(pair, list) and len(pair) == 2 and is_source(pair[0]) and type(pair[1]) in (int, float)
        and 0 <= pair[1] <= 1 for pair in value)  # fmt: skip


def is_source(value: Any) -> bool:
    """Whether a value is a path, or a Segment as a JSON list."""
    if isinstance(value, list):
        return len(value) == len(Segment._fields) and all(
            isinstance(part, kind) and not isinstance(part, bool)
            for part, kind in zip(value, (str, int | float, int | float, int, str), strict=True)
        )
    return isinstance(value, str) and bool(value)


def as_source(value: str | list) -> Source:
    return Segment(*value) if isinstance(value, list) else value
