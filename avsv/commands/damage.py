"""avsv damage: a noisy test set: which clips of a set lose voice or face, and how.

OUT_DIR has the same clips and trials, and the table utt2damage that says what is done to which; embed-voice and
embed-face do it as they read, no sound or picture is written. What is missing is no longer in wav.scp or video.scp.

The name of the condition says what is done:
  noisy-P       exactly one modality of a share P of the clips, either as likely: a voice as in voice-noisy or
                missing, a face as in face-noisy or missing (Qian et al., 2021)
  voice-noisy   every voice: noise, music or 3-5 babbling voices at 0-10 dB, or reverberation
  face-noisy    every face: gaussian blur (sigma 2-5 px of a 112 px face), vertical or horizontal motion blur
                (10-20 px), or a box over 15-30 % of it
  both-noisy    voice-noisy and face-noisy
  no-voice, no-face, half-missing
                every voice missing; every face; one of the two, either as likely, in half of the clips. A clip that has
                one only keeps it
  noise, music, babble, reverberation, speed
                every voice, by this kind; speed is 0.9 or 1.1 and moves the pitch, which makes another voice of it
  gaussian-blur, motion-blur-vertical, motion-blur-horizontal, occlusion, down-scaling, low-light, jpeg
                every face, by this kind; down-scaling to 10-20 px, low-light is 0.5-2 % of the light, jpeg has
                quality 3-10
  snr-DB        every voice: noise, music or babble at this signal-to-noise ratio, the same noise in the whole sweep
  blur-SIGMA    every face: gaussian blur of this sigma, in pixels of a 112 px face. Both faces of a trial are blurred
                alike, which is easier than a blurred and a sharp one
  frames-P      face-noisy in a share P of each clip's faces: for embed-face --pool

example:
  avsv damage --condition noisy-0.6 --noises data/musan data/vox1 data/vox1_noisy-0.6
  avsv damage --condition blur-4 --listen 20 data/vox1 data/vox1_blur-4
"""

import logging
from pathlib import Path

from avsv.commands._arguments import at_least_one, at_least_zero

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--condition", metavar="NAME", required=True, help="what is done, see below")
    parser.add_argument("--noises", type=Path, help="data directory of noises, music, speech and rooms, for voices")
    parser.add_argument("--seed", type=at_least_zero, default=0, help="of the draw (default: 0)")
    parser.add_argument("--listen", type=at_least_one, metavar="N",
                        help="write N samples to OUT_DIR/listen: wav and png, clean and damaged")  # fmt: skip
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
        raise InputError(f"{args.out_dir}: is the clean set itself; choose another OUT_DIR")
    if (args.data_dir / "utt2damage").exists():
        raise InputError(f"{args.data_dir}: has utt2damage, so it is a noisy set already; give the clean one")
    if needs_noises(condition) and not args.noises:
        raise OptionError(f"--condition {args.condition}: damages voices; give --noises, such as data/musan")
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
