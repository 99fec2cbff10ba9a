"""avsv verify: decide whether recordings, videos or images show the same person.

Two files are compared, or the files before --with and those after it: several of one person, who then count as one
recording with the mean of their embeddings. Every file may have a voice, a face or both. The two sides are compared on
the modalities that both have, by the cosine of their voice embeddings and of their face embeddings. --calibration, the
OUT.json of avsv fuse for these cosines, turns them into one log-likelihood ratio; with --fusion, the folder of a fusion
network such as AVN-E, it may be the OUT.json of avsv calibrate for the cosines of the fused embeddings. After --method
quality, the quality of the files is measured as embed-voice and embed-face do, and scales the evidence. If a modality
is missing, the other one alone is used; after --method logistic by its own map, for which the calibration must be
trained with --missing rest, as the recipes do. Sides without a common modality get the log-likelihood ratio 0, no
verdict, and exit code 3.

The person is the same above the threshold: that of --p-target, ln((1 - P) / P), or that of --operating-point, a file of
avsv operating-point. The calibration must be trained on scores of the same models, and the operating point chosen on
it. Without --calibration, one that is installed for the models is used: a JSON in the folder .config/avsv/calibrations
of your home, found by the models' hashes. It is not verified on your data.

Prints one line per modality, remarks on the quality of files, then score, probability and verdict; --json prints all of
it as JSON.

examples:
  avsv verify --voice exp/voice --face exp/face --calibration exp/logistic/scores/test.cosine.json one.mp4 other.wav
  avsv verify --voice exp/voice --face exp/face --calibration exp/logistic/scores/test.cosine.json \\
    --operating-point exp/own/operating_point.json --json monday.mp4 tuesday.mp4 --with visitor.mp4
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_audio_track, add_device, add_trust, at_least_one, prior

UNDECIDED = 3  # exit code
NOT_VERIFIED = "an installed calibration: not verified on your data. See avsv operating-point"

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("files", nargs="+", metavar="FILE", help="recording, video, image or folder of images")
    parser.add_argument("--with", nargs="+", dest="others", metavar="FILE", help="files of the other side")
    parser.add_argument("--voice", metavar="MODEL", help="as in avsv embed-voice --model")
    parser.add_argument("--face", metavar="MODEL", help="as in avsv embed-face --model")
    parser.add_argument("--fusion", type=Path, metavar="DIR", help="as in avsv embed-pair --model; needs both")
    parser.add_argument("--calibration", type=Path, metavar="JSON", help="trained on the cosines of these models")
    parser.add_argument(
        "--adaptation", type=Path, action="append", default=[], metavar="DIR",
        help="folder of avsv adapt for the voice or the face, as for the calibration's scores; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--operating-point", type=Path, metavar="JSON", help="threshold that avsv operating-point chose"
    )
    parser.add_argument(
        "--p-target", type=prior, metavar="P",
        help="prior probability of the same person (that of the operating point, or 0.5)",
    )  # fmt: skip
    parser.add_argument("--frames-per-clip", type=at_least_one, default=5, help="faces averaged (5)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_trust(parser)
    add_audio_track(parser)
    add_device(parser)


def run(args):
    import json

    from avsv.errors import OptionError
    from avsv.people.calibrations import find_calibration
    from avsv.people.operating_point import read_operating_point
    from avsv.people.several import average_clips
    from avsv.scoring.calibration import read_fusion
    from avsv.scoring.verification import verify

    sides = [args.files, args.others] if args.others else [args.files[:1], args.files[1:]]
    if not args.others and len(args.files) != 2:
        raise OptionError(f"expected two files, found {len(args.files)}; to compare several, separate the sides: "
                          "avsv verify A1 A2 --with B1 B2")  # fmt: skip
    point = read_operating_point(args.operating_point) if args.operating_point else None
    calibration = read_fusion(args.calibration) if args.calibration else None
    if point and calibration:
        point.refuse_other_calibration(calibration, args.operating_point)
    clips = embed_files(args, sides)
    a, b = (average_clips([clips[file] for file in side]) for side in sides)
    installed = None
    if calibration is None:
        installed = find_calibration(a.models)
        calibration = read_fusion(installed)
        if point:
            point.refuse_other_calibration(calibration, args.operating_point)
        else:
            log.warning("%s: %s", installed, NOT_VERIFIED)
    p_target = args.p_target or (point and point.goal.p_target) or 0.5
    verdict = verify(a, b, args.calibration or installed, p_target, point and point.threshold)
    report = {
        "same": verdict.same,
        "llr": verdict.ratio,
        "threshold": verdict.threshold,
        "probability": verdict.probability,
        "p_target": p_target,
        "modalities": verdict.cosines,
        "shared": [modality for modality in ("voice", "face") if modality in a.vectors and modality in b.vectors],
        "absent": missing(a, b),
        "sides": [[file_report(file, clips[file]) for file in side] for side in sides],
        "operating_point": point and {"file": str(args.operating_point), "goal": str(point.goal),
                                      "supported": point.supported, "warnings": point.warnings},
        "calibration": {"file": str(args.calibration or installed), "installed": installed is not None},
    }  # fmt: skip
    print(json.dumps(report, indent=2) if args.json else text(report))
    return UNDECIDED if verdict.same is None else 0


def embed_files(args, sides):
    """Embed every file once: file -> clip."""
    from avsv.embeddings.clip import embed
    from avsv.embeddings.face import load_face_encoder
    from avsv.embeddings.voice import load_voice_encoder
    from avsv.errors import OptionError
    from avsv.scoring.domain import read_adaptation

    if not args.voice and not args.face:
        raise OptionError("expected --voice, --face, or both")
    if args.fusion and not (args.voice and args.face):
        raise OptionError("--fusion needs --voice and --face")
    adaptations = [read_adaptation(folder) for folder in args.adaptation]
    voice = load_voice_encoder(args.voice, args.device, args.trust_model) if args.voice else None
    face = load_face_encoder(args.face, args.device) if args.face else None
    fusion = None
    if args.fusion:
        from avsv.embeddings.pair import load_fusion

        fusion = load_fusion(args.fusion)
    for file in dict.fromkeys(sides[0]):
        if file in sides[1]:
            log.warning("%s: on both sides, so the comparison says nothing about the person", file)
    options = {"frames_per_clip": args.frames_per_clip, "audio_track": args.audio_track, "adaptations": adaptations}
    return {file: embed(file, voice, face, fusion, **options) for side in sides for file in dict.fromkeys(side)}


def missing(a, b):
    """Modality -> reasons why a side lacks it."""
    return {modality: [clip.absent[modality] for clip in (a, b) if modality in clip.absent]
            for modality in a.models if modality in a.absent or modality in b.absent}  # fmt: skip


def file_report(file, clip):
    """What the JSON says about one file."""
    from dataclasses import asdict

    from avsv.people.remarks import find_remarks

    used = [modality for modality in clip.models if modality in clip.vectors]
    remarks = [asdict(remark) for remark in find_remarks(clip) if not remark.code.startswith("no_")]
    return {"file": file, "modalities": used, "absent": clip.absent, "remarks": remarks}


def percent(probability):
    """A probability in percent with two decimals, which never reads 0 or 100.

    Examples
    --------
    >>> percent(0.5), percent(0.9999999)
    ('50.00 %', 'over 99.99 %')
    """
    if probability > 0.9999:
        return "over 99.99 %"
    return f"{100 * probability:.2f} %" if probability >= 0.0001 else "below 0.01 %"


def text(report):
    """The result as lines for people."""
    lines = [f"{modality:5}  {'-':6}  {'; '.join(reasons)}" for modality, reasons in report["absent"].items()]
    of = {"fused": f" of fused embeddings; both sides have {' and '.join(report['shared'])}"}
    lines += [f"{name:5}  {cosine:.4f}  cosine{of.get(name, '')}" for name, cosine in report["modalities"].items()]
    for side in report["sides"]:
        lines += [f"remark {one['file']}: {remark['text']}" for one in side for remark in one["remarks"]]
    point = report["operating_point"]
    basis = f"for {point['goal']}" if point else f"at target prior {report['p_target']:g}"
    lines.append(f"score  {report['llr']:.4f}  log-likelihood ratio; threshold {report['threshold']:.4f} {basis}")
    if point:
        lines += [f"remark {point['file']}: {warning}" for warning in point["warnings"]]
    if report["same"] is None:
        return "\n".join([*lines, "no verdict: the two sides share neither a voice nor a face"])
    lines.append(f"probability of the same person {percent(report['probability'])} at prior {report['p_target']:g}")
    return "\n".join([*lines, "the same person" if report["same"] else "different people"])
