"""Sums over trials in many resamples of the people at once: what a bootstrap spends its time on."""

import numpy as np

ROWS = 256  # trials weighed at a time
BUSY, DENSE = 32, 4096  # trials that make a person worth a row of a square table; rows it has at most


class Resamples:
    """Some resamples: weights (people, resamples) float32, and what each makes of the trials in all.

    A trial of one person weighs what that person does, a trial of two the product of both.
    """

    def __init__(self, weights: np.ndarray, people: np.ndarray, labels: np.ndarray):
        self.weights, self.people, self.labels = weights, people, labels
        self.n_target, self.n_nontarget = self.total(people[labels]), self.total(people[~labels])

    def __len__(self) -> int:
        return self.weights.shape[1]

    def weigh(self, people: np.ndarray) -> np.ndarray:
        """Weight of trials in every resample: (trials, resamples)."""
        product = self.weights[people[:, 0]]
        two = people[:, 0] != people[:, 1]
        if two.all():
            product *= self.weights[people[:, 1]]
        elif two.any():
            product[two] *= self.weights[people[two, 1]]
        return product

    def total(self, people: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """Summed weight of some trials in every resample, each times its value, (resamples,) float64."""
        n_people = len(self.weights)
        values = np.ones(len(people), np.float32) if values is None else values
        two = people[:, 0] != people[:, 1]
        of_one = np.bincount(people[~two, 0], values[~two], n_people).astype(np.float32) @ self.weights
        pairs, values = people[two], values[two]
        # people with many trials, summed pair by pair in a square table: a matrix product weighs them all
        n_trials = np.bincount(pairs.ravel(), minlength=n_people)
        busy = np.argsort(-n_trials, kind="stable")[: min(DENSE, int((n_trials >= BUSY).sum()))]
        place = np.full(n_people, -1)
        place[busy] = np.arange(len(busy))
        cells = place[pairs]
        in_table = (cells >= 0).all(axis=1)
        table = np.bincount(cells[in_table] @ [len(busy), 1], values[in_table], len(busy) ** 2)
        weights = self.weights[busy]
        of_busy = weights * (table.reshape(len(busy), len(busy)).astype(np.float32) @ weights)
        others = pairs[~in_table]
        of_others = self.sums(others, np.zeros(len(others), np.intp), 1, values[~in_table])[0]
        return of_one + of_busy.sum(axis=0, dtype=np.float64) + of_others

    def sums(self, people: np.ndarray, bins: np.ndarray, n_bins: int, values: np.ndarray | None = None) -> np.ndarray:
        """Summed weight of the trials in each bin, each times its value, (n_bins, resamples) float64."""
        totals = np.zeros((n_bins, len(self)))
        order = np.argsort(bins, kind="stable")
        for start in range(0, len(order), ROWS):
            rows = order[start : start + ROWS]
            begins = np.flatnonzero(np.concatenate([[True], bins[rows[1:]] != bins[rows[:-1]]]))
            weighed = self.weigh(people[rows])
            if values is not None:
                weighed *= values[rows, None].astype(np.float32)
            totals[bins[rows[begins]]] += np.add.reduceat(weighed, begins, axis=0)
        return totals
