"""Checks on embeddings written by other programs, whatever their file format."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.kaldi.embeddings import Embeddings
from avsv.kaldi.trials import MEDIA, utterance_id


@dataclass(frozen=True)
class RawEmbeddings:
    """Embeddings as read from a file, before any check.

    names : (n,) as written
    vectors : n vectors, or an (n, d) array
    note : description of the file's format, and of what was ignored in it
    unit, first : the unit that contains one embedding and the number of the first, for messages such as "line 3"
    """

    names: Sequence[str]
    vectors: Sequence[np.ndarray] | np.ndarray
    note: str
    unit: str = "row"
    first: int = 1

    def place(self, number: int) -> str:
        return f'{self.unit} {number + self.first} ("{self.names[number][:100]}")'


def check_embeddings(path: Path | str, raw: RawEmbeddings) -> Embeddings:
    """Check that embeddings have unique names without white space, one size and finite values.

    Raises
    ------
    InputError : a check fails, or the file has no embeddings; the message names the first offender
    """
    names, vectors = raw.names, raw.vectors
    if not len(names):
        raise InputError(f"{path}: has no embeddings")
    for number, name in enumerate(names):
        if name.split() != [name]:
            raise InputError(
                f"{path}, {raw.place(number)}: the name is empty or has white space, which an scp does not allow"
            )
    if len(set(names)) < len(names):
        first: dict[str, int] = {}
        again = next(number for number, name in enumerate(names) if first.setdefault(name, number) != number)
        raise InputError(f"{path}, {raw.place(again)}: the name is already used by {raw.place(first[names[again]])}")
    size = len(vectors[0])
    if not size:
        raise InputError(f"{path}, {raw.place(0)}: has no values")
    if not isinstance(vectors, np.ndarray):
        for number, vector in enumerate(vectors):
            if len(vector) != size:
                raise InputError(f"{path}, {raw.place(number)}: has {len(vector)} values, {raw.place(0)} has {size}")
    with np.errstate(over="ignore"):  # doubles too large for float32 are reported below
        rows = np.asarray(vectors, np.float32)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise InputError(
            f"{path}, {raw.place(int(np.argmin(finite)))}: the embedding has NaN or values too large for float32 "
            f"({np.count_nonzero(~finite)} such embeddings in all)"
        )
    return Embeddings(list(names), rows)


def name_utterances(path: Path | str, embeddings: Embeddings, paths: str = "media") -> tuple[Embeddings, int]:
    """Replace names that are paths by utterance ids.

    `id10270/5r0dWxy17C8/00001.wav` becomes `id10270-5r0dWxy17C8-00001`, as `read_trials` does with VoxCeleb's lists.

    Parameters
    ----------
    path : of the file, for messages
    paths : which names are paths: "media" (those that end like audio or video files), "all", or "none"

    Returns
    -------
    renamed embeddings ; number of names that changed

    Raises
    ------
    OptionError : `paths` is unknown
    InputError : two names give the same id, or a path is absolute and does not show where the id begins

    Examples
    --------
    >>> named, n = name_utterances("x", Embeddings(["id1/v/00001.wav", "nsc1/A_1"], np.zeros((2, 1))))
    >>> named.ids, n
    (['id1-v-00001', 'nsc1/A_1'], 1)
    """
    refuse_unknown("paths", paths, ("media", "all", "none"))
    ids, first = [], {}
    for name in embeddings.ids:
        is_path = paths == "all" or (paths == "media" and name.lower().endswith(MEDIA))
        if is_path and name.startswith("/"):
            raise InputError(
                f'{path}: "{name}" is an absolute path. Remove the leading folders from the names (for VoxCeleb keep '
                "person/video/clip.wav), or keep the names unchanged: `paths` none"
            )
        utt = utterance_id(name) if is_path else name
        if first.setdefault(utt, name) != name:
            raise InputError(f'{path}: "{first[utt]}" and "{name}" both give the utterance {utt}; see `paths`')
        ids.append(utt)
    return Embeddings(ids, embeddings.vectors), sum(a != b for a, b in zip(embeddings.ids, ids, strict=True))
