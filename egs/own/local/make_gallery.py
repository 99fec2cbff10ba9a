#!/usr/bin/env python3
"""Make a gallery of the known people, for avsv identify.

Enrols the recordings of DATA_DIR (of avsv prepare) under the names of their people, except those of --suspects. What
the gallery refuses, such as a file that does not match the person's others, is listed and left out.

example:
  local/make_gallery.py --voice VOICE --face FACE --calibration exp/logistic/own/pairs.cosine.json \\
    --suspects exp/results/suspects.tsv data/own exp/people.gallery
"""

import argparse
import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "voxceleb/local"))
from corpus import log, run

from avsv.errors import AvsvError, OptionError
from avsv.jobs.progress import progress
from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.segments import Segment
from avsv.kaldi.tables import read_lines
from avsv.people.gallery import Gallery
from avsv.people.gallery_enrolment import check_name


def main(args):
    data = read_data_dir(args.data_dir)
    labelled, file_of, name_of = (data.table(name) for name in ("utt2labelled", "utt2file", "spk2name"))
    suspects = {row["file"] for row in csv.DictReader(read_lines(args.suspects), dialect="excel-tab")}
    gallery = Gallery.create(args.gallery, voice=args.voice, face=args.face, calibration=args.calibration,
                             adaptations=args.adaptation, frames_per_clip=args.frames_per_clip, device=args.device,
                             trust=args.trust_model)  # fmt: skip
    n_enrolled, refused = 0, []
    for utt in progress(data.utts, "gallery"):
        sources = list(dict.fromkeys(table[utt] for table in (data.wav, data.video) if utt in table))
        if labelled.get(utt) == "no" or file_of.get(utt, utt) in suspects:
            continue
        for source in sources:
            if isinstance(source, Segment):
                refused.append(f"{source}: is a part of a recording; cut it to enrol it")
                continue
            try:
                gallery.enroll(name(data.utt2spk[utt], name_of), [source])
                n_enrolled += 1
            except AvsvError as error:
                refused.append(f"{source}: {error}".replace(f"{source}: {source}: ", f"{source}: "))
    for reason in refused:
        log.warning("not enrolled: %s", reason)
    log.info("%s: %d recordings of %d people", args.gallery, n_enrolled, len(gallery.people()))


def name(spk, name_of):
    """A person's name, or the identifier if a gallery cannot hold the name."""
    try:
        return check_name(name_of.get(spk, spk))
    except OptionError:
        return spk


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("gallery", type=Path, help="to make")
    parser.add_argument("--voice", help="as for avsv enroll")
    parser.add_argument("--face")
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--adaptation", type=Path, action="append", default=[])
    parser.add_argument("--suspects", type=Path, required=True, help="of report_people.py")
    parser.add_argument("--frames-per-clip", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--trust-model", action="store_true")
    run(main, parser)
