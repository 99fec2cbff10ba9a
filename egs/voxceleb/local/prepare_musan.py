#!/usr/bin/env python3
"""Create data directories of noises and room responses from MUSAN and RIRS_NOISES, for training, calibration and test.

Half of the recordings of each type are for training (OUT_train), a quarter each for calibration (OUT_dev) and test
(OUT_test). No recording is in two of them, and no room either, if there are at least three rooms of its size. An
utterance is a recording; its "speaker" is its type: noise, music, speech or rir. Reads, and never writes to:
  MUSAN/{noise,music,speech}/SOURCE/NAME.wav
  RIRS/simulated_rirs/{smallroom,mediumroom}/ROOM/NAME.wav   (large rooms are left out, as in Kaldi's recipes)

example: local/prepare_musan.py /corpora/musan /corpora/RIRS_NOISES data/musan
"""

import argparse
from pathlib import Path

import numpy as np
from corpus import find_recordings, log, need, run

from avsv.errors import InputError
from avsv.kaldi.data_dir import write_data_dir

PARTS = ("train", "dev", "test")
SOUNDS, SIZES = ("noise", "music", "speech"), ("smallroom", "mediumroom")


def split(groups: dict[str, list[str]], seed: int) -> dict[str, str]:
    """The part of each utterance, equal within a group; dev and test get a quarter of the groups each, at least one."""
    names = sorted(groups)
    order = np.random.default_rng(seed).permutation(len(names))
    quarter = max(1, round(len(names) / 4))
    part_of = {}
    for place, number in enumerate(order):
        part = "dev" if place < quarter else "test" if place < 2 * quarter else "train"
        part_of |= dict.fromkeys(groups[names[number]], part)
    return part_of


def main(args):
    musan, rirs = args.musan.resolve(), args.rirs.absolute()
    wav: dict[str, Path] = {}
    part_of: dict[str, str] = {}

    def add(kind: str, folder: Path, named: dict[str, Path], by_room: bool = False) -> None:
        if len(named) < len(PARTS):
            raise InputError(f"{folder}: expected at least {len(PARTS)} recordings of type {kind}, one each for "
                            f"training, calibration and test; found {len(named)}")  # fmt: skip
        rooms: dict[str, list[str]] = {}
        for utt, path in named.items():
            rooms.setdefault(path.parent.name, []).append(utt)
        by_room = by_room and len(rooms) >= len(PARTS)
        part_of.update(split(rooms if by_room else {utt: [utt] for utt in named}, args.seed))
        wav.update(named)

    for kind in SOUNDS:
        folder = need(musan / kind, f"the part {kind}/ of MUSAN")
        paths = find_recordings(folder)
        add(kind, folder, {f"{kind}-{path.stem.removeprefix(kind + '-')}": path for path in paths})
    rooms = need(rirs / "simulated_rirs", "simulated_rirs/ of RIRS_NOISES")
    for size in SIZES:
        folder = need(rooms / size, f"{size}/ of simulated_rirs")
        paths = find_recordings(folder)
        add("rir", folder, {f"rir-{size}-{path.stem}": path for path in paths}, by_room=True)
    for part in PARTS:
        of_part = {utt: str(path) for utt, path in wav.items() if part_of[utt] == part}
        out = args.out.with_name(f"{args.out.name}_{part}")
        write_data_dir(out, {"wav.scp": of_part, "utt2spk": {utt: utt.partition("-")[0] for utt in of_part}})
        log.info("%s: %d of %d recordings", out, len(of_part), len(wav))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("musan", type=Path, help="folder with noise/, music/ and speech/")
    parser.add_argument("rirs", type=Path, help="folder RIRS_NOISES, with simulated_rirs/")
    parser.add_argument("out", type=Path, metavar="OUT", help="start of the names of the three data directories")
    parser.add_argument("--seed", type=int, default=0, help="of the split (default: 0)")
    run(main, parser)
