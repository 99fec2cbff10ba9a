"""avsv noise-statistics: measure how damage shifts embeddings, for augmentation by noise distribution matching.

CLEAN_SCP holds embeddings of clean clips of one modality, each NOISY_SCP embeddings of the same clips after damage. OUT
gets, per type of damage, the mean and standard deviation of damaged minus clean in each dimension. SCP@KIND declares
one type for all its clips; without @KIND, --utt2damage (the table of avsv damage) gives the type of each clip. Clips
without a clean embedding, and undamaged ones, are left out. --kind restricts the measurement to the named types: the
paper uses noise, music and babble for voices; Gaussian blur and motion blur in two directions for faces. --quality
measures the quality tables beside the damaged embeddings as well; training must then list the same tables in the same
order.

example:
  avsv damage --noises data/musan_train --condition voice-noisy --seed 1 data/vox2 data/vox2_damaged
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
    parser.add_argument("noisy", metavar="NOISY_SCP[@KIND]", nargs="+", help="embedding.scp of the same clips, damaged")
    parser.add_argument("out", metavar="OUT", type=Path, help="statistics for training (.npz)")
    parser.add_argument("--utt2damage", type=Path, action="append", default=[], metavar="FILE",
                        help="one per NOISY_SCP without @KIND, in the same order")  # fmt: skip
    parser.add_argument("--modality", choices=["voice", "face"], help="of the embeddings; needed with --utt2damage")
    parser.add_argument("--kind", action="append", default=[],
                        help="type of damage to measure; may be repeated (all)")  # fmt: skip
    parser.add_argument("--quality", action="append", default=[], metavar="TABLE",
                        help="such as utt2snr or log:utt2magnitude; may be repeated")  # fmt: skip


def run(args):
    from avsv.errors import InputError
    from avsv.kaldi.damage import read_damage
    from avsv.training.noise_statistics import measure_noise, write_noise

    named = [name.rpartition("@") for name in args.noisy]
    bare = sum(not at for _, at, _ in named)
    if bare != len(args.utt2damage) or (bare and not args.modality):
        raise InputError(f"{bare} NOISY_SCP files have no @KIND: expected one --utt2damage for each, and --modality; "
                        f"found {len(args.utt2damage)} and {args.modality}")  # fmt: skip
    for path in args.utt2damage:
        if path.name != "utt2damage" or not path.exists():
            raise InputError(f"{path}: expected a file utt2damage from avsv damage; otherwise name the type with @KIND")
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
