#!/usr/bin/env python3
"""Create one data directory of noises and room responses from MUSAN and RIRS_NOISES.

An utterance is a recording; its "speaker" is its type: noise, music, speech or rir. Reads, and never writes to:
  MUSAN/{noise,music,speech}/SOURCE/NAME.wav
  RIRS/simulated_rirs/{smallroom,mediumroom}/ROOM/NAME.wav   (large rooms are left out, as in Kaldi's recipes)

example: local/prepare_musan.py /corpora/musan /corpora/RIRS_NOISES data/musan
"""

import argparse
from pathlib import Path

from corpus import find_recordings, need, run

from avsv.errors import InputError
from avsv.kaldi.data_dir import write_data_dir


def main(args):
    musan, rirs = args.musan.resolve(), args.rirs.absolute()
    wav = {}
    for sort in ("noise", "music", "speech"):
        for path in find_recordings(need(musan / sort, f"the part {sort}/ of MUSAN")):
            wav[f"{sort}-{path.stem.removeprefix(sort + '-')}"] = path
    rooms = need(rirs / "simulated_rirs", "simulated_rirs/ of RIRS_NOISES")
    for size in ("smallroom", "mediumroom"):
        for path in find_recordings(need(rooms / size, f"{size}/ of simulated_rirs")):
            wav[f"rir-{size}-{path.stem}"] = path
    utt2spk = {utt: utt.partition("-")[0] for utt in wav}
    if set(utt2spk.values()) != {"noise", "music", "speech", "rir"}:
        raise InputError(
            f"{musan} and {rirs}: found only recordings of type {', '.join(sorted(set(utt2spk.values())))}"
        )
    write_data_dir(args.out_dir, {"wav.scp": {utt: str(path) for utt, path in wav.items()}, "utt2spk": utt2spk})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("musan", type=Path, help="folder with noise/, music/ and speech/")
    parser.add_argument("rirs", type=Path, help="folder RIRS_NOISES, with simulated_rirs/")
    parser.add_argument("out_dir", type=Path)
    run(main, parser)
