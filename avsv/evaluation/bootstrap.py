"""Confidence intervals by a bootstrap over people.

Trials share recordings and people, so resampling trials one by one gives intervals that are far too narrow. Here the
people are drawn with replacement, as many as there are, and a trial counts as often as its people were drawn: person a
drawn w_a times, a nontarget trial of a and b counts w_a * w_b, because each copy of a meets each copy of b, and a
target trial of a counts w_a, because a copy of a brings its own trials (and two copies of a person are not compared
with each other). See Bolle, Ratha and Pankanti, "Error analysis of pattern recognition systems: the subsets bootstrap",
CVIU 93, 2004; Poh, Martin and Bengio, "Performance generalization in biometric authentication using joint user-specific
and sample bootstraps", IEEE TPAMI 29(3), 2007; Wu, Martin, Greenberg and Kacker, "The impact of data dependence on
speaker recognition evaluation", IEEE/ACM TASLP 25(1), 2017; and Owen, "The pigeonhole bootstrap", Annals of Applied
Statistics 1, 2007, who shows that such product weights are mildly conservative.
"""

import numpy as np

from avsv.evaluation.errors import ErrorCounts, crossing

EDGES = 2048  # thresholds tried in one window; with fewer distinct scores there, the result is exact
ROWS = 256  # trials weighed at a time
BUSY, DENSE = 32, 4096  # trials that make a person worth a row of a square table; rows it has at most
CELLS = 1 << 24  # weights (people x resamples) held at a time


class SpeakerBootstrap:
    """Weights of people in every resample, drawn once for all systems that score the same trials.

    Parameters
    ----------
    people : (trials, 2) int, person on each side (see `people_of`)
    labels : (trials,) bool
    n_resamples, seed : the same seed gives the same resamples
    """

    def __init__(self, people: np.ndarray, labels: np.ndarray, n_resamples: int = 1000, seed: int = 0):
        self.people, self.labels = people, np.asarray(labels)
        self.n_people = int(people.max(initial=-1)) + 1
        self.n_resamples, self.seed = n_resamples, seed
        self.parts: list[Resamples] | None = None

    def take(self, which: np.ndarray) -> "SpeakerBootstrap":
        """The same people and resamples for some of the trials, by mask."""
        other = SpeakerBootstrap(self.people[which], self.labels[which], self.n_resamples, self.seed)
        other.n_people = self.n_people
        return other

    def eers(self, scores: np.ndarray, counts: ErrorCounts) -> np.ndarray:
        """EER of each resample, (n_resamples,) float; NaN where one drew no target or no nontarget trial.

        scores : (trials,) float
        counts : those of the scores
        """
        if self.parts is None:
            self.parts = list(self.draw())
        return np.concatenate([resampled_eers(part, scores, counts) for part in self.parts])

    def draw(self):
        """The resamples, in parts that fit in memory."""
        rng = np.random.default_rng(self.seed)
        size = max(1, min(self.n_resamples, CELLS // max(1, self.n_people)))
        for start in range(0, self.n_resamples, size):
            n = min(size, self.n_resamples - start)
            drawn = rng.integers(0, self.n_people, (n, self.n_people))
            cells = (drawn + self.n_people * np.arange(n)[:, None]).ravel()
            weights = np.bincount(cells, minlength=n * self.n_people).reshape(n, self.n_people)
            yield Resamples(np.ascontiguousarray(weights.T, np.float32), self.people, self.labels)

    def eer_interval(self, scores: np.ndarray, counts: ErrorCounts, level: float = 0.95) -> tuple[float, float] | None:
        """Percentile interval of the EER, 0 to 1; None where fewer than half of the resamples have both classes."""
        if not (counts.n_target and counts.n_nontarget) or self.n_people < 2:
            return None
        values = self.eers(scores, counts)
        values = values[~np.isnan(values)]
        if 2 * len(values) < self.n_resamples:
            return None
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


class Resamples:
    """Some resamples: weights (people, resamples) float32, and what each makes of the trials in all."""

    def __init__(self, weights: np.ndarray, people: np.ndarray, labels: np.ndarray):
        self.weights, self.people, self.labels = weights, people, labels
        self.n_target, self.n_nontarget = self.total(people[labels]), self.total(people[~labels])

    def weigh(self, people: np.ndarray) -> np.ndarray:
        """Weight of trials in every resample: (trials, resamples)."""
        product = self.weights[people[:, 0]]
        two = people[:, 0] != people[:, 1]
        if two.all():
            product *= self.weights[people[:, 1]]
        elif two.any():
            product[two] *= self.weights[people[two, 1]]
        return product

    def total(self, people: np.ndarray) -> np.ndarray:
        """Summed weight of some trials in every resample, (resamples,) float64."""
        n_people = len(self.weights)
        two = people[:, 0] != people[:, 1]
        of_one = np.bincount(people[~two, 0], minlength=n_people).astype(np.float32) @ self.weights
        pairs = people[two]
        # people with many trials, counted pair by pair in a square table: a matrix product weighs them all
        n_trials = np.bincount(pairs.ravel(), minlength=n_people)
        busy = np.argsort(-n_trials, kind="stable")[: min(DENSE, int((n_trials >= BUSY).sum()))]
        place = np.full(n_people, -1)
        place[busy] = np.arange(len(busy))
        cells = place[pairs]
        in_table = (cells >= 0).all(axis=1)
        table = np.bincount(cells[in_table] @ [len(busy), 1], minlength=len(busy) ** 2)
        weights = self.weights[busy]
        of_busy = weights * (table.reshape(len(busy), len(busy)).astype(np.float32) @ weights)
        others = pairs[~in_table]
        of_others = self.sums(others, np.zeros(len(others), np.intp), 1)[0]
        return of_one + of_busy.sum(axis=0, dtype=np.float64) + of_others

    def sums(self, people: np.ndarray, bins: np.ndarray, n_bins: int) -> np.ndarray:
        """Summed weight of the trials in each bin, (n_bins, resamples) float64."""
        totals = np.zeros((n_bins, self.weights.shape[1]))
        order = np.argsort(bins, kind="stable")
        for start in range(0, len(order), ROWS):
            rows = order[start : start + ROWS]
            begins = np.flatnonzero(np.concatenate([[True], bins[rows[1:]] != bins[rows[:-1]]]))
            totals[bins[rows[begins]]] += np.add.reduceat(self.weigh(people[rows]), begins, axis=0)
        return totals


def resampled_eers(resamples: Resamples, scores: np.ndarray, counts: ErrorCounts) -> np.ndarray:
    """EER of each resample, (resamples,).

    Only trials near the crossing matter: below a window of thresholds a resample's FPR is surely above its FNR, above
    it the reverse. The window is widened until that is so in every resample.
    """
    spread = 1.5 + 10 / np.sqrt(len(resamples.weights))
    while True:
        points = choose_points(counts, spread)
        fnr, fpr = resampled_rates(resamples, scores, counts, points)
        gap = fnr - fpr
        too_high = points[0] > 0 and (gap[0] >= 0).any()
        too_low = points[-1] < len(counts.thresholds) - 1 and (gap[-1] < 0).any()
        if not (too_high or too_low):
            return crossings(fnr, fpr)
        spread *= 3


def choose_points(counts: ErrorCounts, spread: float) -> np.ndarray:
    """At most about EDGES points of `counts`, ascending, where neither error is over `spread` times the EER.

    They lie so that about as many errors are between any two; all points are taken where they are few.
    """
    limit = spread * max(crossing(counts.fnr, counts.fpr), 1 / min(counts.n_target, counts.n_nontarget))
    last = len(counts.thresholds) - 1
    first_point = max(0, int(np.searchsorted(-counts.fpr, -limit, side="right")) - 1)
    last_point = min(last, int(np.searchsorted(counts.fnr, limit)))
    points = np.arange(first_point, last_point + 1)
    if len(points) > EDGES:
        passed = counts.fnr[points] - counts.fpr[points]  # grows with every trial that is passed
        steps = np.linspace(passed[0], passed[-1], EDGES)
        points = np.unique(np.append(points[np.minimum(np.searchsorted(passed, steps), len(points) - 1)], last_point))
    return points


def resampled_rates(resamples, scores, counts, points) -> tuple[np.ndarray, np.ndarray]:
    """FNR and FPR of each resample at some points, two arrays (points, resamples)."""
    lowest, highest = counts.thresholds[points[[0, -1]]]

    def sums(wanted: np.ndarray) -> np.ndarray:
        """Weights of some trials, by how many of the points accept them: row 0 none, the last row all."""
        trials = np.flatnonzero(wanted)
        last_accepting = np.searchsorted(counts.thresholds[:-1], scores[trials])
        bins = np.searchsorted(points, last_accepting, side="right")
        return resamples.sums(resamples.people[trials], bins, len(points) + 1)

    misses = np.cumsum(sums(resamples.labels & (scores <= highest)), axis=0)[:-1]
    false_alarms = np.cumsum(sums(~resamples.labels & (scores >= lowest))[::-1], axis=0)[::-1][1:]
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample without targets or without nontargets
        return misses / resamples.n_target, false_alarms / resamples.n_nontarget


def crossings(fnr: np.ndarray, fpr: np.ndarray) -> np.ndarray:
    """`crossing` of every column of (points, resamples)."""
    gap = fnr - fpr
    after = np.clip((gap < 0).sum(axis=0), 1, len(gap) - 1)
    before, column = after - 1, np.arange(gap.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        step = -gap[before, column] / (gap[after, column] - gap[before, column])
    return fnr[before, column] + step * (fnr[after, column] - fnr[before, column])
