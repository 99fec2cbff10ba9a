"""avsv damage: a noisy test set: which clips of a set lose voice or face, and how.

Each clip has, with the given probability, exactly one modality (either as likely) damaged: the voice by noise, music,
3-5 babbling voices at 0-10 dB, or reverberation; the face by blur, motion blur or a box before it; or it goes missing.
OUT_DIR has the same clips and trials and the table utt2damage; embed-voice and embed-face do the damage as they read.

example:
  avsv damage --noises data/musan --probability 0.6 data/vox1 data/vox1_noisy-0.6
"""

import logging
from pathlib import Path

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--noises", type=Path, required=True, help="data directory of local/prepare_musan.py")
    parser.add_argument("--probability", type=float, required=True, help="share of the clips that are damaged")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    parser.add_argument("data_dir", type=Path, help="the clean set")
    parser.add_argument("out_dir", type=Path)


def run(args):
    from avsv.errors import UserError
    from avsv.features.noisy_sets import draw_damage, write_noisy_set
    from avsv.features.sound_damage import read_noises
    from avsv.kaldi.data_dir import read_data_dir

    if not 0 <= args.probability <= 1:
        raise UserError(f"--probability {args.probability}: expected a share from 0 to 1")
    if args.out_dir.resolve() == args.data_dir.resolve():
        raise UserError(f"{args.out_dir}: is the clean set itself; choose another OUT_DIR")
    data = read_data_dir(args.data_dir)
    damage = draw_damage(data, args.probability, read_noises(args.noises), args.seed)
    counts = write_noisy_set(data, args.out_dir, damage)
    log.info("%s: %d of %d clips damaged: %s", args.out_dir, counts.total(), len(data.utts),
             ", ".join(f"{what} {n}" for what, n in sorted(counts.items())))  # fmt: skip
