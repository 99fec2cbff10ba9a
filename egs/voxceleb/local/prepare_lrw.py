#!/usr/bin/env python3
"""Create data directories for synchrony from Lip Reading in the Wild: mp4 files of a face with audio, 29 frames each.

Reads WORD/PART/WORD_NUMBER.mp4 (PART: train, val or test) and never writes to the corpus. LRW does not identify
speakers, so the word replaces the speaker: folds and held-out sets consist of words.

example: local/prepare_lrw.py --part train /corpora/lrw/lipread_mp4 data/lrw_train
"""

import argparse
import os
from pathlib import Path

from corpus import is_hidden, log, need, run, write_set

from avsv.errors import InputError


def main(args):
    corpus = need(args.corpus.resolve(), "the folder of LRW, with WORD/train, WORD/val and WORD/test")
    paths = [path for path in corpus.glob(f"*/{args.part}/*") if path.suffix.lower() == ".mp4"]
    hidden = [path for path in paths if is_hidden(path.name)]
    if hidden:
        log.warning("%s: left out %d files of a system (hidden), such as %s", corpus, len(hidden), min(hidden))
    clips = {f"{path.parts[-3]}-{args.part}-{path.stem}": path for path in sorted(set(paths) - set(hidden))}
    if not clips:
        raise InputError(f"{corpus}: expected WORD/{args.part}/*.mp4, found none")
    words = {utt.partition("-")[0] for utt in clips}
    write_set(args.out_dir, clips, clips, dict.fromkeys(words, "m"), args.jobs)
    (args.out_dir / "spk2gender").unlink()  # words have no gender


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--part", choices=["train", "val", "test"], default="train")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="processes that read lengths (default: all cores)"
    )
    run(main, parser)
