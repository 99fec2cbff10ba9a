#!/usr/bin/env python3
"""Measure the cost of voice encoders: parameters, multiplications, and seconds of CPU per second of sound.

Parameters are those of the network without a classifier. GMAC are multiply-accumulates (10^9) per second of sound, of
convolutions, linear and recurrent layers, counted on 3 s. Both are "-" for encoders whose network avsv does not see.
The seconds of CPU, of all threads, cover features and network, from the waveform to the embedding, one clip after the
other, without reading files; they vary by some per cent between runs. The table goes to --out.

example: local/measure_cost.py --out exp/voices/cost.tsv data/test xvector=exp/xvector gru=exp/gru
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from corpus import run
from torch.utils.flop_counter import FlopCounterMode

from avsv.embeddings.voice import RATE, load_voice_encoder
from avsv.errors import InputError
from avsv.features.fbank import energy_vad
from avsv.features.kinds import Kind
from avsv.jobs.files import whole_file
from avsv.kaldi.data_dir import read_data_dir
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import read_waveform
from avsv.models.speechbrain_folder import SpeakerEncoder
from avsv.systems.speech.extractor_training import EXTRACTOR, load_extractor
from avsv.systems.speech.gmm import accumulate
from avsv.systems.speech.kaldi_files import read_diag_gmm
from avsv.systems.speech.map_scoring import adapted_means, llr_scores
from avsv.systems.speech.statistics import statistics
from avsv.systems.speech.ubm_training import DIAGONAL

HEAD = ("system", "parameters", "gmac_per_second", "cpu_seconds_per_second")
SECONDS = 3


def main(args):
    wav = read_data_dir(args.data_dir).wav
    step = max(1, len(wav) // args.clips)
    waveforms = [guarded(read_waveform, wav[utt], RATE) for utt in sorted(wav)[::step][: args.clips]]
    lines = ["\t".join(HEAD)]
    for named in args.models:
        name, _, model = named.partition("=")
        if not name or not model:
            raise InputError(f"{named}: expected NAME=MODEL")
        if (Path(model) / EXTRACTOR).exists() or (Path(model) / DIAGONAL).exists():
            embed, counts = statistical_system(Path(model))
        else:
            embed = load_voice_encoder(model, "cpu", args.trust_model)
            encoder = getattr(embed, "encoder", None)
            counts = count(encoder) if isinstance(encoder, SpeakerEncoder) else ("-", "-")
        lines.append("\t".join([name, *counts, f"{cpu_seconds(embed, waveforms):.5f}"]))
    with whole_file(args.out) as out:
        out.write("\n".join(lines) + "\n")


def count(encoder: SpeakerEncoder) -> tuple[str, str]:
    """Parameters of the network, and its GMAC per second of sound, as text."""
    network = encoder.mods["embedding_model"]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        features = encoder.mods["compute_features"](torch.zeros(1, SECONDS * RATE))
        in_front = counter.get_total_flops()
        network(encoder.mods["mean_var_norm"](features, torch.ones(1)), torch.ones(1))
    operations = (counter.get_total_flops() - in_front) / 2
    return str(sum(p.numel() for p in network.parameters())), f"{operations / SECONDS / 1e9:.4f}"


def statistical_system(folder: Path) -> tuple[Callable, tuple[str, str]]:
    """What a GMM-UBM or an i-vector extractor does with waveforms, and its number of parameters as text."""
    if not (folder / EXTRACTOR).exists():
        ubm = read_diag_gmm(folder / DIAGONAL)

        def score(waveforms):
            for frames in map(speech_frames, waveforms):
                sums = accumulate(ubm, frames)
                llr_scores(ubm, [adapted_means(ubm, sums.counts, sums.first)], frames)

        return score, (str(ubm.weights.size + ubm.means.size + ubm.variances.size), "-")
    extractor, full, selection = load_extractor(folder)

    def embed(waveforms):
        for frames in map(speech_frames, waveforms):
            counts, first = statistics(full, frames, selection)
            extractor.ivectors(counts[None], first[None])

    k, d = full.means.shape
    covariances = 2 * k * d * (d + 1) // 2  # of the UBM and of the extractor
    return embed, (str(k + k * d + covariances + k * d * extractor.size), "-")


def speech_frames(waveform: np.ndarray) -> np.ndarray:
    """The cepstra of a waveform's frames with speech, (t, d) float64."""
    features, energy = Kind.of("mfcc").compute(waveform)
    return features[energy_vad(energy) > 0].astype(np.float64)


def cpu_seconds(embed, waveforms) -> float:
    """Seconds of CPU per second of sound, of all threads of this process."""
    embed(waveforms[:1])  # the first call allocates memory
    begin = time.process_time()
    for waveform in waveforms:
        embed([waveform])
    return (time.process_time() - begin) / (sum(map(len, waveforms)) / RATE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=50, help="largest number of clips for the seconds of CPU (50)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the table")
    parser.add_argument("--trust-model", action="store_true", help="run the programs of FILE.py:CLASS")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL")
    run(main, parser)
