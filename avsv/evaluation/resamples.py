"""Weighted sums over trials in many resamples at once, the bulk of a bootstrap's work."""

import numpy as np

ROWS = 256  # trials weighted at a time
BUSY, DENSE = 32, 4096  # trials from which a speaker gets a row in the square table; largest number of rows


class Resamples:
    """Weights of the trials in several resamples of the speakers.

    A trial of one speaker has that speaker's weight; a trial of two speakers has the product of both weights.

    Parameters
    ----------
    weights : (speakers, resamples) float32, how often each speaker is drawn
    speakers : (trials, 2) int, speaker on each side
    labels : (trials,) bool, True for a target trial
    """

    def __init__(self, weights: np.ndarray, speakers: np.ndarray, labels: np.ndarray):
        self.weights, self.speakers, self.labels = weights, speakers, labels
        self.n_target, self.n_nontarget = self.total(speakers[labels]), self.total(speakers[~labels])

    def __len__(self) -> int:
        return self.weights.shape[1]

    def weigh(self, speakers: np.ndarray) -> np.ndarray:
        """Weights of trials in each resample, (trials, resamples)."""
        product = self.weights[speakers[:, 0]]
        two = speakers[:, 0] != speakers[:, 1]
        if two.all():
            product *= self.weights[speakers[:, 1]]
        elif two.any():
            product[two] *= self.weights[speakers[two, 1]]
        return product

    def total(self, speakers: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """Sum of weight times value (1 if None) over trials in each resample, (resamples,) float64.

        Parameters
        ----------
        speakers : (k, 2) int, speakers of the trials summed over
        values : (k,) float
        """
        n_speakers = len(self.weights)
        values = np.ones(len(speakers), np.float32) if values is None else values
        two = speakers[:, 0] != speakers[:, 1]
        of_one = np.bincount(speakers[~two, 0], values[~two], n_speakers).astype(np.float32) @ self.weights
        pairs, values = speakers[two], values[two]
        # trials between busy speakers are summed in a square table, which one matrix product weights
        n_trials = np.bincount(pairs.ravel(), minlength=n_speakers)
        busy = np.argsort(-n_trials, kind="stable")[: min(DENSE, int((n_trials >= BUSY).sum()))]
        place = np.full(n_speakers, -1)
        place[busy] = np.arange(len(busy))
        cells = place[pairs]
        in_table = (cells >= 0).all(axis=1)
        table = np.bincount(cells[in_table] @ [len(busy), 1], values[in_table], len(busy) ** 2)
        weights = self.weights[busy]
        of_busy = weights * (table.reshape(len(busy), len(busy)).astype(np.float32) @ weights)
        others = pairs[~in_table]
        of_others = self.sums(others, np.zeros(len(others), np.intp), 1, values[~in_table])[0]
        return of_one + of_busy.sum(axis=0, dtype=np.float64) + of_others

    def sums(self, speakers: np.ndarray, bins: np.ndarray, n_bins: int, values: np.ndarray | None = None) -> np.ndarray:
        """Sum of weight times value over the trials in each bin, (n_bins, resamples) float64; see `total`."""
        totals = np.zeros((n_bins, len(self)))
        order = np.argsort(bins, kind="stable")
        for start in range(0, len(order), ROWS):
            rows = order[start : start + ROWS]
            begins = np.flatnonzero(np.concatenate([[True], bins[rows[1:]] != bins[rows[:-1]]]))
            weighed = self.weigh(speakers[rows])
            if values is not None:
                weighed *= values[rows, None].astype(np.float32)
            totals[bins[rows[begins]]] += np.add.reduceat(weighed, begins, axis=0)
        return totals
