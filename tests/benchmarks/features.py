#!/usr/bin/env python3
"""`avsv features` from m4a and flac to archives, compared with decoding and kaldi-native-fbank alone in one process.

    python tests/benchmarks/features.py --clips 240

The peer writes nothing. Ours is the command as the recipe starts it, with one thread per job and including its start:
two jobs in parallel should be 1.6 times as fast as the peer, and one job may take 15 % longer.
"""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from beside import REAL, beside, parse, title

from avsv.kaldi.tables import write_table
from avsv.media.waveforms import read_waveform

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def make_data(folder: Path, n: int, ending: str) -> dict[str, str]:
    """A data directory of real recordings, as the original m4a files or converted to flac."""
    files = sorted((REAL / "minivox/vox2/dev/aac").rglob("*.m4a"))
    wav = {}
    for number in range(n):
        path = files[number % len(files)]
        if ending == "flac":
            path = folder / f"{number % len(files):04d}.flac"
            if not path.exists():
                folder.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, read_waveform(str(files[number % len(files)])), 16000)
        wav[f"p-{number:06d}"] = str(path)
    write_table(folder / "wav.scp", wav)
    write_table(folder / "utt2spk", dict.fromkeys(wav, "p"))
    return wav


def jobs(folder: Path, total: int) -> None:
    """`avsv features` as `total` parallel jobs, starting from nothing."""
    subprocess.run(["rm", "-rf", folder / "out"], check=True)
    running = [
        subprocess.Popen(["avsv", "features", "--shard", f"{job}/{total}", folder, folder / "out"],
                         env=os.environ | ONE_THREAD, stderr=subprocess.DEVNULL)
        for job in range(1, total + 1)
    ]  # fmt: skip
    failed = [job.wait() for job in running]
    assert not any(failed)


def peer(wav: dict[str, str]) -> None:
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    options.frame_opts.dither, options.mel_opts.num_bins = 0.0, 80
    options.mel_opts.low_freq, options.mel_opts.high_freq = 20, 7600
    options.use_energy = options.raw_energy = True
    for path in wav.values():
        computer = knf.OnlineFbank(options)
        computer.accept_waveform(16000, read_waveform(path) * 32768)
        computer.input_finished()
        np.stack([computer.get_frame(frame) for frame in range(computer.num_frames_ready)])


def main() -> int:
    args = parse(__doc__)
    title()
    met = True
    for ending in ("m4a", "flac"):
        folder = args.dir / f"fbank-{ending}"
        wav = make_data(folder, args.clips, ending)
        for total, target in ((2, 1.6), (1, 1 / 1.15)):
            name = f"fbank of {ending}, {total} job{'s' * (total > 1)}"
            met &= beside(name, partial(jobs, folder, total), partial(peer, wav), len(wav), target, args.repeats)
    return not met


if __name__ == "__main__":
    sys.exit(main())
