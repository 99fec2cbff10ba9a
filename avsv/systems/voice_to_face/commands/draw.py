"""avsv voice-to-face draw: a recording of a voice -> the picture of a face that may go with it.

EXP is a finished training of task voice_to_face. OUT.png has 64 x 64 pixels. What is drawn agrees with the voice in
what voices tell: sex, roughly age and build; it is not a likeness, and nobody should be looked for by it.

example:
  avsv voice-to-face draw --model exp/voice_to_face speech.wav face.png
  avsv voice-to-face draw --model exp/voice_to_face talk.mp4 face.png      # any file with sound
"""

import logging
from pathlib import Path

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("audio", metavar="AUDIO", help="recording or video of one person who speaks")
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("--model", required=True, type=Path, metavar="EXP", help="a training of task voice_to_face")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")


def run(args):
    from avsv.errors import InputError
    from avsv.jobs.files import whole_file
    from avsv.media.encoding import encode_png
    from avsv.systems.voice_to_face.generated_faces import FaceDrawer
    from avsv.systems.voice_to_face.speech import read_speech
    from avsv.systems.voice_to_face.speech_features import FRAMES_A_SECOND

    if args.out.suffix.lower() != ".png":
        raise InputError(f"{args.out}: expected a name that ends in .png")
    drawer = FaceDrawer(args.model, args.device)
    frames = read_speech(args.audio)
    with whole_file(args.out, "wb") as out:
        out.write(encode_png(drawer.draw(frames)))
    log.info("%s: a face from %.1f s of speech", args.out, len(frames) / FRAMES_A_SECOND)
