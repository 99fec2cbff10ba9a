"""avsv identify: find out who of a gallery a recording, video or image shows, if anybody.

Everybody enrolled in GALLERY (see avsv enroll) is compared with each file, on the modalities that both have. The best
is named if the log-likelihood ratio exceeds the threshold: ln((1 - P) / P) + ln N for N people, where P is the prior
probability that a file shows one of them, each equally probable. Otherwise the answer is nobody. --operating-point
replaces ln((1 - P) / P) by a threshold chosen on your own recordings. Probabilities are posterior: they share 1 between
all people and nobody.

Exit code: 0 if somebody is named for every file, 3 if nobody for one of them, 1 if a file cannot be used.

example:
  avsv identify people.gallery new.mp4 other.wav
"""

import json
import logging
from pathlib import Path

from avsv.commands._arguments import add_audio_track, add_device, add_trust, at_least_one, prior

log = logging.getLogger("avsv")
NOBODY = 3  # exit code
INTERMIXED = True  # options may stand between files


def add_arguments(parser):
    parser.add_argument("gallery", type=Path, metavar="GALLERY")
    parser.add_argument("files", nargs="+", metavar="FILE", help="recording, video, image or folder of images")
    parser.add_argument(
        "--p-target", type=prior, default=0.5, metavar="P",
        help="prior probability that a file shows somebody in the gallery (0.5)",
    )  # fmt: skip
    parser.add_argument(
        "--operating-point", type=Path, metavar="FILE",
        help="of avsv operating-point; its threshold replaces that of the prior",
    )  # fmt: skip
    parser.add_argument("--top", type=at_least_one, default=5, metavar="K", help="candidates listed (5)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    add_trust(parser)
    add_audio_track(parser)
    add_device(parser)


def run(args):
    from avsv.errors import InputError
    from avsv.people.gallery import Gallery
    from avsv.people.remarks import remarks

    gallery = Gallery(args.gallery, device=args.device, trust=args.trust_model)
    clips, failed = {}, {}
    for file in dict.fromkeys(args.files):
        try:
            clips[file] = gallery.embed(file, args.audio_track)
        except InputError as error:
            if len(set(args.files)) == 1:
                raise
            failed[file] = str(error)
    options = {"p_target": args.p_target, "operating_point": args.operating_point, "top": args.top}
    results = dict(zip(clips, gallery.identify([*clips.values()], **options), strict=True))
    if args.json:
        records = [{"file": file, "error": failed[file]} if file in failed else
                   {"file": file, **as_json(results[file], remarks(clips[file].clip))}
                   for file in dict.fromkeys(args.files)]  # fmt: skip
        print(json.dumps(records, indent=2))
    else:
        for file, result in results.items():
            show(file, result, remarks(clips[file].clip))
        for error in failed.values():
            log.error("%s", error)
    return 1 if failed else NOBODY if any(result.name is None for result in results.values()) else 0


def as_json(result, notes):
    """The keys of one file's result, which docs/gallery.md explains."""
    threshold = None if not result.n_people else result.threshold
    return {
        "name": result.name,
        "candidates": [{"name": one.name, "llr": one.ratio, "probability": one.probability,
                        "modalities": list(one.modalities), "scores": one.scores} for one in result.candidates],
        "threshold": threshold,
        "margin": result.margin,
        "nobody_probability": result.nobody,
        "people": result.n_people,
        "modalities": list(result.clip.vectors),
        "absent": result.clip.absent,
        "remarks": notes,
    }  # fmt: skip


def show(file, result, notes):
    """Print one file's result: a line of the decision, then the candidates."""
    if result.name is not None:
        best = result.candidates[0]
        margin = "" if result.margin is None else f", {result.margin:.1f} above the runner-up"
        print(f"{file}: {result.name}  by {' and '.join(best.modalities)}{margin}")
    else:
        few = "the gallery is empty" if not result.n_people else (
            f"nobody in the gallery has a {' or a '.join(result.clip.vectors)}" if not result.candidates else
            f"of {result.n_people} people")  # fmt: skip
        print(f"{file}: nobody in the gallery ({few})")
    for one in result.candidates:
        print(f"  {one.ratio:9.2f}  {100 * one.probability:6.2f} %  {one.name}  ({', '.join(one.modalities)})")
    if result.candidates:
        print(f"  {result.threshold:9.2f}  {100 * result.nobody:6.2f} %  nobody: threshold, probability")
    for note in notes:
        print(f"  {note}")
