#!/usr/bin/env python3
"""Generate test sets for synchrony from a data directory of talking people; all random choices derive from a seed.

  OUT_DIR/shifted     audio delayed or advanced by up to --most seconds (utt2shift): wav files
  OUT_DIR/replaced    audio of another person: no new files
  OUT_DIR/two_faces   two people side by side and the voice of one of them: mp4 files; utt2place gives the position
                      of the speaking face, "x y" in pixels

The first two keep the video, mouths and key points of DATA_DIR.

example: local/make_synchrony_sets.py data/test data/synchrony
"""

import argparse
import logging
import signal
import sys
from pathlib import Path

import cv2
import numpy as np
from animation import FPS, SIDE
from media import write_mp4, write_wav
from voices import RATE

from avsv.errors import InputError
from avsv.features.landmarks import read_landmarks
from avsv.kaldi.data_dir import DataDir, read_data_dir, write_data_dir
from avsv.kaldi.tables import write_table
from avsv.media.decoder_process import guarded, guarded_stream
from avsv.media.frames import video_frames
from avsv.media.waveforms import read_waveform

log = logging.getLogger("avsv")
COPIED = ("utt2spk", "utt2vid", "spk2gender", "utt2dur", "landmarks.scp")
CRF, AUDIO_BITS = 26, 48_000


def shift_audio(waveform: np.ndarray, seconds: float) -> np.ndarray:
    """Delay a waveform by prepending silence, or advance it by dropping its start; the length stays the same.

    Examples
    --------
    >>> shift_audio(np.arange(1.0, 4.0), 1 / RATE).tolist(), shift_audio(np.arange(1.0, 4.0), -1 / RATE).tolist()
    ([0.0, 1.0, 2.0], [2.0, 3.0, 0.0])
    """
    n = round(seconds * RATE)
    silence = np.zeros(abs(n), waveform.dtype)
    return np.concatenate([silence, waveform])[: len(waveform)] if n >= 0 else np.concatenate([waveform[-n:], silence])


def make_shifted(data: DataDir, out: Path, most: float, seed: int) -> None:
    """Shift the audio of every clip by a random number of whole milliseconds."""
    rng = np.random.default_rng([seed, 0])
    shifts, wav = {}, {}
    for utt in sorted(data.wav):
        shifts[utt] = round(float(rng.uniform(-most, most)), 3)
        wav[utt] = str((out / "wav" / f"{utt}.wav").absolute())
        if not Path(wav[utt]).exists():
            write_wav(Path(wav[utt]), shift_audio(guarded(read_waveform, data.wav[utt]), shifts[utt]), RATE, peak=None)
    write_set(data, out, wav)
    write_table(out / "utt2shift", {utt: f"{shift:.3f}" for utt, shift in shifts.items()})


def make_replaced(data: DataDir, out: Path, seed: int) -> None:
    rng = np.random.default_rng([seed, 1])
    utts = sorted(data.wav)
    wav = {}
    for utt in utts:
        others = [other for other in utts if data.utt2spk[other] != data.utt2spk[utt]]
        wav[utt] = data.wav[others[rng.integers(len(others))]]
    write_set(data, out, wav)


def write_set(data: DataDir, out: Path, wav: dict[str, str]) -> None:
    tables = {name: data.table(name) for name in COPIED if (data.path / name).exists()}
    write_data_dir(out, {**tables, "wav.scp": wav, "video.scp": data.video})


def make_two_faces(data: DataDir, out: Path, n: int, seed: int) -> None:
    """Combine clips of two people side by side; the order is random."""
    rng = np.random.default_rng([seed, 2])
    utts = sorted(data.wav)
    first = rng.permutation(utts)[:n]
    video, places, people = {}, {}, {}
    for utt in sorted(map(str, first)):
        others = [other for other in utts if data.utt2spk[other] != data.utt2spk[utt]]
        silent, left = others[rng.integers(len(others))], bool(rng.random() < 0.5)
        path = (out / "mp4" / f"{utt}.mp4").absolute()
        video[utt], people[utt] = str(path), data.utt2spk[utt]
        points = read_landmarks(data.table("landmarks.scp")[utt])[:, 4:].reshape(-1, 5, 2).mean((0, 1))
        places[utt] = f"{points[0] + (0 if left else SIDE):.0f} {points[1]:.0f}"
        if path.exists():
            continue
        images = [[frame for _, frame in guarded_stream(video_frames, data.video[who])] for who in (utt, silent)]
        length = min(map(len, images))
        waveform = guarded(read_waveform, data.wav[utt])[: length * RATE // FPS]
        pair = images if left else images[::-1]
        part = path.with_name(f".{utt}.mp4")  # hidden from the recipe until it is complete
        write_mp4(part, (np.hstack([a, b]) for a, b in zip(*pair, strict=False)), FPS, waveform, RATE, CRF, AUDIO_BITS)
        part.rename(path)
    write_data_dir(out, {"utt2spk": people, "wav.scp": video, "video.scp": video})
    write_table(out / "utt2place", places)


def main(args: argparse.Namespace) -> None:
    data = read_data_dir(args.data_dir)
    if not data.table("landmarks.scp"):
        raise InputError(
            f"{args.data_dir}/landmarks.scp: missing or empty; create it with prepare_voxceleb2.py --landmarks"
        )
    cv2.setNumThreads(1)
    make_shifted(data, args.out_dir / "shifted", args.most, args.seed)
    make_replaced(data, args.out_dir / "replaced", args.seed)
    make_two_faces(data, args.out_dir / "two_faces", args.pairs, args.seed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--most", type=float, default=0.4, help="largest shift in seconds (default: 0.4)")
    parser.add_argument("--pairs", type=int, default=100, help="clips with two faces (default: 100)")
    parser.add_argument("--seed", type=int, default=0)
    logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main(parser.parse_args())
    except InputError as error:
        sys.exit(f"make_synchrony_sets.py: {error}")
