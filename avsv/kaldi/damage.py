"""The table `utt2damage` of a noisy test set: what is done to which clip, one JSON object a line.

utt {"modality": "voice", "kind": "babble", "sources": [[path, begin], ...], "snr": 4.2}
utt {"modality": "face", "kind": "missing"}
"""

import json
from pathlib import Path

from avsv.errors import UserError
from avsv.kaldi.tables import read_table

MISSING = "missing"  # the kind of damage that leaves nothing to embed


def read_damage(data_dir: Path | str, modality: str) -> dict[str, dict]:
    """Damage to one modality by utterance; empty where the data directory has no `utt2damage`.

    Raises
    ------
    UserError : a line that is no JSON object with "modality" and "kind"
    """
    path = Path(data_dir) / "utt2damage"
    if not path.exists():
        return {}
    found = {}
    for utt, text in read_table(path).items():
        try:
            damage = json.loads(text)
            if damage["modality"] == modality:
                found[utt] = {"kind": damage["kind"], **damage}
        except (ValueError, TypeError, KeyError):
            raise UserError(
                f'{path}, utterance {utt}: expected a JSON object with "modality" and "kind": {text}'
            ) from None
    return found
