"""avsv enroll: add recordings of a person to a gallery.

A gallery is one file. The first call makes it, and names the models that it works with: the encoders, the calibration
of their cosines as for avsv verify, and any adaptations and PLDA models. It keeps copies of all but the encoders, which
are loaded from the same place later; further calls need only GALLERY, NAME and the files. A person may have any number
of recordings: with voice, with a face, or with both.

Nothing is enrolled (exit code 3) if a file shows two people, does not match the person's other recordings, or matches
somebody enrolled under another name; --force enrols it nevertheless. Poor quality is a warning. A recording that the
person has already is always an error.

example:
  avsv enroll --voice exp/voice --face exp/face --calibration exp/logistic/scores/test.cosine.json \\
    people.gallery "Ann Lee" ann1.mp4 ann2.wav
  avsv enroll people.gallery "Bo Ek" bo.mp4
"""

import json
import logging
from pathlib import Path

from avsv.commands._arguments import add_audio_track, add_device, add_trust, at_least_one

log = logging.getLogger("avsv")
REFUSED = 3  # exit code
INTERMIXED = True  # options may stand between files


def add_arguments(parser):
    parser.add_argument("gallery", type=Path, metavar="GALLERY")
    parser.add_argument("name", metavar="NAME", help="of the person, as it is to be shown")
    parser.add_argument("files", nargs="+", metavar="FILE", help="recording, video, image or folder of images")
    parser.add_argument("--consent", default="", metavar="TEXT", help="note that is kept with each recording")
    parser.add_argument("--force", action="store_true", help="enrol in spite of doubts")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_models(parser, "to make GALLERY: ")
    add_trust(parser)
    add_audio_track(parser)
    add_device(parser)


def add_models(parser, when):
    """Add the options that name a gallery's models, of which none has a default here."""
    parser.add_argument("--voice", metavar="MODEL", help=f"{when}as in avsv embed-voice --model")
    parser.add_argument("--face", metavar="MODEL", help=f"{when}as in avsv embed-face --model")
    parser.add_argument(
        "--calibration", type=Path, metavar="JSON", help=f"{when}trained on the scores of voice and face"
    )
    parser.add_argument(
        "--adaptation", type=Path, action="append", metavar="DIR",
        help=f"{when}folder of avsv adapt for the voice or the face; may be repeated",
    )  # fmt: skip
    parser.add_argument("--voice-plda", type=Path, metavar="DIR", help=f"{when}compare voices by this PLDA model")
    parser.add_argument("--face-plda", type=Path, metavar="DIR", help=f"{when}compare faces by this PLDA model")
    parser.add_argument("--frames-per-clip", type=at_least_one, metavar="N", help=f"{when}faces averaged (5)")


def models_of(args):
    """The models that the options name, as arguments of Gallery.create and rebuild; None or empty if not given."""
    plda = {name: path for name in ("voice", "face") if (path := getattr(args, f"{name}_plda"))}
    return {"voice": args.voice, "face": args.face, "calibration": args.calibration,
            "adaptations": args.adaptation, "plda": plda, "frames_per_clip": args.frames_per_clip}  # fmt: skip


def run(args):
    from avsv.errors import OptionError
    from avsv.people.gallery import Gallery
    from avsv.people.gallery_enrolment import EnrolmentRefused, check_name

    check_name(args.name)
    given = {name: value for name, value in models_of(args).items() if value}
    if given and args.calibration is None:
        raise OptionError(f"{args.gallery}: making a gallery needs --calibration, and --voice, --face or both")
    use = {"device": args.device, "trust": args.trust_model}
    if given:
        gallery = Gallery.create(args.gallery, **given, exist_ok=True, **use)
    else:
        gallery = Gallery(args.gallery, **use)
    options = {"consent": args.consent, "force": args.force, "audio_track": args.audio_track}
    try:
        result = gallery.enroll(args.name, args.files, **options)
    except EnrolmentRefused as refusal:
        if args.json:
            print(json.dumps({"enrolled": False, "name": args.name, "reasons": refusal.reasons}, indent=2))
        else:
            print("\n".join(refusal.reasons))
            print(f"{args.name}: not enrolled; --force enrols nevertheless")
        return REFUSED
    if args.json:
        recordings = [{"file": one.path, "modalities": list(one.clip.vectors), "absent": one.clip.absent}
                      for one in result.samples]  # fmt: skip
        print(json.dumps({"enrolled": True, "name": result.name, "new": result.is_new, "recordings": recordings,
                          "warnings": result.warnings}, indent=2))  # fmt: skip
        return 0
    for warning in result.warnings:
        log.warning("%s", warning)
    for one in result.samples:
        print(f"{one.path}: {' and '.join(one.clip.vectors)}")
    print(f"{result.name}: {'enrolled' if result.is_new else 'recordings added'}")
    return 0
