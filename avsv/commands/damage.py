"""avsv damage: make a noisy version of a test set by damaging or removing voices or faces.

OUT_DIR has the same clips and trials, and a table utt2damage with the damage to each clip. embed-voice and embed-face
apply it while reading; no audio or images are written. Missing modalities are removed from wav.scp or video.scp. The
condition is one of:

  noisy-P       one modality, voice or face with equal probability, in a share P of the clips: damaged as in voice-noisy
                or face-noisy, or missing (Qian et al., 2021)
  voice-noisy   every voice: noise, music or 3-5 babbling voices at 0-10 dB, or reverberation
  face-noisy    every face: gaussian blur (sigma 2-5 px of a 112 px face), vertical or horizontal motion blur
                (10-20 px), or a box over 15-30 % of it
  both-noisy    voice-noisy and face-noisy
  no-voice, no-face, half-missing
                every voice missing; every face; one of the two, with equal probability, in half of the clips. A clip
                with a single modality keeps it
  noise, music, babble, reverberation, speed
                every voice, with this damage; speed is 0.9 or 1.1 and shifts the pitch, so the voice sounds different
  gaussian-blur, motion-blur-vertical, motion-blur-horizontal, occlusion, down-scaling, low-light, jpeg
                every face, with this damage; down-scaling to 10-20 px, low-light 0.5-2 % of the light, jpeg quality
                3-10
  snr-DB        every voice: noise, music or babble at this signal-to-noise ratio; all ratios use the same noises
  blur-SIGMA    every face: gaussian blur of this sigma, in pixels of a 112 px face. Both faces of a trial have
                the same blur, which is easier than comparing a blurred face with a sharp one
  frames-P      face-noisy in a share P of each clip's faces: for embed-face --pool

example:
  avsv damage --condition noisy-0.6 --noises data/musan_test data/vox1 data/vox1_noisy-0.6
  avsv damage --condition blur-4 --listen 20 data/vox1 data/vox1_blur-4
"""

import logging
from pathlib import Path

from avsv.commands._arguments import at_least_one, at_least_zero

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--condition", metavar="NAME", required=True, help="see below")
    parser.add_argument("--noises", type=Path, help="data directory of noises, music, speech and rooms, for voices")
    parser.add_argument("--seed", type=at_least_zero, default=0, help="random seed (0)")
    parser.add_argument("--listen", type=at_least_one, metavar="N",
                        help="write N samples to OUT_DIR/listen, clean and damaged, as WAV and PNG")  # fmt: skip
    parser.add_argument("data_dir", type=Path, help="the clean set")
    parser.add_argument("out_dir", type=Path)


def run(args):
    from avsv.errors import InputError, OptionError
    from avsv.features.audio_damage import read_noises
    from avsv.features.noisy_sets import COPIED, draw_damage, find_condition, needs_noises, write_noisy_set
    from avsv.jobs.provenance import MadeFrom
    from avsv.jobs.run_log import MADE, note
    from avsv.kaldi.data_dir import read_data_dir

    condition = find_condition(args.condition)
    if args.out_dir.resolve() == args.data_dir.resolve():
        raise InputError(f"{args.out_dir}: is the clean set; choose another OUT_DIR")
    if (args.data_dir / "utt2damage").exists():
        raise InputError(f"{args.data_dir}: is already a noisy set (it has utt2damage); pass the clean set")
    if needs_noises(condition) and not args.noises:
        raise OptionError(f"--condition {args.condition}: needs --noises for damage to voices, such as data/musan_test")
    made = MadeFrom(
        args.verb,
        {"data": [args.data_dir / name for name in COPIED], "trials": sorted((args.data_dir / "trials").glob("[!.]*")),
         "noises": args.noises and [args.noises / "wav.scp", args.noises / "utt2spk"]},
        {"condition": args.condition},
        args.seed,
    )  # fmt: skip
    if not args.listen and made.is_current(args.out_dir):
        return
    data = read_data_dir(args.data_dir)
    noises = read_noises(args.noises) if needs_noises(condition) else {}
    damage = draw_damage(data, condition, noises, args.seed)
    counts = write_noisy_set(data, args.out_dir, damage)
    log.info("%s: %d of %d clips damaged: %s", args.out_dir, len(damage), len(data.utts),
             ", ".join(f"{what} {n}" for what, n in sorted(counts.items())) or "none")  # fmt: skip
    made.write_folder(args.out_dir, (*COPIED, "utt2damage", "spk2utt", "utt2modality"))
    note(MADE, args.out_dir)
    if args.listen:
        from avsv.features.damage_samples import write_samples

        n_samples = write_samples(args.out_dir, args.out_dir / "listen", args.listen)
        log.info("%s/listen: %d samples", args.out_dir, n_samples)
