"""Training of the universal background model (UBM): diagonal Gaussians, then full covariances, by EM on all frames."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import replaced_together
from avsv.jobs.fingerprints import digest
from avsv.jobs.provenance import MadeFrom
from avsv.jobs.shards import Shard
from avsv.kaldi.tables import write_table
from avsv.systems.speech.frames import SpeechFrames, blocks_of_frames, random_frames
from avsv.systems.speech.gmm import DiagGmm, FullGmm, Gmm, GmmStatistics, Least, accumulate, initial_gmm
from avsv.systems.speech.kaldi_files import write_diag_gmm, write_full_gmm
from avsv.systems.speech.rounds import Arrays, Rounds
from avsv.systems.speech.settings import UbmSettings

log = logging.getLogger("avsv")
DIAGONAL, FULL, LIKELIHOODS = "final.dubm", "final.ubm", "log_likelihood"
LEAST_BLOCK = 8192  # frames


def train_ubm(speech: SpeechFrames, settings: UbmSettings, out: Path, made: MadeFrom, shard: Shard) -> None:
    """Train a UBM and write final.dubm, final.ubm, and the log-likelihood per frame before each EM step.

    Several processes may call this at once with their own shards, on one file system; see rounds.py.

    Parameters
    ----------
    made : the command and its inputs, for the records

    Raises
    ------
    InputError : no speech, fewer frames than Gaussians, features that differ in size
    """
    UbmTraining(speech, settings, out, made, shard).run()


class UbmTraining:
    """The rounds: first the diagonal ones, then the full ones, then one that only measures the final likelihood."""

    def __init__(self, speech: SpeechFrames, settings: UbmSettings, out: Path, made: MadeFrom, shard: Shard):
        self.speech, self.settings, self.out, self.made, self.shard = speech, settings, out, made, shard
        self.size = speech.size()

    def run(self) -> None:
        key = digest([self.made.record(self.out)["made_from"], self.made.options, self.made.seed])
        rounds = Rounds(self.out / "rounds", key, self.shard, [self.out / name for name in (DIAGONAL, FULL)])
        n_rounds = self.settings.diagonal_passes + self.settings.full_passes + 1
        rounds.run(n_rounds, self.first, self.part, self.update, self.finish)

    def frames(self, utts: list[str]) -> Iterator[np.ndarray]:
        for _, frames in self.speech.each(utts, self.size):
            yield frames[:: self.settings.every]

    def first(self) -> Arrays:
        s = self.settings
        try:
            sample = random_frames(self.frames(self.speech.utts), s.sample, s.seed)
            gmm = initial_gmm(sample, s.components, s.initial_passes, s.seed, s.diagonal_floor,
                              Least(s.least_count, s.least_weight))  # fmt: skip
        except InputError as error:
            raise InputError(f"{self.speech.folder}: {error}") from None
        log.info("%s: %d Gaussians on %d frames", self.out, len(gmm.weights), len(sample))
        return {"likelihoods": np.empty(0), **as_arrays(gmm)}

    def part(self, number: int, model: Arrays, one: int) -> Arrays:
        gmm, total = self.model(number, model), None
        utts = Shard(one, self.shard.total).take(self.speech.utts)
        for frames in blocks_of_frames(self.frames(utts), LEAST_BLOCK):
            part = accumulate(gmm, frames, self.settings.select)
            total = part if total is None else total + part
        if total is None:  # a part without speech
            covariances = gmm.variances if isinstance(gmm, DiagGmm) else gmm.covariances
            total = GmmStatistics(*(np.zeros_like(a) for a in (gmm.weights, gmm.means, covariances)), 0.0, 0)
        return {name: np.asarray(getattr(total, name)) for name in total.__dataclass_fields__}

    def model(self, number: int, model: Arrays) -> Gmm:
        """The model of a round; after the diagonal ones, the covariances become full."""
        if "covariances" in model:
            return FullGmm(model["weights"], model["means"], model["covariances"])
        gmm = DiagGmm(model["weights"], model["means"], model["variances"])
        return gmm.full() if number >= self.settings.diagonal_passes else gmm

    def update(self, number: int, model: Arrays, total: Arrays) -> Arrays:
        s, gmm = self.settings, self.model(number, model)
        likelihoods = np.append(model["likelihoods"], total["log_likelihood"] / total["n"])
        log.info("%s: round %d, log-likelihood per frame %.4f", self.out, number, likelihoods[-1])
        kept = {name: model[name] for name in model if name.startswith("diagonal_")}
        if number == s.diagonal_passes:
            kept = {f"diagonal_{name}": model[name] for name in ("weights", "means", "variances")}
        if number < s.diagonal_passes + s.full_passes:
            is_full = isinstance(gmm, FullGmm)
            floor, count = (s.full_floor, s.full_least_count) if is_full else (s.diagonal_floor, s.least_count)
            gmm = gmm.updated(GmmStatistics(**total), floor, Least(count, s.least_weight))
        return {"likelihoods": likelihoods, **kept, **as_arrays(gmm)}

    def finish(self, model: Arrays) -> None:
        diagonal = DiagGmm(*(model[f"diagonal_{name}"] for name in ("weights", "means", "variances")))
        s, out = self.settings, self.out
        names = [f"diagonal-{n}" for n in range(s.diagonal_passes)] + [f"full-{n}" for n in range(s.full_passes + 1)]
        with replaced_together(out / DIAGONAL, out / FULL):
            write_diag_gmm(out / DIAGONAL, diagonal)
            write_full_gmm(out / FULL, FullGmm(model["weights"], model["means"], model["covariances"]))
            lines = zip(names, (f"{value:.6f}" for value in model["likelihoods"]), strict=True)
            write_table(out / LIKELIHOODS, lines)
        for name in (DIAGONAL, FULL):
            self.made.write(out / name, [out / LIKELIHOODS])
        log.info("%s: a UBM of %d Gaussians", out, len(model["weights"]))


def as_arrays(gmm: Gmm) -> Arrays:
    return {name: getattr(gmm, name) for name in gmm.__dataclass_fields__}
