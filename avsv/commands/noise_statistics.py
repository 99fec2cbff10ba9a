"""avsv noise-statistics: what damage does to embeddings, for augmentation by noise distribution matching.

CLEAN_SCP holds embeddings of clean clips of one modality, each NOISY_SCP embeddings of the same clips after damage.
For each type of damage OUT gets the mean and standard deviation, per dimension, of damaged minus clean. SCP@KIND tells
that all its clips have this type of damage; without @KIND, --utt2damage tells of each clip: the table that avsv damage
wrote. Clips without a clean embedding, and those that the table does not damage, are left out. With --kind only the
types named are measured: the paper has noise, music and babble for voices; Gaussian blur and motion blur in two
directions for faces. With --quality, the quality tables beside the damaged embeddings are measured too (training must
then name the same, in this order).

example:
  avsv damage --noises data/musan --condition voice-noisy --seed 1 data/vox2 data/vox2_damaged
  avsv embed-voice --model exp/voice data/vox2_damaged exp/voice/vox2_damaged
  avsv noise-statistics --modality voice --kind noise --kind music --kind babble \\
    --utt2damage data/vox2_damaged/utt2damage exp/voice/vox2/embedding.scp exp/voice/vox2_damaged/embedding.scp \\
    exp/voice/noise.npz
  avsv noise-statistics exp/face/vox2/embedding.scp exp/face/blurred/embedding.scp@gaussian-blur exp/face/noise.npz
"""

import logging
from pathlib import Path

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("clean", metavar="CLEAN_SCP", type=Path, help="embedding.scp of clean clips")
    parser.add_argument("noisy", metavar="NOISY_SCP[@KIND]", nargs="+", help="embedding.scp of the same, damaged")
    parser.add_argument("out", metavar="OUT", type=Path, help="statistics, which training reads")
    parser.add_argument("--utt2damage", type=Path, action="append", default=[], metavar="FILE",
                        help="one for each NOISY_SCP without @KIND, in their order")  # fmt: skip
    parser.add_argument("--modality", choices=["voice", "face"], help="of the embeddings; needed with --utt2damage")
    parser.add_argument("--kind", action="append", default=[],
                        help="type of damage to measure; may be given several times; without it all are")  # fmt: skip
    parser.add_argument("--quality", action="append", default=[], metavar="TABLE",
                        help="utt2snr, log:utt2magnitude ...; may be given several times")  # fmt: skip


def run(args):
    from avsv.errors import InputError
    from avsv.kaldi.damage import read_damage
    from avsv.training.noise_statistics import measure_noise, write_noise

    named = [name.rpartition("@") for name in args.noisy]
    bare = sum(not at for _, at, _ in named)
    if bare != len(args.utt2damage) or (bare and not args.modality):
        raise InputError(f"{bare} of the NOISY_SCP have no @KIND: expected as many --utt2damage and --modality, "
                        f"found {len(args.utt2damage)} and {args.modality}")  # fmt: skip
    for path in args.utt2damage:
        if path.name != "utt2damage" or not path.exists():
            raise InputError(f"{path}: expected a file utt2damage that avsv damage wrote; others are named with @KIND")
    tables = iter(args.utt2damage)
    noisy = []
    for scp, at, kind in named:
        if at:
            noisy.append((scp, kind))
        else:
            damage = read_damage(next(tables).parent, args.modality)
            noisy.append((kind, {utt: what["kind"] for utt, what in damage.items()}))
    noise = measure_noise(args.clean, noisy, args.quality, args.kind)
    write_noise(args.out, noise)
    counts = zip(noise.kinds, noise.counts, strict=True)
    log.info("%s: clips compared: %s", args.out, ", ".join(f"{kind} {count}" for kind, count in counts))
