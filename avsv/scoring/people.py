"""Who is in each of some recordings, as numbers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.embeddings import Embeddings
from avsv.kaldi.tables import read_table


def people_numbers(embeddings: Embeddings, utt2spk: Path | str, source: Path | str) -> np.ndarray:
    """Number of the person of each embedding, from 0, (n,) int32.

    Raises
    ------
    InputError : there are no embeddings, or one whose recording is not in `utt2spk`
    """
    if not len(embeddings):
        raise InputError(f"{source}: there are no embeddings in it")
    numbers: dict[str, int] = {}
    names = people_names(embeddings.ids, utt2spk, source)
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int32)


def people_names(ids: Sequence[str], utt2spk: Path | str, source: Path | str) -> list[str]:
    """The person of each recording; InputError where one is not in `utt2spk`."""
    table = read_table(utt2spk, 2, "utterance speaker")
    if unknown := [name for name in ids if name not in table]:
        raise InputError(f"{utt2spk}: {len(unknown)} recordings of {source} are not in it, the first: {unknown[0]}")
    return [table[name] for name in ids]
