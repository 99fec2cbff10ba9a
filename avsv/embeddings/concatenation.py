"""One embedding of several encoders of one modality: each at length 1, one after the other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avsv.embeddings.quality_tables import quality_file
from avsv.errors import InputError
from avsv.features.quality_measures import TABLES
from avsv.jobs.fingerprints import digest
from avsv.kaldi.embeddings import Embeddings
from avsv.kaldi.tables import read_table
from avsv.scoring.cosine import unit_length

MAGNITUDE = "utt2magnitude"


def concatenate(parts: Sequence[Embeddings]) -> Embeddings:
    """Put the embeddings of several encoders side by side.

    Each is scaled to length 1 / sqrt(n) first, so that the cosine of two results is the mean of the n cosines; a
    back-end trained on the results can weigh them better. Recordings that lack one of the embeddings are left out.

    Parameters
    ----------
    parts : n embeddings, (r, d_k) each

    Returns
    -------
    Embeddings (s, sum of d_k) float32, in the order of the first part

    Raises
    ------
    InputError : an embedding is zero

    Examples
    --------
    >>> both = [Embeddings(["a"], np.array([[3.0, 4.0]])), Embeddings(["b", "a"], np.array([[1.0], [2.0]]))]
    >>> concatenate(both).vectors.round(3)
    array([[0.424, 0.566, 0.707]], dtype=float32)
    """
    rows = [dict(zip(part.ids, range(len(part)), strict=True)) for part in parts]
    ids = [name for name in parts[0].ids if all(name in row for row in rows)]
    taken = [part.vectors[[row[name] for name in ids]] for part, row in zip(parts, rows, strict=True)]
    vectors = np.concatenate([unit_length(vectors, ids) for vectors in taken], axis=1) / np.float32(len(parts) ** 0.5)
    return Embeddings(ids, vectors)


def concatenated_model(models: Sequence[str | None]) -> str | None:
    """The name of the result, by the names of the encoders; None if one is unknown.

    Raises
    ------
    InputError : encoders of voice and face

    Examples
    --------
    >>> concatenated_model(["voice:1", "voice:2"]) == concatenated_model(["voice:2", "voice:1"])
    False
    """
    modalities = {model.split(":")[0] for model in models if model is not None}
    if len(modalities) > 1:
        found = " and ".join(sorted(modalities))
        raise InputError(f"expected embeddings of one modality, found {found}: fuse voice and face with avsv fuse or "
                        "avsv embed-pair, which know what to do when one is missing")  # fmt: skip
    return None if None in models else f"{modalities.pop()}:{digest(list(models))}"


def concatenated_quality(scps: Sequence[Path], ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Quality tables of the result: those of the first encoder, but of the magnitudes the geometric mean of all.

    Duration, noise and sharpness are of the recording, so all encoders have the same.

    Returns
    -------
    table -> recording -> value; of recordings that have one in every table that it comes from
    """
    tables = {}
    for name in TABLES:
        files = [quality_file(scp, name) for scp in (scps if name == MAGNITUDE else scps[:1])]
        if all(file.is_file() for file in files):
            read = [read_table(file, 2, "recording value") for file in files]
            both = [recording for recording in ids if all(recording in table for table in read)]
            tables[name] = {recording: read[0][recording] for recording in both}
            if name == MAGNITUDE:
                values = np.array([[float(table[recording]) for table in read] for recording in both]).reshape(
                    -1, len(read)
                )
                means = np.exp(np.log(values).mean(axis=1))
                tables[name] = {recording: f"{mean:.6g}" for recording, mean in zip(both, means, strict=True)}
    return tables
