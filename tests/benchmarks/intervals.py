"""How often 95 % intervals hold the truth, by simulation: error rates, costs, differences, matching; permutation tests.

Run by hand, from the repository; half an hour on one core, a few minutes with --replicates 50. NAME is verification,
costs, matching or permutation.

    python -m tests.benchmarks.intervals [--replicates N] [--people N ...] [--only NAME]

People are random effects on both sides of a trial. A target score has an effect of the person (goats), effects of both
recordings, and noise. A nontarget score has effects of both people (lambs and wolves, correlated with the target
effect), of the pair, of both recordings, and noise. Each class has variance 1 and the means differ by d, so the EER of
the population is Phi(-d / 2) if all effects are normal. In the "heavy" world, effects of people have Student's t
distribution with 4 degrees of freedom: a few people make most errors. The EER of either world is computed from four
million draws of each class.
"""

import argparse
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import norm

from avsv.evaluation.bootstrap import SpeakerBootstrap
from avsv.evaluation.cllr import cllr
from avsv.evaluation.clusters import Clusters
from avsv.evaluation.dcf import act_dcf
from avsv.evaluation.errors import eer
from avsv.evaluation.estimates import (
    Measured,
    cllr_difference,
    cllr_limits,
    cost_difference,
    cost_limits,
    eer_difference,
    eer_limits,
)
from avsv.evaluation.matching import QueryClusters, accuracy_limits, matching_credit
from avsv.systems.association.permutation import ExchangedPeople, permutation_p, precision_table

RATES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
PEOPLE = (20, 50, 100, 300, 1000)
PERSON, RECORDING, EACH, PAIR = 0.35, 0.25, 0.1, 0.3  # variances: goats, recordings, lambs on each side, pairs
SHARED = 0.8  # correlation of the scores of two systems
RECORDINGS, PARTNERS, TRIALS = 5, 20, 4  # of a person; other people, at most; trials of a pair of people


@dataclass(frozen=True)
class TrialList:
    """All target trials of each person, and trials of random pairs of people: speakers (n, 2), recordings (n, 2)."""

    speakers: np.ndarray
    recordings: np.ndarray
    labels: np.ndarray
    pairs: np.ndarray

    @classmethod
    def draw(cls, n: int, rng: np.random.Generator) -> "TrialList":
        one, other = np.triu_indices(RECORDINGS, 1)
        targets = np.repeat(np.arange(n), len(one))
        a, b = np.triu_indices(n, 1)
        chosen = np.sort(rng.permutation(len(a))[: n * PARTNERS // 2])
        pairs = np.repeat(np.arange(len(chosen)), TRIALS)
        speakers = np.concatenate([np.stack([targets, targets], 1), np.stack([a[chosen], b[chosen]], 1)[pairs]])
        own = np.stack([np.tile(one, n), np.tile(other, n)], 1)
        recordings = np.concatenate([own, rng.integers(0, RECORDINGS, (len(pairs), 2))])
        labels = np.arange(len(speakers)) < len(targets)
        return cls(speakers, recordings, labels, pairs)

    def scores(self, rng: np.random.Generator, heavy: bool) -> np.ndarray:
        """Scores of a system without separation: mean 0 and variance 1 in both classes."""
        n = int(self.speakers.max()) + 1
        goat, lamb = effects(rng, (2, n), heavy)
        lamb = lamb if heavy else -0.4 * goat + np.sqrt(1 - 0.16) * lamb
        recording = rng.standard_normal((n, RECORDINGS))[self.speakers, self.recordings].sum(axis=1)
        scores = np.sqrt(RECORDING / 2) * recording
        noise, is_target = rng.standard_normal(len(scores)), self.labels
        scores[is_target] += np.sqrt(PERSON) * goat[self.speakers[is_target, 0]]
        scores[is_target] += np.sqrt(1 - RECORDING - PERSON) * noise[is_target]
        others = ~is_target
        scores[others] += np.sqrt(EACH) * lamb[self.speakers[others]].sum(axis=1)
        scores[others] += np.sqrt(PAIR) * rng.standard_normal(self.pairs.max() + 1)[self.pairs]
        scores[others] += np.sqrt(1 - RECORDING - 2 * EACH - PAIR) * noise[others]
        return scores


def effects(rng: np.random.Generator, shape: tuple, heavy: bool) -> np.ndarray:
    """Effects of people, of variance 1."""
    return rng.standard_t(4, shape) / np.sqrt(2) if heavy else rng.standard_normal(shape)


def population(separation: float, heavy: bool, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of n independent target and nontarget trials: all of other people and recordings."""
    rng = np.random.default_rng(0)
    targets = np.sqrt(PERSON) * effects(rng, (n,), heavy) + np.sqrt(1 - PERSON) * rng.standard_normal(n)
    others = np.sqrt(EACH) * effects(rng, (2, n), heavy).sum(axis=0) + np.sqrt(1 - 2 * EACH) * rng.standard_normal(n)
    return np.concatenate([targets + separation, others]), np.arange(2 * n) < n


@cache
def population_eer(separation: float, heavy: bool, n: int = 4_000_000) -> float:
    """EER over all people, recordings and trials."""
    return eer(*population(separation, heavy, n))


@cache
def population_costs(separation: float, heavy: bool, n: int = 4_000_000) -> tuple[float, float]:
    """actDCF(0.01) and Cllr over all people, recordings and trials, of the scores that `as_llr` makes."""
    scores, labels = population(separation, heavy, n)
    ratios = as_llr(scores, separation)
    return act_dcf(ratios, labels, 0.01), cllr(ratios, labels)


def as_llr(scores: np.ndarray, separation: float) -> np.ndarray:
    """Log-likelihood ratios of normal scores with variance 1 and means `separation` and 0."""
    return separation * scores - separation**2 / 2


def covered(intervals: list, truth: float) -> str:
    """Coverage in percent, and the shares of intervals below and above the truth."""
    low, high = np.transpose(intervals)
    below, above = 100 * np.mean(high < truth), 100 * np.mean(low > truth)
    return f"{100 - below - above:5.1f} ({below:4.1f} {above:4.1f})"


def verification(replicates: int, people: list[int]) -> None:
    """EER of one system, and the difference of two: equally good, and with 1.6 times the errors."""
    print("world people  EER %  seen 0 | EER: coverage (below above)  width/ideal  median of the upper limits | "
          "percentile bootstrap | difference, equal | difference, 1.6 times")  # fmt: skip
    for heavy in (False, True):
        for n in people:
            rng = np.random.default_rng(n)
            trials = TrialList.draw(n, rng)
            clusters = Clusters(trials.speakers, trials.labels)
            for rate in RATES:
                verification_cell(rng, trials, clusters, rate, heavy, replicates)


def verification_cell(rng, trials, clusters, rate, heavy, replicates) -> None:
    n, labels = clusters.n_people, trials.labels
    apart, less = (-2 * norm.ppf(r) for r in (rate, min(0.4, 1.6 * rate)))
    truth = population_eer(apart, heavy)
    change = population_eer(less, heavy) - truth
    found, intervals, percentile, equal, worse = [], [], [], [], []
    for replicate in range(replicates):
        one, noise = trials.scores(rng, heavy), trials.scores(rng, heavy)
        other = SHARED * one + np.sqrt(1 - SHARED**2) * noise if not heavy else noise
        system, rival, weaker = (Measured.of(scores + separation * labels, labels)
                                 for scores, separation in ((one, apart), (other, apart), (other, less)))  # fmt: skip
        found.append(system.eer[0])
        intervals.append(eer_limits(system, clusters))
        equal.append(eer_difference(rival, system, clusters))
        worse.append(eer_difference(weaker, system, clusters))
        if n <= 100 and replicate < 200:  # what was used before
            bootstrap = SpeakerBootstrap(trials.speakers, labels, 200, seed=replicate)
            percentile.append(np.quantile(bootstrap.eers(system.scores, system.counts), [0.025, 0.975]))
    ideal = 2 * norm.ppf(0.975) * np.std(found)
    width = np.mean(np.diff(intervals)) / ideal if ideal else np.inf
    print(f"{'heavy' if heavy else 'normal':6} {n:5} {100 * truth:6.2f}   {100 * np.mean(np.equal(found, 0)):3.0f} % | "
          f"{covered(intervals, truth)}  {width:5.2f}  {100 * np.median(intervals, axis=0)[1]:6.2f} | "
          f"{covered(percentile, truth) if percentile else '-':19} | {covered(equal, 0.0)} | {covered(worse, change)}",
          flush=True)  # fmt: skip


def costs(replicates: int, people: list[int]) -> None:
    """actDCF(0.01) and Cllr, calibrated in the normal world; and their differences from a system with more errors."""
    print("world people  EER % | actDCF(0.01) | its difference, 1.6 times | Cllr | its difference, 1.6 times")
    for heavy in (False, True):
        for n in people:
            rng = np.random.default_rng(n)
            trials = TrialList.draw(n, rng)
            clusters, labels = Clusters(trials.speakers, trials.labels), trials.labels
            for rate in RATES:
                apart, less = (-2 * norm.ppf(r) for r in (rate, min(0.4, 1.6 * rate)))
                truth, other = population_costs(apart, heavy), population_costs(less, heavy)
                found = []
                for _ in range(replicates):
                    one, noise = trials.scores(rng, heavy), trials.scores(rng, heavy)
                    weak = noise if heavy else SHARED * one + np.sqrt(1 - SHARED**2) * noise
                    system, weaker = (Measured.of(as_llr(scores + d * labels, d), labels)
                                      for scores, d in ((one, apart), (weak, less)))  # fmt: skip
                    found.append(
                        [
                            cost_limits(system, clusters, "act_dcf", 0.01),
                            cost_difference(weaker, system, clusters, "act_dcf", 0.01),
                            cllr_limits(system, clusters),
                            cllr_difference(weaker, system, clusters),
                        ]
                    )
                truths = [truth[0], other[0] - truth[0], truth[1], other[1] - truth[1]]
                columns = zip(zip(*found, strict=True), truths, strict=True)
                shares = " | ".join(covered(list(ends), value) for ends, value in columns)
                print(f"{'heavy' if heavy else 'normal':6} {n:5} {100 * rate:6.2f} | {shares}", flush=True)


def voices_and_faces(rng, n: int, strength: float, each: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voices and faces of n people in one space, (n each, 8), which share a part of the given strength; the owners."""
    identity, voice, face = rng.standard_normal((3, n, 8))
    owners = np.repeat(np.arange(n), each)
    sides = [strength * identity + own for own in (voice, face)]
    return *(side[owners] + 0.7 * rng.standard_normal((len(owners), 8)) for side in sides), owners


def queries_of(rng, owners: np.ndarray, size: int, each: int = 4) -> np.ndarray:
    """Rows of voices, of their own person's faces, and of those of size - 1 other people: (queries, 1 + size)."""
    n = int(owners.max()) + 1
    rows = []
    for query, person in enumerate(owners.tolist()):
        others = rng.choice(np.delete(np.arange(n), person), size - 1, replace=False)
        rows.append([query, *(np.append(person, others) * each + rng.integers(0, each, size))])
    return np.array(rows)


def matching(replicates: int, people: list[int]) -> None:
    """Accuracy of 1:N matching; the truth is its mean over many draws of people."""
    print("people  N  accuracy % | coverage (below above)  width/ideal")
    for n in [n for n in people if n <= 300]:
        for size in (2, 5, 10):
            for strength in (0.0, 1.0, 3.0):
                rng = np.random.default_rng(n)
                found, intervals = [], []
                for _ in range(replicates):
                    voices, faces, owners = voices_and_faces(rng, n, strength)
                    rows = queries_of(rng, owners, size)
                    scores = np.einsum("nd,nkd->nk", voices[rows[:, 0]], faces[rows[:, 1:]])
                    found.append(matching_credit(scores).mean())
                    intervals.append(accuracy_limits(scores, QueryClusters(owners[rows[:, 1:]])))
                width = np.mean(np.diff(intervals)) / (2 * norm.ppf(0.975) * np.std(found))
                share = 100 * np.mean(found)
                print(f"{n:6} {size:2}  {share:5.1f} | {covered(intervals, share / 100)}  {width:5.2f}", flush=True)


def permutation(replicates: int, people: list[int]) -> None:
    """Share of p-values below 0.05 where voices and faces have nothing, and something, in common."""
    print("people  strength | p < 0.05: mean margin, 1:2 matching, retrieval (%)")
    for n in [n for n in people if n <= 100]:
        for strength in (0.0, 1.0):
            rng = np.random.default_rng(n)
            rejected = np.zeros(3)
            for replicate in range(replicates):
                voices, faces, owners = voices_and_faces(rng, n, strength)
                rows = queries_of(rng, owners, 2)
                scores = voices @ faces.T
                exchanged = ExchangedPeople(owners, np.stack([np.zeros_like(owners), owners], 1))
                table = precision_table(lambda part, scores=scores: scores[part], len(voices), owners)

                def measure(taken, exchanged=exchanged, rows=rows, scores=scores, owners=owners, table=table):
                    taken = np.arange(len(exchanged.people)) if taken is None else taken
                    some = scores[rows[:, :1], exchanged.exchange_items(taken)[rows[:, 1:]]]
                    found = table[np.arange(len(owners)), taken[owners]].mean()
                    return (some[:, 0] - some[:, 1]).mean(), matching_credit(some).mean(), found

                rejected += np.array(permutation_p(measure, exchanged, 199, replicate)) <= 0.05
            shares = "  ".join(f"{share:5.1f}" for share in 100 * rejected / replicates)
            print(f"{n:6}  {strength:8} | {shares}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--replicates", type=int, default=500, help="simulated lists per cell (500)")
    parser.add_argument("--people", type=int, nargs="+", default=PEOPLE, help="numbers of people")
    simulations = {"verification": verification, "costs": costs, "matching": matching, "permutation": permutation}
    parser.add_argument("--only", choices=simulations, help="run one simulation")
    args = parser.parse_args()
    for name in [args.only] if args.only else simulations:
        simulations[name](args.replicates, args.people)


if __name__ == "__main__":
    main()
