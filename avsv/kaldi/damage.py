"""The table `utt2damage` of a noisy test set: what is done to which clip, JSON on every line.

utt {"modality": "voice", "kind": "babble", "sources": [[path, begin], ...], "snr": 4.2}
utt {"modality": "face", "kind": "missing"}
utt [{"modality": "voice", "kind": "reverberation", ...}, {"modality": "face", "kind": "gaussian-blur", "sigma": 3.1}]

One record says what happens to one modality; a clip with both damaged has a list of two.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from avsv.errors import UserError
from avsv.kaldi.tables import read_table

MISSING = "missing"  # the kind of damage that leaves nothing to embed


def damage_table(damage: Mapping[str, Sequence[dict]]) -> dict[str, str]:
    """The table from the records of each clip, one a modality.

    Examples
    --------
    >>> damage_table({"a": [{"modality": "face", "kind": "missing"}]})
    {'a': '{"modality": "face", "kind": "missing"}'}
    """
    return {utt: json.dumps(records[0] if len(records) == 1 else records) for utt, records in damage.items()}


def read_damage(data_dir: Path | str, modality: str) -> dict[str, dict]:
    """Damage to one modality by utterance; empty where the data directory has no `utt2damage`.

    Raises
    ------
    UserError : a line that is neither a JSON object with "modality" and "kind" nor a list of such, or that has two for
        one modality
    """
    path = Path(data_dir) / "utt2damage"
    if not path.exists():
        return {}
    found = {}
    for utt, text in read_table(path).items():
        try:
            said = json.loads(text)
            records = [{"kind": record["kind"], **record} for record in (said if isinstance(said, list) else [said])]
            mine = [record for record in records if record["modality"] == modality]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise UserError(
                f'{path}, utterance {utt}: expected a JSON object with "modality" and "kind", or a list of them: {text}'
            ) from None
        if len(mine) > 1:
            raise UserError(f"{path}, utterance {utt}: has {len(mine)} damages to the {modality}, expected one: {text}")
        if mine:
            found[utt] = mine[0]
    return found
