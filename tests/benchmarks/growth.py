#!/usr/bin/env python3
"""Cost per clip and memory of `avsv features` and `avsv embed-voice` as the number of clips grows to 100,000.

    python tests/benchmarks/growth.py                       half an hour
    python tests/benchmarks/growth.py --most 10000

Clips are links to twenty recordings of half a second and the encoder has 16 channels, so any cost that grows with the
number of clips becomes visible. Processor time per clip at the largest number may be 1.15 times that at a tenth of it,
after subtracting the start of the command (a run on twenty clips). Peak memory may grow by 2 KB per clip, for the lines
of the tables.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch

from avsv.kaldi.tables import write_table
from avsv.models.speaker_encoders import ecapa_arguments, make_speaker_encoder
from avsv.models.speechbrain_folder import save_speechbrain_folder

SIZES, LEAST = (80, 16, 8, 12), 20
BYTES, GROWTH = 2048, 1.15


def make_data(folder: Path, n: int) -> Path:
    rng = np.random.default_rng(0)
    for number in range(LEAST):
        if not (path := folder / f"{number}.flac").exists():
            soundfile.write(path, rng.normal(0, 0.1, 8000), 16000)
    data = folder / f"data{n}"
    (data / "clips").mkdir(parents=True, exist_ok=True)
    wav = {f"p-{number:06d}": data / f"clips/{number:06d}.flac" for number in range(n)}
    for number, path in enumerate(wav.values()):
        if not path.exists():
            path.symlink_to(folder / f"{number % LEAST}.flac")
    write_table(data / "wav.scp", {utt: str(path) for utt, path in wav.items()})
    write_table(data / "utt2spk", dict.fromkeys(wav, "p"))
    return data


def run(verb: list[str], data: Path) -> tuple[float, float]:
    """Processor seconds and peak MiB."""
    shutil.rmtree(data / "out", ignore_errors=True)
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    process = subprocess.Popen(["avsv", *verb, data, data / "out"], env=environment, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"avsv {' '.join(verb)} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path("/tmp/avsv-benchmark/growth"))
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--only", default="", metavar="VERB")
    args = parser.parse_args()
    encoder = args.dir / "encoder"
    torch.manual_seed(0)
    arguments = ecapa_arguments(*SIZES)
    net = make_speaker_encoder("ecapa", arguments)
    save_speechbrain_folder(encoder, net, torch.zeros(2, SIZES[3]), ["a", "b"], arguments)
    met = True
    print(f"{'':16}{'clips':>8}{'ms per clip':>13}{'MiB':>8}")
    for verb in (["features"], ["embed-voice", "--model", str(encoder)]):
        if args.only not in verb[0]:
            continue
        start, _ = run(verb, make_data(args.dir, LEAST))
        costs, peaks = [], []
        for n in (args.most // 100, args.most // 10, args.most):
            cpu, peak = run(verb, make_data(args.dir, n))
            costs.append((cpu - start) / (n - LEAST))
            peaks.append(peak)
            print(f"{verb[0]:16}{n:8}{1e3 * costs[-1]:13.2f}{peak:8.0f}", flush=True)
        met &= costs[2] < GROWTH * costs[1] and (peaks[2] - peaks[1]) * 2**20 < BYTES * args.most
    return not met


if __name__ == "__main__":
    sys.exit(main())
