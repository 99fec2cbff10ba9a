"""Embeddings that other programs wrote: what must hold of them, whatever the form of their file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.kaldi.embeddings import Embeddings
from avsv.kaldi.trials import MEDIA, utterance_id


@dataclass(frozen=True)
class RawEmbeddings:
    """Embeddings as they stand in a file, not checked yet.

    names : (n,) as written
    vectors : n vectors, or a (n, d) array
    note : the form in words, and what was not read
    unit, first : what each is in the file and the number of the first, for messages: "line 3"
    """

    names: Sequence[str]
    vectors: Sequence[np.ndarray] | np.ndarray
    note: str
    unit: str = "row"
    first: int = 1

    def place(self, number: int) -> str:
        return f'{self.unit} {number + self.first} ("{self.names[number][:100]}")'


def checked(path: Path | str, foreign: RawEmbeddings) -> Embeddings:
    """Embeddings of one size with a name each, all finite.

    Raises
    ------
    InputError : there are none; or names the first one that has no name, a name with white space, the name of another,
        another size than the first, or a value that is not finite
    """
    names, vectors = foreign.names, foreign.vectors
    if not len(names):
        raise InputError(f"{path}: there are no embeddings in it")
    for number, name in enumerate(names):
        if name.split() != [name]:
            raise InputError(
                f"{path}, {foreign.place(number)}: the name is empty or has white space, no scp can hold it"
            )
    if len(set(names)) < len(names):
        first: dict[str, int] = {}
        again = next(number for number, name in enumerate(names) if first.setdefault(name, number) != number)
        raise InputError(
            f"{path}, {foreign.place(again)}: the name was there before: {foreign.place(first[names[again]])}"
        )
    size = len(vectors[0])
    if not size:
        raise InputError(f"{path}, {foreign.place(0)}: there are no values")
    if not isinstance(vectors, np.ndarray):
        for number, vector in enumerate(vectors):
            if len(vector) != size:
                raise InputError(
                    f"{path}, {foreign.place(number)}: has {len(vector)} values, not {size} as {foreign.place(0)}"
                )
    with np.errstate(over="ignore"):  # a double too large for a float is told below
        rows = np.asarray(vectors, np.float32)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise InputError(
            f"{path}, {foreign.place(int(np.argmin(finite)))}: the embedding holds NaN or values that no float32 can "
            f"hold ({np.count_nonzero(~finite)} such embeddings in all)"
        )
    return Embeddings(list(names), rows)


def name_utterances(path: Path | str, embeddings: Embeddings, paths: str = "media") -> tuple[Embeddings, int]:
    """Embeddings with utterance identifiers in place of names that are paths, and how many those are.

    `id10270/5r0dWxy17C8/00001.wav` becomes `id10270-5r0dWxy17C8-00001`, as `read_trials` does with VoxCeleb's lists.

    Parameters
    ----------
    paths : which names are paths: "media", those that end as sound or video files do; "all", or "none"

    Raises
    ------
    InputError : `paths` is unknown, two names make one identifier, or a path is absolute: where the
        utterance begins cannot be known

    Examples
    --------
    >>> found, n = name_utterances("x", Embeddings(["id1/v/00001.wav", "nsc1/A_1"], np.zeros((2, 1))))
    >>> found.ids, n
    (['id1-v-00001', 'nsc1/A_1'], 1)
    """
    refuse_unknown("paths", paths, ("media", "all", "none"))
    ids, first = [], {}
    for name in embeddings.ids:
        is_path = paths == "all" or (paths == "media" and name.lower().endswith(MEDIA))
        if is_path and name.startswith("/"):
            raise InputError(
                f'{path}: "{name}" is an absolute path. Leave the folders before the utterance out of the names (for '
                "VoxCeleb keep person/video/clip.wav), or keep the names as they are: --paths none"
            )
        utt = utterance_id(name) if is_path else name
        if first.setdefault(utt, name) != name:
            raise InputError(f'{path}: "{first[utt]}" and "{name}" are both utterance {utt}; see --paths')
        ids.append(utt)
    return Embeddings(ids, embeddings.vectors), sum(a != b for a, b in zip(embeddings.ids, ids, strict=True))
