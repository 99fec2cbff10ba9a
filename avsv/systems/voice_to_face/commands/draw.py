"""avsv voice-to-face draw: generate the image of a face from a recording of a voice.

EXP is a finished training of task voice_to_face. OUT.png has 64 x 64 pixels. The generated face matches the voice
in the traits that a voice reveals: gender and, roughly, age and build. It is not a likeness; do not use it to search
for a person.

example:
  avsv voice-to-face draw --model exp/voice_to_face speech.wav face.png
  avsv voice-to-face draw --model exp/voice_to_face talk.mp4 face.png      # any file with audio
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_device

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("audio", metavar="AUDIO", help="recording or video of one person speaking")
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("--model", required=True, type=Path, metavar="EXP", help="a training of task voice_to_face")
    add_device(parser)


def run(args):
    from avsv.errors import InputError
    from avsv.jobs.files import whole_file
    from avsv.jobs.provenance import MadeFrom
    from avsv.media.encoding import encode_png
    from avsv.systems.voice_to_face.generated_faces import FaceGenerator, network_files
    from avsv.systems.voice_to_face.speech_features import FRAMES_PER_SECOND
    from avsv.systems.voice_to_face.speech_store import read_speech

    if args.out.suffix.lower() != ".png":
        raise InputError(f"{args.out}: expected a file name ending in .png")
    generator = FaceGenerator(args.model, args.device)
    made = MadeFrom(args.verb, {"model": network_files(args.model), "audio": args.audio})
    frames = read_speech(args.audio)
    with whole_file(args.out, "wb") as out:
        out.write(encode_png(generator.draw(frames)))
    made.write(args.out)
    log.info("%s: a face from %.1f s of speech", args.out, len(frames) / FRAMES_PER_SECOND)
