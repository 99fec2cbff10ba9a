"""Quality measures that lie beside embeddings, as numbers in the order of the clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.tables import read_table

LOG = "log:"


def quality_file(scp: Path | str, name: str) -> Path:
    """Where the table `name`, or `log:name`, of embeddings lies.

    Examples
    --------
    >>> print(quality_file("exp/voice/test/embedding.scp", "log:utt2magnitude"))
    exp/voice/test/utt2magnitude
    """
    return Path(scp).parent / name.removeprefix(LOG)


def read_quality(scp: Path | str, names: Sequence[str], utts: Sequence[str]) -> np.ndarray:
    """Values of the tables `names` in the folder of `scp`; NaN where a clip has none.

    Parameters
    ----------
    scp : of the embeddings
    names : such as "utt2snr", or "log:utt2magnitude" for the natural logarithm
    utts : n utterances

    Returns
    -------
    (n, len(names)) float32

    Raises
    ------
    InputError : a table is absent, holds something else than numbers, or what has no logarithm
    """
    values = np.full((len(utts), len(names)), np.nan, np.float32)
    for column, name in enumerate(names):
        path = quality_file(scp, name)
        if not path.exists():
            raise InputError(f"{path}: there is no such table; embed-voice and embed-face write theirs beside the "
                            "embeddings: make these again, or leave it out of the quality tables")  # fmt: skip
        table = read_table(path, 2, "utterance value")
        try:
            values[:, column] = [float(table.get(utt, "nan")) for utt in utts]
        except ValueError as error:
            raise InputError(f'{path}: expected "utterance value": {error}') from None
        if name.startswith(LOG):
            if (values[:, column] <= 0).any():
                utt = utts[int(np.flatnonzero(values[:, column] <= 0)[0])]
                raise InputError(f"{path}: {utt} has the value {table[utt]}, which has no logarithm")
            values[:, column] = np.log(values[:, column])
    return values


def quality_values(measures: Mapping[str, float], names: Sequence[str]) -> np.ndarray:
    """Values of the tables `names` from one clip's measures, (len(names),) float32; NaN where it has none.

    Examples
    --------
    >>> quality_values({"utt2snr": 12.0, "utt2dur": 1.0}, ["utt2snr", "log:utt2dur", "utt2speech"])
    array([12.,  0., nan], dtype=float32)
    """
    values = np.array([measures.get(name.removeprefix(LOG), np.nan) for name in names], np.float32)
    logarithms = np.array([name.startswith(LOG) for name in names], bool)
    values[logarithms] = np.log(values[logarithms])
    return values
