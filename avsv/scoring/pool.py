"""The embeddings that a trial list names, each once."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.kaldi.embeddings import Embeddings, read_embeddings
from avsv.kaldi.trials import Trials


@dataclass(frozen=True)
class Pool:
    """Every recording of a trial list once, however many trials name it.

    embeddings : of both sides together
    pairs : (trials, 2) int32, rows in the embeddings; -1 where there is none
    """

    embeddings: Embeddings
    pairs: np.ndarray

    @property
    def complete(self) -> np.ndarray:
        """(trials,) bool: both embeddings are there."""
        return (self.pairs >= 0).all(axis=1)

    def absent(self, trials: Trials) -> list[str]:
        """The recordings of `trials` that have no embedding, sorted."""
        names = set()
        for side, ids in enumerate((trials.enroll_ids, trials.test_ids)):
            rows = np.unique(trials.pairs[self.pairs[:, side] < 0, side])
            names.update(ids[row] for row in rows)
        return sorted(names)


def read_pool(trials: Trials, enroll: Path, test: Path | None = None) -> Pool:
    """Read what `trials` needs: enrolment embeddings, and test embeddings from a file of their own or the same.

    Examples
    --------
    >>> import tempfile
    >>> from avsv.kaldi.embeddings import write_embeddings
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_embeddings(folder / "e.ark", folder / "e.scp", ["a", "b"], np.eye(2))
    >>> trials = Trials(["a", "c"], ["b"], np.array([[0, 0], [1, 0]]))
    >>> read_pool(trials, folder / "e.scp").pairs.tolist()
    [[0, 1], [-1, 1]]
    """
    if test is None or test == enroll:
        embeddings = read_embeddings(enroll, dict.fromkeys([*trials.enroll_ids, *trials.test_ids]))
        rows = dict(zip(embeddings.ids, range(len(embeddings)), strict=True))
        return Pool(embeddings, take_rows(trials, rows, rows))
    sides = [read_embeddings(enroll, trials.enroll_ids), read_embeddings(test, trials.test_ids)]
    sizes = [side.vectors.shape[1] for side in sides if len(side)]
    if len(set(sizes)) > 1:
        raise UserError(f"{enroll} has embeddings of {sizes[0]} values, {test} of {sizes[1]}")
    rows = [{name: row for row, name in enumerate(side.ids)} for side in sides]
    rows[1] = {name: row + len(sides[0]) for name, row in rows[1].items()}
    vectors = np.concatenate([side.vectors.reshape(-1, sizes[0] if sizes else 0) for side in sides])
    return Pool(Embeddings([*sides[0].ids, *sides[1].ids], vectors), take_rows(trials, *rows))


def take_rows(trials: Trials, enroll: dict[str, int], test: dict[str, int]) -> np.ndarray:
    """(trials, 2) int32 row of each trial's embeddings, -1 where there is none."""
    columns = []
    for side, (ids, rows) in enumerate(((trials.enroll_ids, enroll), (trials.test_ids, test))):
        of_id = np.array([rows.get(name, -1) for name in ids], np.int32)
        columns.append(of_id[trials.pairs[:, side]])
    return np.stack(columns, axis=1)
