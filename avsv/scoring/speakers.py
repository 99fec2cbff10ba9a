"""The speaker of each recording, by name or by number."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.data_dir import refuse_unlabelled
from avsv.kaldi.embeddings import Embeddings
from avsv.kaldi.tables import read_table


def speaker_numbers(embeddings: Embeddings, utt2spk: Path | str, source: Path | str) -> np.ndarray:
    """Speaker of each embedding as a number from 0, in order of first appearance, (n,) int32.

    Raises
    ------
    InputError : no embeddings, or a recording is not in `utt2spk`, or is unlabelled

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "utt2spk"
    >>> _ = path.write_text("u1 ann\\nu2 bob\\nu3 ann\\n")
    >>> speaker_numbers(Embeddings(["u1", "u2", "u3"], np.eye(3)), path, "embedding.scp").tolist()
    [0, 1, 0]
    """
    if not len(embeddings):
        raise InputError(f"{source}: expected embeddings, found none")
    numbers: dict[str, int] = {}
    names = speaker_names(embeddings.ids, utt2spk, source)
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int32)


def speaker_names(ids: Sequence[str], utt2spk: Path | str, source: Path | str) -> list[str]:
    """Speaker of each recording; raises InputError if one is not in `utt2spk`, or is unlabelled.

    Parameters
    ----------
    source : file the recordings are from, for the message

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "utt2spk"
    >>> _ = path.write_text("u1 ann\\nu2 bob\\n")
    >>> speaker_names(["u2"], path, "embedding.scp")
    ['bob']
    """
    table = read_table(utt2spk, 2, "utterance speaker")
    if unknown := [name for name in ids if name not in table]:
        raise InputError(f"{utt2spk}: {len(unknown)} recordings of {source} are missing, the first: {unknown[0]}")
    refuse_unlabelled(utt2spk, ids)
    return [table[name] for name in ids]
