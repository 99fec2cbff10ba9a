"""The embeddings that a trial list needs, each once, and enrolment models of several recordings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.decimals import number_or_nan
from avsv.kaldi.embeddings import Embeddings, read_embeddings
from avsv.kaldi.enrolment_maps import read_enrolment_map
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import Trials, utterance_id
from avsv.scoring.groups import group_means, quality_weights


@dataclass(frozen=True)
class Models:
    """Enrolment models of one or several recordings; models without any embedding are left out.

    ids : (m,) names
    rows : (k,) int, rows of the pool's embeddings, ordered by model
    counts : (m,) int, recordings of each model that have an embedding, >= 1
    lacking : sorted; recordings of models that have no embedding, and models without an entry in spk2utt
    n_short : number of models with recordings that have no embedding
    weights : (k,) float, of the rows in the mean of their model, with mean 1 in each; None for equal weights
    """

    ids: Sequence[str]
    rows: np.ndarray
    counts: np.ndarray
    lacking: Sequence[str]
    n_short: int
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def average(self, vectors: np.ndarray) -> np.ndarray:
        """Weighted mean of each model's rows of `vectors`, (m, d) float32."""
        return group_means(vectors, self.rows, self.counts, self.weights)

    def weighted(self, table: Path | str, ids: Sequence[str]) -> "Models":
        """The same models, their recordings weighted by `quality_weights`.

        Parameters
        ----------
        table : "recording value", the quality of each recording, higher for a better one
        ids : names of the rows of the pool's embeddings

        Raises
        ------
        InputError : a recording has no quality
        """
        quality = read_table(table, 2, "recording value")
        values = np.empty(len(self.rows))
        for number, row in enumerate(self.rows):
            text = quality.get(ids[row], quality.get(utterance_id(ids[row])))
            values[number] = np.nan if text is None else number_or_nan(text)
            if not np.isfinite(values[number]):
                found = "no line" if text is None else f'"{text}"'
                raise InputError(f"{table}: expected a number for the enrolment recording {ids[row]}, found {found}")
        of_models = np.split(values, np.cumsum(self.counts)[:-1]) if len(self) else []
        return replace(self, weights=np.concatenate([np.ones(0), *map(quality_weights, of_models)]))


@dataclass(frozen=True)
class TrialEmbeddings:
    """The embeddings of a trial list, each recording once however many trials name it.

    embeddings : of both sides
    pairs : (trials, 2) int32, rows of the embeddings, -1 if absent. Enrolment models are numbered after the embeddings:
        len(embeddings) is the first model
    models : enrolment models; None if enrolment names are recordings
    """

    embeddings: Embeddings
    pairs: np.ndarray
    models: Models | None = None

    @property
    def complete(self) -> np.ndarray:
        """(trials,) bool: both sides have an embedding."""
        return (self.pairs >= 0).all(axis=1)

    def absent(self, trials: Trials) -> list[str]:
        """Sorted names of the recordings of `trials`, or of their models, that have no embedding."""
        names = set() if self.models is None else set(self.models.lacking)
        for side, ids in enumerate((trials.enroll_ids, trials.test_ids)):
            if side == 0 and self.models is not None:
                continue
            rows = np.unique(trials.pairs[self.pairs[:, side] < 0, side])
            names.update(ids[row] for row in rows)
        return sorted(names)


def read_trial_embeddings(
    trials: Trials,
    enroll: Embeddings | Path | str,
    test: Embeddings | Path | str | None = None,
    spk2utt: Path | str | None = None,
    quality: Path | str | None = None,
) -> TrialEmbeddings:
    """Collect the embeddings that `trials` needs, from files or from memory.

    Parameters
    ----------
    enroll : embeddings of the enrolment side, or their scp file
    test : embeddings of the test side; None if `enroll` has both
    spk2utt : enrolment map with the recordings of each enrolment name, if these are models; names that are paths are
        matched by the utterance identifiers that trials.py derives from them
    quality : table "recording value" that weights the recordings of a model, such as utt2face_quality; None for equal
        weights

    Raises
    ------
    InputError : the two sides differ in size, `spk2utt` is wrong, or `quality` lacks a recording

    Examples
    --------
    >>> import tempfile
    >>> from avsv.kaldi.embeddings import write_embeddings
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_embeddings(folder / "e.ark", folder / "e.scp", ["a", "b"], np.eye(2))
    >>> trials = Trials(["a", "c"], ["b"], np.array([[0, 0], [1, 0]]))
    >>> read_trial_embeddings(trials, folder / "e.scp").pairs.tolist()
    [[0, 1], [-1, 1]]
    """
    recordings = None if spk2utt is None else read_enrolment_map(spk2utt, trials.enroll_ids)
    names = trials.enroll_ids if recordings is None else list(dict.fromkeys(chain.from_iterable(recordings.values())))
    embeddings, enroll_rows, test_rows = read_both(names, trials.test_ids, enroll, test)
    models = None
    if recordings is not None:
        models = find_models(recordings, enroll_rows)
        if quality is not None:
            models = models.weighted(quality, embeddings.ids)
        enroll_rows = dict(zip(models.ids, range(len(embeddings), len(embeddings) + len(models)), strict=True))
    return TrialEmbeddings(embeddings, take_rows(trials, enroll_rows, test_rows), models)


def read_both(
    enroll_ids: Sequence[str],
    test_ids: Sequence[str],
    enroll: Embeddings | Path | str,
    test: Embeddings | Path | str | None,
) -> tuple[Embeddings, dict[str, int], dict[str, int]]:
    """Embeddings of both sides in one, and name -> row for each side."""
    if test is None or test is enroll or (not isinstance(test, Embeddings) and test == enroll):
        embeddings = choose_embeddings(enroll, dict.fromkeys([*enroll_ids, *test_ids]))
        rows = dict(zip(embeddings.ids, range(len(embeddings)), strict=True))
        return embeddings, rows, rows
    sides = [choose_embeddings(enroll, enroll_ids), choose_embeddings(test, test_ids)]
    sizes = [side.vectors.shape[1] for side in sides if len(side)]
    if len(set(sizes)) > 1:
        names = [f"the {side} side" if isinstance(source, Embeddings) else source
                 for side, source in (("enrolment", enroll), ("test", test))]  # fmt: skip
        raise InputError(f"{names[0]} has embeddings of {sizes[0]} values, {names[1]} of {sizes[1]}")
    rows = [{name: row for row, name in enumerate(side.ids)} for side in sides]
    rows[1] = {name: row + len(sides[0]) for name, row in rows[1].items()}
    vectors = np.concatenate([side.vectors.reshape(-1, sizes[0] if sizes else 0) for side in sides])
    return Embeddings([*sides[0].ids, *sides[1].ids], vectors), *rows


def choose_embeddings(source: Embeddings | Path | str, names: Iterable[str]) -> Embeddings:
    """The embeddings of `names`, in this order; unknown names are left out, as in `read_embeddings`."""
    if not isinstance(source, Embeddings):
        return read_embeddings(source, names)
    row_of = {name: row for row, name in enumerate(source.ids)}
    rows = {name: row_of.get(name, row_of.get(utterance_id(name))) for name in names}
    present = {name: row for name, row in rows.items() if row is not None}
    return Embeddings([*present], np.asarray(source.vectors, np.float32)[np.array([*present.values()], np.int64)])


def find_models(recordings: dict[str, list[str]], row_of: dict[str, int]) -> Models:
    """Models as rows of embeddings, each made from its recordings that have an embedding."""
    ids, rows, counts, lacking, n_short = [], [], [], set(), 0
    for name, members in recordings.items():
        present = [row_of[member] for member in members if member in row_of]
        lacking.update(member for member in members if member not in row_of)
        if present:
            ids.append(name)
            rows += present
            counts.append(len(present))
            n_short += len(present) < len(members)
        elif not members:
            lacking.add(name)
    return Models(ids, np.array(rows, np.int64), np.array(counts, np.int64), sorted(lacking), n_short)


def take_rows(trials: Trials, enroll: dict[str, int], test: dict[str, int]) -> np.ndarray:
    """Rows of each trial's two embeddings, (trials, 2) int32, -1 if absent."""
    pairs = np.empty((len(trials), 2), np.int32)
    for side, (ids, rows) in enumerate(((trials.enroll_ids, enroll), (trials.test_ids, test))):
        of_id = np.array([rows.get(name, -1) for name in ids], np.int32)
        np.take(of_id, trials.pairs[:, side], out=pairs[:, side], mode="clip")
    return pairs
