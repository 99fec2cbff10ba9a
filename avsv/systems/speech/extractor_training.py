"""Training of the i-vector extractor by EM on the statistics of the training recordings.

The first round computes the statistics under the UBM, which stay fixed, and keeps each part's in an archive; the
following ones are EM steps that read the archives in blocks.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import copy_file, replaced_together, whole_file
from avsv.jobs.fingerprints import digest
from avsv.jobs.inputs import open_regular
from avsv.jobs.progress import progress
from avsv.jobs.provenance import MadeFrom
from avsv.jobs.shards import Shard
from avsv.kaldi.shard_writer import ShardWriter
from avsv.kaldi.tables import write_table
from avsv.systems.speech import extractor as em
from avsv.systems.speech.frames import SpeechFrames
from avsv.systems.speech.gmm import FullGmm
from avsv.systems.speech.kaldi_files import read_extractor, read_full_gmm, write_extractor
from avsv.systems.speech.rounds import Arrays, Rounds
from avsv.systems.speech.settings import ExtractorSettings
from avsv.systems.speech.statistics import Selection, statistics
from avsv.systems.speech.ubm_training import FULL, LIKELIHOODS
from avsv.training.config import check_settings, read_settings, to_yaml

log = logging.getLogger("avsv")
EXTRACTOR, SETTINGS = "final.ie", "config.yaml"
OUTPUTS = (EXTRACTOR, FULL, SETTINGS, LIKELIHOODS)
PARTS = ("weights", "projections", "precisions", "offset")


def train_extractor(
    speech: SpeechFrames, ubm: Path, settings: ExtractorSettings, out: Path, made: MadeFrom, shard: Shard
) -> None:
    """Train an extractor and write final.ie, final.ubm (a copy), config.yaml, and the log-likelihood per frame.

    Several processes may call this at once with their own shards, on one file system; see rounds.py.

    Parameters
    ----------
    ubm : Kaldi's full-covariance GMM
    made : the command and its inputs, for the records

    Raises
    ------
    InputError : no speech, or features of another size than the UBM's
    """
    ExtractorTraining(speech, ubm, settings, out, made, shard).run()


class ExtractorTraining:
    """Round 0 computes statistics; rounds 1 to `passes` are EM steps; the last one only measures the likelihood."""

    def __init__(self, speech: SpeechFrames, ubm: Path, settings: ExtractorSettings, out: Path, made: MadeFrom,
                 shard: Shard):  # fmt: skip
        self.speech, self.path, self.settings, self.out, self.made, self.shard = speech, ubm, settings, out, made, shard
        self.ubm = read_full_gmm(ubm)

    def run(self) -> None:
        key = digest([self.made.record(self.out)["made_from"], self.made.options, self.made.seed])
        rounds = Rounds(self.out / "rounds", key, self.shard, [self.out / name for name in OUTPUTS])
        rounds.run(self.settings.passes + 2, self.first, self.part, self.update, self.finish)

    def first(self) -> Arrays:
        s = self.settings
        extractor = em.initial_extractor(self.ubm, s.size, s.offset, s.seed)
        utts = longest(self.speech, s.longest)
        with whole_file(self.out / "rounds" / "utts") as out:
            out.writelines(f"{utt}\n" for utt in utts)
        return {"likelihoods": np.empty(0), **as_arrays(extractor)}

    def part(self, number: int, model: Arrays, one: int) -> Arrays:
        archive = self.out / "rounds" / f"statistics.{one}"
        if number == 0:
            return self.write_statistics(archive, one)
        extractor, total = extractor_of(model), None
        for counts, first in read_statistics(archive, *self.ubm.means.shape):
            sums = em.accumulate(extractor, counts, first)
            if total is None:
                total = sums
            else:
                for name, array in sums.items():
                    total[name] = total[name] + array
        return total or no_sums(extractor)

    def write_statistics(self, archive: Path, one: int) -> Arrays:
        """Write counts and first-order sums of a part's recordings, and return the second-order sums of all of them."""
        s, utts = self.settings, (self.out / "rounds" / "utts").read_text(encoding="utf-8").split()
        second = np.zeros_like(self.ubm.covariances)
        selection, n = Selection(s.select, s.least_posterior), 0
        with whole_file(archive, "wb") as out:
            mine = Shard(one, self.shard.total).take(utts)
            for _, frames in self.speech.each(mine, self.ubm.means.shape[1]):
                counts, first = statistics(self.ubm, frames, selection, second)
                out.write(np.column_stack([counts, first]).astype("<f4").tobytes())
                n += 1
        return {"second": second, "n": np.array(n)}

    def update(self, number: int, model: Arrays, total: Arrays) -> Arrays:
        s = self.settings
        if number == 0:
            if not total["n"]:
                raise InputError(f"{self.speech.folder}: no recording has a frame of speech")
            log.info("%s: statistics of %d recordings", self.out, total["n"])
            return {**model, "second": total["second"]}
        extractor, second = extractor_of(model), model["second"]
        likelihoods = np.append(model["likelihoods"], em.log_likelihood(extractor, total, second))
        log.info("%s: round %d, log-likelihood per frame %.4f", self.out, number, likelihoods[-1])
        if number <= s.passes:
            extractor = em.updated(extractor, total, second, s.least_count, s.floor)
        return {"likelihoods": likelihoods, "second": second, **as_arrays(extractor)}

    def finish(self, model: Arrays) -> None:
        out = self.out
        with replaced_together(*(out / name for name in OUTPUTS)):
            write_extractor(out / EXTRACTOR, extractor_of(model))
            copy_file(self.path, out / FULL)
            with whole_file(out / SETTINGS) as file:
                file.write(to_yaml(self.settings))
            lines = ((f"em-{n}", f"{value:.6f}") for n, value in enumerate(model["likelihoods"]))
            write_table(out / LIKELIHOODS, lines)
        for name in OUTPUTS:
            self.made.write(out / name)
        log.info("%s: an extractor of %d Gaussians, i-vectors of %d values", out, len(model["weights"]),
                 self.settings.size)  # fmt: skip


def longest(speech: SpeechFrames, n: int) -> list[str]:
    """The `n` recordings with the most frames of speech, sorted; all of them if n is 0."""
    if not n or n >= len(speech.utts):
        return speech.utts
    return sorted(sorted(speech.utts, key=lambda utt: (-speech.n_frames(utt), utt))[:n])


def read_statistics(archive: Path, k: int, d: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of counts, (n, k), and first-order sums, (n, k, d), float64."""
    size = 4 * k * (1 + d)
    with open_regular(archive) as file:
        while block := file.read(em.AT_ONCE * size):
            both = np.frombuffer(block, "<f4").reshape(-1, k, 1 + d).astype(np.float64)
            yield both[:, :, 0], np.ascontiguousarray(both[:, :, 1:])


def no_sums(extractor: em.Extractor) -> em.Sums:
    """The sums of a part without recordings."""
    k, d, _ = extractor.projections.shape
    sums = em.accumulate(extractor, np.zeros((1, k)), np.zeros((1, k, d)))
    return {name: np.zeros_like(array) for name, array in sums.items()}


def extractor_of(arrays: Arrays) -> em.Extractor:
    weights, projections, precisions, offset = (arrays[name] for name in PARTS)
    return em.Extractor(weights, projections, precisions, float(offset))


def as_arrays(extractor: em.Extractor) -> Arrays:
    return {name: np.asarray(getattr(extractor, name)) for name in PARTS}


def load_extractor(folder: Path | str) -> tuple[em.Extractor, FullGmm, Selection]:
    """An extractor, its UBM, and how it selects Gaussians, from a folder of `avsv speech train-extractor` or Kaldi's.

    Raises
    ------
    InputError : final.ie or final.ubm is absent, damaged, or of another size
    """
    folder = Path(folder)
    for name in (EXTRACTOR, FULL):
        if not (folder / name).exists():
            raise InputError(f"{folder}: has no {name}; expected a folder of avsv speech train-extractor, or Kaldi's")
    extractor, ubm = read_extractor(folder / EXTRACTOR), read_full_gmm(folder / FULL)
    if extractor.projections.shape[:2] != ubm.means.shape:
        raise InputError(f"{folder}: final.ie is for {extractor.projections.shape[:2]} Gaussians and values a frame, "
                        f"final.ubm has {ubm.means.shape}; they do not belong together")  # fmt: skip
    settings = ExtractorSettings()
    if (folder / SETTINGS).exists():
        settings = check_settings(read_settings(folder / SETTINGS, []), ExtractorSettings, folder / SETTINGS)
    return extractor, ubm, Selection(settings.select, settings.least_posterior)


def embed(
    extractor: em.Extractor, ubm: FullGmm, selection: Selection, speech: SpeechFrames, utts: list[str], out: ShardWriter
) -> None:
    """Write the i-vectors of recordings to the archive `embedding`; recordings without speech are skipped."""
    for utt in progress(utts, "i-vectors"):
        frames = speech.of(utt, ubm.means.shape[1])
        if not len(frames):
            out.skip(utt, "has no frame with speech")
            continue
        counts, first = statistics(ubm, frames, selection)
        out.write("embedding", utt, extractor.ivectors(counts[None], first[None])[0])
