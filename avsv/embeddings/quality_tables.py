"""Reading the tables of quality measures that are stored beside embeddings."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.tables import read_table

LOG = "log:"


def quality_file(scp: Path | str, name: str) -> Path:
    """Path of the quality table `name`, or `log:name`, that belongs to the embeddings of an scp.

    Examples
    --------
    >>> print(quality_file("exp/voice/test/embedding.scp", "log:utt2magnitude"))
    exp/voice/test/utt2magnitude
    """
    return Path(scp).parent / name.removeprefix(LOG)


def read_quality(scp: Path | str, names: Sequence[str], utts: Sequence[str]) -> np.ndarray:
    """Read quality tables for some utterances.

    Parameters
    ----------
    scp : scp of the embeddings; the tables are in its folder
    names : such as "utt2snr", or "log:utt2magnitude" for the natural logarithm
    utts : n utterances

    Returns
    -------
    (n, len(names)) float32, NaN for utterances without a value

    Raises
    ------
    InputError : a table is absent or has values that are not numbers, or not positive although logarithms are requested
    """
    values = np.full((len(utts), len(names)), np.nan, np.float32)
    for column, name in enumerate(names):
        path = quality_file(scp, name)
        if not path.exists():
            raise InputError(f"{path}: is absent; embed-voice and embed-face write quality tables beside the "
                            "embeddings. Embed again, or remove it from the quality tables")  # fmt: skip
        table = read_table(path, 2, "utterance value")
        try:
            values[:, column] = [float(table.get(utt, "nan")) for utt in utts]
        except ValueError as error:
            raise InputError(f'{path}: expected "utterance value": {error}') from None
        if name.startswith(LOG):
            if (values[:, column] <= 0).any():
                utt = utts[int(np.flatnonzero(values[:, column] <= 0)[0])]
                raise InputError(f"{path}: expected values above 0 for the logarithm, found {utt} {table[utt]}")
            values[:, column] = np.log(values[:, column])
    return values


def quality_values(measures: Mapping[str, float], names: Sequence[str]) -> np.ndarray:
    """Values of the tables `names` from one clip's measures, (len(names),) float32; NaN if absent.

    Examples
    --------
    >>> quality_values({"utt2snr": 12.0, "utt2dur": 1.0}, ["utt2snr", "log:utt2dur", "utt2speech"])
    array([12.,  0., nan], dtype=float32)
    """
    values = np.array([measures.get(name.removeprefix(LOG), np.nan) for name in names], np.float32)
    logarithms = np.array([name.startswith(LOG) for name in names], bool)
    values[logarithms] = np.log(values[logarithms])
    return values
